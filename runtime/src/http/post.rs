//! Calls over HTTP POST. [`Post`] is the [`Route`] that all handles of one server share. It sends one
//! message and reads the response, within limits on size and time. Only with the feature
//! `http-client`.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response, Url};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::Config;
use crate::error::http_error::HttpError;
use crate::error::{Causes, CloseReason, Error, Timeout};
use crate::http::post_batch::PostBatch;
use crate::http::post_calls;
use crate::link::outgoing_middleware::Chain;
use crate::link::outgoing_middleware::Exclusive;
use crate::link::{Link, OutgoingCall};
use crate::outgoing::deadline::{CallTimeout, InheritedDeadline};
use crate::outgoing::exchange::BoxedReply;
use crate::outgoing::peer::{Route, RouteBatch};
use crate::protocol::encode::OutgoingMessage;
use crate::util::BoxFuture;
use crate::util::race::{Either, race};
use crate::util::runtime::deadline;
use crate::util::runtime::{self, timeout_at};

/// How many bytes of a response are kept that is not JSON-RPC.
const MAX_WORDS: usize = 4096;

/// The state that all handles of an HTTP server share.
pub(crate) struct Post {
    client: Client,
    url: Url,
    pub(crate) config: Config,
    /// The middleware around calls, if there is any.
    pub(crate) outgoing: Option<Arc<Chain>>,
    ids: AtomicU64,
    in_flight: AtomicUsize,
    closed: watch::Sender<bool>,
}

/// The response to a POST.
pub(crate) struct PostResponse {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

/// Why there is no response, for each of the calls in the request.
#[derive(Clone)]
pub(crate) enum Failure {
    /// With the elapsed time.
    Timeout(Duration),
    /// The application closed the handle.
    Closed,
    TooLarge,
    Http(HttpError),
}

impl Failure {
    /// The error of this many calls. `method` is that of the first one.
    pub(crate) fn into_error(self, method: &str, calls: usize) -> Error {
        match self {
            Failure::Timeout(after) => Error::Timeout(Timeout::of_batch(method, calls, after)),
            Failure::Closed => Error::Closed(CloseReason::Local),
            Failure::TooLarge => {
                Error::InvalidResponse("it is larger than `Config::max_incoming_message`")
            }
            Failure::Http(error) => Error::Http(error),
        }
    }
}

/// Counts calls as pending.
pub(crate) struct InFlight {
    post: Arc<Post>,
    calls: usize,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.post.in_flight.fetch_sub(self.calls, Ordering::Relaxed);
    }
}

impl Post {
    pub(crate) fn new(
        client: Client,
        url: Url,
        config: Config,
        outgoing: Option<Arc<Chain>>,
    ) -> Self {
        Post {
            client,
            url,
            config,
            outgoing,
            ids: AtomicU64::new(1),
            in_flight: AtomicUsize::new(0),
            closed: watch::Sender::new(false),
        }
    }

    /// The id of the next call.
    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn count(self: &Arc<Self>, calls: usize) -> InFlight {
        self.in_flight.fetch_add(calls, Ordering::Relaxed);
        InFlight { post: Arc::clone(self), calls }
    }

    fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Becomes `true` when the handle is closed; the sender is dropped with the last handle.
    fn closing(&self) -> watch::Receiver<bool> {
        self.closed.subscribe()
    }

    /// # Errors
    /// The message cannot be sent.
    pub(crate) fn check(&self, text: &[u8]) -> Result<(), Error> {
        let (size, limit) = (text.len(), self.config.max_outgoing_message);
        if self.is_closed() {
            return Err(Error::Closed(CloseReason::Local));
        }
        runtime::check().map_err(|error| Error::Http(no_runtime(error)))?;
        if size > limit { Err(Error::TooLarge { size, limit }) } else { Ok(()) }
    }

    /// Sends a text that was checked, and reads the response. Dropping the future aborts the
    /// request.
    pub(crate) async fn exchange(
        &self,
        text: Vec<u8>,
        limit: Option<Duration>,
    ) -> Result<PostResponse, Failure> {
        self.within(limit, async {
            let begun = Instant::now();
            let mut response = self.send(text, begun).await?;
            let status = response.status();
            let read = self.read(&mut response, self.config.max_incoming_message, begun).await;
            match read {
                Ok(body) => Ok(PostResponse { status, body }),
                // The start of the body gives the reason, even if the rest is missing.
                Err((_, body)) if !status.is_success() => Err(refused(status, body)),
                Err((failure, _)) => Err(failure),
            }
        })
        .await
    }

    /// Sends a checked text that gets no response. Only the status matters.
    pub(crate) async fn notify(
        &self,
        text: Vec<u8>,
        limit: Option<Duration>,
    ) -> Result<(), Failure> {
        self.within(limit, async {
            let begun = Instant::now();
            let mut response = self.send(text, begun).await?;
            let status = response.status();
            if status.is_success() {
                return Ok(());
            }
            let body = self.read(&mut response, MAX_WORDS, begun).await;
            Err(refused(status, body.unwrap_or_else(|(_, body)| body)))
        })
        .await
    }

