//! The plot: CPU time of a call, by workload. It has a light background, so that it is readable on
//! a dark page too.

use anyhow::{Result, anyhow};
use plotters::backend::SVGBackend;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::experiments::Kind;

use super::table::number;
use super::{CPU, FLOOR, Found, JSONRPSEE, OURS, Report, Which};

const WIDTH: i32 = 860;
/// The left edge of the bars, and the right edge of the longest one.
const LEFT: i32 = 280;
const RIGHT: i32 = 790;
const TOP: i32 = 92;
const BAR: i32 = 11;
const GAP: i32 = 13;

const BARS: [(Which, &str, RGBColor); 3] = [
    (OURS, "wsjsonrpc", RGBColor(0, 114, 178)),
    (FLOOR, "floor: bare WebSocket loop", RGBColor(150, 150, 150)),
    (JSONRPSEE, "jsonrpsee", RGBColor(213, 94, 0)),
];
/// Plotters uses the height of a line as the size of a font.
const EM: f64 = 1.24;
const INK: RGBColor = RGBColor(36, 41, 47);
const FAINT: RGBColor = RGBColor(87, 96, 106);

/// The plot as SVG; `None` if none of its values were measured.
pub fn plot(report: &Report) -> Result<Option<String>> {
    let comparable = |found: &&Found| found.figure(JSONRPSEE, CPU).is_some();
    let found: Vec<&Found> = report.of_kind(Kind::Load).filter(comparable).collect();
    if found.is_empty() {
        return Ok(None);
    }
    let bars =
        |found: &Found| BARS.iter().filter(|(case, ..)| found.figure(*case, CPU).is_some()).count();
    let height = |found: &Found| bars(found) as i32 * (BAR + 1) + GAP;
    let total = TOP + found.iter().map(|found| height(found)).sum::<i32>() + 8;
    let mut svg = String::new();
    {
        let size = (WIDTH as u32, total as u32);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let failed = |error: DrawingAreaErrorKind<_>| anyhow!("can't draw the plot: {error}");
        area.fill(&WHITE).map_err(failed)?;
        let text = |words: String, at: (i32, i32), size: i32, color: RGBColor, h: HPos| {
            let style = ("sans-serif", f64::from(size) * EM)
                .into_font()
                .color(&color)
                .pos(Pos::new(h, VPos::Center));
            area.draw(&Text::new(words, at, style)).map_err(failed)
        };
        let bar = |from: (i32, i32), to: (i32, i32), color: RGBColor| {
            area.draw(&Rectangle::new([from, to], color.filled())).map_err(failed)
        };
        text("CPU time for a call (shorter is better)".to_owned(), (16, 24), 19, INK, HPos::Left)?;
        let words = "each workload to its own scale: its longest bar is full; numbers in µs";
        text(words.to_owned(), (16, 46), 13, FAINT, HPos::Left)?;
        let mut x = 16;
        for (_, name, color) in BARS {
            bar((x, 64), (x + 14, 76), color)?;
            text(name.to_owned(), (x + 20, 70), 13, INK, HPos::Left)?;
            x += 56 + 7 * name.len() as i32;
        }
        let mut y = TOP;
        for found in found {
            let values = BARS.map(|(case, _, color)| (found.figure(case, CPU), color));
            let longest = values.iter().filter_map(|(value, _)| Some(value.as_ref()?.median));
            let longest = longest.fold(f64::MIN_POSITIVE, f64::max);
            let middle = y + (bars(found) as i32 * (BAR + 1)) / 2;
            text(found.title.to_owned(), (LEFT - 12, middle), 13, INK, HPos::Right)?;
            let begin = y;
            for (value, color) in values {
                let Some(value) = value else { continue };
                let len = (f64::from(RIGHT - LEFT) * value.median / longest).round() as i32;
                bar((LEFT, y), (LEFT + len.max(1), y + BAR - 1), color)?;
                text(number(value.median), (LEFT + len + 6, y + BAR / 2), 12, INK, HPos::Left)?;
                y += BAR + 1;
            }
            bar((LEFT - 2, begin - 2), (LEFT - 1, y), FAINT)?;
            y += GAP;
        }
        area.present().map_err(failed)?;
    }
    Ok(Some(svg))
}
