//! Compares `Transport` with tungstenite alone: both receive the same messages from the same bytes,
//! however the bytes are split.

use super::*;
use std::io::Cursor;
use std::task::Waker;

use crate::websocket::frame;
use tokio::io::AsyncWriteExt;

/// A frame from a peer.
fn frame(first: u8, payload: &[u8], mask: frame::Mask) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::begin(&mut bytes, payload.len(), mask);
    bytes[0] = first;
    let header = bytes.len();
    bytes.extend_from_slice(payload);
    frame::apply(mask, &mut bytes[header..]);
    bytes
}

fn config() -> Config {
    Config { max_incoming_message: 70_000, ..Config::default() }
}

/// Everything that tungstenite alone receives, up to the end or the first error.
fn alone(bytes: &[u8], role: Role) -> Vec<String> {
    let mut stream = Cursor::new(bytes.to_vec());
    let mut socket = WebSocketContext::new(role, Some(limits(largest(&config()))));
    let mut seen = Vec::new();
    loop {
        // The stream cannot separate bytes that tungstenite writes from those that it reads.
        let mut both = Duplex { input: &mut stream };
        match socket.read(&mut both) {
            Ok(message) => seen.push(match message {
                Message::Text(text) => format!("text {}", text.as_str()),
                Message::Binary(bytes) => match Utf8Bytes::try_from(bytes) {
                    Ok(text) => format!("text {}", text.as_str()),
                    Err(_) => "no text".to_owned(),
                },
                Message::Close(frame) => format!("close {:?}", frame.map(|f| u16::from(f.code))),
                _ => "control".to_owned(),
            }),
            Err(WsError::ConnectionClosed | WsError::AlreadyClosed) => break,
            Err(error) => {
                seen.push(ending(Received::of(error)));
                break;
            }
        }
    }
    seen
}

struct Duplex<'a> {
    input: &'a mut Cursor<Vec<u8>>,
}

impl io::Read for Duplex<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }
}

impl io::Write for Duplex<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn ending(received: Received) -> String {
    match received {
        Received::Broken { code, .. } => format!("broken {code}"),
        _ => "end".to_owned(),
    }
}

/// Everything that the transport receives, if the bytes arrive in pieces of these sizes.
async fn ours(bytes: &[u8], role: Role, cuts: &[usize]) -> Vec<String> {
    let (mut theirs, stream) = tokio::io::duplex(1 << 20);
    let mut transport = Transport::new(Stream::memory(stream), Vec::new(), role, &config());
    let mut seen = Vec::new();
    let (mut rest, mut cuts) = (bytes, cuts.iter().cycle());
    loop {
        let received = {
            let mut cx = Context::from_waker(Waker::noop());
            transport.poll_receive(&mut cx).map(Received::into_text)
        };
        match received {
            Poll::Pending if rest.is_empty() => {
                drop(theirs.shutdown().await);
                // Otherwise the task uses up tokio's cooperative budget, and everything stays
                // pending.
                tokio::task::yield_now().await;
            }
            Poll::Pending => {
                tokio::task::yield_now().await;
                let (now, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                theirs.write_all(now).await.unwrap();
                rest = later;
            }
            Poll::Ready(Received::Text(text)) => seen.push(format!("text {}", text.as_str())),
            Poll::Ready(Received::Binary(bytes)) => seen.push(match Utf8Bytes::try_from(bytes) {
                // A large message, which is checked in slices later.
                Ok(text) => format!("text {}", text.as_str()),
                Err(_) => "no text".to_owned(),
            }),
            Poll::Ready(Received::Control) => seen.push("control".to_owned()),
            Poll::Ready(Received::Close(reason)) => {
                let code = match reason {
                    CloseReason::Remote { code: 1005, .. } => None,
                    CloseReason::Remote { code, .. } => Some(code),
                    // tungstenite has replaced an invalid code.
                    _ => Some(1002),
                };
                seen.push(format!("close {code:?}"));
            }
            Poll::Ready(Received::End(CloseReason::Local)) => return seen,
            Poll::Ready(other) => {
                seen.push(ending(other));
                return seen;
            }
        }
    }
}

/// A number below `below`, from a fixed seed.
fn random(state: &mut u64, below: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state % below as u64) as usize
}

