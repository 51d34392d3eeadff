//! Limits and timeouts for both sides ([`Config`]). Each setting is read where it applies.

use std::time::Duration;

/// Limits and timeouts of a connection. The defaults are safe for a server on the public internet.
///
/// ```
/// use std::time::Duration;
/// use wsjsonrpc::{Config, Server};
///
/// let config = Config { call_timeout: Some(Duration::from_secs(5)), ..Config::default() };
/// let server = Server::builder().config(config);
/// # drop(server);
/// ```
///
/// End a literal with `..Config::default()`, as above: minor versions of this crate add fields.
#[derive(Clone, Debug)]
pub struct Config {
    /// The maximum number of connections of a server, those in their opening handshake included.
    /// Further clients get HTTP status 503 with a `Retry-After`; the server closes further upgraded
    /// streams with code 1013. A connection counts until its handlers and hooks have ended as well.
    /// So does a message posted to an endpoint in a web application. Not used by clients.
    ///
    /// Default 10,000. Too low: the server refuses clients that it could serve. Too high: the
    /// process runs out of memory (4 to 5 KiB for an idle connection with glibc's allocator, twice
    /// that with TLS, and all other limits times this one) or of file descriptors. Keep it below
    /// the process's limit of open files (`ulimit -n`).
    pub max_connections: usize,

    /// The maximum number of connections from one client address; an IPv6 address stands for its
    /// /64 network. Further clients get HTTP status 429 with a `Retry-After`. The address is that
    /// of the TCP connection. Behind a reverse proxy it is the proxy's address, so do not set this
    /// there.
    ///
    /// Default `None`, no limit. Too low: the server refuses people who share an address (an
    /// office, a mobile network). Too high: one client can take all of `max_connections`.
    pub max_connections_per_address: Option<usize>,

    /// The maximum size of the head of an HTTP message in the opening handshake, in bytes: request
    /// line and headers for a server, status line and headers for a client. A server responds to a
    /// larger one with HTTP status 431. The number of headers has a separate limit of 124.
    ///
    /// Default 16 KiB. Too low: browsers with many cookies are refused (4 KiB is little). Too high:
    /// each connection in its handshake can use that much memory.
    pub max_handshake_size: usize,

    /// The maximum size of a received message, in bytes. A larger one closes the connection with
    /// code 1009; an HTTP POST gets status 413.
    ///
    /// Default 10 MiB; values above 2 GiB mean 2 GiB. Too low: large calls break the connection.
    /// Too high: a peer can make this side use that much memory for each connection, and reserve it
    /// with only the header of a frame.
    pub max_incoming_message: usize,

    /// The maximum size of a sent message, in bytes. A larger call fails with
    /// [`Error::TooLarge`](crate::Error::TooLarge) and is not sent. Instead of a larger result, the
    /// peer gets [`ErrorCode::RESULT_TOO_LARGE`](crate::ErrorCode::RESULT_TOO_LARGE).
    ///
    /// Default 10 MiB. Too low: large calls and results fail. Too high: the peer may close the
    /// connection because of its own limit, and one message uses that much memory until it is sent.
    pub max_outgoing_message: usize,

    /// The maximum number of entries in a received batch. A larger batch gets one error, -32600.
    ///
    /// Default 1000. Too low: peers have to split their batches; 0 refuses all batches. Too high:
    /// one small message can start very much work.
    pub max_batch: usize,

    /// The maximum number of entries in a batch that this side sends. A larger one fails with
    /// [`Error::LargeBatch`](crate::Error::LargeBatch) and is not sent.
    ///
    /// Default 1000, the default limit of this crate's servers. Too low: batches fail that the peer
    /// would accept. Too high: the peer refuses the batch, and each of its calls fails with the
    /// peer's error.
    pub max_outgoing_batch: usize,

    /// The maximum number of requests and notifications of one connection in flight, that is,
    /// waiting inside handlers. Beyond it, requests get
    /// [`ErrorCode::SERVER_BUSY`](crate::ErrorCode::SERVER_BUSY) at once; notifications are dropped
    /// and logged. Handlers that finish on their first poll do not count.
    ///
    /// Default 1024. Too low: bursts are refused. Too high: a peer can make this side hold that
    /// many requests.
    pub max_in_flight: usize,

