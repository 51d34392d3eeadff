//! Broken framing, on servers and on clients: the bytes of the close frame that is sent, and that
//! nothing follows it. Each case runs on both sides.

use std::future::IntoFuture;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::server::Handshake;
use wsjsonrpc::{Client, Config, Endpoint, Error, Server};
use wsjsonrpc_tests::frames::{announcing, frame_of, frames, rest_of};
use wsjsonrpc_tests::{Raw, not_an_object, request, result, serve_upgraded};

const LIMIT: usize = 2000;

fn config() -> Config {
    Config { max_incoming_message: LIMIT, ..Config::default() }
}

/// The side that receives the broken bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Server,
    Client,
}

impl Side {
    /// Whether frames to this side have to be masked.
    fn masked(self) -> bool {
        self == Side::Server
    }

    fn frame(self, first: u8, payload: &[u8]) -> Vec<u8> {
        frame_of(first, payload, self.masked())
    }

    /// This side of an open connection, and the other end as a raw stream.
    async fn at_work(self) -> (DuplexStream, JoinHandle<CloseReason>) {
        match self {
            Side::Server => {
                let endpoint = Server::builder().config(config()).build().unwrap();
                serve(&endpoint)
            }
            Side::Client => {
                let (raw, client) = Raw::server(Client::builder().config(config())).await;
                let mut stream = raw.socket.into_inner();
                let call = client.peer().call::<()>("m", ()).without_timeout();
                let ended = tokio::spawn(async move {
                    let reason = client.closed().await;
                    // The call fails together with the connection.
                    let failed = call.await.unwrap_err();
                    assert!(matches!(failed, Error::Closed(_)), "{failed:?}");
                    reason
                });
                stream.flush().await.unwrap();
                (stream, ended)
            }
        }
    }
}

fn serve(endpoint: &Endpoint) -> (DuplexStream, JoinHandle<CloseReason>) {
    serve_upgraded(endpoint, Handshake::new("/"), 64 * 1024)
}

/// Sends these bytes. Returns the close frame that was received, and the reason with which the side
/// ended.
async fn told(side: Side, what: &str, bytes: &[u8]) -> ((u16, String), CloseReason) {
    let (mut stream, ended) = side.at_work().await;
    stream.write_all(bytes).await.unwrap();
    let came = rest_of(&mut stream).await;
    let [close] = came.as_slice() else { panic!("{side:?}, {what}: {came:?}") };
    assert_eq!(close.masked, !side.masked(), "{side:?}, {what}");
    drop(stream);
    (close.close(), ended.await.unwrap())
}

