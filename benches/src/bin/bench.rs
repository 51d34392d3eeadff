//! The benchmark: builds the programs under test, measures them side by side, and writes a table, a
//! plot and JSON. See README.md.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Resource, getrlimit, setrlimit};
use wsjsonrpc_benches::experiments::{self, Experiment};
use wsjsonrpc_benches::measure::{Effort, Place, measure};
use wsjsonrpc_benches::process::{Processors, build};
use wsjsonrpc_benches::report::{External, Found, Machine, Report, plot};
use wsjsonrpc_benches::responder;

const USAGE: &str = "\
usage: cargo run --release --bin bench -- [options] [workload...]

  --rounds N       the number of rounds (default: 9)
  --quick          3 short rounds and no compile times, to check that everything works
  --multi-thread   use tokio's multi-threaded runtime in the processes under test
  --list           list the workloads

Runs all workloads if none are named, and then writes the results to this folder. Results of other
runs go below `target`.";

/// The scripts in the benchmark's folder, whose numbers become part of the results.
const SCRIPTS: [&str; 2] = ["instructions", "compile-time"];

/// The highest number of idle connections in an experiment.
const CONNECTIONS: usize = 10_000;

/// Files that this program has open besides the connections.
const OTHER_FILES: usize = 200;

struct Arguments {
    effort: Effort,
    quick: bool,
    list: bool,
    workloads: Vec<String>,
}

fn main() -> Result<()> {
    let Some(arguments) = arguments()? else {
        println!("{USAGE}");
        return Ok(());
    };
    let all = experiments::all(connections()?);
    let names: Vec<&str> = all.iter().map(|known| known.name).chain(SCRIPTS).collect();
    if arguments.list {
        println!("{}", names.join("\n"));
        return Ok(());
    }
    if let Some(unknown) = arguments.workloads.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("unknown workload `{unknown}`; the workloads are: {}", names.join(", "));
    }
    build()?;
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let report = run(&arguments, &all, home)?;

    let text = report.markdown();
    println!("\n{text}");
    let whole = !arguments.quick && arguments.workloads.is_empty();
    let folder = if whole { home.to_owned() } else { beside_this_program("results")? };
    write(&folder, &report, &text)
}

fn arguments() -> Result<Option<Arguments>> {
    let effort = Effort { rounds: 9, slices: 5, slice_ms: 60, multi_thread: false };
    let mut found = Arguments { effort, quick: false, list: false, workloads: Vec::new() };
    let mut args = std::env::args().skip(1);
    while let Some(argument) = args.next() {
        match argument.as_str() {
            "--rounds" => {
                let rounds = args.next().context("`--rounds` needs a number")?;
                found.effort.rounds = rounds.parse().context("`--rounds` needs a number")?;
            }
            "--quick" => {
                found.quick = true;
                found.effort = Effort { rounds: 3, slices: 3, slice_ms: 30, ..found.effort };
            }
            "--multi-thread" => found.effort.multi_thread = true,
            "--list" => found.list = true,
            "--help" | "-h" => return Ok(None),
            option if option.starts_with('-') => bail!("unknown option `{option}`\n\n{USAGE}"),
            workload => found.workloads.push(workload.to_owned()),
        }
    }
    ensure!(found.effort.rounds > 0, "`--rounds` must be at least 1");
    Ok(Some(found))
}

/// How many idle connections this process and its children may have after raising the limit.
fn connections() -> Result<usize> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("raising the limit of open files failed")?;
    let files =
        limit.maximum.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    let connections = files.saturating_sub(OTHER_FILES).min(CONNECTIONS);
    if connections < CONNECTIONS {
        eprintln!(
            "only {files} files may be open, so {connections} idle connections are used instead of \
             {CONNECTIONS} (see `ulimit -Hn`)"
        );
    }
    Ok(connections)
}

fn run(arguments: &Arguments, all: &[Experiment], home: &Path) -> Result<Report> {
    let chosen = |name: &str| {
        arguments.workloads.is_empty()
            || arguments.workloads.iter().any(|workload| workload == name)
    };
    let mut report = Report {
        machine: Machine::look(&home.join("Cargo.lock")),
        effort: arguments.effort,
        experiments: Vec::new(),
        external: Vec::new(),
    };
    let processors = Processors::together()?;
    let place = Place { processors, responder: responder::start()? };
    for experiment in all.iter().filter(|experiment| chosen(experiment.name)) {
        eprintln!("{}: {}", experiment.name, experiment.title);
        let cases = measure(experiment, arguments.effort, &place)
            .with_context(|| format!("the workload `{}` failed", experiment.name))?;
        report.experiments.push(Found::new(experiment, cases));
    }
    place.processors.leave()?;
    let programs = beside_this_program("")?;
    for script in SCRIPTS.into_iter().filter(|script| chosen(script)) {
        let asked_for = !arguments.workloads.is_empty();
        if script == "compile-time" && arguments.quick && !asked_for {
            continue;
        }
        eprintln!("{script}");
        let args = if script == "instructions" { vec![programs.as_os_str()] } else { Vec::new() };
        report.external.extend(External::run(&home.join(script), &args)?);
    }
    Ok(report)
}

/// A path next to this program, in cargo's target folder.
fn beside_this_program(name: &str) -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

fn write(folder: &Path, report: &Report, text: &str) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut files = vec![
        ("RESULTS.md", text.to_owned()),
        ("results.json", serde_json::to_string_pretty(report)? + "\n"),
    ];
    files.extend(plot(report)?.map(|svg| ("results.svg", svg)));
    for (name, content) in files {
        let path = folder.join(name);
        std::fs::write(&path, content)
            .with_context(|| format!("can't write {}", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}
