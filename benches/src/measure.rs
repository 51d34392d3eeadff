//! Measures the cases of an experiment side by side, in rounds.
//!
//! In each round all cases run in fresh processes, and take turns in short slices of time, so that
//! other load on the machine affects all of them equally.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::audience::Audience;
use crate::experiments::{Case, Experiment, Host, Work};
use crate::load::{Idle, Load, Shape};
use crate::process::{Process, Processors};
use crate::stats::quantile;

const NO_PROGRAM: &str = "no program for this contender";

/// How much is measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Effort {
    pub rounds: usize,
    /// Slices of time for each case in each round.
    pub slices: usize,
    pub slice_ms: u64,
    pub multi_thread: bool,
}

impl Effort {
    fn slice(self) -> Duration {
        Duration::from_millis(self.slice_ms)
    }
}

/// Where it is measured.
pub struct Place {
    pub processors: Processors,
    /// The other side of clients.
    pub responder: SocketAddr,
}

/// What one round gives for one case.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Sample {
    /// CPU time of the process under test for a call, in µs.
    pub cpu_us: Option<f64>,
    pub calls_per_second: Option<f64>,
    /// Of a turn of a load on a server, in µs: of a call if there is one in a turn.
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    /// Resident memory for each connection.
    pub bytes: Option<f64>,
}

/// The samples of a case, one for each round.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    pub contender: &'static str,
    pub variant: &'static str,
    pub samples: Vec<Sample>,
}

/// Measures all cases of an experiment.
pub fn measure(experiment: &Experiment, effort: Effort, place: &Place) -> Result<Vec<Measured>> {
    let name = |case: &Case| Measured {
        contender: case.contender.name(),
        variant: case.variant,
        samples: Vec::new(),
    };
    let mut measured: Vec<Measured> = experiment.cases.iter().map(name).collect();
    let alone = experiment.cases.iter().any(|case| {
        matches!(case.work, Work::Memory { .. } | Work::Publishing { .. } | Work::Waiting { .. })
    });
    // Memory hardly depends on anything, and many connections take long to make.
    let rounds = if alone { effort.rounds.min(3) } else { effort.rounds };
    for round in 0..rounds {
        let samples = if alone {
            let sample = |case: &Case| match case.work {
                Work::Publishing { .. } => publishing(case, effort, place),
                Work::Waiting { .. } => waiting(case, effort, place),
                _ => resident(case, effort, place),
            };
            experiment.cases.iter().map(sample).collect::<Result<_>>()?
        } else {
            side_by_side(&experiment.cases, effort, round, place)?
        };
        measured.iter_mut().zip(samples).for_each(|(case, sample)| case.samples.push(sample));
    }
    Ok(measured)
}

/// One round of all cases.
fn side_by_side(
    cases: &[Case],
    effort: Effort,
    round: usize,
    place: &Place,
) -> Result<Vec<Sample>> {
    let start = |case: &Case| Running::start(case, effort, place);
    let mut running = cases.iter().map(start).collect::<Result<Vec<_>>>()?;
    for case in &mut running {
        case.slice(effort.slice())?;
        case.forget();
    }
    for slice in 0..effort.slices {
        // No case is always first, or always after the same one.
        let first = (round + slice) % running.len();
        let (tail, head) = running.split_at_mut(first);
        for case in head.iter_mut().chain(tail) {
            case.slice(effort.slice())?;
        }
    }
    running.into_iter().map(Running::sample).collect()
}

/// What a running process talks to.
enum OtherSide {
    Load(Load),
    Audience(Audience),
    /// The process is a client, which calls by itself.
    Responder,
}

impl OtherSide {
    fn turns(&mut self) -> Vec<u64> {
        match self {
            OtherSide::Load(load) => std::mem::take(&mut load.turns),
            OtherSide::Audience(audience) => std::mem::take(&mut audience.turns),
            OtherSide::Responder => Vec::new(),
        }
    }
}

