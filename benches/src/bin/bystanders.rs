//! What others notice of a hostile peer: how long their calls take while it does what it does, beside
//! how long they take without. See README.md.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use wsjsonrpc_benches::hostile::{Behaviour, Hostile};
use wsjsonrpc_benches::process::{Contention, Processors, build};
use wsjsonrpc_benches::stats::{Summary, quantile};
use wsjsonrpc_benches::wire::{self, Inbox, masked, number_after};

const USAGE: &str = "\
usage: cargo run --release --bin bystanders -- [options]

  --rounds N       how many times each is measured without and with a hostile peer; default 20
  --only TEXT      only peers whose descriptions have this text in them
  --multi-thread   tokio's multi-threaded runtime in the server";

/// How many connections are measured, one call at a time, one after the other.
const BYSTANDERS: usize = 10;
const SLICE: Duration = Duration::from_millis(250);
/// A call does not count if the server or this program waited for so long for a processor while it was
/// under way: something else was using the processor.
const CONTENDED: Duration = Duration::from_micros(20);
/// A call that takes so long always meets something else. That time is subtracted instead.
const LONG: Duration = Duration::from_millis(1);
/// What a hostile peer has left behind is over by then; and a new one has begun.
const PAUSE: Duration = Duration::from_millis(50);

struct Bystanders {
    lanes: Vec<TcpStream>,
    inbox: Inbox,
    frame: Vec<u8>,
    contention: Contention,
    /// Calls that were made, and those that count.
    made: usize,
    counted: usize,
}

impl Bystanders {
    /// Each makes calls, one connection after the other, for so long. Gives how long they took, in
    /// µs, sorted.
    fn measure(
        &mut self,
        time: Duration,
        mut between: impl FnMut() -> Result<()>,
    ) -> Result<Vec<f64>> {
        let begin = Instant::now();
        let mut times = Vec::new();
        while begin.elapsed() < time {
            for stream in &mut self.lanes {
                between()?;
                let waited = self.contention.so_far()?;
                let asked = Instant::now();
                stream.write_all(&self.frame)?;
                loop {
                    ensure!(self.inbox.fill(stream)?, "the server has closed the connection");
                    if let Some(text) = self.inbox.take()? {
                        ensure!(number_after(text, "\"result\":") == Some(3), "a wrong answer");
                        break;
                    }
                }
                let time = asked.elapsed();
                self.made += 1;
                let waited = self.contention.so_far()? - waited;
                let own = time.saturating_sub(waited);
                if waited < CONTENDED || own > LONG {
                    self.counted += 1;
                    times.push(own.as_nanos() as f64 / 1000.0);
                }
            }
        }
        times.sort_by(f64::total_cmp);
        Ok(times)
    }
}

fn main() -> Result<()> {
    let (mut rounds, mut only) = (20, None);
    let mut options = vec!["--default-limits".to_owned()];
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        match name.as_str() {
            "--rounds" => rounds = args.next().and_then(|value| value.parse().ok()).unwrap_or(0),
            "--only" => only = args.next(),
            "--multi-thread" => options.push(name),
            _ => bail!("{USAGE}"),
        }
    }
    ensure!(rounds > 0, "{USAGE}");
    build()?;
    let processors = Processors::apart()?;
    println!("| a peer that | p50 quiet | p50 | p99 quiet | p99 | p99, times quiet | counted |");
    println!("|---|---|---|---|---|---|---|");
    for behaviour in Behaviour::ALL {
        if only.as_ref().is_some_and(|only| !behaviour.name().contains(only)) {
            continue;
        }
        let mut options = options.clone();
        options.extend(behaviour.option().map(str::to_owned));
        let mut server = processors.start(false, "server_ours", &options)?;
        let address = server.address()?;
        let lanes = (0..BYSTANDERS).map(|_| wire::connect(address)).collect::<Result<Vec<_>>>()?;
        lanes.iter().try_for_each(wire::impatient)?;
        let mut frame = Vec::new();
        masked(&mut frame, br#"{"jsonrpc":"2.0","method":"math.sum","params":[1,2],"id":1}"#);
        let (inbox, contention) = (Inbox::default(), server.contention()?);
        let mut bystanders = Bystanders { lanes, inbox, frame, contention, made: 0, counted: 0 };
        bystanders.measure(SLICE, || Ok(()))?;
        let mut columns = [const { Vec::new() }; 5];
        for _ in 0..rounds {
            let quiet = bystanders.measure(SLICE, || Ok(()))?;
            let mut hostile = Hostile::new(behaviour, address);
            bystanders.measure(PAUSE, || hostile.pump())?;
            let disturbed = bystanders.measure(SLICE, || hostile.pump())?;
            drop(hostile);
            bystanders.measure(PAUSE, || Ok(()))?;
            let at = |times: &[f64], part| quantile(times, part).unwrap_or_default();
            let (before, then) = (at(&quiet, 0.99), at(&disturbed, 0.99));
            let values = [at(&quiet, 0.5), at(&disturbed, 0.5), before, then, then / before];
            columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
        }
        let [quiet, disturbed, before, then, ratio] = columns.map(Summary::of);
        let us = |summary: Option<Summary>| format!("{:.0} µs", summary.map_or(0.0, |s| s.median));
        println!(
            "| {} | {} | {} | {} | {} | {} | {} % |",
            behaviour.name(),
            us(quiet),
            us(disturbed),
            us(before),
            us(then),
            ratio.map_or_else(String::new, |s| format!(
                "{:.2} ({:.2}–{:.2})",
                s.median, s.low, s.high
            )),
            100 * bystanders.counted / bystanders.made.max(1),
        );
    }
    Ok(())
}
