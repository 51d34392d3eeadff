//! The peer ends the connection, byte for byte: what was accepted before gets a response, and calls
//! end with the close frame, whatever happens to the stream.

use std::future::IntoFuture;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wsjsonrpc::client::ConnectionState;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::server::Handshake;
use wsjsonrpc::{Client, Config, Endpoint, Error, Server};
use wsjsonrpc_tests::frames::{Came, frame_of, frames, rest_of};
use wsjsonrpc_tests::http::{address, opened, upgrade};
use wsjsonrpc_tests::{Gate, Raw, error, request, result, serve_upgraded, server};

use wsjsonrpc_tests::reconnect::{client as reconnecting, connected};

const CLOSE: &[u8] = b"\x03\xe8bye";

fn config() -> Config {
    // No test in this file may wait for the end of the stream.
    Config { close_timeout: Duration::MAX, ping_interval: None, ..Config::default() }
}

fn endpoint() -> Endpoint {
    server().config(config()).build().unwrap()
}

fn serve(endpoint: &Endpoint, buffer: usize) -> (DuplexStream, JoinHandle<CloseReason>) {
    serve_upgraded(endpoint, Handshake::new("/"), buffer)
}

fn text(text: &str) -> Vec<u8> {
    frame_of(0x81, text.as_bytes(), true)
}

fn close() -> Vec<u8> {
    frame_of(0x88, CLOSE, true)
}

fn payloads(came: &[Came]) -> Vec<&[u8]> {
    came.iter().map(|frame| frame.payload.as_slice()).collect()
}

#[tokio::test]
async fn a_request_before_a_close_frame_is_answered() {
    let sum = |id: &str| request("sum", "[1,2]", id);
    let batch = format!("[{},{}]", sum("1"), sum("2"));
    let answers = format!("[{},{}]", result("3", "1"), result("3", "2"));
    let ping = frame_of(0x89, b"there?", true);
    let invalid = frame_of(0x88, b"\x03\xec", true);
    type Case<'a> = (&'a str, Vec<u8>, Vec<&'a [u8]>);
    let cases: [Case<'_>; 7] = [
        (
            "one",
            [text(&sum("1")), close()].concat(),
            vec![result("3", "1").leak().as_bytes(), CLOSE],
        ),
        (
            "three",
            [text(&sum("1")), text("]"), text(&sum("3")), close()].concat(),
            vec![
                result("3", "1").leak().as_bytes(),
                error(-32700, "Parse error", "null").leak().as_bytes(),
                result("3", "3").leak().as_bytes(),
                CLOSE,
            ],
        ),
        ("a batch", [text(&batch), close()].concat(), vec![answers.as_bytes(), CLOSE]),
        (
            "behind a ping",
            [ping.clone(), text(&sum("1")), close()].concat(),
            vec![b"there?", result("3", "1").leak().as_bytes(), CLOSE],
        ),
        (
            "an invalid code",
            [text(&sum("1")), invalid].concat(),
            vec![result("3", "1").leak().as_bytes()],
        ),
        ("nothing before it", close(), vec![CLOSE]),
        // Nothing is sent after a close frame, and no request after it is answered.
        ("behind it", [close(), text(&sum("1"))].concat(), vec![CLOSE]),
    ];
    for (what, bytes, expected) in cases {
        let (mut stream, ended) = serve(&endpoint(), 64 * 1024);
        stream.write_all(&bytes).await.unwrap();
        let mut came = rest_of(&mut stream).await;
        if what == "an invalid code" {
            assert_eq!(came.pop().unwrap().close().0, 1002);
        }
        assert_eq!(payloads(&came), expected, "{what}");
        ended.await.unwrap();
    }
}

