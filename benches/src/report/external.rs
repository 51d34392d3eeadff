//! What the scripts beside the benchmark print: lines of a name and a number, and words for people.
//!
//! Must not know what the numbers mean.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

/// A number that a script has found.
#[derive(Clone, Debug, Serialize)]
pub struct External {
    pub name: String,
    pub value: f64,
}

impl External {
    /// Runs a script and gives the numbers it prints. A script that lacks what it needs prints
    /// none.
    pub fn run(script: &Path, args: &[&OsStr]) -> Result<Vec<External>> {
        let output = Command::new(script)
            .args(args)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("can't run {}", script.display()))?;
        ensure!(output.status.success(), "{} has failed", script.display());
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
