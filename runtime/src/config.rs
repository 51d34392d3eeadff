//! Limits and timeouts for both sides: [`Config`]. Each setting is read where it applies.

use std::time::Duration;

/// Limits and timeouts of a connection. The defaults are safe for a server on the open internet.
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
    /// How many connections a server holds, those in their opening handshake included. Clients
    /// beyond it get HTTP status 503 with a `Retry-After`; an upgraded stream beyond it is closed
    /// with code 1013. A connection that has ended counts until its handlers have, too, and so does a
    /// message that is posted to an endpoint in a web application. Clients do not look at it.
    ///
    /// Default 10,000. Too low: clients are turned away that could be served. Too high: memory (4
    /// to 5 KiB for an idle connection with glibc's allocator, twice that with TLS, and all the other
    /// limits times this one) or file descriptors run out, for everybody: keep it below the process's
    /// limit of open files (`ulimit -n`).
    pub max_connections: usize,

    /// How many of them one client address may have; an IPv6 address stands for its network of 64
    /// bits. Clients beyond it get HTTP status 429 with a `Retry-After`. It counts the address that
    /// the stream comes from: behind a reverse proxy that is the proxy's own, so leave it off there.
    ///
    /// Default `None`, no limit. Too low: people who share an address (an office, a mobile network)
    /// are turned away. Too high: one client can take all of `max_connections`.
    pub max_connections_per_address: Option<usize>,

    /// The largest head of an HTTP message in the opening handshake, in bytes: request line and
    /// headers for a server, status line and headers for a client. A server answers a larger one
    /// with HTTP status 431. The number of headers has a limit of its own, 124.
    ///
    /// Default 16 KiB. Too low: browsers with many cookies are turned away (4 KiB is little). Too
    /// high: each connection in its handshake can hold that much memory.
    pub max_handshake_size: usize,

    /// The largest message taken in, in bytes. A larger one closes the connection with code 1009; one
    /// that is posted gets HTTP status 413.
    ///
    /// Default 10 MiB; no more than 2 GiB, whatever it says. Too low: large calls break the
    /// connection. Too high: a peer can make this side hold that much memory for each connection, and
    /// reserve it by no more than the header of a frame.
    pub max_incoming_message: usize,

    /// The largest message sent, in bytes. A larger call fails with
    /// [`Error::TooLarge`](crate::Error::TooLarge) before it is sent; in place of a larger result
    /// the peer gets [`ErrorCode::RESULT_TOO_LARGE`](crate::ErrorCode::RESULT_TOO_LARGE).
    ///
    /// Default 10 MiB. Too low: large calls and results fail. Too high: the peer may hang up on
    /// messages over its own limit, and one message holds that much memory until it is sent.
    pub max_outgoing_message: usize,

    /// How many entries a batch may have; a larger one is answered with one -32600.
    ///
    /// Default 1000. Too low: peers have to split their batches; 0 refuses all. Too high: one small
    /// message can start very much work.
    pub max_batch: usize,

    /// How many entries a batch of this side may have. A larger one fails with
    /// [`Error::LargeBatch`](crate::Error::LargeBatch) before anything is sent.
    ///
    /// Default 1000, which is what this crate's own servers take by default. Too low: batches fail that
    /// the peer would take. Too high: the peer refuses the batch, and each of its calls fails with the
    /// peer's error.
    pub max_outgoing_batch: usize,

    /// How many requests and notifications of a connection may be waiting inside handlers.
    /// When so many wait, further ones are answered with
    /// [`ErrorCode::SERVER_BUSY`](crate::ErrorCode::SERVER_BUSY) at once (a notification: dropped,
    /// and logged). Handlers that are ready at once do not count.
    ///
    /// Default 1024. Too low: bursts are refused. Too high: a peer can make this side hold that
    /// many requests.
    pub max_in_flight: usize,

    /// How many bytes of requests and notifications of a connection may be waiting inside handlers;
    /// a batch counts as a whole until its last handler is done. When so many wait, further ones are
    /// answered with [`ErrorCode::SERVER_BUSY`](crate::ErrorCode::SERVER_BUSY) as by
    /// [`max_in_flight`](Self::max_in_flight). As many bytes again may wait in responses to batches
    /// that are not complete; a result beyond that is replaced by
    /// [`ErrorCode::RESULT_TOO_LARGE`](crate::ErrorCode::RESULT_TOO_LARGE).
    ///
    /// What counts is the text of a message. Params that are decoded into a `serde_json::Value` take up
    /// to 130 times as much: limit them with `#[method(max_params = "64 KiB")]` or
    /// [`Methods::max_params`](crate::Methods::max_params).
    ///
    /// Default 32 MiB. Too low: bursts of large requests are refused, and large batches lose results;
    /// stay above `max_incoming_message` and `max_outgoing_message`. Too high: a peer can make this
    /// side hold that much memory (and one message more) for each connection.
    pub max_in_flight_bytes: usize,

    /// How many subscriptions of the peer a connection serves. More are refused with the error
    /// -32000 "Server busy".
    ///
    /// Default 1024. Too low: peers can't hear all they want to. Too high: each costs a task with
    /// its stream, whether anything comes of it or not.
    pub max_subscriptions: usize,

    /// How many bytes of items a connection's subscriptions keep together, as JSON with 64 bytes for
    /// each, while the peer is slow. It is about streams that do not wait for the peer
    /// ([`Overflow`](crate::subscription::Overflow)), whose [`buffer`](crate::subscription::Topic::buffer) is a number of items. A
    /// subscription that finds no room drops its own oldest items, or the new one with
    /// [`Overflow::DropNewest`](crate::subscription::Overflow::DropNewest). If that is not enough, it ends with
    /// [`Error::Lagged`](crate::Error::Lagged) at its consumer.
    ///
    /// Default 4 MiB. Too low: subscriptions of a peer that is slow for a moment lose items or end. Too
    /// high: a peer that does not read costs that much memory.
    pub max_subscription_buffer: usize,

    /// How many bytes of a subscription's items may have come without being consumed, those on
    /// their way included; each item counts 64 bytes more than its JSON has, and one may go over it.
    /// A peer that uses this crate sends no more until some are consumed. That of any other can't be
    /// told: the subscription ends with [`Error::Lagged`](crate::Error::Lagged). A single one is
    /// changed with [`Subscribe::window`](crate::subscription::Subscribe::window).
    ///
    /// Default 256 KiB. Too low: over slow networks less arrives than could, and subscriptions of
    /// other peers end when a consumer is slow for a moment. Too high: each that nobody consumes
    /// costs that much memory.
    pub subscription_window: usize,

    /// How many bytes may wait to be sent. Beyond it, local callers wait for room
    /// (`notify().await` is the back-pressure), and nothing more is read until the peer has taken
    /// some of its answers. While calls of this side wait for responses, reading goes on: the peer's
    /// requests are held back, up to as many bytes of them, and those that can't be held are answered
    /// with [`ErrorCode::SERVER_BUSY`](crate::ErrorCode::SERVER_BUSY), up to as many bytes of answers
    /// again. Only then nothing is read; two sides that have both come that far wait for each other,
    /// and `write_timeout` ends it. Handlers at work are not held back: their results wait, too,
    /// `max_in_flight` of them at most. Streams of subscriptions are polled in turn while there is
    /// room; each thread of the runtime may send one item more.
    ///
    /// Default 1 MiB. Too low: more switching between reading and writing, and two sides that flood
    /// each other with calls come to a stop. Too high: a peer that does not read costs that much
    /// memory.
    pub max_send_queue: usize,

    /// How long a call waits for its response; `None` waits for as long as the connection lives.
    /// A single call is changed with [`Call::timeout`](crate::Call::timeout). When the process was paused
    /// while the time ran out, responses that came meanwhile are read first; that takes one second
    /// more at most. Time during which the machine sleeps does not count on Linux and macOS, here and
    /// in all other timeouts.
    ///
    /// Default 30 s. Too low: calls fail whose work goes on at the peer. Too high: callers wait
    /// long for a peer that has lost its way.
    pub call_timeout: Option<Duration>,

    /// How long it may take until a connection is open, on either side: connecting, the TLS
    /// session, the HTTP request and response, and a server's [`Authorize`](crate::server::Authorize) hook,
    /// all together. A client whose request is not whole by then gets HTTP status 408, one about
    /// whom the hook has not decided 503, and one that has said nothing is hung up on. A message that
    /// is posted has to be whole within it, or gets 408.
    ///
    /// Default 10 s. Too low: clients on slow networks get no connection. Too high on a server: a
    /// peer that connects and says nothing holds a socket, and one of `max_connections`, so long.
    pub handshake_timeout: Duration,

    /// How long the peer may take nothing of what waits to be sent before the connection is closed.
    ///
    /// Default 30 s. Too low: peers whose network hangs for a moment lose their connection. Too
    /// high: a peer that is stuck, or gone without a word, holds memory and a place so long.
    pub write_timeout: Duration,

    /// How long the peer may say nothing before it is sent a WebSocket ping. When nothing comes from
    /// it for half as long again, the connection ends with
    /// [`CloseReason::Unresponsive`](crate::error::CloseReason::Unresponsive): a peer that hangs, or that
    /// the network has lost without a word, is noticed within one and a half intervals. Whatever
    /// comes counts, a part of a message too. A peer that reads a large message slowly can't answer
    /// before it has got to the ping behind it. As long as the network goes on taking what waits for
    /// such a peer, it has three intervals in all. Not more: taken bytes, and bytes that TCP has
    /// acknowledged, may have come no further than to a proxy. Linux reports that the network takes bytes
    /// only when a third of the socket's send buffer is free again: a peer that takes longer than half an
    /// interval for so much is given up after one and a half intervals. While this side does not read on
    /// purpose, because the peer does not take its answers, only `write_timeout` counts. (A ping may go out up to an eighth of the
    /// interval early.) `None` sends none; pings of the peer are answered all the same.
    ///
    /// Default 30 s; less than 10 ms is taken for 10 ms. Too low: peers whose network hangs for a
    /// moment lose their connection, and so do slow ones that need more than three intervals for a
    /// message of the largest size; and phones never sleep. Too high, or `None`: calls wait for peers that are
    /// gone, who hold memory and a place; and proxies and routers forget connections on which
    /// nothing happens for a minute or so.
    pub ping_interval: Option<Duration>,

    /// How long the closing handshake may take before the socket is dropped. When the peer closes, it
    /// also bounds how long the answers are sent to what it had asked by then, as far as handlers are
    /// ready at once.
    ///
    /// Default 5 s. Too low: a slow peer loses the last messages and the reason. Too high: peers
    /// that do not answer a close frame hold a socket so long.
    pub close_timeout: Duration,

    /// How long [`Server::run_until`](crate::Server::run_until) and
    /// [`Endpoint::shutdown`](crate::Endpoint::shutdown) let handlers finish. It also bounds how
    /// long a close sends what was queued before it; whatever is left then is dropped.
    ///
    /// Default 30 s. Too low: handlers are cut off from their callers. Too high: one that hangs
    /// keeps the process from ending; it may take `close_timeout` more. Stay below what
    /// your supervisor waits before it kills.
    pub shutdown_timeout: Duration,

    /// How long a handler may run without an await that yields, in one poll, before a warning names
    /// its method, once for each method. Until a handler yields, nobody else gets the thread, and while
    /// it is polled for the first time, its connection neither reads nor writes. Mark such a method
    /// `#[method(blocking)]`, or move the slow part to `tokio::task::spawn_blocking`. Where that can't be done
    /// for all methods, [`ServerBuilder::handler_runtime`](crate::server::ServerBuilder::handler_runtime) keeps
    /// handlers away from connections.
    ///
    /// `tokio::task::block_in_place` counts, too. So does a thread that the operating system lets wait,
    /// on a machine that is overloaded. The first time that several handlers of one message or of
    /// messages that came together take so long, the warning names all of them; from then on each is
    /// measured.
    ///
    /// Default 100 ms; `None` measures nothing. Too low: warnings about handlers that only compute a
    /// little. Too high: other calls are late, and nothing says why.
    pub blocking_threshold: Option<Duration>,

    /// Whether a handler that still runs when its connection ends is dropped at its next await.
    ///
    /// Default `false`: what was begun is finished, so nothing is left half written;
    /// [`Context::closed`](crate::Context::closed) tells a handler that nobody waits any more.
    pub cancel_on_close: bool,

    /// Whether a peer is told when a call that it was sent is given up, by its timeout or because
    /// its future was dropped: with the notification `$/cancelRequest` of the Language Server
    /// Protocol.
    ///
    /// Default [`SendTo::Known`]. [`SendTo::Nobody`]: peers go on with what nobody waits for.
    /// [`SendTo::Everyone`] suits peers that know the notification, as language servers do; others
    /// ignore it, as a rule, but the Python package wsjsonrpc answers it, against the specification.
    pub send_cancel: SendTo,

    /// Whether a peer is told how long this side waits for the response to a call, in the member
    /// `wsjsonrpc` of the request: its handler sees it as [`Context::deadline`](crate::Context::deadline).
    ///
    /// Default [`SendTo::Known`]. [`SendTo::Nobody`]: calls are some 30 bytes shorter, and peers
    /// don't know when it is too late. [`SendTo::Everyone`]: some peers, the Python package
    /// wsjsonrpc for one, hang up at a member that they don't know.
    pub send_timeout: SendTo,

    /// Whether a peer is told which trace a call is a part of, in the members `traceparent` and
    /// `tracestate` of the request. Only with the feature `opentelemetry`, and a subscriber that
    /// exports traces.
    ///
    /// Default [`SendTo::Known`]. [`SendTo::Nobody`]: a trace ends here. [`SendTo::Everyone`] suits
    /// peers that use StreamJsonRpc; some others, the Python package wsjsonrpc for one, hang up at a
    /// member that they don't know.
    pub send_trace: SendTo,
}

/// To which peers something is sent that JSON-RPC itself does not know. It is understood from all peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendTo {
    /// To those that have said in the opening handshake that they know it, as this crate does: with
    /// the HTTP header `Wsjsonrpc-Extensions: 1`.
    Known,
    /// To all.
    Everyone,
    /// To none.
    Nobody,
}

impl SendTo {
    /// Whether a peer gets it that understands it (`known`), or does not.
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