#[tokio::test]
async fn everything_is_received_as_tungstenite_receives_it() {
    let mut seed = 0x9E37_79B9_7F4A_7C15;
    for round in 0..3000 {
        let state = &mut seed;
        let role = if round % 2 == 0 { Role::Server } else { Role::Client };
        let mut bytes = Vec::new();
        for _ in 0..1 + random(state, 8) {
            let length = [0, 1, 5, 60, 125, 126, 700, 3000, 65_535, 65_536, 70_001]
                [random(state, if round % 50 == 0 { 11 } else { 8 })];
            // Mostly whole messages; also fragments, control frames, reserved bits, binary messages
            // and invalid frames.
            let first = match random(state, 24) {
                0 => 0x01,
                1 | 2 => 0x80,
                3 => 0x00,
                4 | 5 => 0x89,
                6 => 0x8A,
                7 if random(state, 4) == 0 => 0x88,
                8 => 0x82,
                9 if random(state, 4) == 0 => 0xC1,
                10 if random(state, 4) == 0 => 0x83,
                11 if random(state, 4) == 0 => 0x09,
                _ => 0x81,
            };
            let length = if first & 0x08 != 0 { length.min(126) } else { length };
            let mut payload: Vec<u8> = (0..length).map(|at| b'a' + (at % 26) as u8).collect();
            if random(state, 40) == 0 {
                if let Some(byte) = payload.first_mut() {
                    *byte = 0xFF;
                }
            }
            if first == 0x88 {
                payload = [&1000_u16.to_be_bytes()[..], b"bye"].concat();
            }
            let right = (role == Role::Server) == (random(state, 60) > 0);
            let mask = right.then(|| [3, 141, 59, random(state, 256) as u8]);
            bytes.extend(frame(first, &payload, mask));
        }
        if random(state, 8) == 0 {
            bytes.truncate(random(state, bytes.len()));
        }
        let expected = alone(&bytes, role);
        for cuts in [&[usize::MAX][..], &[1], &[1 + random(state, 90), 2, 7, 4000]] {
            if cuts == [1] && bytes.len() > 5000 {
                continue;
            }
            let seen = ours(&bytes, role, cuts).await;
            assert!(seen == expected, "round {round} {cuts:?}\n{seen:.200?}\n{expected:.200?}");
        }
    }
}

/// Small slices are joined for a stream that writes only one buffer at a time.
#[tokio::test]
async fn a_stream_without_vectored_writes_gets_joined_slices() {
    struct Plain;

    impl AsyncRead for Plain {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Plain {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    let stream = Stream::other(Plain);
    let mut transport = Transport::new(stream, Vec::new(), Role::Server, &config());
    let mut cx = Context::from_waker(Waker::noop());
    let large = vec![0; 2 * JOINED];
    let mut write = |slices: &[&[u8]]| {
        let slices: Vec<_> = slices.iter().map(|slice| IoSlice::new(slice)).collect();
        match transport.poll_write_vectored(&mut cx, &slices) {
            Poll::Ready(written) => written.unwrap(),
            Poll::Pending => panic!("the stream accepts everything"),
        }
    };
    assert_eq!(write(&[b"ab", b"c", b"def"]), 6);
    assert_eq!(write(&[b"ab", &large]), JOINED);
    assert_eq!(write(&[&large, b"ab"]), 2 * JOINED, "a large slice is not copied");
}

/// A message in very many frames takes more than one poll.
#[tokio::test]
async fn other_tasks_run_between_many_small_frames() {
    let count = 10 * MAX_FRAMES;
    let mut bytes = frame(0x01, b"[", Some([1, 2, 3, 4]));
    bytes.extend(frame(0x00, b"1,", Some([5, 6, 7, 8])).repeat(count));
    bytes.extend(frame(0x80, b"1]", Some([9, 10, 11, 12])));
    let (mut peer, stream) = tokio::io::duplex(bytes.len());
    peer.write_all(&bytes).await.unwrap();
    let mut transport = Transport::new(Stream::other(stream), Vec::new(), Role::Server, &config());
    let mut polls = 0;
    let message = std::future::poll_fn(|cx| {
        let polled = transport.poll_receive(cx);
        polls += usize::from(polled.is_pending() && transport.take_rest());
        polled
    })
    .await;
    assert!(matches!(message, Received::Text(text) if text.len() == 3 + 2 * count));
    assert!(polls >= 9, "{polls}");
}

/// Between two polls that end after many small frames, the runtime checks its sockets. If the task
/// only woke itself, tokio would first run it dozens of times.
#[tokio::test]
async fn sockets_are_polled_between_many_small_frames() {
    use std::io::Write;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::AsyncReadExt;

    let mut bytes = frame(0x01, b"[", Some([1, 2, 3, 4]));
    bytes.extend(frame(0x00, b"1,", Some([5, 6, 7, 8])).repeat(100 * MAX_FRAMES));
    let (mut peer, stream) = tokio::io::duplex(bytes.len());
    peer.write_all(&bytes).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut other = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut waiting, _) = listener.accept().await.unwrap();
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    let flooded = tokio::spawn(async move {
        let mut transport =
            Transport::new(Stream::memory(stream), Vec::new(), Role::Server, &config());
        std::future::poll_fn(|cx| {
            if counted.fetch_add(1, Ordering::Relaxed) == 0 {
                other.write_all(b"x").unwrap();
            }
            transport.poll_receive(cx)
        })
        .await
    });
    assert_eq!(waiting.read_u8().await.unwrap(), b'x');
    let polls = polls.load(Ordering::Relaxed);
    assert!(polls <= 5, "{polls} polls");
    flooded.abort();
}
