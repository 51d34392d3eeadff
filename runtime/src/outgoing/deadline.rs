//! Deadlines of outgoing calls: a call's own timeout ([`CallTimeout`], [`CallDeadline`]), and the
//! deadline that a handle inherits from the call for which it was created ([`HandledCall`],
//! [`InheritedDeadline`]). The inheritance ends when the handler returns, or when the call is
//! cancelled or answered.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::error::{Error, Timeout};
use crate::link::Link;
use crate::protocol::item::Position;
use crate::protocol::request_extensions::ReceivedExtensions;
use crate::util::race::{Either, race};
use crate::util::runtime::deadline;
use crate::util::runtime::timer;

/// A call of the peer that is being handled. Clones of its context share this, and so do the
/// handles created for it.
#[derive(Debug)]
pub(crate) struct HandledCall {
    deadline: Option<Instant>,
    /// The extensions that arrived with the request.
    pub(crate) extra: ReceivedExtensions,
    /// Whether the call has started a subscription.
    subscribed: AtomicBool,
    /// The position after which the items of the subscription start, once the handler has set it.
    start: Mutex<Start>,
    /// Whether the handler has returned or the call was answered.
    over: AtomicBool,
    /// The call's number on its own connection, which may differ from the handle's connection.
    number: u64,
    link: Weak<Link>,
}

impl HandledCall {
    pub(crate) fn new(
        deadline: Option<Instant>,
        number: u64,
        link: &Arc<Link>,
        extra: ReceivedExtensions,
    ) -> Self {
        let (over, link) = (AtomicBool::new(false), Arc::downgrade(link));
        let subscribed = AtomicBool::new(false);
        HandledCall { deadline, extra, subscribed, start: Mutex::default(), over, number, link }
    }

    /// Whether the call requests a subscription and has not started one yet.
    pub(crate) fn is_asked_to_subscribe(&self) -> bool {
        self.extra.window.is_some() && !self.subscribed.load(Ordering::Relaxed)
    }

    /// Starts a subscription with the call, and returns its window.
    pub(crate) fn begin_subscription(&self) -> Option<u64> {
        self.subscribed.store(true, Ordering::Relaxed);
        self.extra.window
    }

    /// Sets where the items start. If several sources do so, their offsets cannot be compared.
    pub(crate) fn set_start(&self, position: Position, source: Source) {
        let mut start = self.start.lock().unwrap_or_else(PoisonError::into_inner);
        *start = match std::mem::take(&mut *start) {
            Start::After(_, known) if known != source => Start::Ambiguous,
            Start::Ambiguous => Start::Ambiguous,
            _ => Start::After(position, source),
        };
    }

    pub(crate) fn take_start(&self) -> Start {
        std::mem::take(&mut *self.start.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Turns the handles of this call into ordinary ones.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// Whether the call was answered or cancelled, or its connection has closed.
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
            || self.link.upgrade().is_none_or(|link| link.is_unwanted(self.number))
    }
}

/// Identifies what has set the start: a log by its address, or 0 for the handler itself.
pub(crate) type Source = usize;

/// Where the items of a subscription start.
#[derive(Debug, Default)]
pub(crate) enum Start {
    /// The handler has not set it.
    #[default]
    Unknown,
    After(Position, Source),
    /// Several sources have set it. Without positions, a consumer that resumes gets a gap.
    Ambiguous,
}

/// What a handle inherits: usually nothing, or the deadline of the one call for which it was
/// created.
#[derive(Clone, Debug, Default)]
pub(crate) enum InheritedDeadline {
    #[default]
    Nothing,
    One(Arc<HandledCall>),
    /// The handle of one handler was used inside another handler.
    Several(Arc<Vec<Arc<HandledCall>>>),
}

impl InheritedDeadline {
    fn handled_calls(&self) -> &[Arc<HandledCall>] {
        match self {
            InheritedDeadline::Nothing => &[],
            InheritedDeadline::One(handled) => std::slice::from_ref(handled),
            InheritedDeadline::Several(handled_calls) => handled_calls,
        }
    }

    /// Adds the deadline of one more call. Calls that are over are left out.
    pub(crate) fn and(&self, handled: Arc<HandledCall>) -> Self {
        let others = self.handled_calls().iter().filter(|known| !Arc::ptr_eq(known, &handled));
        let all = others.chain([&handled]).filter(|handled| !handled.is_over());
        let mut all: Vec<_> = all.map(Arc::clone).collect();
        match all.len() {
            0 | 1 => all.pop().map_or(InheritedDeadline::Nothing, InheritedDeadline::One),
            _ => InheritedDeadline::Several(Arc::new(all)),
        }
    }

