//! Messages that are kept after they were read must not keep the buffers that they were read with.

use std::future::IntoFuture;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::pin::Pin;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{self, WebSocket};
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::{Client, Config, Context, Server, Subscription};
use wsjsonrpc_tests::frames::frame_of;
use wsjsonrpc_tests::{EXTENSIONS, notification, poll_once, request, result};

use crate::served::{Hostile, KIB, SCRATCH, TEXT, Tested, check, settled};

/// The first byte of a ping.
const PING: u8 = 0x89;

/// A response without a pending call.
fn filler(size: usize) -> String {
    let empty = result("\"\"", "999999").len();
    result(&format!("\"{}\"", "x".repeat(size - empty)), "999999")
}

/// The text and a filler, together as large as the chunk of a buffer that small messages share.
/// Only the text is kept.
fn shared(text: &str, masked: bool) -> Vec<u8> {
    let filler = filler(2 * KIB - text.len() - 16);
    [frame_of(TEXT, text.as_bytes(), masked), frame_of(TEXT, filler.as_bytes(), masked)].concat()
}

const OUTBOX: usize = 256 * KIB;
const IN_FLIGHT: usize = 64;

/// A connection whose peer does not read its responses, while a call of this side is pending:
/// further requests are held back.
fn clogged(tested: &Tested) -> Hostile {
    let config = Config { max_send_queue: OUTBOX, max_in_flight: IN_FLIGHT, ..Config::default() };
    let server = Server::builder()
        .config(config)
        .method("call_back", |ctx: Context, ()| async move {
            tokio::spawn(ctx.peer().call::<()>("never", ()).without_timeout().into_future());
            Ok(())
        })
        .method("large", |_, ()| async { Ok("x".repeat(64 * KIB)) });
    let mut hostile = Hostile::connect(tested.serve(server));
    hostile.send(&request("call_back", "[]", "1"));
    hostile.read_until("never");
    let large = frame_of(TEXT, request("large", "[]", "1").as_bytes(), true);
    // The network takes some megabytes first.
    hostile.stream.write_all(&large.repeat(400)).unwrap();
    settled();
    hostile
}

#[test]
fn requests_that_are_held_back_keep_nothing_else() {
    let tested = Tested::new();
    let mut hostile = clogged(&tested);
    let before = settled();
    let small = shared(&request("no.such.method", "[]", "1"), true);
    assert!(hostile.flood(&small, 3000) > 2500);
    // The held requests, and up to the same number of bytes of refusals.
    let held = OUTBOX + IN_FLIGHT * 128;
    check("held requests", settled().saturating_sub(before), held + 3 * OUTBOX);
}

#[test]
fn requests_in_pieces_that_are_held_back_keep_nothing_else() {
    for pings in [false, true] {
        let tested = Tested::new();
        let mut hostile = clogged(&tested);
        let text = request("no.such.method", &format!("[\"{}\"]", "p".repeat(1500)), "1");
        // The large message in front splits the text over two reads, which takes a different path.
        let large = frame_of(TEXT, filler(256 * KIB).as_bytes(), true);
        let frame = frame_of(TEXT, text.as_bytes(), true);
        let (begin, end) = frame.split_at(frame.len() / 2);
        let first = [&large, begin].concat();
        let before = settled();
        if pings {
            // The pong waits behind all responses.
            hostile.stream.write_all(&frame_of(PING, b"", true)).unwrap();
        }
        for _ in 0..50 {
            hostile.stream.write_all(&first).unwrap();
            std::thread::sleep(Duration::from_millis(5));
            hostile.stream.write_all(end).unwrap();
        }
        let bound = 50 * 2 * text.len() + 2 * large.len();
        check("held requests in pieces", settled().saturating_sub(before), bound);
    }
}