/// However few bytes the network accepts at once.
#[tokio::test]
async fn a_large_answer_goes_out_whole_before_the_close_frame() {
    for half_close in [false, true] {
        let (mut stream, ended) = serve(&endpoint(), 1000);
        stream.write_all(&text(&request("large", "[1048576]", "1"))).await.unwrap();
        if half_close {
            stream.shutdown().await.unwrap();
        } else {
            stream.write_all(&close()).await.unwrap();
        }
        let came = rest_of(&mut stream).await;
        assert_eq!(came[0].payload.len(), came[0].length);
        assert_eq!(
            came[0].payload,
            result(&format!("\"{}\"", "x".repeat(1 << 20)), "1").as_bytes()
        );
        match half_close {
            true => assert_eq!(came.len(), 1),
            false => assert_eq!(came[1].close(), (1000, "bye".to_owned())),
        }
        ended.await.unwrap();
    }
}

/// A handler that is not ready does not delay the close.
#[tokio::test]
async fn a_handler_in_flight_does_not_delay_the_close() {
    let gate = Gate::default();
    let endpoint = Server::builder().config(config()).method("wait", gate.handler(()));
    let endpoint = endpoint.build().unwrap();
    for half_close in [false, true] {
        let (mut stream, ended) = serve(&endpoint, 64 * 1024);
        stream.write_all(&text(&request("wait", "[]", "1"))).await.unwrap();
        gate.arrived(1).await;
        if half_close {
            stream.shutdown().await.unwrap();
        } else {
            stream.write_all(&close()).await.unwrap();
        }
        let came = rest_of(&mut stream).await;
        assert_eq!(came.len(), usize::from(!half_close), "{came:?}");
        ended.await.unwrap();
        gate.open(1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_without_reading_is_dropped() {
    let config = Config { close_timeout: Duration::from_secs(5), ..config() };
    let endpoint = server().config(config).build().unwrap();
    for half_close in [false, true] {
        let (mut stream, ended) = serve(&endpoint, 1000);
        stream.write_all(&text(&request("large", "[100000]", "1"))).await.unwrap();
        if half_close {
            stream.shutdown().await.unwrap();
            assert!(matches!(ended.await.unwrap(), CloseReason::Lost(_)));
        } else {
            stream.write_all(&close()).await.unwrap();
            assert!(matches!(ended.await.unwrap(), CloseReason::Remote { code: 1000, .. }));
        }
    }
}

/// Requests that were held back because the responses did not fit into the send queue are accepted
/// too. They start when there is room, each is polled once, and `close_timeout` bounds all of it.
#[tokio::test(start_paused = true)]
async fn held_back_requests_are_answered_before_the_close_frame() {
    let config = Config { max_send_queue: 1, close_timeout: Duration::from_secs(5), ..config() };
    let (begun, mut begins) = mpsc::unbounded_channel();
    let server = Server::builder().config(config).method("large", {
        move |_, (number,): (usize,)| {
            let begun = begun.clone();
            async move {
                begun.send(number).unwrap();
                if number == 7 {
                    std::future::pending::<()>().await;
                }
                Ok("x".repeat(10_000))
            }
        }
    });
    let endpoint = server.build().unwrap();
    let large =
        |number: usize| text(&request("large", &format!("[{number}]"), &number.to_string()));
    let requests: Vec<u8> = (1..=10).flat_map(large).collect();
    for (half_close, reads) in [(false, true), (true, true), (false, false), (true, false)] {
        let (stream, ended) = serve(&endpoint, 1000);
        let (mut reading, mut writing) = tokio::io::split(stream);
        // With a full send queue, the server keeps reading only while a response may arrive.
        writing.write_all(&text(&request("large", "[0]", "0"))).await.unwrap();
        assert_eq!(begins.recv().await, Some(0));
        let peer = endpoint.connections().pop().unwrap().peer();
        let call = tokio::spawn(peer.call::<()>("m", ()).without_timeout().into_future());
        writing.write_all(&requests).await.unwrap();
        if half_close {
            writing.shutdown().await.unwrap();
        } else {
            writing.write_all(&close()).await.unwrap();
        }
        assert!(matches!(call.await.unwrap(), Err(Error::Closed(_))));
        assert!(begins.try_recv().is_err(), "a handler started without room for its response");
        if !reads {
            // The connection times out, and no request that was held back has started.
            ended.await.unwrap();
            assert!(begins.try_recv().is_err());
            continue;
        }
        let mut came = Vec::new();
        reading.read_to_end(&mut came).await.unwrap();
        let came = frames(&came);
        let answers = came.iter().filter(|frame| frame.first == 0x81 && frame.length > 10_000);
        assert_eq!(answers.count(), 10, "all but the one that is not ready");
        assert_eq!(came.last().unwrap().first == 0x88, !half_close);
        let order: Vec<usize> = std::iter::from_fn(|| begins.try_recv().ok()).collect();
        assert_eq!(order, Vec::from_iter(1..=10));
        ended.await.unwrap();
    }
}

/// A frame that was partly written is completed, whether it is a response or a pong.
#[tokio::test]
async fn only_whole_frames_are_sent_wherever_the_network_stops() {
    let sum = text(&request("sum", "[1,2]", "1"));
    let ping = frame_of(0x89, &[b'p'; 100], true);
    for buffer in 1..260 {
        for first in [b"".as_slice(), &sum] {
            let (stream, ended) = serve(&endpoint(), buffer);
            let (mut reading, mut writing) = tokio::io::split(stream);
            let bytes = [first, &ping, &sum, &close()].concat();
            let sums = 1 + usize::from(!first.is_empty());
            let (written, came) = tokio::join!(writing.write_all(&bytes), async {
                let mut came = Vec::new();
                reading.read_to_end(&mut came).await.unwrap();
                frames(&came)
            });
            written.unwrap();
            let whole = |frame: &Came| match frame.first {
                0x81 => frame.payload == result("3", "1").as_bytes(),
                0x8a => frame.payload == [b'p'; 100],
                _ => frame.first == 0x88 && frame.payload == CLOSE,
            };
            assert!(came.iter().all(whole), "{buffer}: {came:?}");
            assert_eq!(came.last().unwrap().first, 0x88, "{buffer}: {came:?}");
            let answers = came.iter().filter(|frame| frame.first == 0x81).count();
            assert_eq!((answers, came.len()), (sums, sums + 2), "{buffer}: {came:?}");
            ended.await.unwrap();
        }
    }
}

/// Over real sockets, where a request and the close frame may arrive in one segment or in two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_socket_ready_requests_are_always_answered() {
    let server = Server::builder()
        .config(Config { close_timeout: Duration::from_secs(60), ..Config::default() })
        .method("sum", |_, (x, y): (i64, i64)| async move { Ok(x + y) });
    let address = address(server).await;
    let request = text(&request("sum", "[1,2]", "1"));
    for round in 0..300 {
        let half_close = round % 2 == 0;
        let (mut stream, _) = opened(address, &upgrade("/", "")).await;
        if half_close {
            stream.write_all(&request).await.unwrap();
            stream.shutdown().await.unwrap();
        } else {
            stream.write_all(&[request.as_slice(), &close()].concat()).await.unwrap();
        }
        let came = everything(&mut stream).await;
        let answer = result("3", "1");
        let expected: &[&[u8]] =
            if half_close { &[answer.as_bytes()] } else { &[answer.as_bytes(), CLOSE] };
        assert_eq!(payloads(&came), expected, "{round}");
    }
}

async fn everything(stream: &mut TcpStream) -> Vec<Came> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    frames(&bytes)
}

/// The same for a client that serves methods.
#[tokio::test]
async fn a_client_answers_before_it_replies_to_a_close_frame() {
    let client = Client::builder().method("sum", |_, (x, y): (i64, i64)| async move { Ok(x + y) });
    let (raw, client) = Raw::server(client).await;
    let mut stream = raw.socket.into_inner();
    let asked = frame_of(0x81, request("sum", "[1,2]", "1").as_bytes(), false);
    stream.write_all(&[asked, frame_of(0x88, CLOSE, false)].concat()).await.unwrap();
    assert!(matches!(client.closed().await, CloseReason::Remote { code: 1000, .. }));
    let mut came = vec![0; 4096];
    let mut have = 0;
    while frames(&came[..have]).len() < 2 {
        let more = stream.read(&mut came[have..]).await.unwrap();
        assert_ne!(more, 0, "the stream has ended");
        have += more;
    }
    assert_eq!(payloads(&frames(&came[..have])), [result("3", "1").as_bytes(), CLOSE]);
}

/// The stream stays open, and nothing more arrives.
#[tokio::test(start_paused = true)]
async fn a_close_frame_ends_calls_at_once() {
    type Code<'a> = (&'a [u8], fn(&CloseReason) -> bool);
    let codes: [Code<'_>; 4] = [
        (
            &frame_of(0x88, CLOSE, false),
            |reason| matches!(reason, CloseReason::Remote { code: 1000, reason } if reason == "bye"),
        ),
        (&frame_of(0x88, b"", false), |reason| {
            matches!(reason, CloseReason::Remote { code: 1005, .. })
        }),
        (&frame_of(0x88, b"\x03\xec", false), |reason| matches!(reason, CloseReason::Protocol(_))),
        (&frame_of(0x81, b"\xff", false), |reason| matches!(reason, CloseReason::Protocol(_))),
    ];
    for (bytes, expected) in codes {
        let (raw, client) = Raw::server(Client::builder().config(config())).await;
        let mut stream = raw.socket.into_inner();
        let peer = client.peer();
        let call = peer.call::<()>("m", ()).without_timeout().into_future();
        let call = tokio::spawn(call);
        stream.read_u8().await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let Error::Closed(reason) = call.await.unwrap().unwrap_err() else { panic!("{bytes:?}") };
        assert!(expected(&reason), "{bytes:?}: {reason:?}");
        assert!(expected(&client.closed().await), "{bytes:?}");
        let after = peer.call::<()>("m", ()).await.unwrap_err();
        assert!(matches!(after, Error::Closed(_)), "{bytes:?}: {after:?}");
        drop(stream);
    }
}