/// A case whose process runs.
struct Running {
    process: Process,
    other_side: OtherSide,
    /// Stay open as long as the case runs.
    _idle: Option<Idle>,
    calls: usize,
    cpu: Duration,
    time: Duration,
}

impl Running {
    fn start(case: &Case, effort: Effort, place: &Place) -> Result<Self> {
        let many_threads = effort.multi_thread || case.multi_thread;
        let start = |program, args: &[String]| place.processors.start(many_threads, program, args);
        let mut args = Vec::new();
        if many_threads {
            args.push("--multi-thread".to_owned());
        }
        let mut add = |name: &str, value: String| args.extend([name.to_owned(), value]);
        let (process, other_side, idle) = match case.work {
            Work::Server { shape, connections, methods, idle, host } => {
                add("--methods", methods.to_string());
                if host != Host::Own {
                    args.push("--mounted".to_owned());
                }
                let mut process = start(case.contender.server().context(NO_PROGRAM)?, &args)?;
                let address = process.address()?;
                let idle = Idle::connect(address, idle, false)?;
                let load = Load::connect(address, shape, connections, host == Host::Post)?;
                (process, OtherSide::Load(load), Some(idle))
            }
            Work::Broadcast { way, members } => {
                let mut process = start(case.contender.broadcast().context(NO_PROGRAM)?, &args)?;
                let address = process.address()?;
                let mut audience = Audience::new(address, way)?;
                audience.join(address, members)?;
                (process, OtherSide::Audience(audience), None)
            }
            Work::Client { .. } | Work::Consumer { .. } | Work::Both { .. } => {
                add("--address", place.responder.to_string());
                match case.work {
                    Work::Both { tasks } => add("--tasks", tasks.to_string()),
                    Work::Client { tasks, pending } => {
                        add("--tasks", tasks.to_string());
                        add("--pending", pending.to_string());
                    }
                    Work::Consumer { items } => add("--items", items.to_string()),
                    _ => {}
                }
                let program = match case.work {
                    Work::Both { .. } => case.contender.both(),
                    _ => case.contender.client(),
                };
                let mut process = start(program.context(NO_PROGRAM)?, &args)?;
                let line = process.line()?;
                ensure!(line == "ready", "a client says `{line}`");
                (process, OtherSide::Responder, None)
            }
            Work::Memory { .. } | Work::Publishing { .. } | Work::Waiting { .. } => {
                anyhow::bail!("this is not measured in slices of time")
            }
        };
        let (cpu, time) = (Duration::ZERO, Duration::ZERO);
        Ok(Running { process, other_side, _idle: idle, calls: 0, cpu, time })
    }

    /// Calls for so long.
    fn slice(&mut self, time: Duration) -> Result<()> {
        let cpu = self.process.cpu()?;
        let begin = Instant::now();
        self.calls += match &mut self.other_side {
            OtherSide::Load(load) => load.run_for(time)?,
            OtherSide::Audience(audience) => audience.run_for(time)?,
            OtherSide::Responder => self.process.call_for(time)?,
        };
        self.time += begin.elapsed();
        self.cpu += self.process.cpu()?.saturating_sub(cpu);
        Ok(())
    }

    /// What was so far was for warming up.
    fn forget(&mut self) {
        (self.calls, self.cpu, self.time) = (0, Duration::ZERO, Duration::ZERO);
        self.other_side.turns();
    }

    fn sample(mut self) -> Result<Sample> {
        ensure!(self.calls > 0, "no call was answered");
        let calls = self.calls as f64;
        let turns = self.other_side.turns().into_iter();
        let mut turns: Vec<f64> = turns.map(|nanos| nanos as f64 / 1e3).collect();
        turns.sort_by(f64::total_cmp);
        Ok(Sample {
            cpu_us: Some(self.cpu.as_secs_f64() * 1e6 / calls),
            calls_per_second: Some(calls / self.time.as_secs_f64()),
            p50_us: quantile(&turns, 0.5),
            p99_us: quantile(&turns, 0.99),
            bytes: None,
        })
    }
}

