//! Whether there is a tokio runtime here, with its timers and its I/O: what needs one and finds none
//! fails with an error, where tokio panics.
//!
//! Must not know what needs it.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::guard::{Panicked, guard, guarded};

/// # Errors
/// [`io::ErrorKind::Unsupported`]: no runtime, or one without timers.
pub(crate) fn check() -> io::Result<()> {
    if Handle::try_current().is_err() {
        return Err(missing(
            "there is no tokio runtime here; run this in one, as `#[tokio::main]` does",
        ));
    }
    // tokio has no question for it but this one, whose panic is also shown on standard error.
    guard(|| drop(sleep_until(Instant::now())))
        .map_err(|Panicked| missing("this tokio runtime has no timers; build it with `enable_all`"))
}

/// Runs what opens sockets.
///
/// # Errors
/// Those of the future; [`io::ErrorKind::Unsupported`]: the runtime has no I/O.
pub(crate) async fn with_io<T>(
    opening: impl Future<Output = io::Result<T>> + Send,
) -> io::Result<T> {
    guarded(|| Box::pin(opening)).await.unwrap_or_else(|Panicked| Err(no_io()))
}

/// Runs code of a library that opens sockets when it likes, and panics where the runtime has no I/O.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`]: the runtime has no I/O; [`io::ErrorKind::Other`]: it panicked for
/// another reason.
#[cfg(feature = "http-client")]
pub(crate) async fn contained<T>(
    library: &str,
    working: impl Future<Output = T> + Send,
) -> io::Result<T> {
    guarded(|| Box::pin(working)).await.map_err(|Panicked| match guard(register_socket) {
        Err(Panicked) => no_io(),
        Ok(_) => io::Error::other(format!("{library} panicked")),
    })
}

/// Panics without I/O.
#[cfg(feature = "http-client")]
fn register_socket() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    tokio::net::UdpSocket::from_std(socket).map(drop)
}

fn no_io() -> io::Error {
    missing("this tokio runtime has no I/O; build it with `enable_all`")
}

/// A timer of the runtime that is here, or else of another one. `None`: neither has any.
pub(crate) fn timer(at: Instant, other: Option<&Handle>) -> Option<Sleep> {
    if Handle::try_current().is_ok() {
        if let Ok(timer) = guard(|| sleep_until(at)) {
            return Some(timer);
        }
    }
    let _here = other?.enter();
    guard(|| sleep_until(at)).ok()
}

/// Polls a future within this runtime, wherever it is awaited.
pub(crate) fn within<F: Future + Unpin>(
    runtime: &Handle,
    mut future: F,
) -> impl Future<Output = F::Output> + Unpin {
    poll_fn(move |cx| {
        let _here = runtime.enter();
        Pin::new(&mut future).poll(cx)
    })
}

fn missing(words: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, words)
}
