//! A program under test: starting it, measuring its cost (Linux), and ending it. Does not depend on
//! what is measured.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The processors that this program may use, and which program runs on which. Without this, the
/// placement would depend on the time at which a program was started.
pub struct Processors {
    all: CpuSet,
    /// The processors of the program under test.
    measured: CpuSet,
    /// The processors of this program meanwhile.
    own: CpuSet,
}

impl Processors {
    /// Both sides share one processor and take turns. With two processors, each turn would wake an
    /// idle one, which costs more than a hundred calls on a virtual machine.
    pub fn together() -> Result<Self> {
        let [all, first, _] = look()?;
        Processors { all, measured: first, own: first }.settle()
    }

    /// If there are two processors, the program under test has one that this program does not use.
    pub fn apart() -> Result<Self> {
        let [all, first, others] = look()?;
        let own = if others.count() > 0 { others } else { all };
        Processors { all, measured: first, own }.settle()
    }

    fn settle(self) -> Result<Self> {
        run_on(&self.own)?;
        Ok(self)
    }

    /// Starts a program under test. With many threads, the operating system chooses the processors.
    pub fn start(
        &self,
        many_threads: bool,
        program: &'static str,
        args: &[String],
    ) -> Result<Process> {
        // A child process inherits the processors of the thread that starts it.
        let (measured, own) =
            if many_threads { (&self.all, &self.all) } else { (&self.measured, &self.own) };
        run_on(measured)?;
        let process = Process::start(program, args);
        run_on(own)?;
        process
    }

    /// Removes the restriction of processors after the measurement.
    pub fn leave(self) -> Result<()> {
        run_on(&self.all)
    }
}

/// All processors, the first one, and the others.
fn look() -> Result<[CpuSet; 3]> {
    let all = sched_getaffinity(None).context("reading the available processors failed")?;
    let (mut first, mut others) = (CpuSet::new(), all);
    if let Some(at) = (0..CpuSet::MAX_CPU).find(|&at| all.is_set(at)) {
        first.set(at);
        others.unset(at);
    }
    Ok([all, first, others])
}

fn run_on(processors: &CpuSet) -> Result<()> {
    sched_setaffinity(None, processors).context("setting the processors failed")
}

/// A running program under test. Dropping it kills the process.
pub struct Process {
    program: &'static str,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts one of the programs that were built together with this one.
    fn start(program: &'static str, args: &[String]) -> Result<Self> {
        let here = std::env::current_exe()?;
        let path = here.with_file_name(program);
        let mut child = Command::new(&path)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("can't start {}", path.display()))?;
        let (input, output) =
            child.stdin.take().zip(child.stdout.take()).context("the program has no pipes")?;
        Ok(Process { program, child, input, output: BufReader::new(output) })
    }

    /// The next line that it prints.
    pub fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line)?;
        ensure!(read > 0, "{} has ended; its error message is above", self.program);
        Ok(line.trim().to_owned())
    }

    /// The address that a server prints first.
    pub fn address(&mut self) -> Result<SocketAddr> {
        let line = self.line()?;
        line.parse().with_context(|| format!("{} did not print an address: {line}", self.program))
    }

    /// Makes a client call for this long; returns how many calls were answered.
    pub fn call_for(&mut self, time: Duration) -> Result<usize> {
        writeln!(self.input, "{}", time.as_millis())?;
        let line = self.line()?;
        line.parse().with_context(|| format!("{} did not print a count: {line}", self.program))
    }

    /// The CPU time of all threads, in user space and in the kernel, as the scheduler counts it: in
    /// nanoseconds, exact for threads that sleep. Threads that have ended are missing, but none of
    /// the programs ends threads while it is measured.
    pub fn cpu(&self) -> Result<Duration> {
        // A thread that has just responded may not sleep yet.
        std::thread::sleep(Duration::from_millis(1));
        let mut total = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let path = task?.path().join("schedstat");
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}; this needs Linux", path.display()))?;
            let on_cpu = text.split_whitespace().next().context("an empty schedstat")?;
            total += on_cpu.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(total))
    }

    /// How long this program and the other one have waited so far for a processor that something
    /// else was using.
    pub fn contention(&self) -> Result<Contention> {
        let mut files = vec![File::open("/proc/thread-self/schedstat")?];
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            files.push(File::open(task?.path().join("schedstat"))?);
        }
        Ok(Contention(files))
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).context("no VmRSS")?;
        Ok(kib.parse::<u64>()? * 1024)
    }
}

/// The scheduler's waiting times of the threads that existed when this was created.
pub struct Contention(Vec<File>);

impl Contention {
    pub fn so_far(&self) -> Result<Duration> {
        let mut total = 0;
        for file in &self.0 {
            let mut text = [0; 100];
            let length = file.read_at(&mut text, 0)?;
            let text = std::str::from_utf8(text.get(..length).unwrap_or_default())?;
            let waited = text.split_whitespace().nth(1).context("an empty schedstat")?;
            total += waited.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(total))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended already; in any case it is gone after this.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// `cargo run` builds only this program, so the others are built here.
pub fn build() -> Result<()> {
    ensure!(!cfg!(debug_assertions), "benchmarks need a release build; use `cargo run --release`");
    // Without cargo, this program was started directly, so the others are built already.
    let Some(cargo) = std::env::var_os("CARGO") else { return Ok(()) };
    let built = Command::new(cargo)
        .args(["build", "--release", "--bins", "--quiet", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .status()
        .context("can't start cargo")?;
    ensure!(built.success(), "building the programs under test failed");
    Ok(())
}