    async fn within<T>(
        &self,
        limit: Option<Duration>,
        working: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, Failure> {
        let mut closing = self.closing();
        let closed = async {
            // An error means that the last handle is gone, so nobody can close it any more.
            if closing.wait_for(|closed| *closed).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let working = async {
            let worked = runtime::contained("the HTTP client", working).await;
            worked.unwrap_or_else(|error| Err(Failure::Http(no_runtime(error))))
        };
        let in_time = async {
            match limit {
                Some(limit) => timeout_at(deadline(Instant::now(), limit), pin!(working))
                    .await
                    .unwrap_or(Err(Failure::Timeout(limit))),
                None => working.await,
            }
        };
        match race(pin!(closed), pin!(in_time)).await {
            Either::Left(()) => Err(Failure::Closed),
            Either::Right(outcome) => outcome,
        }
    }

    async fn send(&self, text: Vec<u8>, begun: Instant) -> Result<Response, Failure> {
        let json = HeaderValue::from_static("application/json");
        let request = self.client.post(self.url.clone());
        let request = request.header(CONTENT_TYPE, json.clone()).header(ACCEPT, json);
        request.body(text).send().await.map_err(|error| self.broken(None, error, begun))
    }

    /// Reads the body. If it is too large or ends early, the error contains the part that was read;
    /// the rest is not awaited.
    async fn read(
        &self,
        response: &mut Response,
        limit: usize,
        begun: Instant,
    ) -> Result<Vec<u8>, (Failure, Vec<u8>)> {
        let mut body = Vec::new();
        if response.content_length().is_some_and(|length| length > limit as u64)
            && response.status().is_success()
        {
            return Err((Failure::TooLarge, body));
        }
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    let room = limit.saturating_sub(body.len());
                    body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
                    if chunk.len() > room {
                        return Err((Failure::TooLarge, body));
                    }
                }
                Ok(None) => return Ok(body),
                Err(error) => {
                    return Err((self.broken(Some(response.status()), error, begun), body));
                }
            }
        }
    }

    fn broken(&self, status: Option<StatusCode>, error: reqwest::Error, begun: Instant) -> Failure {
        // A timeout of the application's own HTTP client.
        if error.is_timeout() {
            return Failure::Timeout(begun.elapsed());
        }
        // The URL may contain secrets.
        let error = error.without_url();
        let mut words = Causes(&error).to_string();
        if self.url.scheme() == "https" && words.contains("scheme is not http") {
            words = "the URL needs TLS, but reqwest was built without TLS; enable one of its \
                     features in your Cargo.toml, such as `reqwest = { version = \"0.13\", \
                     features = [\"rustls\"] }`"
                .to_owned();
        }
        // Without a response, the address is the first thing to check.
        if let (None, Some(host), Some(port)) =
            (status, self.url.host_str(), self.url.port_or_known_default())
        {
            words = format!("{host}:{port}: {words}");
        }
        Failure::Http(HttpError::broken(status, words, error))
    }
}

impl Route for Post {
    fn config(&self) -> &Config {
        &self.config
    }

    fn middleware(&self) -> Option<&Arc<Chain>> {
        self.outgoing.as_ref()
    }

    fn link(&self) -> Option<Arc<Link>> {
        None
    }

    fn pending_calls(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn call(self: Arc<Self>, message: OutgoingCall, limit: CallTimeout) -> BoxedReply {
        Box::pin(Exclusive::new(post_calls::call(self, message, limit)))
    }

    fn notify(
        self: Arc<Self>,
        notification: OutgoingMessage,
        inherited: &InheritedDeadline,
    ) -> BoxFuture<Result<(), Error>> {
        let limit = inherited.limit(self.config.call_timeout);
        Box::pin(async move { post_calls::notify(&self, notification, limit).await })
    }

    fn batch(self: Arc<Self>, inherited: InheritedDeadline) -> Box<dyn RouteBatch> {
        Box::new(PostBatch::new(self, inherited))
    }

    fn close(&self, _: u16, _: &str) {
        self.closed.send_replace(true);
    }

    fn close_reason(&self) -> Option<CloseReason> {
        self.is_closed().then_some(CloseReason::Local)
    }

    fn closed(self: Arc<Self>) -> BoxFuture<CloseReason> {
        Box::pin(async move {
            // The handle keeps the sender, so the wait ends only when it is closed.
            let _ = self.closing().wait_for(|closed| *closed).await;
            CloseReason::Local
        })
    }
}

/// The error outside a tokio runtime with I/O, where reqwest would panic.
fn no_runtime(error: io::Error) -> HttpError {
    HttpError::broken(None, error.to_string(), error)
}

/// A response that is not JSON-RPC.
pub(crate) fn refused(status: StatusCode, mut body: Vec<u8>) -> Failure {
    body.truncate(MAX_WORDS);
    let words = String::from_utf8_lossy(&body).trim().to_owned();
    Failure::Http(HttpError::status_of(status, words))
}
