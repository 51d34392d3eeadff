//! An outgoing call that is not sent yet: [`Call`] and its builder methods, the future
//! [`CallFuture`], [`Notification`], and the [`Encoder`] that generated stubs use. The message is
//! encoded once, here; `exchange` sends it.

use std::borrow::Cow;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::link::OutgoingCall;
use crate::link::outgoing_middleware::{Chain, OutgoingRequest, Reply};
use crate::link::subscription_buffer::SubscriptionNames;
use crate::outgoing::exchange::{Exchange, RawResult};
use crate::outgoing::peer::Peer;
use crate::outgoing::progress::Listener;
use crate::outgoing::subscription::Subscribe;
use crate::protocol::encode::{EncodeError, Form, OutgoingMessage};
use crate::protocol::error::ErrorObject;
use crate::protocol::travel::{ReceivedResult, SentArg};
use crate::protocol::typed::RpcError;
use crate::protocol::value::read;
use crate::util::BoxFuture;

/// A call that is ready to be sent. Nothing is sent until it is awaited: `client.sum(1, 2).await`.
///
/// The compiler warns of a call that is neither awaited nor assigned. It does not warn of
/// `let _ = client.sum(1, 2);`, which sends nothing either; clippy's lint `let_underscore_must_use` does.
/// To send a call and not wait for an answer, use [`notify`](Self::notify).
///
/// ```
/// # use std::time::Duration;
/// # use wsjsonrpc::{memory, rpc, Client, Context, Result, Server};
/// # #[rpc]
/// # trait Math { async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>; }
/// # struct Calculator;
/// # impl Math for Calculator {
/// #     async fn sum(&self, _: &Context, x: i64, y: i64) -> Result<i64> { Ok(x + y) }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::builder().service(Calculator.into_service());
/// # let (client, _) = memory::pair(Client::builder(), server)?;
/// # let math = MathClient::new(client.peer());
/// math.sum(1, 2).await?;                                  // a request
/// math.sum(1, 2).notify().await?;                         // a notification
/// math.sum(1, 2).timeout(Duration::from_secs(1)).await?;  // a request with a deadline
/// math.sum(1, 2).by_name().await?;                        // params as an object
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Awaiting it gives the result, or an [`Error`] that says what went wrong and whether the
/// connection is still of use. [`Error::Call`] has the `E` that the peer's handler returned, decoded
/// ([`RpcError`](trait@crate::RpcError)); an error object that is no `E` is in [`Error::Other`].
///
/// # Cancel safety
/// The future may be dropped at any time: the call is forgotten on this side, and a late response
/// is dropped. If it was sent by then, the peer is told that nobody waits for it any more
/// ([`Config::send_cancel`](crate::Config::send_cancel)); what comes of that is for its handler to
/// decide.
#[must_use = "a call sends nothing until it is awaited: `client.sum(1, 2).await`"]
pub struct Call<T, E = ErrorObject> {
    pub(crate) peer: Peer,
    pub(crate) message: Result<OutgoingMessage, EncodeError>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) listener: Option<Box<Listener>>,
    result: PhantomData<fn() -> (T, E)>,
}

impl<T, E> Call<T, E> {
    /// Sends it as a notification instead: it is not answered, not even with an error.
    pub fn notify(self) -> Notification {
        Notification { peer: self.peer, message: self.message }
    }

    /// How long to wait for the response, counted from the first poll, in place of
    /// [`Config::call_timeout`](crate::Config::call_timeout). Waiting for room to send counts. A call
    /// whose time is over before it begins is not sent.
    ///
    /// When the time is over, the peer is told, and how long it has is told with the call, if it
    /// knows what that means: [`Config::send_cancel`](crate::Config::send_cancel) and
    /// [`Config::send_timeout`](crate::Config::send_timeout). Within a handler, its own deadline
    /// counts as well; see [`Context::deadline`](crate::Context::deadline).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Waits for the response as long as the connection lives.
    pub fn without_timeout(mut self) -> Self {
        self.timeout = None;
        self
    }

