//! A peer that disappears is noticed within one and a half ping intervals, or three if the socket
//! still accepts bytes. A peer that sends anything stays connected.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Message;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::{Client, Config, Error, Peer, Server, memory};
use wsjsonrpc_tests::http::address_of;
use wsjsonrpc_tests::{
    Gate, Raw, SECOND, begin, frame, listen, notification, request, result, server,
};

const HOUR: Duration = Duration::from_secs(3600);

fn every(interval: impl Into<Option<Duration>>) -> Config {
    Config { ping_interval: interval.into(), call_timeout: None, ..Config::default() }
}

fn is_unresponsive<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Closed(CloseReason::Unresponsive)))
}

/// Checks that a peer is noticed that has stopped sending and reading.
async fn is_given_up(raw: Raw, peer: Peer, last_word: Instant) {
    let call = begin(peer.call::<()>("m", ()).without_timeout().into_future()).await;
    let outcome = call.await;
    assert!(is_unresponsive(&outcome), "{outcome:?}");
    assert!(matches!(peer.closed().await, CloseReason::Unresponsive));
    // The same time, whether or not the peer was active before.
    let silence = last_word.elapsed();
    assert!(silence > 40 * SECOND && silence <= 45 * SECOND, "{silence:?}");
    drop(raw);
}

