//! A server on its own runtime, the peers that measure it, and the count of live bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc_tests::frames::frame_of;
use wsjsonrpc_tests::http::{address, open_blocking};

use crate::ALLOCATOR;

pub(crate) const KIB: usize = 1024;
pub(crate) const MIB: usize = 1024 * KIB;

/// Worker threads of the runtime under test.
pub(crate) const THREADS: usize = 4;

/// The read buffers of all worker threads.
pub(crate) const SCRATCH: usize = THREADS * 64 * KIB;

/// The first byte of a whole text message.
pub(crate) const TEXT: u8 = 0x81;

/// Tests run one at a time, because the allocator counts all bytes of the process.
static ALONE: Mutex<()> = Mutex::new(());

/// One side of a connection under test.
pub(crate) struct Tested {
    pub(crate) runtime: Runtime,
    _alone: MutexGuard<'static, ()>,
}

impl Tested {
    pub(crate) fn new() -> Self {
        Self::on(Builder::new_multi_thread().worker_threads(THREADS))
    }

    pub(crate) fn on(runtime: &mut Builder) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        Tested { runtime: runtime.enable_all().build().unwrap(), _alone: alone }
    }

    pub(crate) fn serve(&self, server: ServerBuilder) -> SocketAddr {
        self.runtime.block_on(address(server))
    }
}

/// Live bytes of this process.
pub(crate) fn live() -> usize {
    ALLOCATOR.allocated()
}

/// Live bytes, once they have not changed for a while.
pub(crate) fn settled() -> usize {
    let (mut last, mut quiet) = (live(), 0);
    while quiet < 50 {
        std::thread::sleep(Duration::from_millis(4));
        let now = live();
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
    }
    last
}

/// The highest count of live bytes while this runs.
pub(crate) fn peak(work: impl FnOnce()) -> usize {
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut highest = live();
            while !done.load(std::sync::atomic::Ordering::Acquire) {
                highest = highest.max(live());
                std::thread::sleep(Duration::from_micros(200));
            }
            highest
        });
        work();
        done.store(true, std::sync::atomic::Ordering::Release);
        watching.join().unwrap()
    })
}

/// Prints the measured growth and compares it with the bound.
#[track_caller]
pub(crate) fn check(what: &str, grown: usize, bound: usize) {
    println!("{what}: {grown} bytes of {bound}");
    assert!(grown <= bound, "{what}: {grown} bytes, more than {bound}");
}

/// A WebSocket client that sends raw frames.
pub(crate) struct Hostile {
    pub(crate) stream: TcpStream,
}

impl Hostile {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Hostile { stream: open_blocking(address, "/") }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.stream.write_all(&frame_of(TEXT, text.as_bytes(), true)).unwrap();
    }

    /// Sends `bytes` repeatedly, at most `most` times, until the network accepts nothing for a
    /// while.
    pub(crate) fn flood(&mut self, bytes: &[u8], most: usize) -> usize {
        self.stream.set_write_timeout(Some(Duration::from_millis(1000))).unwrap();
        let mut sent = 0;
        while sent < most {
            match self.stream.write_all(bytes) {
                Ok(()) => sent += 1,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    break;
                }
                Err(error) => panic!("{error}"),
            }
        }
        sent
    }

    /// Reads until this text has arrived.
    pub(crate) fn read_until(&mut self, text: &str) {
        let mut all = Vec::new();
        while !all.windows(text.len()).any(|part| part == text.as_bytes()) {
            let mut some = [0; 256];
            let count = self.stream.read(&mut some).unwrap();
            all.extend_from_slice(&some[..count]);
        }
    }

    /// Reads this many bytes and drops them.
    pub(crate) fn read(&mut self, mut bytes: usize) {
        let mut waste = [0; 16 * KIB];
        while bytes > 0 {
            let most = waste.len().min(bytes);
            bytes -= self.stream.read(&mut waste[..most]).unwrap();
        }
    }
}