type Case = (&'static str, Vec<u8>, u16);

/// Frames that break the rules, starting with masks.
fn broken_frames(side: Side) -> Vec<Case> {
    let frame = |first, payload: &[u8]| side.frame(first, payload);
    let mut cases = vec![
        ("the wrong mask", frame_of(0x81, b"[]", !side.masked()), 1002),
        ("the wrong mask on a ping", frame_of(0x89, b"", !side.masked()), 1002),
        ("continues nothing", frame(0x80, b"[]"), 1002),
        ("begins anew", [frame(0x01, b"["), frame(0x81, b"]")].concat(), 1002),
        ("a ping in parts", frame(0x09, b""), 1002),
        ("a pong in parts", frame(0x0a, b""), 1002),
        ("a close in parts", frame(0x08, b""), 1002),
        ("a large ping", frame(0x89, &[b'x'; 126]), 1002),
        ("a large close", frame(0x88, &[3; 126]), 1002),
    ];
    for reserved in [0xc1, 0xa1, 0x91, 0xf1, 0xc9] {
        cases.push(("a reserved bit", frame(reserved, b"[]"), 1002));
    }
    for opcode in (0x3..=0x7).chain(0xb..=0xf) {
        cases.push(("a reserved opcode", frame(0x80 | opcode, b""), 1002));
    }
    cases
}

/// Payloads that are not valid text.
fn broken_texts(side: Side) -> Vec<Case> {
    let frame = |first, payload: &[u8]| side.frame(first, payload);
    let mut cases = vec![
        ("half a character", frame(0x81, b"\"\xc3"), 1007),
        ("half a character in parts", [frame(0x01, b"\"\xc3"), frame(0x80, b"\"")].concat(), 1007),
        ("half a character at the end", [frame(0x01, b"\""), frame(0x80, b"\xc3")].concat(), 1007),
    ];
    let invalid: [&[u8]; 6] =
        [b"\xff", b"\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80"];
    for bytes in invalid {
        cases.push(("no UTF-8", frame(0x81, &[b"\"", bytes, b"\""].concat()), 1007));
    }
    cases
}

/// Messages that are too large, or whose header announces too much.
fn too_large(side: Side) -> Vec<Case> {
    let frame = |first, payload: &[u8]| side.frame(first, payload);
    let says = |first, length| announcing(first, length, side.masked());
    let over = [b' '; LIMIT + 1];
    let bit_by_bit = [frame(0x01, b" "), frame(0x00, b" ").repeat(LIMIT)].concat();
    vec![
        ("too large", frame(0x81, &over), 1009),
        ("too large, and binary", frame(0x82, &over), 1009),
        ("too large in halves", [frame(0x01, &over[1..]), frame(0x80, b" ")].concat(), 1009),
        ("too large byte by byte", bit_by_bit, 1009),
        ("says that it is too large", says(0x81, LIMIT as u64 + 1), 1009),
        ("says that it has 2^32 bytes", says(0x81, 1 << 32), 1009),
        ("says that it has 2^63 bytes", says(0x81, 1 << 63), 1009),
        ("says that it has 2^64-1 bytes", says(0x81, u64::MAX), 1009),
        ("a ping that says so", says(0x89, u64::MAX), 1009),
        ("a part that says so", [frame(0x01, b"["), says(0x80, u64::MAX)].concat(), 1009),
        ("a frame of an unknown kind that says so", says(0x83, u64::MAX), 1002),
    ]
}

/// Invalid close frames.
fn broken_closes(side: Side) -> Vec<Case> {
    let close = |payload: &[u8]| side.frame(0x88, payload);
    let mut cases = vec![
        ("half a code", close(b"\x03"), 1002),
        ("a reason that is no UTF-8", close(b"\x03\xe8\xff"), 1007),
        ("half a character of a reason", close(b"\x03\xe8\xe2\x82"), 1007),
    ];
    for code in [0_u16, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, u16::MAX] {
        cases.push(("a code that may not be sent", close(&code.to_be_bytes()), 1002));
    }
    cases
}

#[tokio::test(start_paused = true)]
async fn both_sides_close_broken_frames_with_the_right_code() {
    for side in [Side::Server, Side::Client] {
        for (what, bytes, code) in
            [broken_frames(side), broken_texts(side), too_large(side)].concat()
        {
            let ((told, words), reason) = told(side, what, &bytes).await;
            assert_eq!(told, code, "{side:?}, {what}: {words}");
            assert!(!words.is_empty(), "{side:?}, {what}: the close reason must name the error");
            if code == 1009 {
                let limit = format!("the limit is {LIMIT}");
                assert!(words.ends_with(&limit), "{side:?}, {what}: {words}");
            }
            assert!(matches!(reason, CloseReason::Protocol(_)), "{side:?}, {what}: {reason:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn both_sides_answer_broken_close_frames_with_the_right_code() {
    for side in [Side::Server, Side::Client] {
        for (what, bytes, code) in broken_closes(side) {
            let ((told, words), reason) = told(side, what, &bytes).await;
            assert_eq!(told, code, "{side:?}, {what} {bytes:?}: {words}");
            // The reason is not a close with 1002 by the peer, because this side sent 1002.
            let CloseReason::Protocol(words) = reason else {
                panic!("{side:?}, {what}: {reason:?}")
            };
            if let [.., high, low] = *bytes.as_slice() {
                let code = u16::from_be_bytes([high, low]).to_string();
                assert!(what != "a code that may not be sent" || words.contains(&code), "{words}");
            }
        }
    }
}

/// RFC 6455, section 5.5.1: the response to a close frame repeats its code.
#[tokio::test(start_paused = true)]
async fn a_valid_close_frame_is_answered_with_its_code() {
    for side in [Side::Server, Side::Client] {
        for code in
            [1000_u16, 1001, 1002, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
        {
            let payload = [&code.to_be_bytes()[..], "Füße".as_bytes()].concat();
            let ((told, _), reason) = told(side, "in order", &side.frame(0x88, &payload)).await;
            assert_eq!(told, code, "{side:?}");
            assert!(
                matches!(&reason, CloseReason::Remote { code: at, reason } if *at == code && reason == "Füße"),
                "{side:?}: {reason:?}"
            );
        }
        let (mut stream, ended) = side.at_work().await;
        stream.write_all(&side.frame(0x88, b"")).await.unwrap();
        let came = rest_of(&mut stream).await;
        assert_eq!(came.len(), 1, "{side:?}: {came:?}");
        assert_eq!((came[0].first, came[0].payload.len()), (0x88, 0), "{side:?}");
        drop(stream);
        let reason = ended.await.unwrap();
        assert!(matches!(reason, CloseReason::Remote { code: 1005, .. }), "{side:?}: {reason:?}");
    }
}

/// One byte in each frame, with empty frames in between: up to the limit it is an ordinary message.
#[tokio::test(start_paused = true)]
async fn a_message_within_the_limit_may_have_any_number_of_parts() {
    let server = Server::builder().config(config()).method("m", |_, ()| async { Ok(()) });
    let mut raw = Raw::client(server).await;
    let mut text = request("m", "[]", "1");
    text.push_str(&" ".repeat(LIMIT - text.len()));
    let in_parts = |side: Side, text: &str| {
        let parts = text.as_bytes().iter().enumerate().flat_map(|(at, byte)| {
            let first = if at == 0 { 0x01 } else { 0x00 };
            [side.frame(first, &[*byte]), side.frame(0x00, b"")]
        });
        let last = side.frame(0x80, b"");
        parts.chain([last]).collect::<Vec<_>>().concat()
    };
    raw.send_bytes(&in_parts(Side::Server, &text)).await;
    assert_eq!(raw.receive().await, result("null", "1"));
    raw.check("1", &[&not_an_object()]).await;

    let (mut raw, client) = Raw::server(Client::builder().config(config())).await;
    let call = tokio::spawn(client.peer().call::<i64>("m", ()).into_future());
    raw.receive().await;
    let mut text = result("7", "1");
    text.push_str(&" ".repeat(LIMIT - text.len()));
    raw.send_bytes(&in_parts(Side::Client, &text)).await;
    assert_eq!(call.await.unwrap().unwrap(), 7);
}

/// Even without an effective limit, the length in a header is not trusted.
#[tokio::test(start_paused = true)]
async fn an_announced_length_is_not_trusted_even_without_a_limit() {
    let config = Config { max_incoming_message: usize::MAX, ..Config::default() };
    let endpoint = Server::builder().config(config).build().unwrap();
    for length in [1 << 63, u64::MAX, 1 << 62, 1 << 31] {
        let (mut stream, serving) = serve(&endpoint);
        stream.write_all(&announcing(0x81, length, true)).await.unwrap();
        let came = rest_of(&mut stream).await;
        assert_eq!(came[0].close().0, 1009, "{length}");
        drop(stream);
        assert!(matches!(serving.await.unwrap(), CloseReason::Protocol(_)), "{length}");
    }
}

/// The close frame would wait behind the bytes that the peer does not take.
#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_reading_gets_no_close_frame() {
    let server = Server::builder().config(Config { max_send_queue: 1000, ..Config::default() });
    let server = server.method("large", |_, ()| async { Ok("x".repeat(100_000)) });
    let endpoint = server.build().unwrap();
    let (mut stream, serving) = serve(&endpoint);
    let asks = Side::Server.frame(0x81, request("large", "[]", "1").as_bytes());
    stream.write_all(&asks.repeat(3)).await.unwrap();
    assert!(matches!(serving.await.unwrap(), CloseReason::Stalled));
    let came = rest_of(&mut stream).await;
    let last = came.last().expect("the beginning of an answer");
    assert!(came.iter().all(|frame| frame.first == 0x81), "answers and nothing else");
    assert!(last.payload.len() < last.length, "the last one is cut");
}

#[tokio::test(start_paused = true)]
async fn an_upgraded_stream_over_a_limit_gets_only_1013() {
    for (max_connections, per_address) in [(0, None), (10, Some(0))] {
        let config = Config {
            max_connections,
            max_connections_per_address: per_address,
            ..Config::default()
        };
        let endpoint = Server::builder().config(config).build().unwrap();
        let (mut ours, theirs) = tokio::io::duplex(4096);
        let mut handshake = Handshake::new("/");
        handshake.remote_addr = Some("192.0.2.1:1".parse().unwrap());
        let serving = tokio::spawn(async move { endpoint.serve_upgraded(theirs, handshake).await });
        // A request after the broken frame gets no response.
        let asks = Side::Server.frame(0x81, request("m", "[]", "1").as_bytes());
        ours.write_all(&asks).await.unwrap();
        let begun = tokio::time::Instant::now();
        let came = rest_of(&mut ours).await;
        let [close] = came.as_slice() else { panic!("{came:?}") };
        assert!(!close.masked);
        let (code, words) = close.close();
        assert_eq!(code, 1013, "{words}");
        assert!(words.contains("try again later") || words.contains("close some first"), "{words}");
        assert!(matches!(serving.await.unwrap(), CloseReason::Local));
        assert!(begun.elapsed() <= Duration::from_secs(6), "the connection must end");
    }
    assert_eq!(frames(b"\x88\x02\x03\xf5")[0].close(), (1013, String::new()));
}

/// tungstenite does not support this code, so the test checks the bytes: sent, received in pieces
/// after a ping, and received in response to a close frame of this side.
#[tokio::test(start_paused = true)]
async fn code_1014_is_sent_and_accepted() {
    let payload = [&1014_u16.to_be_bytes()[..], b"upstream"].concat();
    for cut in 1..8 {
        for side in [Side::Server, Side::Client] {
            let (mut stream, ended) = side.at_work().await;
            let bytes = [side.frame(0x89, b"?"), side.frame(0x88, &payload)].concat();
            let (first, rest) = bytes.split_at(bytes.len() - cut);
            stream.write_all(first).await.unwrap();
            tokio::task::yield_now().await;
            stream.write_all(rest).await.unwrap();
            let came = rest_of(&mut stream).await;
            let close = came.last().expect("an answer").close();
            assert_eq!(close, (1014, "upstream".to_owned()), "{side:?} {cut}");
            drop(stream);
            let reason = ended.await.unwrap();
            assert!(
                matches!(reason, CloseReason::Remote { code: 1014, .. }),
                "{side:?}: {reason:?}"
            );
        }
    }

    let endpoint = Server::builder().build().unwrap();
    let (mut stream, serving) = serve(&endpoint);
    while endpoint.connections().is_empty() {
        tokio::task::yield_now().await;
    }
    endpoint.connections()[0].close(1014, "bad gateway");
    // The frame is sent before the response to it arrives.
    let mut sent = [0; 15];
    stream.read_exact(&mut sent).await.unwrap();
    assert_eq!(frames(&sent)[0].close(), (1014, "bad gateway".to_owned()));
    stream.write_all(&Side::Server.frame(0x88, &payload)).await.unwrap();
    assert_eq!(rest_of(&mut stream).await, []);
    drop(stream);
    assert!(matches!(serving.await.unwrap(), CloseReason::Local));
}