/// What a server's resident memory grows by for each connection that is opened.
fn resident(case: &Case, effort: Effort, place: &Place) -> Result<Sample> {
    let Work::Memory { idle, used, host } = case.work else {
        anyhow::bail!("only memory is measured here");
    };
    let mut args = if effort.multi_thread { vec!["--multi-thread".to_owned()] } else { Vec::new() };
    if host != Host::Own {
        args.push("--mounted".to_owned());
    }
    let program = case.contender.server().context(NO_PROGRAM)?;
    let mut process = place.processors.start(effort.multi_thread, program, &args)?;
    let address = process.address()?;
    // What every server needs once, however many connections there are.
    Load::connect(address, Shape::Sum(100), 1, false)?.run_for(Duration::from_millis(20))?;
    let before = process.memory()?;
    let idle = Idle::connect(address, idle, used)?;
    std::thread::sleep(Duration::from_millis(100));
    let grown = process.memory()?.saturating_sub(before);
    Ok(Sample { bytes: Some(grown as f64 / idle.len() as f64), ..Sample::default() })
}

/// The CPU time of publishing a message to many connections.
fn publishing(case: &Case, effort: Effort, place: &Place) -> Result<Sample> {
    const TURNS: usize = 20;
    /// More than the kernel's buffers, the send queue and a channel keep for one connection.
    const FILLING: usize = 100;
    let Work::Publishing { way, members, deaf } = case.work else {
        anyhow::bail!("only publishing is measured here");
    };
    let (_process, address) = broadcast_server(case, effort, place, &["--send-buffer", "65536"])?;
    let mut audience = Audience::new(address, way)?;
    let _deaf = audience.join_deaf(address, usize::from(deaf))?;
    let mut dropped = 0;
    for _ in 0..FILLING * usize::from(deaf) {
        audience.publish(65536)?;
        dropped = audience.published()?.dropped;
    }
    let is_full = dropped > 0 || !way.counts_dropped;
    ensure!(is_full || !deaf, "nothing was dropped for the connection that does not read");
    audience.join(address, members)?;
    audience.turn()?;
    let mut nanoseconds = Vec::new();
    for _ in 0..TURNS {
        nanoseconds.push(audience.turn()?.nanoseconds as f64);
    }
    nanoseconds.sort_by(f64::total_cmp);
    let cpu_us = quantile(&nanoseconds, 0.5).map(|nanoseconds| nanoseconds / 1e3);
    Ok(Sample { cpu_us, ..Sample::default() })
}

/// What a server's resident memory grows by for each message and each connection that does not read
/// it.
fn waiting(case: &Case, effort: Effort, place: &Place) -> Result<Sample> {
    /// Less than a send queue holds.
    const MESSAGES: usize = 8;
    let Work::Waiting { way, members, bytes } = case.work else {
        anyhow::bail!("only memory of waiting messages is measured here");
    };
    let (process, address) = broadcast_server(case, effort, place, &["--send-buffer", "4096"])?;
    let mut audience = Audience::new(address, way)?;
    let _deaf = audience.join_deaf(address, members)?;
    let before = process.memory()?;
    for _ in 0..MESSAGES {
        audience.publish(bytes)?;
        audience.published()?;
    }
    std::thread::sleep(Duration::from_millis(500));
    let grown = process.memory()?.saturating_sub(before);
    let bytes = grown as f64 / (MESSAGES * members) as f64;
    Ok(Sample { bytes: Some(bytes), ..Sample::default() })
}

fn broadcast_server(
    case: &Case,
    effort: Effort,
    place: &Place,
    options: &[&str],
) -> Result<(Process, SocketAddr)> {
    let mut args: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
    if effort.multi_thread {
        args.push("--multi-thread".to_owned());
    }
    let program = case.contender.broadcast().context(NO_PROGRAM)?;
    let mut process = place.processors.start(effort.multi_thread, program, &args)?;
    let address = process.address()?;
    Ok((process, address))
}
