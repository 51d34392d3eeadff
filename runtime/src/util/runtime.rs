//! Checks that there is a tokio runtime with timers and I/O, so that this crate returns an error
//! where tokio would panic. Also [`Timer`]: if it fires late, it waits once more, so that it does
//! not end connections with unread bytes.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::util::catch_unwind::{Panicked, catch_unwind, catch_unwind_async};

/// Checks that the current runtime has timers.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`]: no runtime, or one without timers.
pub(crate) fn check() -> io::Result<()> {
    if Handle::try_current().is_err() {
        return Err(missing(
            "no tokio runtime: call this inside of one, for example in `#[tokio::main]`",
        ));
    }
    // tokio offers no other check. The panic hook also prints the panic to standard error.
    catch_unwind(|| drop(sleep_until(Instant::now())))
        .map_err(|Panicked| missing("the tokio runtime has no timers: build it with `enable_all`"))
}

/// Runs code that opens sockets.
///
/// # Errors
/// Those of the future; [`io::ErrorKind::Unsupported`]: the runtime has no I/O.
pub(crate) async fn with_io<T>(
    opening: impl Future<Output = io::Result<T>> + Send,
) -> io::Result<T> {
    catch_unwind_async(|| Box::pin(opening)).await.unwrap_or_else(|Panicked| Err(no_io()))
}

/// Runs code of a library that may open sockets at any time, and panics if the runtime has no I/O.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`]: the runtime has no I/O; [`io::ErrorKind::Other`]: it panicked
/// for another reason.
#[cfg(feature = "http-client")]
pub(crate) async fn contained<T>(
    library: &str,
    working: impl Future<Output = T> + Send,
) -> io::Result<T> {
    catch_unwind_async(|| Box::pin(working)).await.map_err(|Panicked| {
        match catch_unwind(register_socket) {
            Err(Panicked) => no_io(),
            Ok(_) => io::Error::other(format!("{library} panicked")),
        }
    })
}

/// Panics if the runtime has no I/O.
#[cfg(feature = "http-client")]
fn register_socket() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    tokio::net::UdpSocket::from_std(socket).map(drop)
}

fn no_io() -> io::Error {
    missing("the tokio runtime has no I/O: build it with `enable_all`")
}

/// Creates a timer on the current runtime, or else on the other one. Returns `None` if neither has
/// timers.
pub(crate) fn timer(at: Instant, other: Option<&Handle>) -> Option<Timer> {
    if Handle::try_current().is_ok() {
        if let Ok(timer) = catch_unwind(|| Timer::new(at)) {
            return Some(timer);
        }
    }
    let _here = other?.enter();
    catch_unwind(|| Timer::new(at)).ok()
}

/// A timer that fires later than this is late.
const LATE: Duration = Duration::from_millis(20);
/// If a timer is late by this much at the end of its extra time, the process has been paused again.
const PAUSE: Duration = Duration::from_millis(100);
/// The number of times that a timer gets extra time.
const MAX_EXTENSIONS: u8 = 8;
/// The maximum extra time after a late timer.
const EXTRA: Duration = Duration::from_secs(1);

/// A timer for events that depend on what arrives on a socket.
///
/// After a pause of the process (`SIGSTOP`, a paused virtual machine, a blocked thread), all
/// overdue timers fire at once, and tokio may not know yet which sockets have become readable:
/// `epoll_wait` is interrupted and reports nothing. So a timer that fires late waits once more, for
/// the duration of the delay or at most one second. Meanwhile unread bytes on the socket are read,
/// before the connection is closed as silent. The timer does so again after each further pause, but
/// not if the process is always late.
#[derive(Debug)]
pub(crate) struct Timer {
    sleep: Pin<Box<Sleep>>,
    /// The number of times that it has fired late and got extra time.
    extended: u8,
    /// Whether it was late by at least the maximum extra time.
    overslept: bool,
}