#[tokio::test(start_paused = true)]
async fn by_default_a_silent_peer_is_noticed_within_45_seconds() {
    for lively in [0, 1, 29, 31, 100] {
        let (mut raw, peer) = Raw::client_and_peer(Server::builder()).await;
        for _ in 0..lively {
            sleep(SECOND).await;
            raw.send(notification("no.such.method", "[]")).await;
        }
        is_given_up(raw, peer, Instant::now()).await;

        let (mut raw, client) = Raw::server(Client::builder().call_timeout(None)).await;
        for _ in 0..lively {
            sleep(SECOND).await;
            raw.send(notification("no.such.method", "[]")).await;
        }
        // Lets the connection's task run, so that it has received the messages.
        sleep(Duration::from_millis(1)).await;
        is_given_up(raw, client.peer(), Instant::now()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_hangs_gets_a_close_frame_with_a_reason() {
    let endpoint = server().config(every(30 * SECOND)).build().unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    let begun = Instant::now();
    assert!(matches!(serving.await.unwrap(), CloseReason::Unresponsive));
    assert_eq!(begun.elapsed(), 45 * SECOND);
    assert!(endpoint.connections().is_empty());
    let mut bytes = Vec::new();
    raw.socket.get_mut().read_to_end(&mut bytes).await.unwrap();
    let (ping, close) = (&[0x89, 0][..], &[0x88, 2 + 20, 0x03, 0xf3][..]); // 1011
    assert_eq!(bytes, [ping, close, b"keep-alive timed out"].concat());
}

/// tungstenite answers pings whenever it is read from.
#[tokio::test(start_paused = true)]
async fn a_peer_that_only_answers_pings_stays_connected() {
    let (mut raw, peer) = Raw::client_and_peer(server().config(every(30 * SECOND))).await;
    let mut pings = 0;
    let day = sleep(24 * HOUR);
    tokio::pin!(day);
    loop {
        tokio::select! {
            () = &mut day => break,
            message = raw.socket.next() => match message {
                Some(Ok(Message::Ping(_))) => pings += 1,
                other => panic!("{other:?}"),
            },
        }
    }
    assert!(!peer.is_closed());
    assert!((24 * 120 - 1..=24 * 120).contains(&pings), "{pings}: not one for each interval");
    raw.check(&request("quick", "[]", "1"), &[&result("null", "1")]).await;
}

#[tokio::test(start_paused = true)]
async fn idle_peers_of_this_crate_stay_connected_for_days() {
    let (client, peer) =
        memory::pair(Client::builder(), server().config(every(20 * SECOND))).unwrap();
    sleep(100 * HOUR).await;
    client.peer().call::<()>("quick", ()).await.unwrap();
    assert!(!peer.is_closed());
}

/// The peer reads nothing, so it answers no ping. It is alive, because it sends.
#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_without_pongs_stays_connected() {
    let whole = frame(0x81, notification("no.such.method", "[]").as_bytes());
    let pong = frame(0x8a, b"");
    for (what, bytes) in [("messages", &whole), ("pongs that nobody asked for", &pong)] {
        let (mut raw, peer) = Raw::client_and_peer(server().config(every(30 * SECOND))).await;
        for _ in 0..200 {
            sleep(40 * SECOND).await;
            raw.send_bytes(bytes).await;
        }
        assert!(!peer.is_closed(), "{what}");
    }
    // One message, a byte at a time.
    let (mut raw, peer) = Raw::client_and_peer(server().config(every(30 * SECOND))).await;
    let whole = frame(0x81, request("quick", "[]", "1").as_bytes());
    for byte in whole {
        sleep(40 * SECOND).await;
        raw.send_bytes(&[byte]).await;
    }
    assert!(!peer.is_closed());
    assert_eq!(raw.receive().await, result("null", "1"));
}

#[tokio::test(start_paused = true)]
async fn without_ping_interval_a_silent_peer_stays_connected() {
    let (mut raw, peer) = Raw::client_and_peer(server().config(every(None))).await;
    sleep(240 * HOUR).await;
    assert!(!peer.is_closed());
    raw.check(&request("quick", "[]", "1"), &[&result("null", "1")]).await;
}

/// The ping is queued behind the message, so the peer has three intervals for both.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_stays_and_no_ping_splits_its_message() {
    const SIZE: usize = 840_000;
    let server = server().config(every(30 * SECOND));
    let (mut raw, peer) = Raw::client_and_peer(server).await;
    raw.send(request("large", &format!("[{SIZE}]"), "1")).await;
    let whole = 10 + result(&format!("\"{}\"", "x".repeat(SIZE)), "1").len(); // with its header
    let mut bytes = Vec::new();
    while bytes.len() < whole {
        sleep(4 * SECOND).await;
        let mut part = vec![0; 40_000.min(whole - bytes.len())];
        let read = raw.socket.get_mut().read(&mut part).await.unwrap();
        assert!(read > 0, "disconnected after {} bytes", bytes.len());
        bytes.extend_from_slice(&part[..read]);
    }
    assert!(!peer.is_closed());
    assert!(String::from_utf8_lossy(&bytes).contains(&"x".repeat(SIZE)), "not in one piece");
    raw.check(&request("quick", "[]", "2"), &[&result("null", "2")]).await;
}

/// The socket accepts bytes and nothing ever arrives. A proxy may be accepting them.
#[tokio::test(start_paused = true)]
async fn written_bytes_are_no_sign_of_life() {
    let (mut raw, peer) = Raw::client_and_peer(server().config(every(30 * SECOND))).await;
    let begun = Instant::now();
    let pushing = tokio::spawn(async move {
        while peer.notify("push", ["x".repeat(1000)]).await.is_ok() {}
        (peer.closed().await, begun.elapsed())
    });
    let mut waste = vec![0; 10_000];
    while raw.socket.get_mut().read(&mut waste).await.is_ok_and(|count| count > 0) {
        sleep(SECOND).await;
    }
    let (reason, silence) = pushing.await.unwrap();
    assert!(matches!(reason, CloseReason::Unresponsive), "{reason:?}");
    assert!(silence > 45 * SECOND && silence <= 91 * SECOND, "{silence:?}");
}

/// The server does not read from a peer that does not take its responses, so only the write timeout
/// applies.
#[tokio::test(start_paused = true)]
async fn a_peer_that_is_not_being_read_does_not_time_out() {
    let config = Config { max_send_queue: 1000, write_timeout: 600 * SECOND, ..every(SECOND) };
    let server = server().config(config);
    let (mut raw, peer) = Raw::client_and_peer(server).await;
    let begun = Instant::now();
    let asks = Message::text(request("large", "[100000]", "1"));
    while tokio::time::timeout(SECOND, raw.socket.send(asks.clone())).await.is_ok() {}
    assert!(matches!(peer.closed().await, CloseReason::Stalled));
    assert!(begun.elapsed() >= 600 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_peer_that_is_gone() {
    let gate = Gate::default();
    let config = Config { shutdown_timeout: HOUR, ..every(30 * SECOND) };
    let endpoint = server().config(config).method("gated", gate.handler(())).build().unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    raw.send(request("gated", "[]", "1")).await;
    gate.arrived(1).await;
    let shutdown = begin(endpoint.shutdown()).await;
    assert!(matches!(serving.await.unwrap(), CloseReason::Unresponsive));
    gate.open(1);
    assert_eq!(shutdown.await, 0);
}

/// A proxy between a client and a server that can start to swallow all bytes.
struct Proxy {
    address: SocketAddr,
    swallows: Arc<AtomicBool>,
}

impl Proxy {
    async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::between(listener, server, Duration::ZERO)
    }

    /// Waits for `pace` after each 10 kB that it swallows.
    fn between(listener: TcpListener, server: SocketAddr, pace: Duration) -> Self {
        let address = listener.local_addr().unwrap();
        let swallows = Arc::new(AtomicBool::new(false));
        let swallowing = Arc::clone(&swallows);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(pass_on(from_client, to_server, Arc::clone(&swallowing), pace));
                tokio::spawn(pass_on(from_server, to_client, Arc::clone(&swallowing), pace));
            }
        });
        Proxy { address, swallows }
    }
}