    /// The maximum number of bytes of requests and notifications of one connection in flight. A
    /// batch counts as a whole until its last handler has ended. Beyond it, requests and
    /// notifications are treated as with [`max_in_flight`](Self::max_in_flight). Responses of
    /// incomplete batches have a separate limit of the same size; a result beyond it is replaced by
    /// [`ErrorCode::RESULT_TOO_LARGE`](crate::ErrorCode::RESULT_TOO_LARGE).
    ///
    /// The text of a message counts. Params that are decoded into a `serde_json::Value` use up to
    /// 130 times as much memory: limit them with `#[method(max_params = "64 KiB")]` or
    /// [`Methods::max_params`](crate::Methods::max_params).
    ///
    /// Default 32 MiB. Too low: bursts of large requests are refused, and large batches lose
    /// results; stay above `max_incoming_message` and `max_outgoing_message`. Too high: a peer can
    /// make this side use that much memory (plus one message) for each connection.
    pub max_in_flight_bytes: usize,

    /// The maximum number of subscriptions that one connection serves. Further ones are refused
    /// with error -32000 "Server busy".
    ///
    /// Default 1024. Too low: peers cannot subscribe to everything they need. Too high: each
    /// subscription costs a task with its stream, even if it has no items.
    pub max_subscriptions: usize,

    /// The maximum number of bytes of items that all subscriptions of one connection buffer
    /// together while the peer is slow; each item counts its JSON plus 64 bytes. Applies to streams
    /// that do not wait for the peer ([`Overflow`](crate::subscription::Overflow)), in addition to
    /// their limit in items ([`Topic::buffer`](crate::subscription::Topic::buffer)). A subscription
    /// without space drops its own oldest items, or with
    /// [`Overflow::DropNewest`](crate::subscription::Overflow::DropNewest) the new one. If that is
    /// not enough, the subscription ends, and its consumer gets
    /// [`Error::Lagged`](crate::Error::Lagged).
    ///
    /// Default 4 MiB. Too low: subscriptions of a peer that is slow for a moment lose items or end.
    /// Too high: a peer that does not read costs that much memory.
    pub max_subscription_buffer: usize,

    /// The window of a subscription: the maximum number of bytes of items that have been sent to
    /// this side and not been consumed. Each item counts its JSON plus 64 bytes, and one item may
    /// exceed the limit. A peer that uses this crate pauses until items are consumed. Other peers
    /// do not know the window: the subscription ends with [`Error::Lagged`](crate::Error::Lagged).
    /// [`Subscribe::window`](crate::subscription::Subscribe::window) sets it for one subscription.
    ///
    /// Default 256 KiB. Too low: less throughput over slow networks, and subscriptions to other
    /// peers end when a consumer is slow for a moment. Too high: each subscription that is not
    /// consumed costs that much memory.
    pub subscription_window: usize,

    /// The maximum number of bytes in the send queue of a connection. Beyond it, local callers wait
    /// (`notify().await` is the backpressure), and this side stops reading until the peer has
    /// received some of its responses.
    ///
    /// While calls of this side wait for responses, reading continues: this side sets the peer's
    /// requests aside, up to the same number of bytes. Requests beyond that get
    /// [`ErrorCode::SERVER_BUSY`](crate::ErrorCode::SERVER_BUSY), up to the same number of bytes of
    /// responses. Only then does this side stop reading. Two sides that both get there wait for
    /// each other until `write_timeout` ends the connection.
    ///
    /// Handlers in flight are not paused; their results are queued in addition, `max_in_flight` of
    /// them at most. Streams of subscriptions are polled one after another while there is space;
    /// each thread of the runtime may exceed the limit by one item.
    ///
    /// Default 1 MiB. Too low: more switching between reading and writing, and two sides that flood
    /// each other with calls block each other. Too high: a peer that does not read costs that much
    /// memory.
    pub max_send_queue: usize,

    /// How long a call waits for its response; `None` waits as long as the connection lives.
    /// [`Call::timeout`](crate::Call::timeout) sets it for one call. If the process was paused
    /// while the time ran out, responses that arrived meanwhile are read first, which takes one
    /// more second at most. On Linux and macOS, time in which the machine sleeps does not count,
    /// here and in all other timeouts.
    ///
    /// Default 30 s. Too low: calls fail although the peer is still handling them. Too high:
    /// callers wait long for a peer that hangs.
    pub call_timeout: Option<Duration>,

