//! A client that connects again: when it does, what becomes of calls meanwhile, and what ends it.
//! The test holds the other end of each attempt, and the clock is paused, so times are exact.

use std::future::IntoFuture;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use wsjsonrpc::client::{ClientBuilder, ConnectionState, Reconnect};
use wsjsonrpc::error::{CloseReason, ConnectError};
use wsjsonrpc::{Client, ErrorObject, memory};
use wsjsonrpc_tests::{Raw, begin, notification, result};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);

/// The attempts of a client, as they come. There are no more when its task is gone.
pub(crate) struct Attempts(mpsc::UnboundedReceiver<Attempt>);

/// One attempt to open a stream.
pub(crate) struct Attempt {
    pub(crate) at: Instant,
    answer: oneshot::Sender<io::Result<DuplexStream>>,
}

impl Attempts {
    pub(crate) async fn next(&mut self) -> Attempt {
        self.0.recv().await.expect("it tries again")
    }

    pub(crate) async fn are_over(&mut self) {
        assert!(self.0.recv().await.is_none(), "it tries again");
    }

    pub(crate) async fn accept(&mut self) -> Raw {
        self.next().await.accept().await
    }
}

impl Attempt {
    pub(crate) fn refuse(self) {
        let _ = self.answer.send(Err(io::ErrorKind::ConnectionRefused.into()));
    }

    pub(crate) fn open(self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        self.answer.send(Ok(theirs)).expect("it waits for the stream");
        ours
    }

    pub(crate) async fn accept(self) -> Raw {
        let accepting = tokio_tungstenite::accept_async(self.open());
        Raw { socket: accepting.await.expect("the handshake is valid") }
    }

    /// Reads the request's head, and answers it with an HTTP status.
    pub(crate) async fn answer(self, status: &str) -> String {
        let mut stream = self.open();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let response = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(response.as_bytes()).await.unwrap();
        String::from_utf8(head).unwrap()
    }
}

/// Without chance, so that times are exact.
pub(crate) fn settings() -> Reconnect {
    Reconnect { jitter: 0.0, max: 2 * SECOND, ..Reconnect::default() }
}

/// Connects, with the attempts in the test's hand.
pub(crate) fn connect(
    builder: ClientBuilder,
) -> (impl Future<Output = Result<Client, ConnectError>> + Send + 'static, Attempts) {
    let (sender, attempts) = mpsc::unbounded_channel();
    let connecting = builder.connect_with("ws://localhost/", move || {
        let (answer, answered) = oneshot::channel();
        let _ = sender.send(Attempt { at: Instant::now(), answer });
        async move { answered.await.map_err(io::Error::other)? }
    });
    (connecting, Attempts(attempts))
}

/// A client with its first connection.
pub(crate) async fn connected(builder: ClientBuilder) -> (Client, Raw, Attempts) {
    let (connecting, mut attempts) = connect(builder);
    let (client, raw) = tokio::join!(connecting, attempts.accept());
    (client.unwrap(), raw, attempts)
}

pub(crate) fn client() -> ClientBuilder {
    Client::builder().reconnect(settings())
}

pub(crate) fn is_down(state: Option<ConnectionState>) -> (CloseReason, u32, Duration) {
    match state {
        Some(ConnectionState::Down { reason, attempt, retry_in, .. }) => {
            (reason, attempt, retry_in)
        }
        other => panic!("it should be down: {other:?}"),
    }
}

