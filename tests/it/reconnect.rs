//! A client that connects again: when it does, what becomes of calls meanwhile, and what ends it.
//! The test holds the other end of each attempt, and the clock is paused, so times are exact.

use std::future::IntoFuture;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use wsjsonrpc::{
    Client, ClientBuilder, CloseReason, ConnectError, ConnectionState, Error, ErrorObject,
    Reconnect, WhileDown, memory,
};
use wsjsonrpc_tests::{Raw, begin, notification, request, result};

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
    async fn answer(self, status: &str) -> String {
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

fn is_down(state: Option<ConnectionState>) -> (CloseReason, u32, Duration) {
    match state {
        Some(ConnectionState::Down { reason, attempt, retry_in, .. }) => {
            (reason, attempt, retry_in)
        }
        other => panic!("it should be down: {other:?}"),
    }
}

fn is_connected(state: Option<ConnectionState>) -> u64 {
    match state {
        Some(ConnectionState::Connected { number, .. }) => number,
        other => panic!("it should be connected: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn delays_double_up_to_the_cap_and_every_state_is_told() {
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
async fn chance_spreads_the_clients() {
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
async fn it_connects_again_however_the_connection_ended() {
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
async fn what_is_sent_while_down_waits_for_the_connection() {
    let (client, raw, mut attempts) = connected(client()).await;
    let peer = client.peer();
    raw.hang_up();
    attempts.next().await.refuse();
    let call = begin(peer.call::<i64>("call", ()).into_future()).await;
    let notify = begin(peer.notify("notify", ()).into_future()).await;
    let batch = peer.batch((peer.call::<i64>("a", ()), peer.notify("b", ())));
    let batch = begin(batch.into_future()).await;
    assert_eq!(peer.pending_calls(), 0);

    let mut raw = attempts.accept().await;
    let sending = tokio::spawn(async move { tokio::join!(call, notify, batch) });
    let mut seen = Vec::new();
    for _ in 0..3 {
        let text = raw.receive().await;
        if text.contains("call") {
            let id = text.rsplit(':').next().unwrap().trim_end_matches('}').to_owned();
            raw.send(result("1", &id)).await;
        } else if let Some((_, id)) = text.split_once(r#""a","id":"#) {
            let id = id.split('}').next().unwrap();
            raw.send(format!("[{}]", result("2", id))).await;
        }
        seen.push(text);
    }
    let (call, notify, batch) = sending.await.unwrap();
    assert_eq!(call.unwrap(), 1);
    notify.unwrap();
    let (a, b) = batch.unwrap();
    assert_eq!(a.unwrap(), 2);
    b.unwrap();
    assert!(seen.contains(&r#"{"jsonrpc":"2.0","method":"notify"}"#.to_owned()), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn or_it_fails_at_once() {
    let settings = Reconnect { while_down: WhileDown::Fail, ..settings() };
    let (client, raw, mut attempts) = connected(Client::builder().reconnect(settings)).await;
    let peer = client.peer();
    let mut states = client.states();
    let _ = states.next().await;
    raw.hang_up();
    let fail = async || {
        let call = peer.call::<i64>("m", ()).await.unwrap_err();
        let idempotent = peer.call::<i64>("m", ()).idempotent().await.unwrap_err();
        let notify = peer.notify("m", ()).await.unwrap_err();
        let batch = peer.batch([peer.call::<i64>("m", ())]).await.unwrap_err();
        for error in [call, idempotent, notify, batch] {
            assert!(matches!(error, Error::Closed(_)), "{error}");
        }
    };
    is_down(states.next().await);
    fail().await;
    attempts.next().await.refuse();
    is_down(states.next().await);
    fail().await;
    let error = peer.call::<i64>("m", ()).await.unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
    let mut raw = attempts.accept().await;
    is_connected(states.next().await);
    peer.notify("here", ()).await.unwrap();
    assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"here"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_counts_from_the_beginning_and_over_everything() {
    let (client, mut raw, mut attempts) = connected(client()).await;
    let peer = client.peer();
    let begun = Instant::now();
    let call = peer.call::<i64>("m", ()).timeout(SECOND).idempotent();
    let call = begin(call.into_future()).await;
    raw.receive().await;
    tokio::time::sleep(300 * MILLISECOND).await;
    raw.hang_up();
    let call = tokio::spawn(call);
    let mut raw = attempts.accept().await;
    raw.receive().await;
    tokio::time::sleep(100 * MILLISECOND).await;
    raw.hang_up();
    let _no_answer = attempts.next().await;
    assert!(matches!(call.await.unwrap(), Err(Error::Timeout)));
    assert_eq!(begun.elapsed(), SECOND);

    let begun = Instant::now();
    let batch = peer.batch([peer.call::<i64>("m", ()).timeout(SECOND)]);
    assert!(matches!(batch.await, Err(Error::Timeout)));
    assert!(matches!(peer.call::<i64>("m", ()).timeout(SECOND).await, Err(Error::Timeout)));
    assert_eq!(begun.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_fail_unless_they_are_idempotent() {
    let (client, mut raw, mut attempts) = connected(client()).await;
    let peer = client.peer();
    let once = begin(peer.call::<i64>("once", [1]).into_future()).await;
    let mut again = begin(peer.call::<i64>("again", [2]).idempotent().into_future()).await;
    assert_eq!(raw.receive().await, request("once", "[1]", "1"));
    assert_eq!(raw.receive().await, request("again", "[2]", "2"));
    raw.hang_up();
    assert!(matches!(once.await, Err(Error::Closed(CloseReason::Lost(_)))));

    // Sent again once for each break, with an id of that connection.
    for _ in 0..3 {
        let waiting = begin(&mut again).await;
        let accepting = attempts.accept();
        let (mut raw, ()) = tokio::join!(accepting, async {
            tokio::select! {
                _ = waiting => panic!("nobody has answered"),
                () = tokio::time::sleep(SECOND) => {}
            }
        });
        assert_eq!(raw.receive().await, request("again", "[2]", "1"));
        // An answer to an id of the first connection is nobody's.
        raw.send(result("9", "2")).await;
        raw.check("[]", &[&wsjsonrpc_tests::invalid_request("null")]).await;
        raw.hang_up();
    }
    let again = tokio::spawn(again);
    let mut raw = attempts.accept().await;
    assert_eq!(raw.receive().await, request("again", "[2]", "1"));
    raw.send(result("4", "1")).await;
    assert_eq!(again.await.unwrap().unwrap(), 4);
    assert_eq!(peer.pending_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_call_of_a_batch_goes_on_by_itself() {
    let (client, mut raw, mut attempts) = connected(client()).await;
    let peer = client.peer();
    let calls = vec![peer.call::<i64>("a", ()), peer.call("b", ()).idempotent()];
    let batch = begin(peer.batch(calls).into_future()).await;
    assert!(raw.receive().await.starts_with('['));
    raw.hang_up();
    let batch = tokio::spawn(batch);
    let mut raw = attempts.accept().await;
    assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"b","id":1}"#);
    raw.send(result("7", "1")).await;
    let replies = batch.await.unwrap().unwrap();
    assert!(matches!(replies.as_slice(), [Err(Error::Closed(_)), Ok(7)]), "{replies:?}");

    // A batch that is dropped tells its calls so.
    let mut batch = peer.new_batch();
    let reply = batch.add(peer.call::<i64>("a", ()).idempotent());
    drop(batch);
    assert!(matches!(reply.await, Err(Error::NotSent)));
    assert!(matches!(peer.new_batch().send().await, Err(Error::EmptyBatch)));
}

#[tokio::test(start_paused = true)]
async fn attempts_may_be_used_up() {
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
async fn the_first_connection_is_tried_again_by_choice() {
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
async fn only_who_is_not_wanted_gives_up() {
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
async fn headers_may_be_made_anew() {
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
async fn without_the_option_there_are_two_states() {
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