/// While it swallows bytes, it does not pass on a disconnect either.
async fn pass_on(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    swallows: Arc<AtomicBool>,
    pace: Duration,
) {
    let mut buffer = vec![0; 10_000];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if swallows.load(Ordering::Relaxed) {
            sleep(pace).await;
        }
        if !swallows.load(Ordering::Relaxed) && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    if swallows.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// The operating system reports no problem, because the proxy's system acknowledges all bytes.
#[tokio::test]
async fn both_sides_notice_a_network_that_swallows_everything() {
    let config = every(Duration::from_millis(200));
    let (url, endpoint) = listen(server().config(config.clone())).await;
    let proxy = Proxy::before(address_of(&url)).await;
    let through = format!("ws://{}", proxy.address);
    let client = Client::builder().config(config).connect(&through).await.unwrap();
    let peer = client.peer();
    peer.call::<()>("quick", ()).await.unwrap();
    let caller = endpoint.connections().pop().unwrap().peer();
    let calls = [
        begin(peer.call::<()>("quick", ()).into_future()).await,
        begin(caller.call::<()>("no.such.method", ()).into_future()).await,
    ];
    for call in calls {
        assert!(!is_unresponsive(&call.await), "the network is fine");
    }

    proxy.swallows.store(true, Ordering::Relaxed);
    let calls = [
        begin(peer.call::<()>("quick", ()).into_future()).await,
        begin(caller.call::<()>("no.such.method", ()).into_future()).await,
    ];
    for call in calls {
        let outcome = call.await;
        assert!(is_unresponsive(&outcome), "{outcome:?}");
    }
    assert!(matches!(client.closed().await, CloseReason::Unresponsive));
    assert!(matches!(caller.closed().await, CloseReason::Unresponsive));
    assert!(is_unresponsive(&peer.call::<()>("quick", ()).await));
}

/// Small buffers, so that the other end soon notices when the proxy reads.
fn small_buffers() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(4096).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket
}

/// Real sockets, and a proxy that accepts 10 kB a second from a client that keeps sending.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_slowly_is_noticed() {
    let (url, _endpoint) = listen(server().config(every(None))).await;
    let socket = small_buffers();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let proxy = Proxy::between(socket.listen(1).unwrap(), address_of(&url), SECOND);
    let through = proxy.address;
    let stream = small_buffers().connect(through).await.unwrap();
    let builder = Client::builder().config(every(2 * SECOND));
    let client = builder.connect_over(&format!("ws://{through}"), stream).await.unwrap();
    let peer = client.peer();
    peer.call::<()>("quick", ()).await.unwrap();
    proxy.swallows.store(true, Ordering::Relaxed);
    let text = "x".repeat(1000);
    let sending = async { while peer.notify("push", (&text,)).await.is_ok() {} };
    let outcome = tokio::time::timeout(60 * SECOND, sending).await;
    assert!(outcome.is_ok(), "the client did not notice that the network swallows all bytes");
    assert!(matches!(client.closed().await, CloseReason::Unresponsive));
}