    /// Says that doing it several times is as good as doing it once: if the connection of a
    /// [reconnecting client](crate::client::ClientBuilder::reconnect) breaks while the call is under way, it
    /// is sent again on the next one in place of failing with [`Error::Closed`]. The handler may run any
    /// number of times, once for each connection that breaks, and at the same time;
    /// [`Reconnect::max_sends`](crate::client::Reconnect::max_sends) limits it. The call's timeout goes on
    /// meanwhile. If a second connection ends because of what a message on it was, as with a response over
    /// [`Config::max_incoming_message`](crate::Config::max_incoming_message), the call fails with that:
    /// it may be the reason. For calls by stub: `#[method(idempotent)]`.
    ///
    /// Of no effect without such a client, and for a notification.
    pub fn idempotent(mut self) -> Self {
        if let Ok(message) = &mut self.message {
            message.idempotent = true;
        }
        self
    }

    /// Runs a closure on each value by which the handler tells how far it is
    /// ([`Context::progress`](crate::Context::progress)), in order, all of them before the call is
    /// ready. Of several closures the last one counts.
    ///
    /// It runs where the call is awaited, when it is awaited: at most 64 values wait until then, and
    /// at most 1 MiB of them; where there are more, the oldest are dropped. A value that is no `P`
    /// is skipped.
    ///
    /// Only peers that have said in the opening handshake that they know this crate's extensions are
    /// asked for it. Of no effect on a notification.
    ///
    /// ```
    /// # use wsjsonrpc::{memory, Client, Context, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = Server::builder().method("copy", |ctx: Context, (files,): (u32,)| async move {
    ///     for file in 1..=files {
    ///         ctx.progress(file).await?;
    ///     }
    ///     Ok(files)
    /// });
    /// # let (client, _) = memory::pair(Client::builder(), server)?;
    /// let copy = client.peer().call::<u32>("copy", (3,));
    /// let copied = copy.on_progress(|file: u32| println!("file {file}")).await?;
    /// # assert_eq!(copied, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_progress<P>(mut self, closure: impl FnMut(P) + Send + 'static) -> Self
    where
        P: DeserializeOwned + 'static,
    {
        if let Ok(message) = &mut self.message {
            let listener = Box::new(Listener::new(closure));
            message.progress = Some(listener.progress());
            self.listener = Some(listener);
        }
        self
    }

    /// Sends the params as an object with the parameters' names instead of a list.
    ///
    /// An untyped call knows no names: pass it a struct or a map.
    pub fn by_name(mut self) -> Self {
        self.message = self.message.and_then(|mut message| {
            message.name_args()?;
            Ok(message)
        });
        self
    }
}

impl<T, E> std::fmt::Debug for Call<T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned, E: RpcError> IntoFuture for Call<T, E> {
    type Output = Result<T, Error<E>>;
    type IntoFuture = CallFuture<T, E>;

    fn into_future(self) -> CallFuture<T, E> {
        let Call { peer, message, timeout, listener, .. } = self;
        let exchange = Exchange::new(peer, message.map(OutgoingCall::from), timeout);
        CallFuture::new(exchange, listener)
    }
}

/// A call under way; the future of [`Call`].
#[must_use = "a call sends nothing until it is awaited: `client.sum(1, 2).await`"]
pub struct CallFuture<T, E = ErrorObject> {
    exchange: Exchange,
    listener: Option<Box<Listener>>,
    result: PhantomData<fn() -> (T, E)>,
}

impl<T, E> CallFuture<T, E> {
    pub(crate) fn new(exchange: Exchange, listener: Option<Box<Listener>>) -> Self {
        CallFuture { exchange, listener, result: PhantomData }
    }
}

impl<T, E> std::fmt::Debug for CallFuture<T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallFuture").finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned, E: RpcError> Future for CallFuture<T, E> {
    type Output = Result<T, Error<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = self.exchange.poll(cx);
        // Progress that came before the response is in the queue by now.
        if let Some(listener) = &mut self.listener {
            listener.run();
        }
        outcome.map(decode)
    }
}

/// Decodes the outcome into the method's types.
pub(crate) fn decode<T, E>(outcome: Result<RawResult, Error>) -> Result<T, Error<E>>
where
    T: DeserializeOwned,
    E: RpcError,
{
    match outcome {
        Ok((message, range)) => {
            let json = message.get(range).unwrap_or_default();
            read(json).map_err(Error::Decode)
        }
        Err(error) => Err(typed(error)),
    }
}

