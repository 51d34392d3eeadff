//! The output of the scripts beside the benchmark: lines of a name, a number, and a description.
//! Does not depend on the meaning of the numbers.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

/// A number that a script has printed.
#[derive(Clone, Debug, Serialize)]
pub struct External {
    pub name: String,
    pub value: f64,
}

impl External {
    /// Runs a script and returns the numbers that it prints. A script without its requirements
    /// prints none.
    pub fn run(script: &Path, args: &[&OsStr]) -> Result<Vec<External>> {
        let output = Command::new(script)
            .args(args)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("can't run {}", script.display()))?;
        ensure!(output.status.success(), "{} failed", script.display());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        print!("{text}");
        Ok(text.lines().filter_map(parse).collect())
    }
}

/// A line such as `ours 3901 instructions a call`.
fn parse(line: &str) -> Option<External> {
    let mut words = line.split_whitespace();
    let name = words.next()?.to_owned();
    Some(External { name, value: words.next()?.parse().ok()? })
}