#[tokio::test(start_paused = true)]
async fn the_reply_to_a_close_frame_ends_calls_at_once() {
    let (raw, client) = Raw::server(Client::builder().config(config())).await;
    let mut stream = raw.socket.into_inner();
    let call = tokio::spawn(client.peer().call::<()>("m", ()).without_timeout().into_future());
    let mut came = [0; 1024];
    // The call, and then the close frame.
    assert_ne!(stream.read(&mut came).await.unwrap(), 0);
    client.peer().close(4000, "enough");
    assert_ne!(stream.read(&mut came).await.unwrap(), 0);
    stream.write_all(&frame_of(0x88, b"\x0f\xa0enough", false)).await.unwrap();
    let failed = call.await.unwrap().unwrap_err();
    assert!(matches!(failed, Error::Closed(CloseReason::Local)), "{failed:?}");
    drop(stream);
}

#[tokio::test(start_paused = true)]
async fn a_client_reconnects_as_soon_as_a_close_frame_arrives() {
    let (client, first, mut attempts) = connected(reconnecting().config(config())).await;
    let mut stream = first.socket.into_inner();
    stream.write_all(&frame_of(0x88, CLOSE, false)).await.unwrap();
    let _second = attempts.accept().await;
    let mut states = client.states();
    loop {
        if let ConnectionState::Connected { number: 2, .. } = states.next().await.unwrap() {
            break;
        }
    }
    // The reply was written on the old connection, which is still open.
    let mut came = [0; 64];
    let have = stream.read(&mut came).await.unwrap();
    assert_eq!(payloads(&frames(&came[..have])), [CLOSE]);
}