impl Timer {
    /// # Panics
    /// Panics without a runtime, or if the runtime has no timers.
    pub(crate) fn new(at: Instant) -> Self {
        Timer { sleep: Box::pin(sleep_until(at)), extended: 0, overslept: false }
    }

    pub(crate) fn reset(&mut self, at: Instant) {
        self.sleep.as_mut().reset(at);
        (self.extended, self.overslept) = (0, false);
    }

    /// Sets the timer to another time, unless it is in its extra time.
    pub(crate) fn set(&mut self, at: Instant) {
        if self.extended == 0 && self.sleep.deadline() != at {
            self.reset(at);
        }
    }

    /// Ends the extra time, so that the next `set` takes effect. Returns whether the process was
    /// paused for a second or more while the timer ran out.
    pub(crate) fn take_overslept(&mut self) -> bool {
        self.extended = 0;
        std::mem::take(&mut self.overslept)
    }

    /// Ready once the timer has fired, with the current time.
    pub(crate) fn poll_fired(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            // A timer that is ready has fired, even if the clock shows an earlier time. Otherwise
            // it would fire in an endless loop.
            let due = self.sleep.deadline();
            let now = Instant::now().max(due);
            let late = now - due;
            let limit = if self.extended == 0 { LATE } else { PAUSE };
            if late < limit || self.extended >= MAX_EXTENSIONS {
                return Poll::Ready(now);
            }
            let (extended, overslept) = (self.extended + 1, self.overslept || late >= EXTRA);
            self.reset(now + late.min(EXTRA));
            (self.extended, self.overslept) = (extended, overslept);
        }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_fired(cx).map(drop)
    }
}

/// The error of [`timeout`]: the time has passed.
#[derive(Debug)]
pub(crate) struct Elapsed;

/// Awaits a future until a time, with a [`Timer`].
/// # Panics
/// As [`Timer::new`].
pub(crate) async fn timeout_at<T>(
    at: Instant,
    mut future: impl Future<Output = T> + Unpin,
) -> Result<T, Elapsed> {
    let mut timer = Timer::new(at);
    poll_fn(|cx| match Pin::new(&mut future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => timer.poll_fired(cx).map(|_| Err(Elapsed)),
    })
    .await
}

/// Like [`timeout_at`], with a duration.
pub(crate) async fn timeout<T>(
    limit: Duration,
    future: impl Future<Output = T> + Unpin,
) -> Result<T, Elapsed> {
    timeout_at(deadline(Instant::now(), limit), future).await
}

/// Polls a future within the context of this runtime, even if it is awaited outside.
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

/// The end of a duration that starts at `begin`. A duration that would overflow the clock, such as
/// `Duration::MAX` for "never", becomes 30 years.
pub(crate) fn deadline(begin: Instant, duration: Duration) -> Instant {
    const DECADES: Duration = Duration::from_secs(86_400 * 365 * 30);
    begin.checked_add(duration).unwrap_or_else(|| begin + DECADES)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::task::Waker;
    use std::thread::sleep;

    use tokio::task::yield_now;

    /// Blocks the thread, then yields to the runtime once, and checks whether the timer has fired.
    async fn has_fired_after(timer: &mut Timer, blocked: u64) -> bool {
        sleep(Duration::from_millis(blocked));
        yield_now().await;
        timer.poll_fired(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn a_timer_waits_again_after_each_pause() {
        let mut timer = Timer::new(Instant::now() + Duration::from_millis(10));
        assert!(!has_fired_after(&mut timer, 0).await);
        for _ in 0..3 {
            // Longer than the extra time plus the delay that indicates a pause.
            assert!(!has_fired_after(&mut timer, 1300).await);
        }
        timer.await;
    }

    #[tokio::test]
    async fn a_timer_fires_though_the_process_is_always_late() {
        let mut timer = Timer::new(Instant::now());
        let mut polls = 0;
        while !has_fired_after(&mut timer, 250).await {
            polls += 1;
            assert!(polls < 100);
        }
    }
}