/// Needs no responses, so each message is released at once.
#[test]
fn a_large_message_leaves_nothing_behind() {
    const CONNECTIONS: usize = 20;
    let tested = Tested::new();
    let address = tested.serve(Server::builder());
    let mut connections: Vec<_> = (0..CONNECTIONS).map(|_| Hostile::connect(address)).collect();
    let text = notification("no.such.method", &format!("[\"{}\"]", "p".repeat(1024 * KIB)));
    let large = frame_of(TEXT, text.as_bytes(), true);
    let before = settled();
    for hostile in &mut connections {
        hostile.stream.write_all(&large).unwrap();
        hostile.send("[]");
        hostile.read(10);
    }
    check(
        "after large messages",
        settled().saturating_sub(before),
        CONNECTIONS * 4 * KIB + SCRATCH,
    );
}

/// A client, and a server that runs this closure.
fn client_of(
    tested: &Tested,
    client: ClientBuilder,
    server: impl FnOnce(WebSocket<TcpStream>) + Send + 'static,
) -> (Client, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        // The server announces this crate's extensions.
        #[allow(clippy::result_large_err, reason = "tungstenite asks for it")]
        let agree = |_: &Request, mut response: Response| {
            let (name, version) = EXTENSIONS;
            response.headers_mut().insert(name, HeaderValue::from_static(version));
            Ok(response)
        };
        server(tungstenite::accept_hdr(stream, agree).unwrap());
    });
    let client = tested.runtime.block_on(client.connect(&url)).unwrap();
    (client, serving)
}

/// The id of the next call.
fn next_id(socket: &mut WebSocket<TcpStream>) -> String {
    let text = socket.read().unwrap().into_text().unwrap();
    serde_json::from_str::<serde_json::Value>(&text).unwrap()["id"].to_string()
}

fn say(socket: &mut WebSocket<TcpStream>, text: &str) {
    socket.get_mut().write_all(&frame_of(TEXT, text.as_bytes(), false)).unwrap();
}

