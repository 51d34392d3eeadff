//! A peer that breaks the WebSocket protocol gets the right close code, and other connections are
//! not affected. Unusual but valid input (fragments, pings in between) is accepted.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use wsjsonrpc::Config;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc_tests::{Raw, error, frame, request, result, server};

const LIMIT: usize = 200;

fn limited() -> ServerBuilder {
    let config = Config { max_incoming_message: LIMIT, ..Config::default() };
    server().config(config)
}

/// A request that calls `echo`, of exactly this size.
fn echo_of_size(size: usize) -> (String, String) {
    let frame_of_text = request("echo", r#"[""]"#, "1").len();
    let text = "x".repeat(size - frame_of_text);
    (request("echo", &format!(r#"["{text}"]"#), "1"), result(&format!("\"{text}\""), "1"))
}

#[tokio::test]
async fn a_broken_frame_closes_its_own_connection_with_the_right_code() {
    let (too_large, _) = echo_of_size(LIMIT + 1);
    let halves = too_large.as_bytes().split_at(LIMIT / 2);
    let too_large_in_parts = [frame(0x01, halves.0), frame(0x80, halves.1)].concat();
    let broken: [(&str, Vec<u8>, u16); 13] = [
        ("not masked", b"\x81\x02[]".to_vec(), 1002),
        ("reserved bit", frame(0xc1, b"[]"), 1002),
        ("reserved opcode", frame(0x83, b"[]"), 1002),
        ("reserved control opcode", frame(0x8b, b""), 1002),
        ("continues nothing", frame(0x80, b"[]"), 1002),
        ("begins anew within a message", [frame(0x01, b"["), frame(0x81, b"]")].concat(), 1002),
        ("fragmented ping", frame(0x09, b""), 1002),
        ("large ping", frame(0x89, &[b'x'; 126]), 1002),
        ("no UTF-8", frame(0x81, b"[\"\xff\"]"), 1007),
        ("half a character", frame(0x81, b"[\"\xc3"), 1007),
        ("no UTF-8 in parts", [frame(0x01, b"[\"\xc3"), frame(0x80, b"\xc3")].concat(), 1007),
        ("too large", frame(0x81, too_large.as_bytes()), 1009),
        ("too large in parts", too_large_in_parts, 1009),
    ];
    let endpoint = limited().build().unwrap();
    let (mut bystander, _) = Raw::client_of(&endpoint).await;
    for (what, bytes, code) in broken {
        let (mut raw, serving) = Raw::client_of(&endpoint).await;
        raw.check(&request("echo", r#"["hi"]"#, "1"), &[&result("\"hi\"", "1")]).await;
        raw.send_bytes(&bytes).await;
        let frame = raw.receive_close().await.expect(what);
        assert_eq!(u16::from(frame.code), code, "{what}");
        assert!(!frame.reason.is_empty(), "{what}: the close reason must name the error");
        raw.wait_for_end().await;
        let reason = serving.await.unwrap();
        assert!(matches!(reason, CloseReason::Protocol(_)), "{what}: {reason:?}");
        bystander.check(&request("echo", r#"["hi"]"#, "1"), &[&result("\"hi\"", "1")]).await;
    }
}

#[tokio::test]
async fn the_largest_message_allowed_is_read() {
    let mut raw = Raw::client(limited()).await;
    let (text, answer) = echo_of_size(LIMIT);
    raw.check(&text, &[&answer]).await;
}

#[tokio::test]
async fn requests_before_a_broken_frame_are_answered() {
    let mut raw = Raw::client(limited()).await;
    let text = request("echo", r#"["hi"]"#, "1");
    let bytes = [frame(0x81, text.as_bytes()), frame(0xff, b""), frame(0x89, b"")];
    raw.send_bytes(&bytes.concat()).await;
    assert_eq!(raw.receive().await, result("\"hi\"", "1"));
    assert_eq!(u16::from(raw.receive_close().await.unwrap().code), 1002);
}

/// RFC 6455, sections 7.4.1 and 7.4.2: which codes a close frame may have.
#[tokio::test]
async fn a_close_frame_with_a_reserved_code_is_a_broken_frame() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535_u16] {
        let endpoint = limited().build().unwrap();
        let (mut raw, serving) = Raw::client_of(&endpoint).await;
        raw.send_bytes(&frame(0x88, &code.to_be_bytes())).await;
        assert_eq!(u16::from(raw.receive_close().await.unwrap().code), 1002, "{code}");
        raw.wait_for_end().await;
        let reason = serving.await.unwrap();
        assert!(matches!(reason, CloseReason::Protocol(_)), "{code}: {reason:?}");
    }
    let endpoint = limited().build().unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    raw.send_bytes(&frame(0x88, &[&1002_u16.to_be_bytes()[..], b"your fault"].concat())).await;
    raw.wait_for_end().await;
    let reason = serving.await.unwrap();
    assert!(matches!(reason, CloseReason::Remote { code: 1002, .. }), "{reason:?}");
}

#[tokio::test]
async fn control_frames_may_come_between_fragments() {
    let text = request("echo", r#"["fräg"]"#, "1");
    for (opcode, split) in [(0x01, 1), (0x01, 40), (0x02, text.len() - 10), (0x01, text.len())] {
        let mut raw = Raw::client(limited()).await;
        let (head, tail) = text.as_bytes().split_at(split);
        let pieces = [
            frame(opcode, head),
            frame(0x00, b""),
            frame(0x89, b"ping"),
            frame(0x8a, b"pong that nobody asked for"),
            frame(0x80, tail),
        ];
        raw.send_bytes(&pieces.concat()).await;
        let got = [raw.socket.next().await, raw.socket.next().await].map(|got| match got {
            Some(Ok(Message::Text(text))) => text.as_str().to_owned(),
            Some(Ok(Message::Pong(bytes))) => format!("pong: {}", String::from_utf8_lossy(&bytes)),
            other => panic!("{other:?}"),
        });
        assert!(got.contains(&"pong: ping".to_owned()), "{got:?}");
        assert!(got.contains(&result("\"fräg\"", "1")), "{got:?}");
    }
}

#[tokio::test]
async fn a_message_may_come_byte_by_byte() {
    let mut raw = Raw::client(limited()).await;
    for byte in frame(0x81, request("echo", r#"["slow"]"#, "1").as_bytes()) {
        raw.send_bytes(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(raw.receive().await, result("\"slow\"", "1"));
}

#[tokio::test]
async fn a_pong_echoes_the_payload_of_its_ping() {
    let mut raw = Raw::client(limited()).await;
    for payload in ["", "a", "b"] {
        raw.socket.send(Message::Ping(payload.to_owned().into())).await.unwrap();
        match raw.socket.next().await {
            Some(Ok(Message::Pong(bytes))) => assert_eq!(bytes, payload.as_bytes()),
            other => panic!("{other:?}"),
        }
    }
}

/// JSON in a binary frame is accepted; the response is a text frame. A payload that is not UTF-8 is
/// a parse error.
#[tokio::test]
async fn a_binary_frame_is_read_like_text_and_answered_with_text() {
    let mut raw = Raw::client(limited()).await;
    let parse_error = error(-32700, "Parse error", "null");
    let echo = request("echo", r#"["hä"]"#, "1");
    let table: [(&[u8], String); 5] = [
        (echo.as_bytes(), result("\"hä\"", "1")),
        (b"[\"\xff\"]", parse_error.clone()),
        (b"\x00\x01", parse_error.clone()),
        (b"", parse_error),
        (b"[]", wsjsonrpc_tests::empty_batch()),
    ];
    for (bytes, expected) in table {
        raw.send_binary(bytes).await;
        assert_eq!(raw.receive().await, expected, "{bytes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_ignores_its_close_for_a_broken_frame_is_dropped() {
    let endpoint = limited().build().unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    raw.send_bytes(&frame(0xff, b"")).await;
    raw.send_bytes(&[b'x'; 10_000]).await;
    assert!(matches!(serving.await.unwrap(), CloseReason::Protocol(_)));
}
