//! Where and with what the numbers came about.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// What the numbers depend on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub date: String,
    pub processor: String,
    pub cores: usize,
    pub memory_gib: u64,
    pub kernel: String,
    pub rustc: String,
    /// Name and version of the crates that matter.
    pub crates: Vec<String>,
}

const CRATES: [&str; 8] = [
    "wsjsonrpc",
    "jsonrpsee",
    "tarpc",
    "tonic",
    "tokio",
    "tokio-tungstenite",
    "tungstenite",
    "serde_json",
];

impl Machine {
    /// Asks the system; what it does not tell is "unknown". `lock` is the benchmark's `Cargo.lock`.
    pub fn look(lock: &Path) -> Self {
        let unknown = || "unknown".to_owned();
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let processor =
            info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let memory = read("/proc/meminfo");
        let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kib = kib.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        Machine {
            date: say("date", &["-u", "+%Y-%m-%d %H:%M UTC"]).unwrap_or_else(unknown),
            processor: processor.map_or_else(unknown, |(_, name)| name.trim().to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: kib.unwrap_or(0).div_ceil(1 << 20),
            kernel: say("uname", &["-sr"]).unwrap_or_else(unknown),
            rustc: say("rustc", &["--version"]).unwrap_or_else(unknown),
            crates: versions(&fs::read_to_string(lock).unwrap_or_default()),
        }
    }
}

fn say(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// The versions of the crates that matter, as a `Cargo.lock` tells them.
fn versions(lock: &str) -> Vec<String> {
    let value = |line: &str, key| {
        Some(line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')?.to_owned())
    };
    let version = |name: &&str| {
        let mut lines = lock.lines();
        lines.find(|line| value(line, "name").as_deref() == Some(name))?;
        Some(format!("{name} {}", value(lines.next()?, "version")?))
    };
    CRATES.iter().filter_map(version).collect()
}