/// A server sends the smallest items, each with a large message that is dropped.
#[test]
fn items_that_nobody_consumes_keep_their_window() {
    const SUBSCRIPTIONS: usize = 15;
    const WINDOW: usize = 32 * KIB;
    let tested = Tested::new();
    let (go, gone) = std::sync::mpsc::channel();
    let (done, finished) = std::sync::mpsc::channel();
    let (client, serving) = client_of(&tested, Client::builder(), move |mut socket| {
        for id in 1..=SUBSCRIPTIONS {
            let call = next_id(&mut socket);
            say(&mut socket, &result(&format!("\"s{id}\""), &call));
        }
        let () = gone.recv().unwrap();
        for _ in 0..WINDOW / 65 {
            for id in 1..=SUBSCRIPTIONS {
                let params = format!(r#"{{"subscription":"s{id}","result":1}}"#);
                let item = shared(&notification("ticks", &params), false);
                socket.get_mut().write_all(&item).unwrap();
            }
        }
        done.send(()).unwrap();
        let _ = gone.recv();
    });
    let subscribe = |_| {
        let asking = client.peer().subscribe::<u64>("ticks", ()).window(WINDOW);
        tested.runtime.block_on(asking.into_future()).unwrap()
    };
    let subscriptions: Vec<Subscription<u64>> = (0..SUBSCRIPTIONS).map(subscribe).collect();
    let before = settled();
    go.send(()).unwrap();
    finished.recv().unwrap();
    let grown = settled().saturating_sub(before);
    check("items", grown, SUBSCRIPTIONS * (2 * WINDOW + 128 * KIB));
    assert!(grown > SUBSCRIPTIONS * WINDOW, "only {grown} bytes; did the items arrive?");
    drop((subscriptions, go));
    serving.join().unwrap();
}

/// A server responds with small results in large messages, and the callers do not take them.
#[test]
fn results_that_nobody_takes_keep_little_else() {
    const CALLS: usize = 50;
    const LARGE: usize = 256 * KIB;
    let tested = Tested::new();
    let (go, gone) = std::sync::mpsc::channel();
    let (done, finished) = std::sync::mpsc::channel();
    let (client, serving) = client_of(&tested, Client::builder(), move |mut socket| {
        let ids: Vec<_> = (0..CALLS).map(|_| next_id(&mut socket)).collect();
        let () = gone.recv().unwrap();
        for id in ids {
            let padding = "x".repeat(LARGE);
            let answer = format!(r#"{{"jsonrpc":"2.0","result":1,"x":"{padding}","id":{id}}}"#);
            say(&mut socket, &answer);
        }
        done.send(()).unwrap();
        let _ = gone.recv();
    });
    let mut calls: Vec<Pin<Box<_>>> =
        (0..CALLS).map(|_| Box::pin(client.peer().call::<u64>("slow", ()).into_future())).collect();
    tested.runtime.block_on(async {
        for call in &mut calls {
            assert!(poll_once(call).await.is_pending());
        }
    });
    let before = settled();
    go.send(()).unwrap();
    finished.recv().unwrap();
    check("results", settled().saturating_sub(before), CALLS * 16 * KIB + 2 * LARGE);
    tested.runtime.block_on(async {
        for call in calls {
            assert_eq!(call.await.unwrap(), 1);
        }
    });
    drop(go);
    serving.join().unwrap();
}

/// A server sends items before the response to the subscribe call: the smallest ones, and large
/// ones.
#[test]
fn items_before_their_response_have_one_bound() {
    const WINDOW: usize = 256 * KIB;
    for (what, item, count) in [
        ("the smallest items", "1".to_owned(), 5000),
        ("large items", format!("\"{}\"", "x".repeat(100 * KIB)), 50),
    ] {
        let tested = Tested::new();
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let (done, finished) = std::sync::mpsc::channel();
        let size = item.len();
        let (client, serving) = client_of(&tested, Client::builder(), move |mut socket| {
            next_id(&mut socket);
            gone.recv().unwrap();
            for number in 0..count {
                let params = format!(r#"{{"subscription":"s{number}","result":{item}}}"#);
                say(&mut socket, &notification("ticks", &params));
            }
            done.send(()).unwrap();
            let _ = gone.recv();
        });
        let mut asking =
            Box::pin(client.peer().subscribe::<u64>("ticks", ()).window(WINDOW).into_future());
        tested.runtime.block_on(async { assert!(poll_once(&mut asking).await.is_pending()) });
        let before = settled();
        go.send(()).unwrap();
        finished.recv().unwrap();
        let grown = settled().saturating_sub(before);
        // 1024 items may have 1024 ids.
        check(what, grown, WINDOW + size + 1024 * 512);
        drop((asking, go));
        serving.join().unwrap();
    }
}

/// A peer sends progress that the callers do not read.
#[test]
fn progress_that_nobody_looks_at_has_a_bound() {
    const CALLS: usize = 4;
    const STEP: usize = 64 * KIB;
    let tested = Tested::new();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let (done, finished) = std::sync::mpsc::channel();
    let client = Client::builder();
    let (client, serving) = client_of(&tested, client, move |mut socket| {
        let ids: Vec<_> = (0..CALLS).map(|_| next_id(&mut socket)).collect();
        gone.recv().unwrap();
        let step = "x".repeat(STEP);
        for _ in 0..40 {
            for id in &ids {
                let params = format!(r#"{{"token":{id},"value":"{step}"}}"#);
                say(&mut socket, &notification("$/progress", &params));
            }
        }
        done.send(()).unwrap();
        let _ = gone.recv();
    });
    let mut calls: Vec<Pin<Box<_>>> = (0..CALLS)
        .map(|_| {
            let call = client.peer().call::<u64>("slow", ()).on_progress(|_: String| {});
            Box::pin(call.into_future())
        })
        .collect();
    tested.runtime.block_on(async {
        for call in &mut calls {
            assert!(poll_once(call).await.is_pending());
        }
    });
    let before = settled();
    go.send(()).unwrap();
    finished.recv().unwrap();
    check("progress", settled().saturating_sub(before), CALLS * 1024 * KIB + 4 * STEP);
    drop((calls, go));
    serving.join().unwrap();
}
