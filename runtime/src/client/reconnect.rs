//! The task of a reconnecting client. It waits for the end of a connection, then for the delay, and
//! connects again.
//!
//! The task ends when the application closes the client or drops its last handle, when no attempts
//! are left, or when the server rejects the client.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::client::backoff::{Backoff, Reconnect};
use crate::client::dial::{Dialer, Opened};
use crate::client::session::{ConnectionState, Session};
use crate::error::CloseReason;
use crate::error::connect_error::ConnectError;
use crate::protocol::escape::clip;
use crate::util::catch_unwind::{Panicked, catch_unwind};
use crate::util::race::{Either, race};

/// How long a connection whose hook has failed may take to end before this side closes it.
const CLOSE_FOLLOWS: Duration = Duration::from_millis(250);

/// Makes the first connection, and spawns the task that makes the others.
pub(crate) async fn start(
    dialer: Dialer,
    settings: Reconnect,
) -> Result<Arc<Session>, ConnectError> {
    let mut backoff = Backoff::new(settings);
    let opened = loop {
        let (error, is_final) = match dialer.dial().await {
            Ok(opened) => match greet(&dialer, &opened).await {
                Ok(()) => break opened,
                Err(error) => (error, backoff.settings().is_final(&opened.link.reason())),
            },
            Err(error) => (error, false),
        };
        if !backoff.settings().retry_first || is_final || dialer.is_permanent(&error) {
            return Err(error);
        }
        let next = backoff.next(rand::random(), error.retry_after());
        let Some((attempt, delay)) = next else { return Err(error) };
        tracing::warn!(%error, attempt, ?delay, "connect failed; retrying");
        let reason = bounded(error);
        dialer.ready.hooks.tell(&ConnectionState::Down { reason, attempt, retry_in: delay });
        sleep(delay).await;
    };
    backoff.connected();
    let session = Arc::new(Session::new(
        Arc::clone(&dialer.ready.config),
        backoff.settings(),
        Arc::clone(&opened.link),
        Arc::clone(&opened.handshake),
    ));
    dialer.ready.hooks.tell(&session.state());
    let driver = Driver { session: Arc::clone(&session), dialer, backoff };
    tokio::spawn(driver.run(opened));
    Ok(session)
}

struct Driver {
    session: Arc<Session>,
    dialer: Dialer,
    backoff: Backoff,
}

/// Wakes everything that waits for this client when its task is dropped.
impl Drop for Driver {
    fn drop(&mut self) {
        self.close(CloseReason::Aborted);
    }
}

impl Driver {
    async fn run(mut self, mut opened: Opened) {
        loop {
            let reason = self.hold(opened).await;
            let next = match self.session.is_stopped() || self.is_final(&reason) {
                true => Err(reason),
                false => self.next(reason).await,
            };
            opened = match next {
                Ok(opened) => opened,
                Err(reason) => return self.close(reason),
            };
        }
    }

    /// Ends the client. Only the first reason is kept.
    fn close(&self, reason: CloseReason) {
        if self.session.close_reason().is_none() {
            self.session.set_closed(reason);
            self.tell();
        }
    }

    /// Reports the state to the application.
    fn tell(&self) {
        self.dialer.ready.hooks.tell(&self.session.state());
    }

    fn is_final(&self, reason: &CloseReason) -> bool {
        let is_final = self.backoff.settings().is_final(reason);
        if is_final {
            tracing::warn!(
                %reason,
                "not reconnecting: the server's close code is one of `Reconnect::final_codes`"
            );
        }
        is_final
    }

    /// Waits until the connection has ended.
    async fn hold(&mut self, opened: Opened) -> CloseReason {
        let since = Instant::now();
        let stopped = race(pin!(opened.link.closed()), pin!(self.session.stopped())).await;
        let reason = match stopped {
            Either::Left(reason) => reason,
            Either::Right(stop) => end(opened, stop).await,
        };
        self.backoff.held(since.elapsed());
        reason
    }

