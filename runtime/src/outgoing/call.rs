//! An outgoing call that has not been sent: [`Call`] and its builder methods, the future
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
use crate::outgoing::fan_out::{CallAll, Report};
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
/// The compiler warns about a call that is neither awaited nor assigned. It does not warn about
/// `let _ = client.sum(1, 2);`, which sends nothing either; clippy's lint `let_underscore_must_use`
/// does. To send a call without waiting for a response, use [`notify`](Self::notify).
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
/// math.sum(1, 2).timeout(Duration::from_secs(1)).await?;  // a request with a timeout
/// math.sum(1, 2).by_name().await?;                        // params as an object
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Awaiting the call returns the result or an [`Error`], which says what failed and whether the
/// connection is still usable. [`Error::Call`] contains the decoded `E` that the peer's handler
/// returned ([`RpcError`](trait@RpcError)). An error object that is not an `E` is in [`Error::Other`].
///
/// # Cancel safety
/// Dropping the future cancels the call: this side ignores a late response, and if the call was
/// already sent, it sends a cancellation to the peer
/// ([`Config::send_cancel`](crate::Config::send_cancel)). The peer's handler decides what to do
/// about it.
#[must_use = "a call sends nothing until it is awaited: `client.sum(1, 2).await`"]
pub struct Call<T, E = ErrorObject> {
    pub(crate) peer: Peer,
    pub(crate) message: Result<OutgoingMessage, EncodeError>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) listener: Option<Box<Listener>>,
    result: PhantomData<fn() -> (T, E)>,
}

impl<T, E> Call<T, E> {
    /// Sends the call as a notification: it gets no response, not even an error.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wsjsonrpc::{Client, Context, Result as RpcResult, Server, memory, rpc};
    /// #[rpc]
    /// trait Log {
    ///     async fn line(&self, ctx: &Context, text: &str) -> RpcResult<()>;
    /// }
    ///
    /// # let (client, _) = memory::pair(Client::builder(), Server::builder())?;
    /// LogClient::new(client.peer()).line("ready").notify().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn notify(self) -> Notification {
        Notification { peer: self.peer, message: self.message }
    }

    /// Queues the call as a notification without waiting: for each member of a
    /// [`Group`](crate::Group), or for a single peer. Returns at once, outside of a tokio runtime
    /// too.
    ///
    /// The message is encoded once, and the send queues of all members refer to the same bytes. A
    /// member whose send queue is full is treated as
    /// [`SlowMember`](crate::group::SlowMember) says. A single peer whose send queue is full does not
    /// get the message. The report tells what happened, so nobody has to wait.
    ///
    /// [Outgoing middleware](crate::middleware::OutgoingMiddleware) does not see broadcasts: it may
    /// wait, and it may change a message for one member, and a broadcast does neither.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use wsjsonrpc::{Client, Group, Server, memory};
    ///
    /// # let pair = || memory::pair(Client::builder(), Server::builder());
    /// # let ((_client, ada), (_other, bob)) = (pair()?, pair()?);
    /// let room = Group::new();
    /// room.insert(&ada);
    /// room.insert(&bob);
    /// let report = room.peer().call::<()>("message", ["hi"]).broadcast()?;
    /// assert_eq!(report.sent, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Encode`] and [`Error::TooLarge`]. Nothing was queued.
    pub fn broadcast(self) -> Result<Report, Error> {
        let message = self.message.map_err(|error| Error::Encode(error.into()))?;
        self.peer.broadcast(message.into_notification())
    }

    /// Calls every member of a [`Group`](crate::Group), and returns a stream of their results; see
    /// [`CallAll`]. For a single peer, the stream has one result.
    ///
    /// The arguments are encoded once. Each call has its own timeout, which starts when the call is
    /// sent, and passes through the outgoing middleware of its member. At most
    /// [`max_concurrent_calls`](crate::group::GroupBuilder::max_concurrent_calls) are in flight at
    /// the same time.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wsjsonrpc::{Client, Group, Server, memory};
    /// use std::time::Duration;
    ///
    /// # let worker = || Client::builder().method("load", |_, ()| async { Ok(3) });
    /// # let pair = || memory::pair(worker(), Server::builder());
    /// # let ((_first, ada), (_second, bob)) = (pair()?, pair()?);
    /// # let workers = Group::new();
    /// # workers.insert(&ada);
    /// # workers.insert(&bob);
    /// let call = workers.peer().call::<u32>("load", ()).timeout(Duration::from_secs(2));
    /// let mut loads = call.call_all();
    /// let mut sum = 0;
    /// while let Some((_worker, load)) = loads.next().await {
    ///     sum += load.unwrap_or(0); // a worker that failed or did not answer in time
    /// }
    /// assert_eq!(sum, 6);
    /// # Ok(())
    /// # }
    /// ```
    pub fn call_all(self) -> CallAll<T, E> {
        CallAll::new(self)
    }

    /// How long to wait for the response, counted from the first poll. Replaces
    /// [`Config::call_timeout`](crate::Config::call_timeout). The time includes waiting for space
    /// in the send queue. A call whose time is up before it starts is not sent.
    ///
    /// If the peer supports it, it gets the timeout with the call
    /// ([`Config::send_timeout`](crate::Config::send_timeout)), and a cancellation when the time is
    /// up ([`Config::send_cancel`](crate::Config::send_cancel)). Within a handler, the deadline of
    /// the call being handled applies as well; see [`Context::deadline`](crate::Context::deadline).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wsjsonrpc::{Client, Context, Error, Server, memory};
    /// use std::time::Duration;
    ///
    /// let server = Server::builder().method("sleep", |ctx: Context, ()| async move {
    ///     ctx.cancelled().await; // ready when the caller's timeout has passed
    ///     Ok(())
    /// });
    /// let (client, _) = memory::pair(Client::builder(), server)?;
    /// let call = client.peer().call::<()>("sleep", ()).timeout(Duration::from_millis(50));
    /// assert!(matches!(call.await, Err(Error::Timeout(_))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Waits for the response as long as the connection lives.
    pub fn without_timeout(mut self) -> Self {
        self.timeout = None;
        self
    }

    /// Declares that running the call several times has the same effect as running it once. If the
    /// connection of a [reconnecting client](crate::client::ClientBuilder::reconnect) breaks while
    /// the call is in flight, the client sends the call again on the next connection, instead of
    /// failing with [`Error::Closed`]. The handler may run once for each connection that breaks,
    /// also at the same time; [`Reconnect::max_sends`](crate::client::Reconnect::max_sends) limits
    /// that. The call's timeout keeps counting.
    ///
    /// If a second connection ends because of a message on it, for example a response larger than
    /// [`Config::max_incoming_message`](crate::Config::max_incoming_message), the call fails with
    /// that error, because this call may be the cause. For stubs, write `#[method(idempotent)]`.
    ///
    /// No effect without a reconnecting client, and on notifications.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wsjsonrpc::{Client, Server};
    /// # use wsjsonrpc::client::Reconnect;
    /// # let server = Server::builder()
    /// #     .method("price", |_, (_article,): (String,)| async move { Ok(9.99) })
    /// #     .bind("127.0.0.1:0")
    /// #     .await?;
    /// # let url = server.url();
    /// # tokio::spawn(server.run());
    /// let client = Client::builder().reconnect(Reconnect::default()).connect(&url).await?;
    /// // Reading a price twice does no harm, so send it again if the connection breaks.
    /// let price = client.peer().call::<f64>("price", ["apple"]).idempotent().await?;
    /// assert_eq!(price, 9.99);
    /// # Ok(())
    /// # }
    /// ```
    pub fn idempotent(mut self) -> Self {
        if let Ok(message) = &mut self.message {
            message.idempotent = true;
        }
        self
    }

    /// Calls a closure with each progress value that the handler reports
    /// ([`Context::progress`](crate::Context::progress)), in order. All values are passed on before
    /// the call returns. The last closure wins.
    ///
    /// The closure runs where the call is awaited. Until then at most 64 values and 1 MiB are
    /// buffered; beyond that, the oldest are dropped. A value that does not decode as `P` is
    /// skipped.
    ///
    /// Progress is requested only from peers that announced this crate's extensions in the opening
    /// handshake. No effect on notifications.
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
    /// An untyped call has no parameter names: pass a struct or a map instead.
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