/// Converts the error into the method's own type.
pub(crate) fn typed<E: RpcError>(error: Error) -> Error<E> {
    error.map_call(|object| E::from_object(object).map_or_else(Error::Other, Error::Call))
}

/// A message that is never answered, not even with an error. Nothing happens until it is awaited.
///
/// Awaiting it gives `Ok` as soon as the message is queued; it waits while
/// [`Config::max_send_queue`](crate::Config::max_send_queue) is exceeded, so a sender can't outrun the
/// network.
///
/// # Errors
/// [`Error::Closed`], [`Error::Encode`], [`Error::TooLarge`].
///
/// # Cancel safety
/// A future that is dropped before it is ready has sent nothing.
#[must_use = "a notification is not sent until it is awaited: `client.log(\"ready\").notify().await`"]
pub struct Notification {
    pub(crate) peer: Peer,
    pub(crate) message: Result<OutgoingMessage, EncodeError>,
}

impl std::fmt::Debug for Notification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notification").finish_non_exhaustive()
    }
}

impl IntoFuture for Notification {
    type Output = Result<(), Error>;
    type IntoFuture = BoxFuture<Result<(), Error>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let message = self.message.map_err(|error| Error::Encode(error.into()))?;
            match self.peer.outgoing() {
                None => self.peer.send(message).await,
                // Boxed, so that the future stays small without middleware.
                Some(chain) => Box::pin(around(Arc::clone(chain), self.peer, message)).await,
            }
        })
    }
}

/// Sends a notification through middleware.
async fn around(chain: Arc<Chain>, peer: Peer, message: OutgoingMessage) -> Result<(), Error> {
    let send = move |request: OutgoingRequest| -> BoxFuture<_> {
        Box::pin(async move {
            peer.send(request.message).await?;
            Ok(Reply::none())
        })
    };
    chain.call(OutgoingRequest::new(message, true), send).await.map(drop)
}

/// Writes the arguments of a call. For generated code; errors come out of the awaited call.
#[derive(Debug)]
pub struct Encoder {
    peer: Peer,
    message: Result<OutgoingMessage, EncodeError>,
}

impl Encoder {
    /// Begins a call of a method whose parameters have these wire names.
    pub fn new(
        peer: &Peer,
        method: &'static str,
        form: Form,
        names: &'static [&'static str],
    ) -> Self {
        Self::of(peer, Cow::Borrowed(method), form, names)
    }

    pub(crate) fn of(
        peer: &Peer,
        method: Cow<'static, str>,
        form: Form,
        names: &'static [&'static str],
    ) -> Self {
        Encoder { peer: peer.clone(), message: Ok(OutgoingMessage::new(method, form, names)) }
    }

    /// Writes the next argument, in the order of the names.
    pub fn arg<T: SentArg + ?Sized>(&mut self, value: &T) {
        if let Ok(message) = &mut self.message {
            if let Err(error) = message.arg(value) {
                self.message = Err(error);
            }
        }
    }

    /// The same, unless it is null and can be left out.
    pub fn arg_unless_null<T: SentArg + ?Sized>(&mut self, value: &T) {
        if let Ok(message) = &mut self.message {
            if let Err(error) = message.arg_unless_null(value) {
                self.message = Err(error);
            }
        }
    }

    /// All arguments were written.
    pub fn finish<T: ReceivedResult, E>(self) -> Call<T, E> {
        self.into_call()
    }

    /// The same with any result type, for typed stubs.
    #[inline]
    pub(crate) fn into_call<T, E>(self) -> Call<T, E> {
        let message = self.message.map(|mut message| {
            message.end_args();
            message
        });
        let timeout = self.peer.config().call_timeout;
        Call { peer: self.peer, message, timeout, listener: None, result: PhantomData }
    }

    /// All arguments were written; it is the call of a subscription with these other names.
    pub fn subscribe<T: ReceivedResult, E>(
        self,
        unsubscribe: &str,
        notification: &str,
    ) -> Subscribe<T, E> {
        let names = SubscriptionNames {
            notification: notification.into(),
            unsubscribe: unsubscribe.into(),
        };
        Subscribe::new(self.finish(), names)
    }
}
