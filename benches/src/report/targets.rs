//! The performance targets of this project, and whether they are reached.

use crate::experiments::{CHANNEL, Contender, FEW, GROUP, MANY};
use crate::stats::Summary;

use super::table::{fraction, number};
use super::{BYTES, CPU, FLOOR, JSONRPSEE, OURS, P50, Report};

/// An upper bound for a figure.
pub struct Target {
    figure: &'static str,
    must: f64,
    aim: f64,
    /// `None` if it was not measured in this run.
    measured: Option<Summary>,
}

impl Report {
    /// All targets with the measured values.
    pub fn targets(&self) -> Vec<Target> {
        let target = |figure, must, aim, measured| Target { figure, must, aim, measured };
        let to_floor = |name, figure| self.ratio(name, OURS, FLOOR, figure);
        let to_jsonrpsee = |name| self.ratio(name, OURS, JSONRPSEE, CPU);
        let (few, many) = ((Contender::Ours, FEW), (Contender::Ours, MANY));
        let growth = |name| self.ratio(name, many, few, CPU);
        let external = |name| {
            let value = self.external(name)?;
            Some(Summary { median: value, low: value, high: value })
        };
        let kib = |name| {
            let Summary { median, low, high } = self.found(name)?.figure(OURS, BYTES)?;
            Some(Summary { median: median / 1024.0, low: low / 1024.0, high: high / 1024.0 })
        };
        vec![
            target("server CPU, 100 in flight / floor", 1.3, 1.0, to_floor("flight-100", CPU)),
            target("server CPU, 1000 in flight / floor", 1.3, 1.0, to_floor("flight-1000", CPU)),
            target(
                "server CPU, 100 in flight / jsonrpsee",
                0.1,
                1.0 / 14.0,
                to_jsonrpsee("flight-100"),
            ),
            target(
                "server CPU, 1000 in flight / jsonrpsee",
                0.1,
                1.0 / 14.0,
                to_jsonrpsee("flight-1000"),
            ),
            target(
                "instructions, 100 in flight / floor",
                1.0,
                0.85,
                external("instructions-ratio"),
            ),
            target("sequential round trip p50 / floor", 1.1, 1.0, to_floor("sequential", P50)),
            target(
                "client CPU, 100 tasks / jsonrpsee",
                1.0 / 7.0,
                1.0 / 12.0,
                to_jsonrpsee("client-100"),
            ),
            target("batch of 100, an entry / a single call", 0.6, 0.4, growth("batching")),
            target(
                "server CPU, an item of a subscription / jsonrpsee",
                1.0 / 8.0,
                1.0 / 12.0,
                to_jsonrpsee("subscription"),
            ),
            target(
                "client CPU, an item of a subscription / jsonrpsee",
                1.0 / 8.0,
                1.0 / 12.0,
                to_jsonrpsee("client-subscription"),
            ),
            target(
                "broadcast to a group of 1000, CPU / floor",
                0.45,
                0.35,
                self.ratio("broadcast", (Contender::Ours, GROUP), FLOOR, CPU),
            ),
            target(
                "publishing to a channel of 1000, CPU / floor",
                0.5,
                0.4,
                self.ratio("broadcast", (Contender::Ours, CHANNEL), FLOOR, CPU),
            ),
            target("handlers that wait, CPU / jsonrpsee", 1.0 / 3.0, 0.2, to_jsonrpsee("wait")),
            target("idle connection, never used, KiB", 6.0, 4.5, kib("idle")),
            target("idle connection, after a call, KiB", 6.0, 4.5, kib("idle-used")),
            target("mounted in axum / stand-alone, CPU", 1.03, 1.0, growth("mounted")),
            target("HTTP POST, 20 connections, CPU / jsonrpsee", 1.0, 1.0, to_jsonrpsee("post-20")),
            target("idle connection, mounted in axum, KiB", 7.0, 4.97, kib("idle-mounted")),
            target("growth, 10 → 10,000 methods", 1.2, 1.05, growth("growth-methods")),
            target("growth, 1 → 100,000 pending calls", 1.2, 1.05, growth("growth-pending")),
            target("growth, 10 → 10,000 idle connections", 1.2, 1.05, growth("growth-idle")),
            target("echo of 64 KiB, CPU / floor", 1.3, 1.0, to_floor("echo-64k", CPU)),
            target("`cargo check`, 200 methods / jsonrpsee", 0.5, 0.5, external("check-ratio")),
            target("incremental build, 200 methods / jsonrpsee", 0.5, 0.5, external("build-ratio")),
        ]
    }

    pub(super) fn target_rows(&self) -> Vec<Vec<String>> {
        self.targets().into_iter().filter_map(Target::row).collect()
    }
}

impl Target {
    /// The row of a table; `None` if the figure was not measured.
    fn row(self) -> Option<Vec<String>> {
        let measured = self.measured?;
        let verdict = match measured.median {
            value if value <= self.aim => "aim reached",
            value if value <= self.must => "reached",
            _ => "**missed**",
        };
        let exact = measured.low == measured.high && measured.median >= 0.5;
        Some(vec![
            self.figure.to_owned(),
            bound(self.must),
            bound(self.aim),
            if exact { number(measured.median) } else { fraction(Some(measured)) },
            verdict.to_owned(),
        ])
    }
}

fn bound(value: f64) -> String {
    match value {
        value if value < 0.35 => format!("≤ 1/{:.0}", 1.0 / value),
        value => format!("≤ {value}"),
    }
}