    /// The time limit for opening a connection, on either side: connecting, TLS handshake, HTTP
    /// request and response, and a server's [`Authorize`](crate::server::Authorize) hook, all
    /// together. A client whose request is incomplete by then gets HTTP status 408, a client for
    /// whom the hook has not decided gets 503, and a silent client is disconnected. An HTTP POST
    /// must arrive within it, or gets 408.
    ///
    /// Default 10 s. Too low: clients on slow networks cannot connect. Too high on a server: a
    /// silent peer occupies a socket, and one of `max_connections`, for that long.
    pub handshake_timeout: Duration,

    /// How long a server's [`on_connect`](crate::server::ServerBuilder::on_connect) hook may take for
    /// one connection, and its [`on_disconnect`](crate::server::ServerBuilder::on_disconnect) hook.
    /// After this time the server drops the hook. A client whose `on_connect` hook has not finished is
    /// disconnected with code 1013. Not used by clients.
    ///
    /// Default 10 s. Too low: a slow database disconnects clients. Too high: clients wait that long for
    /// the responses to their first calls when a hook hangs, and shutdown may wait as long, up to its
    /// own limits.
    pub hook_timeout: Duration,

    /// How long the peer may read nothing while data is waiting to be sent, before the connection
    /// is closed.
    ///
    /// Default 30 s. Too low: peers lose their connection when their network pauses for a moment.
    /// Too high: a peer that hangs or has disappeared uses memory and a connection for that long.
    pub write_timeout: Duration,

    /// The keep-alive interval: how long the peer may be silent before this side sends a WebSocket
    /// ping ([RFC 6455, section 5.5.2](https://www.rfc-editor.org/rfc/rfc6455#section-5.5.2)). If
    /// nothing arrives for another half interval, the connection ends with
    /// [`CloseReason::Unresponsive`](crate::error::CloseReason::Unresponsive). So a peer that hangs
    /// or has disappeared is detected within one and a half intervals. All received data counts,
    /// parts of messages too. A ping may be sent up to an eighth of the interval early.
    ///
    /// Exceptions:
    ///
    /// - A peer that reads a large message slowly cannot answer the ping before it has read that
    ///   message. As long as the network accepts data for the peer, the peer has three intervals in
    ///   total. It does not have more, because accepted bytes, and bytes that TCP has acknowledged,
    ///   may have reached only a proxy. Linux reports that the network accepts data only when a
    ///   third of the socket's send buffer is free again. A peer that takes longer than half an
    ///   interval for that much is disconnected after one and a half intervals.
    /// - While this side has stopped reading because the peer does not read its responses, only
    ///   `write_timeout` applies.
    ///
    /// `None` sends no pings. Pings from the peer are always answered.
    ///
    /// Default 30 s; values below 10 ms mean 10 ms. Too low: peers lose their connection when their
    /// network pauses for a moment, or when they need more than three intervals for a message of
    /// maximum size, and phones never sleep. Too high, or `None`: calls wait for peers that have
    /// disappeared, which use memory and a connection, and proxies and routers forget connections
    /// that are idle for a minute or so.
    pub ping_interval: Option<Duration>,

    /// The time limit of the closing handshake, before the socket is dropped. When the peer closes
    /// the connection, it also limits how long this side sends responses to earlier requests, as
    /// far as handlers finish on their first poll.
    ///
    /// Default 5 s. Too low: a slow peer loses the last messages and the close reason. Too high:
    /// peers that do not answer a close frame occupy a socket for that long.
    pub close_timeout: Duration,

    /// How long [`Server::run_until`](crate::Server::run_until) and
    /// [`Endpoint::shutdown`](crate::Endpoint::shutdown) let handlers and hooks finish. Also limits
    /// how long closing a connection takes to send what is queued; the rest is dropped.
    ///
    /// Default 30 s. Too low: handlers cannot deliver their responses. Too high: a handler that
    /// hangs delays the end of the process. Shutdown may take `close_timeout` longer than this.
    /// Stay below the time after which your supervisor kills the process.
    pub shutdown_timeout: Duration,

