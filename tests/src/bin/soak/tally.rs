//! Counts what has happened in a run, and decides whether the run failed. Does not depend on
//! connections.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::breaker::NAMES;

/// Counters of what all callers and handlers have done.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) begun: AtomicU64,
    pub(crate) answered: AtomicU64,
    /// The result belongs to another call, or the call was executed twice.
    pub(crate) wrong: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) timed_out: AtomicU64,
    pub(crate) closed: AtomicU64,
    pub(crate) dropped: AtomicU64,
    /// Errors without a cause in the test.
    pub(crate) odd: AtomicU64,
    pub(crate) notified: AtomicU64,
    pub(crate) heard: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) opened: AtomicU64,
    pub(crate) not_opened: AtomicU64,
    /// Closed by their own side, not by the network.
    pub(crate) left: AtomicU64,
    pub(crate) subscribed: AtomicU64,
    pub(crate) items: AtomicU64,
    /// Connections that pass bytes on slowly.
    pub(crate) slow: AtomicU64,
    /// How many times the whole process was stopped.
    pub(crate) pauses: AtomicU64,
    breaks: [AtomicU64; NAMES.len()],
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

pub(crate) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    pub(crate) fn broken(&self, kind: usize) {
        add(&self.breaks[kind]);
    }

    pub(crate) fn breaks(&self) -> u64 {
        self.breaks.iter().map(get).sum()
    }

    pub(crate) fn line(&self) -> String {
        format!("{} calls, {} breaks", get(&self.begun), self.breaks())
    }

    fn ended(&self) -> u64 {
        let ways = [
            &self.answered,
            &self.wrong,
            &self.refused,
            &self.timed_out,
            &self.closed,
            &self.dropped,
            &self.odd,
        ];
        ways.into_iter().map(get).sum()
    }

    pub(crate) fn report(&self) -> String {
        let breaks: Vec<String> = NAMES
            .iter()
            .zip(&self.breaks)
            .map(|(name, count)| format!("{} {name}", get(count)))
            .collect();
        format!(
            "calls: {} started, {} answered, {} refused, {} timed out, {} closed, {} dropped; \
             {} batches\n\
             notifications: {} sent, {} received\n\
             subscriptions: {}, with {} items\n\
             connections: {} opened, {} failed to open; {} closed by their own side; {} slow\n\
             broken: {} ({}); the process was stopped {} times",
            get(&self.begun),
            get(&self.answered),
            get(&self.refused),
            get(&self.timed_out),
            get(&self.closed),
            get(&self.dropped),
            get(&self.batches),
            get(&self.notified),
            get(&self.heard),
            get(&self.subscribed),
            get(&self.items),
            get(&self.opened),
            get(&self.not_opened),
            get(&self.left),
            get(&self.slow),
            self.breaks(),
            breaks.join(", "),
            get(&self.pauses),
        )
    }

    /// Whether each call that was started has ended.
    pub(crate) fn is_settled(&self) -> bool {
        get(&self.begun) == self.ended()
    }

    /// The failures at the end of a run.
    pub(crate) fn verdict(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if !self.is_settled() {
            let (begun, ended) = (get(&self.begun), self.ended());
            failures.push(format!("{begun} calls were started, {ended} have ended"));
        }
        if get(&self.wrong) + get(&self.odd) > 0 {
            failures.push(format!(
                "{} wrong results, {} unexpected errors",
                get(&self.wrong),
                get(&self.odd)
            ));
        }
        if get(&self.heard) > get(&self.notified) {
            failures.push("more notifications were received than sent".to_owned());
        }
        // Each of these must occur, because a run without events finds no bugs.
        let ways = [
            &self.answered,
            &self.timed_out,
            &self.closed,
            &self.dropped,
            &self.heard,
            &self.items,
            &self.slow,
        ];
        if ways.into_iter().chain(&self.breaks).any(|way| get(way) == 0) {
            failures.push("an outcome never occurred; try a longer run".to_owned());
        }
        failures
    }
}

/// The resident memory during a run.
#[derive(Default)]
pub(crate) struct Memory {
    /// Resident memory in KiB, and how many connections were broken by then.
    samples: Vec<(u64, u64)>,
}

/// How much the median may grow between two thirds of a run, in KiB. It varies by some hundred
/// without a leak; 1 KiB for each broken connection exceeds the limit within ten minutes.
const GROWTH: u64 = 4 * 1024;

impl Memory {
    /// Adds no sample where `/proc` is missing.
    pub(crate) fn sample(&mut self, breaks: u64) {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        if let Some(kib) = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()) {
            self.samples.push((kib, breaks));
        }
    }

    /// The median of a third of the samples, in KiB, and how many connections were broken in the
    /// middle of that third.
    fn third(&self, index: usize) -> Option<(u64, u64)> {
        let size = self.samples.len() / 3;
        let third = self.samples.get(index * size..(index + 1) * size)?;
        let mut kib: Vec<u64> = third.iter().map(|(kib, _)| *kib).collect();
        kib.sort_unstable();
        Some((*kib.get(size / 2)?, third.get(size / 2)?.1))
    }

    /// The failure, if memory has grown too much.
    pub(crate) fn verdict(&self) -> Option<String> {
        let [Some(first), Some(middle), Some(last)] = [0, 1, 2].map(|index| self.third(index))
        else {
            println!("memory: unknown on this system");
            return None;
        };
        let breaks = last.1 - middle.1;
        println!(
            "memory: medians of the thirds {}, {} and {} KiB; a leak of {} bytes for each of the {breaks} \
             breaks in between would have been detected",
            first.0,
            middle.0,
            last.0,
            (GROWTH * 1024).checked_div(breaks).unwrap_or_default(),
        );
        let grown = last.0.saturating_sub(middle.0);
        (grown > GROWTH).then(|| format!("memory has grown by {grown} KiB, more than {GROWTH}"))
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} KiB", self.samples.last().map_or(0, |sample| sample.0))
    }
}
