//! The command line of the programs under test, and their tokio runtime.
//!
//! Must not know what they serve.

use std::future::Future;

use anyhow::{Context, Result, bail};

/// What the programs under test can be told. Each looks at what concerns it.
#[derive(Debug, Default)]
pub struct Options {
    /// Run on tokio's multi-threaded runtime in place of the single-threaded one.
    pub multi_thread: bool,
    /// Servers: the limits that a server has if nothing is said, in place of high ones.
    pub default_limits: bool,
    /// Servers: be a route of a web application.
    pub mounted: bool,
    /// A server: handlers have a runtime of their own.
    pub handler_runtime: bool,
    /// Servers: how many methods to register besides the usual ones.
    pub methods: usize,
    /// Clients: where to connect.
    pub address: String,
    /// Clients: how many tasks call at the same time, all on one connection.
    pub tasks: usize,
    /// Clients: how many calls are pending all the while, never answered.
    pub pending: usize,
    /// Clients: subscribe to so many items, again and again, in place of calling.
    pub items: usize,
    /// Clients: make so many calls and end, in place of waiting for commands.
    pub calls: Option<usize>,
}

impl Options {
    /// Reads them from the command line.
    pub fn from_args() -> Result<Self> {
        let mut options = Options { tasks: 1, ..Options::default() };
        let mut args = std::env::args().skip(1);
        while let Some(name) = args.next() {
            if name == "--multi-thread" {
                options.multi_thread = true;
                continue;
            }
            if name == "--default-limits" {
                options.default_limits = true;
                continue;
            }
            if name == "--handler-runtime" {
                options.handler_runtime = true;
                continue;
            }
            if name == "--mounted" {
                options.mounted = true;
                continue;
            }
            let value = args.next().with_context(|| format!("`{name}` wants a value"))?;
            let number = || value.parse().with_context(|| format!("`{name} {value}`: no number"));
            match name.as_str() {
                "--methods" => options.methods = number()?,
                "--address" => options.address = value,
                "--tasks" => options.tasks = number()?,
                "--pending" => options.pending = number()?,
                "--items" => options.items = number()?,
                "--calls" => options.calls = Some(number()?),
                _ => bail!("unknown option `{name}`"),
            }
        }
        Ok(options)
    }

    /// The runtime that was asked for, the same for all programs under test. From here on, the
    /// program ends when the one that started it ends, however that comes.
    pub fn runtime(&self) -> Result<tokio::runtime::Runtime> {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
        let mut builder = if self.multi_thread {
            tokio::runtime::Builder::new_multi_thread()
        } else {
            tokio::runtime::Builder::new_current_thread()
        };
        builder.enable_all().build().context("can't start tokio")
    }

    /// Runs a program under test.
    pub fn run(&self, program: impl Future<Output = Result<()>>) -> Result<()> {
        self.runtime()?.block_on(program)
    }
}

/// The name of one of the methods that `--methods` registers. All are equally long.
pub fn method_name(index: usize) -> String {
    format!("method.{index:06}")
}
