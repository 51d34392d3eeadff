//! The command line of the programs under test, and their tokio runtime. Does not depend on what
//! they serve.

use std::future::Future;
use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail};
use tokio::net::{TcpListener, TcpSocket};

/// The options of the programs under test. Each program reads those that concern it.
#[derive(Debug, Default)]
pub struct Options {
    /// Use tokio's multi-threaded runtime instead of the single-threaded one.
    pub multi_thread: bool,
    /// Servers: use the default limits instead of high ones.
    pub default_limits: bool,
    /// Servers: run as a route of a web application.
    pub mounted: bool,
    /// Our server: use a separate runtime for handlers.
    pub handler_runtime: bool,
    /// Servers: the size of the kernel's send buffer of each connection.
    pub send_buffer: Option<u32>,
    /// Servers: how many additional methods to register.
    pub methods: usize,
    /// Clients: the address to connect to.
    pub address: String,
    /// Clients: how many tasks make calls at the same time, all on one connection.
    pub tasks: usize,
    /// Clients: how many calls stay pending the whole time, never answered.
    pub pending: usize,
    /// Clients: subscribe to this many items repeatedly instead of making calls.
    pub items: usize,
    /// Clients: make this many calls and end instead of waiting for commands.
    pub calls: Option<usize>,
}

impl Options {
    /// Reads the options from the command line.
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
            let value = args.next().with_context(|| format!("`{name}` needs a value"))?;
            let number = || {
                value.parse::<usize>().with_context(|| format!("`{name} {value}`: not a number"))
            };
            match name.as_str() {
                "--methods" => options.methods = number()?,
                "--send-buffer" => options.send_buffer = Some(number()?.try_into()?),
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

    /// The runtime for all programs under test, as the options say. From here on, the program ends
    /// when its parent process ends.
    pub fn runtime(&self) -> Result<tokio::runtime::Runtime> {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
        let mut builder = if self.multi_thread {
            tokio::runtime::Builder::new_multi_thread()
        } else {
            tokio::runtime::Builder::new_current_thread()
        };
        builder.enable_all().build().context("can't start tokio")
    }

    /// A listener on a free port.
    pub async fn listen(&self) -> Result<TcpListener> {
        let socket = TcpSocket::new_v4()?;
        if let Some(size) = self.send_buffer {
            // Connections inherit it.
            socket.set_send_buffer_size(size)?;
        }
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(socket.listen(1024)?)
    }

    /// Runs a program under test.
    pub fn run(&self, program: impl Future<Output = Result<()>>) -> Result<()> {
        self.runtime()?.block_on(program)
    }
}

/// The name of one of the methods that `--methods` registers. All names have the same length.
pub fn method_name(index: usize) -> String {
    format!("method.{index:06}")
}