    /// The given timeout, limited by the inherited deadlines.
    #[inline]
    pub(crate) fn limit(&self, timeout: Option<Duration>) -> CallTimeout {
        match self {
            InheritedDeadline::Nothing => CallTimeout::new(timeout, false),
            _ => self.shorten(timeout),
        }
    }

    #[inline(never)]
    fn shorten(&self, timeout: Option<Duration>) -> CallTimeout {
        let handled_calls = self.handled_calls().iter().filter(|handled| !handled.is_over());
        let Some(deadline) = handled_calls.filter_map(|handled| handled.deadline).min() else {
            return CallTimeout::new(timeout, false);
        };
        let left = deadline.saturating_duration_since(Instant::now());
        match timeout {
            Some(short) if short < left => CallTimeout::new(timeout, false),
            _ => CallTimeout::new(Some(left), true),
        }
    }
}

/// The time that a call may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallTimeout {
    /// The part of `whole` that is left.
    pub(crate) timeout: Option<Duration>,
    /// In milliseconds, for error messages. This is moved with each call, and a `Duration` is four
    /// times as large.
    whole: u32,
    /// Whether the timeout comes from the call being handled.
    pub(crate) inherited: bool,
}

impl CallTimeout {
    pub(crate) const NONE: CallTimeout = CallTimeout { timeout: None, whole: 0, inherited: false };

    #[inline]
    fn new(timeout: Option<Duration>, inherited: bool) -> Self {
        let milliseconds = |time: Duration| {
            let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
            // Rounded up, because a timeout above zero must not become zero.
            let rest = time.subsec_nanos().div_ceil(1_000_000);
            seconds.saturating_mul(1000).saturating_add(rest)
        };
        CallTimeout { timeout, whole: timeout.map_or(0, milliseconds), inherited }
    }

    fn whole(self) -> Duration {
        Duration::from_millis(self.whole.into())
    }

    #[inline]
    pub(crate) fn is_over(self) -> bool {
        self.timeout.is_some_and(|timeout| timeout.is_zero())
    }

    /// # Errors
    /// The time is up.
    pub(crate) fn check(self, method: &str) -> Result<(), Error> {
        if self.is_over() { Err(self.passed(method)) } else { Ok(()) }
    }

    /// The error of a call that was not sent in time.
    pub(crate) fn passed(self, method: &str) -> Error {
        if self.inherited { Error::DeadlinePassed } else { self.unanswered(method) }
    }

    /// The error of a call that was not answered in time.
    pub(crate) fn unanswered(self, method: &str) -> Error {
        Error::Timeout(Timeout::new(method, self.whole()))
    }

    /// The error of a batch that was not sent in time.
    pub(crate) fn batch_passed(self, first: &str, calls: usize) -> Error {
        let after = self.whole();
        if self.inherited {
            Error::DeadlinePassed
        } else {
            Error::Timeout(Timeout::of_batch(first, calls, after))
        }
    }

    /// The deadline, if the time starts at `begun`.
    pub(crate) fn since(self, begun: Instant) -> CallDeadline {
        let at = self.timeout.map(|timeout| deadline(begun, timeout));
        CallDeadline { at, limit: self }
    }

    pub(crate) fn beginning_now(self) -> CallDeadline {
        self.since(Instant::now())
    }

    /// The timeout minus the elapsed time.
    pub(crate) fn after(self, elapsed: Duration) -> Self {
        CallTimeout { timeout: self.timeout.map(|timeout| timeout.saturating_sub(elapsed)), ..self }
    }
}

/// The time by which a call must be answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallDeadline {
    pub(crate) at: Option<Instant>,
    limit: CallTimeout,
}

impl CallDeadline {
    /// The time left.
    pub(crate) fn left(self) -> CallTimeout {
        let timeout = self.at.map(|at| at.saturating_duration_since(Instant::now()));
        CallTimeout { timeout, ..self.limit }
    }

    /// The deadline of a call that was sent. From now on, a timeout means that the peer has not
    /// answered.
    pub(crate) fn sent(self) -> Self {
        CallDeadline { limit: CallTimeout { inherited: false, ..self.limit }, ..self }
    }

    /// Waits for a step before the call is sent, at most until the deadline; `late` creates the
    /// error. Outside a runtime, the timer uses `runtime`.
    pub(crate) async fn wait<T>(
        self,
        runtime: Option<&Handle>,
        waiting: impl Future<Output = Result<T, Error>>,
        late: impl FnOnce(CallTimeout) -> Error,
    ) -> Result<T, Error> {
        match self.at.and_then(|at| timer(at, runtime)) {
            Some(timer) => match race(pin!(waiting), pin!(timer)).await {
                Either::Left(outcome) => outcome,
                Either::Right(()) => Err(late(self.limit)),
            },
            None => waiting.await,
        }
    }
}