    /// How long one poll of a handler may take before a warning names its method, once for each
    /// method. Until a handler yields, no other task can use its thread. During its first poll, its
    /// connection neither reads nor writes. Mark such a method `#[method(blocking)]`, or move the
    /// slow part to `tokio::task::spawn_blocking`. If you cannot do that for all methods,
    /// [`ServerBuilder::handler_runtime`](crate::server::ServerBuilder::handler_runtime) separates
    /// handlers from connections.
    ///
    /// Time in `tokio::task::block_in_place` counts as well, and time in which an overloaded
    /// machine does not run the thread. If several handlers of one message, or of messages that
    /// arrived together, take this long the first time, the warning names all of them; from then on
    /// each one is measured.
    ///
    /// Default 100 ms; `None` measures nothing. Too low: warnings about handlers that only compute
    /// for a moment. Too high: calls are delayed without an explanation in the log.
    pub blocking_threshold: Option<Duration>,

    /// Whether a handler that is still running when its connection ends is dropped at its next
    /// await.
    ///
    /// Default `false`: handlers run to completion, so nothing is left half written.
    /// [`Context::closed`](crate::Context::closed) tells a handler that its caller is gone.
    pub cancel_on_close: bool,

    /// To which peers this side sends cancellations, that is, when a call timed out or its future
    /// was dropped: the notification `$/cancelRequest` of the Language Server Protocol.
    ///
    /// Default [`SendTo::Known`]. With [`SendTo::Nobody`], peers keep handling cancelled calls.
    /// [`SendTo::Everyone`] suits peers that know the notification, such as language servers. Most
    /// others ignore it, but the Python package wsjsonrpc responds to it, against the
    /// specification.
    pub send_cancel: SendTo,

    /// To which peers this side sends the timeout of a call, in the member `wsjsonrpc` of the
    /// request. The handler reads it with [`Context::deadline`](crate::Context::deadline).
    ///
    /// Default [`SendTo::Known`]. With [`SendTo::Nobody`], calls are some 30 bytes shorter, and
    /// handlers know no deadline. With [`SendTo::Everyone`], some peers disconnect because of the
    /// unknown member, for example the Python package wsjsonrpc.
    pub send_timeout: SendTo,

    /// To which peers this side sends the trace that a call belongs to, in the members
    /// `traceparent` and `tracestate` of the request. Needs the feature `opentelemetry`, and a
    /// subscriber that exports traces.
    ///
    /// Default [`SendTo::Known`]. With [`SendTo::Nobody`], a trace ends here. [`SendTo::Everyone`]
    /// suits peers that use StreamJsonRpc. Some others disconnect because of the unknown members,
    /// for example the Python package wsjsonrpc.
    pub send_trace: SendTo,
}

/// To which peers an extension of JSON-RPC is sent. Received extensions are understood from every
/// peer.
///
/// ```
/// use wsjsonrpc::{Client, Config, SendTo};
///
/// // A language server knows `$/cancelRequest`, but not this crate's handshake header.
/// let config = Config { send_cancel: SendTo::Everyone, ..Config::default() };
/// let client = Client::builder().config(config);
/// # drop(client);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendTo {
    /// To peers that announced support in the opening handshake, with the HTTP header
    /// `Wsjsonrpc-Extensions: 1`. This crate does.
    Known,
    /// To all peers.
    Everyone,
    /// To no peer.
    Nobody,
}

impl SendTo {
    /// Whether the extension is sent to a peer that announced support (`known`) or did not.
    pub(crate) fn includes(self, known: bool) -> bool {
        match self {
            SendTo::Known => known,
            SendTo::Everyone => true,
            SendTo::Nobody => false,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            max_connections: 10_000,
            max_connections_per_address: None,
            max_handshake_size: 16 * 1024,
            max_incoming_message: 10 << 20,
            max_outgoing_message: 10 << 20,
            max_batch: 1000,
            max_outgoing_batch: 1000,
            max_in_flight: 1024,
            max_in_flight_bytes: 32 << 20,
            max_send_queue: 1 << 20,
            max_subscriptions: 1024,
            max_subscription_buffer: 4 << 20,
            subscription_window: 256 << 10,
            call_timeout: Some(Duration::from_secs(30)),
            handshake_timeout: Duration::from_secs(10),
            hook_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            ping_interval: Some(Duration::from_secs(30)),
            close_timeout: Duration::from_secs(5),
            shutdown_timeout: Duration::from_secs(30),
            blocking_threshold: Some(Duration::from_millis(100)),
            cancel_on_close: false,
            send_cancel: SendTo::Known,
            send_timeout: SendTo::Known,
            send_trace: SendTo::Known,
        }
    }
}