pub(crate) fn is_connected(state: Option<ConnectionState>) -> u64 {
    match state {
        Some(ConnectionState::Connected { number, .. }) => number,
        other => panic!("it should be connected: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn delays_double_up_to_the_cap_and_states_are_reported() {
    let (client, raw, mut attempts) = connected(client()).await;
    let mut states = client.states();
    assert_eq!(is_connected(states.next().await), 1);
    let mut last = Instant::now();
    raw.hang_up();
    for (number, delay) in (1..).zip([100, 200, 400, 800, 1600, 2000, 2000]) {
        let delay = delay * MILLISECOND;
        let (reason, attempt, retry_in) = is_down(states.next().await);
        let expected = if number == 1 { "lost: " } else { "it was lost, and there is no new one" };
        assert!(reason.to_string().starts_with(expected), "{reason}");
        assert_eq!((attempt, retry_in), (number, delay));
        let attempt = attempts.next().await;
        assert_eq!(attempt.at - last, delay);
        last = attempt.at;
        attempt.refuse();
    }
    let _ = states.next().await;
    let raw = attempts.accept().await;
    assert_eq!(is_connected(states.next().await), 2);
    assert!(matches!(client.state(), ConnectionState::Connected { number: 2, .. }));

    // A connection that did not hold is no reason to begin anew.
    raw.hang_up();
    assert_eq!(is_down(states.next().await).2, 2 * SECOND);
    let raw = attempts.accept().await;
    assert_eq!(is_connected(states.next().await), 3);
    tokio::time::sleep(2 * SECOND + MILLISECOND).await;
    raw.hang_up();
    assert_eq!(is_down(states.next().await).2, 100 * MILLISECOND);

    client.close().await;
    let closed = states.next().await;
    assert!(matches!(closed, Some(ConnectionState::Closed { reason: CloseReason::Local, .. })));
    assert!(states.next().await.is_none());
    assert!(states.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn jitter_spreads_the_delays() {
    let (_client, raw, mut attempts) = connected(Client::builder().reconnect(Reconnect {
        max: SECOND,
        initial: SECOND,
        ..settings()
    }))
    .await;
    drop(raw);
    attempts.next().await.refuse();
    let builder = Client::builder().reconnect(Reconnect { max: SECOND, ..Reconnect::default() });
    let (_client, raw, mut attempts) = connected(builder).await;
    let mut last = Instant::now();
    raw.hang_up();
    let mut delays = Vec::new();
    for _ in 0..50 {
        let attempt = attempts.next().await;
        delays.push(attempt.at - last);
        last = attempt.at;
        attempt.refuse();
    }
    // The timer's grain is a millisecond.
    assert!(delays.iter().all(|delay| *delay <= SECOND + MILLISECOND), "{delays:?}");
    delays.sort();
    delays.dedup();
    assert!(delays.len() > 10, "{delays:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_reconnects_however_the_connection_ended() {
    let (client, mut raw, mut attempts) = connected(client()).await;
    let mut states = client.states();
    let _ = states.next().await;
    for number in 2..5 {
        match number {
            2 => raw.socket.close(None).await.unwrap(),
            3 => raw.send_bytes(&[0xff; 16]).await,
            _ => {}
        }
        drop(raw);
        is_down(states.next().await);
        raw = attempts.accept().await;
        assert_eq!(is_connected(states.next().await), number);
    }
    let (call, ()) = tokio::join!(client.peer().call::<i64>("m", ()).into_future(), async {
        assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"m","id":1}"#);
        raw.send(result("5", "1")).await;
    });
    assert_eq!(call.unwrap(), 5);
    assert!(!client.peer().is_closed());
    assert!(client.peer().is_same(&client.peer()));
}

#[tokio::test(start_paused = true)]
async fn a_client_gives_up_after_the_last_attempt() {
    for (max_attempts, retry_first) in [(0, false), (3, false), (3, true)] {
        let settings = Reconnect { max_attempts: Some(max_attempts), retry_first, ..settings() };
        let (client, raw, mut attempts) = connected(Client::builder().reconnect(settings)).await;
        let waiting = begin(client.peer().call::<i64>("m", ()).idempotent().into_future()).await;
        raw.hang_up();
        for _ in 0..max_attempts {
            attempts.next().await.refuse();
        }
        attempts.are_over().await;
        let reason = client.closed().await;
        assert_eq!(matches!(reason, CloseReason::Reconnect(_)), max_attempts > 0, "{reason}");
        let (Err(before), Err(after)) = (waiting.await, client.peer().call::<i64>("m", ()).await)
        else {
            panic!("there is no connection");
        };
        assert_eq!(before.to_string(), after.to_string());
        assert!(client.peer().is_closed());
        assert!(client.peer().notify("m", ()).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn with_retry_first_the_first_connection_is_retried() {
    let (connecting, mut attempts) = connect(client());
    let ((), error) = tokio::join!(async { attempts.next().await.refuse() }, connecting);
    assert!(matches!(error, Err(ConnectError::Io(_))));
    attempts.are_over().await;

    let stubborn = Reconnect { retry_first: true, max_attempts: Some(2), ..settings() };
    let (connecting, mut attempts) = connect(Client::builder().reconnect(stubborn.clone()));
    let refusing = async {
        for _ in 0..3 {
            attempts.next().await.refuse();
        }
    };
    let ((), error) = tokio::join!(refusing, connecting);
    assert!(matches!(error, Err(ConnectError::Io(_))));

    let (connecting, mut attempts) = connect(Client::builder().reconnect(stubborn));
    let accepting = async {
        attempts.next().await.refuse();
        attempts.accept().await
    };
    let (_raw, client) = tokio::join!(accepting, connecting);
    assert!(matches!(client.unwrap().state(), ConnectionState::Connected { number: 1, .. }));
}

#[tokio::test(start_paused = true)]
async fn only_401_and_403_end_reconnecting() {
    for (status, gives_up) in [
        ("400 Bad Request", false),
        ("401 Unauthorized", true),
        ("403 Forbidden", true),
        ("404 Not Found", false),
        ("429 Too Many Requests", false),
        ("503 Service Unavailable", false),
    ] {
        let (client, raw, mut attempts) = connected(client()).await;
        raw.hang_up();
        attempts.next().await.answer(status).await;
        if gives_up {
            attempts.are_over().await;
            let CloseReason::Reconnect(error) = client.closed().await else { panic!("{status}") };
            assert!(matches!(*error, ConnectError::Refused { .. }), "{error}");
        } else {
            attempts.accept().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn headers_may_be_renewed_for_each_attempt() {
    let number = std::sync::atomic::AtomicU32::new(0);
    let builder =
        client().header("authorization", "old").header("x-kept", "1").headers_with(move || {
            let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async move {
                match number {
                    2 => Err(ErrorObject::new(1, "no token")),
                    3 => panic!("a panic of the test's own"),
                    4 => Ok(vec![("connection", "close".to_owned())]),
                    _ => Ok(vec![("authorization", format!("token {number}"))]),
                }
            }
        });
    let (client, raw, mut attempts) = connected(builder).await;
    let mut states = client.states();
    let _ = states.next().await;
    raw.hang_up();
    is_down(states.next().await);
    let head = attempts.next().await.answer("401 Unauthorized").await;
    assert!(
        head.contains("authorization: token 1\r\n") && head.contains("x-kept: 1\r\n"),
        "{head}"
    );
    assert!(!head.contains("old"), "{head}");
    is_down(states.next().await);
    for words in ["no token", "it panicked", "`connection` is set by the handshake itself"] {
        let _stream = attempts.next().await.open();
        let (reason, ..) = is_down(states.next().await);
        assert!(reason.to_string().contains(words), "{reason}");
    }
    let head = attempts.next().await.answer("404 Not Found").await;
    assert!(head.contains("authorization: token 5\r\n"), "{head}");
}

#[tokio::test(start_paused = true)]
async fn without_reconnect_there_are_two_states() {
    let (client, peer) = memory::pair(Client::builder(), wsjsonrpc::Server::builder()).unwrap();
    let mut states = client.states();
    assert_eq!(is_connected(Some(client.state())), 1);
    assert_eq!(is_connected(states.next().await), 1);
    peer.close(4000, "enough");
    let Some(ConnectionState::Closed { reason, .. }) = states.next().await else { panic!() };
    assert!(matches!(reason, CloseReason::Remote { code: 4000, .. }));
    assert!(states.next().await.is_none());
    let mut late = client.states();
    assert!(matches!(late.next().await, Some(ConnectionState::Closed { .. })));
    assert!(late.next().await.is_none());

    let (mut raw, client) = Raw::server(Client::builder().reconnect(settings())).await;
    client.peer().notify("m", [1]).await.unwrap();
    assert_eq!(raw.receive().await, notification("m", "[1]"));
    raw.hang_up();
    client.closed().await;
}