/// A call in flight: the future of a [`Call`].
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
        // Progress values that arrived before the response are in the queue by now.
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

/// A message that gets no response, not even an error. Nothing is sent until it is awaited.
///
/// Awaiting it returns `Ok` as soon as the message is queued. It waits while the send queue is full
/// ([`Config::max_send_queue`](crate::Config::max_send_queue)), so a sender cannot outrun the
/// network.
///
/// ```
/// # use wsjsonrpc::{memory, Client, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (client, _) = memory::pair(Client::builder(), Server::builder())?;
/// client.peer().notify("log", ["ready"]).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Closed`], [`Error::Encode`], [`Error::TooLarge`].
///
/// # Cancel safety
/// If the future is dropped before it is ready, nothing was sent.
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

/// Writes the arguments of a call. For generated code. Awaiting the call returns the errors.
#[derive(Debug)]
pub struct Encoder {
    peer: Peer,
    message: Result<OutgoingMessage, EncodeError>,
}

impl Encoder {
    /// Starts a call of a method whose parameters have these wire names.
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

    /// Like [`arg`](Self::arg), but omits a null argument that may be left out.
    pub fn arg_unless_null<T: SentArg + ?Sized>(&mut self, value: &T) {
        if let Ok(message) = &mut self.message {
            if let Err(error) = message.arg_unless_null(value) {
                self.message = Err(error);
            }
        }
    }

    /// Creates the call, once all arguments are written.
    pub fn finish<T: ReceivedResult, E>(self) -> Call<T, E> {
        self.into_call()
    }

    /// Like [`finish`](Self::finish) with any result type, for typed stubs.
    #[inline]
    pub(crate) fn into_call<T, E>(self) -> Call<T, E> {
        let message = self.message.map(|mut message| {
            message.end_args();
            message
        });
        let timeout = self.peer.config().call_timeout;
        Call { peer: self.peer, message, timeout, listener: None, result: PhantomData }
    }

    /// Creates the call of a subscription with these other names, once all arguments are written.
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
