//! The tables, in Markdown that is aligned well enough for a terminal.

use std::fmt::Write;

use crate::experiments::{Contender, FEW, Kind, MANY};
use crate::stats::Summary;

use super::{BYTES, CPU, FLOOR, Figure, Found, JSONRPSEE, OURS, P50, P99, Report, SPEED};

/// A table that is aligned in plain text, too.
pub(super) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut rows: Vec<Vec<String>> =
        std::iter::once(head.iter().map(|&cell| cell.to_owned()).collect()).chain(rows).collect();
    let width = |column: usize| {
        let lens = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        lens.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let rule = widths.iter().enumerate().map(|(column, &width)| match column {
        0 => "-".repeat(width),
        _ => format!("{}:", "-".repeat(width.saturating_sub(1).max(1))),
    });
    rows.insert(1, rule.collect());
    let mut text = String::new();
    for row in rows {
        text.push('|');
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
            text += &if column == 0 {
                format!(" {cell}{padding} |")
            } else {
                format!(" {padding}{cell} |")
            };
        }
        text.push('\n');
    }
    text
}

/// Three significant digits.
pub(super) fn number(value: f64) -> String {
    match value {
        _ if value >= 1e6 => format!("{:.2} M", value / 1e6),
        _ if value >= 1e4 => format!("{:.0} k", value / 1e3),
        _ if value >= 99.95 => format!("{value:.0}"),
        _ if value >= 9.995 => format!("{value:.1}"),
        _ if value >= 0.01 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// A number and its spread.
pub(super) fn spread(summary: Option<Summary>) -> String {
    summary.map_or_else(String::new, |Summary { median, low, high }| {
        format!("{} ({}–{})", number(median), number(low), number(high))
    })
}

/// A small ratio as a fraction of one, which is easier to grasp than 0.07.
pub(super) fn fraction(summary: Option<Summary>) -> String {
    match summary {
        Some(Summary { median, low, high }) if median < 0.5 => {
            format!("1/{} ({}–{})", number(1.0 / median), number(1.0 / high), number(1.0 / low))
        }
        other => spread(other),
    }
}

impl Report {
    /// The whole report, in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::from("# Benchmark results\n\n");
        text += &self.setting();
        let head = ["", "ours", "floor", "jsonrpsee", "ours / floor", "ours / jsonrpsee"];
        let loads: Vec<&Found> = self.of_kind(Kind::Load).collect();
        let mut section = |title: &str, head: &[&str], rows: Vec<Vec<String>>| {
            if !rows.is_empty() {
                text += &format!("\n## {title}\n\n{}", table(head, rows));
            }
        };
        section("Targets", &["", "must", "aim", "measured", ""], self.target_rows());
        section("CPU time for a call, µs", &head, rows(&loads, CPU));
        let title = "CPU time for a call between a typed client and a typed server, both sides, µs";
        section(title, &["", "ours", "tarpc", "jsonrpsee", "tonic"], self.both_rows());
        let threads: Vec<&Found> = self.of_kind(Kind::Threads).collect();
        let title = "CPU time for a call on tokio's multi-threaded runtime, µs";
        section(title, &head, rows(&threads, CPU));
        section("Calls per second", &head, rows(&loads, SPEED));
        let single = |found: &&&Found| ["sequential", "echo-64k"].contains(&found.name);
        let alone: Vec<&Found> = loads.iter().filter(single).copied().collect();
        section("Round trip of a sequential call, µs, half are faster", &head, rows(&alone, P50));
        section("Round trip of a sequential call, µs, 99 % are faster", &head, rows(&alone, P99));
        let memory: Vec<&Found> = self.of_kind(Kind::Memory).collect();
        section("Resident memory of a connection, bytes", &head, rows(&memory, BYTES));
        let head = ["", "figure", "/ floor"];
        let title = "CPU time of the server for a message to many connections, µs";
        section(title, &head, self.case_rows(Kind::Broadcast, CPU));
        let title = "Resident memory for a message that waits, bytes";
        section(title, &head, self.case_rows(Kind::Waiting, BYTES));
        let growth = ["", "who", "before, µs", "after, µs", "after / before"];
        section("Growth: CPU time for a call", &growth, self.growth_rows());
        let external = |found: &super::External| vec![found.name.clone(), number(found.value)];
        let external = self.external.iter().map(external).collect();
        section("Instructions and compile time", &["", "value"], external);
        text
    }

    fn setting(&self) -> String {
        let machine = &self.machine;
        let effort = self.effort;
        let flavour = if effort.multi_thread { "multi-threaded" } else { "single-threaded" };
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{}; {}, {} cores, {} GiB; {}; {}.\n\n{}; {flavour} tokio runtime in every process under \
             test.\n",
            machine.date,
            machine.processor,
            machine.cores,
            machine.memory_gib,
            machine.kernel,
            machine.rustc,
            machine.crates.join(", "),
        );
        let _ = writeln!(
            text,
            "Median of {} rounds (memory: at most 3), in brackets the quartiles. In each round all \
             contenders run side by side in fresh processes and take turns, {} × {} ms each; ratios \
             are taken round by round. README.md says what the figures mean. Written by a program.",
            effort.rounds, effort.slices, effort.slice_ms,
        );
        text
    }

    fn both_rows(&self) -> Vec<Vec<String>> {
        let row = |found: &Found| {
            let cell = |contender| spread(found.figure((contender, ""), CPU));
            let title = found.title.to_owned();
            std::iter::once(title).chain(Contender::TYPED.map(cell)).collect()
        };
        self.of_kind(Kind::Both).map(row).collect()
    }

    /// A row for each case: its figure, and the ratio to the floor.
    fn case_rows(&self, kind: Kind, figure: Figure) -> Vec<Vec<String>> {
        let rows = self.of_kind(kind).flat_map(|found| {
            let row = move |contender: Contender, variant: &'static str| {
                let case = (contender, variant);
                let value = spread(Some(found.figure(case, figure)?));
                let words = [found.title, contender.name(), variant];
                let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
                Some(vec![words.join(", "), value, spread(found.ratio(case, FLOOR, figure))])
            };
            found.cases.iter().filter_map(move |case| {
                let contender = Contender::ALL.into_iter().find(|one| one.name() == case.contender);
                row(contender?, case.variant)
            })
        });
        rows.collect()
    }

    fn growth_rows(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for found in self.of_kind(Kind::Growth) {
            for contender in Contender::ALL {
                let (few, many) = ((contender, FEW), (contender, MANY));
                if let Some(ratio) = found.ratio(many, few, CPU) {
                    rows.push(vec![
                        found.title.to_owned(),
                        contender.name().to_owned(),
                        spread(found.figure(few, CPU)),
                        spread(found.figure(many, CPU)),
                        spread(Some(ratio)),
                    ]);
                }
            }
        }
        rows
    }
}

/// A row for each experiment: a figure of all contenders, and the ratios.
fn rows(found: &[&Found], figure: Figure) -> Vec<Vec<String>> {
    let row = |found: &&Found| {
        let cell = |case| spread(found.figure(case, figure));
        let title = found.title.to_owned();
        let ours = found.figure(OURS, figure)?;
        Some(vec![
            title,
            spread(Some(ours)),
            cell(FLOOR),
            cell(JSONRPSEE),
            spread(found.ratio(OURS, FLOOR, figure)),
            fraction(found.ratio(OURS, JSONRPSEE, figure)),
        ])
    };
    found.iter().filter_map(row).collect()
}
