//! A program under test: starting it, what it costs (Linux), and its end.
//!
//! Must not know what is measured.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The processors that this program may use, and which of them what. Otherwise where a program runs, and
/// beside what, is a matter of when it was started.
pub struct Processors {
    all: CpuSet,
    /// Where what is measured runs.
    measured: CpuSet,
    /// Where this program runs meanwhile.
    own: CpuSet,
}

impl Processors {
    /// Both sides share one processor, and so take turns. On two, each turn would wake one that is idle,
    /// which on a virtual machine costs more than a hundred calls.
    pub fn together() -> Result<Self> {
        let [all, first, _] = look()?;
        Processors { all, measured: first, own: first }.settle()
    }

    /// What is measured has one for itself, as far as this program is concerned, if there are two.
    pub fn apart() -> Result<Self> {
        let [all, first, others] = look()?;
        let own = if others.count() > 0 { others } else { all };
        Processors { all, measured: first, own }.settle()
    }

    fn settle(self) -> Result<Self> {
        run_on(&self.own)?;
        Ok(self)
    }

    /// Starts what is to be measured. With many threads, the operating system decides where all run.
    pub fn start(
        &self,
        many_threads: bool,
        program: &'static str,
        args: &[String],
    ) -> Result<Process> {
        // A process begins where the thread that starts it may run.
        let (measured, own) =
            if many_threads { (&self.all, &self.all) } else { (&self.measured, &self.own) };
        run_on(measured)?;
        let process = Process::start(program, args);
        run_on(own)?;
        process
    }

    /// Nothing is measured any more.
    pub fn leave(self) -> Result<()> {
        run_on(&self.all)
    }
}

/// All that there are, the first one, and the others.
fn look() -> Result<[CpuSet; 3]> {
    let all = sched_getaffinity(None).context("which processors there are")?;
    let (mut first, mut others) = (CpuSet::new(), all);
    if let Some(at) = (0..CpuSet::MAX_CPU).find(|&at| all.is_set(at)) {
        first.set(at);
        others.unset(at);
    }
    Ok([all, first, others])
}

fn run_on(processors: &CpuSet) -> Result<()> {
    sched_setaffinity(None, processors).context("can't choose processors")
}

/// A program under test that runs. It is killed when this is dropped.
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
            child.stdin.take().zip(child.stdout.take()).context("a program without pipes")?;
        Ok(Process { program, child, input, output: BufReader::new(output) })
    }

    /// The next line that it prints.
    pub fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line)?;
        ensure!(read > 0, "{} has ended, its error message is above", self.program);
        Ok(line.trim().to_owned())
    }

    /// The address that a server prints first.
    pub fn address(&mut self) -> Result<SocketAddr> {
        let line = self.line()?;
        line.parse().with_context(|| format!("{} prints no address: {line}", self.program))
    }

    /// Makes a client call for so long; gives how many calls were answered.
    pub fn call_for(&mut self, time: Duration) -> Result<usize> {
        writeln!(self.input, "{}", time.as_millis())?;
        let line = self.line()?;
        line.parse().with_context(|| format!("{} prints no count: {line}", self.program))
    }

    /// CPU time of all its threads, in user space and in the kernel, as the scheduler counts it:
    /// in nanoseconds, exact for threads that sleep. A thread that has ended is missing; none of
    /// the programs ends any while it is measured.
    pub fn cpu(&self) -> Result<Duration> {
        // Whoever has just answered may still be on the way to sleep.
        std::thread::sleep(Duration::from_millis(1));
        let mut total = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let path = task?.path().join("schedstat");
            let text = fs::read_to_string(&path)
                .with_context(|| format!("{}: a Linux kernel counts there", path.display()))?;
            let on_cpu = text.split_whitespace().next().context("an empty schedstat")?;
            total += on_cpu.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(total))
    }

    /// How long this program and the other one have waited for a processor that something else was
    /// using, so far.
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

/// The scheduler's count of waiting, of the threads that there were when this was made.
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
        // It may have ended by itself; either way it is gone after this.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// `cargo run` builds this program only; the others must be as new.
pub fn build() -> Result<()> {
    ensure!(!cfg!(debug_assertions), "a benchmark wants `cargo run --release`");
    // Without cargo, whoever started it has built it.
    let Some(cargo) = std::env::var_os("CARGO") else { return Ok(()) };
    let built = Command::new(cargo)
        .args(["build", "--release", "--bins", "--quiet", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .status()
        .context("can't start cargo")?;
    ensure!(built.success(), "the programs under test do not build");
    Ok(())
}