    /// Makes the next connection and runs its hook, or returns why there is none.
    async fn next(&mut self, mut reason: CloseReason) -> Result<Opened, CloseReason> {
        let mut retry_after = Duration::ZERO;
        loop {
            let Some((attempt, delay)) = self.backoff.next(rand::random(), retry_after) else {
                tracing::warn!(%reason, "not reconnecting: no attempts are left (`Reconnect::max_attempts`)");
                return Err(reason);
            };
            tracing::warn!(%reason, attempt, ?delay, "not connected; reconnecting");
            self.session.set_down(reason, attempt, delay);
            self.tell();
            let error = match self.attempt(delay).await? {
                Ok(opened) => {
                    self.backoff.connected();
                    let (link, handshake) = (Arc::clone(&opened.link), &opened.handshake);
                    self.session.set_connected(link, Arc::clone(handshake));
                    self.tell();
                    return Ok(opened);
                }
                Err(error) => error,
            };
            let last = self.dialer.is_unwanted(&error);
            retry_after = error.retry_after();
            reason = bounded(error);
            if last {
                tracing::warn!(%reason, "not reconnecting: the server does not accept this client");
                return Err(reason);
            }
        }
    }

    /// # Errors
    /// The outer error: there must be no other attempt. The inner error: this attempt failed.
    async fn attempt(&self, delay: Duration) -> Result<Result<Opened, ConnectError>, CloseReason> {
        let dialing = pin!(async {
            sleep(delay).await;
            self.dialer.dial().await
        });
        let opened = match race(dialing, pin!(self.session.stopped())).await {
            Either::Left(Ok(opened)) => opened,
            Either::Left(Err(error)) => return Ok(Err(error)),
            Either::Right(_) => return Err(CloseReason::Local),
        };
        let greeted = race(pin!(greet(&self.dialer, &opened)), pin!(self.session.stopped())).await;
        match greeted {
            Either::Left(Ok(())) => Ok(Ok(opened)),
            Either::Left(Err(error)) => {
                let reason = opened.link.reason();
                if self.is_final(&reason) { Err(reason) } else { Ok(Err(error)) }
            }
            Either::Right(stop) => Err(end(opened, stop).await),
        }
    }
}

/// Runs the hook on a new connection. A server that refuses a login often sends an error and then
/// its close frame, whose code decides whether to reconnect. So a connection whose hook has failed
/// gets some time to end.
async fn greet(dialer: &Dialer, opened: &Opened) -> Result<(), ConnectError> {
    let greeted = dialer.ready.run_on_connect(opened).await;
    if greeted.is_err() {
        race(pin!(opened.link.closed()), pin!(sleep(CLOSE_FOLLOWS))).await;
    }
    greeted
}

/// The reason of a failed attempt. Long texts are cut: a hook that makes calls through its own
/// client, which is down, fails with the reason why that client is down. That reason is such a
/// failure again, so the text would grow with each attempt.
fn bounded(error: ConnectError) -> CloseReason {
    const MAX_WORDS: usize = 1000;
    let ConnectError::Hook(_) = &error else { return CloseReason::Reconnect(Arc::new(error)) };
    // The error may be the application's own, and its `Display` may panic.
    let words = catch_unwind(|| Some(error.to_string()).filter(|words| words.len() > MAX_WORDS));
    let error = match words {
        Ok(None) => error,
        Ok(Some(words)) => {
            let (start, more) = clip(&words, MAX_WORDS / 2);
            ConnectError::Hook(format!("{start}{more}").into())
        }
        Err(Panicked) => ConnectError::Hook("the error panicked when it was formatted".into()),
    };
    CloseReason::Reconnect(Arc::new(error))
}

/// Closes a connection and waits until it has ended.
async fn end(opened: Opened, (code, reason): (u16, String)) -> CloseReason {
    opened.link.close(code, &reason);
    opened.link.closed().await
}
