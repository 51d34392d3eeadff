//! Shared code of the targets that feed a whole connection: it turns a fuzzer's bytes into frames,
//! runs on a paused clock, and provides the methods of the connection under test.
//!
//! `tests/it/wire/seeds.rs` includes this file, so that `cargo test` runs all seeds. Does not
//! depend on a fuzzer, and knows of the side under test only whether its frames are masked.

pub mod client;
pub mod server;

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{sleep, timeout};
use wsjsonrpc::subscription::{Overflow, Topic};
use wsjsonrpc::{Config, Context, ErrorObject, Methods, Stream};

/// Longer than all timeouts of a connection together.
const BOUND: Duration = Duration::from_secs(3600);

/// Runs the future and then waits until all its tasks have ended.
pub fn simulate(run: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("it needs nothing");
    runtime.block_on(async {
        ends(run).await;
        ends(async {
            while runtime.metrics().num_alive_tasks() > 0 {
                sleep(Duration::from_secs(10)).await;
            }
        })
        .await;
    });
}

/// Fails if the future does not complete.
pub async fn ends<T>(future: impl Future<Output = T>) -> T {
    timeout(BOUND, future).await.expect("a future never completes")
}

/// Low limits that the input reaches, or none at all, or limits with hardly any room for the
/// question at the end.
pub fn config(flags: u8) -> Config {
    let (message, others) = match flags & 6 {
        2 => (usize::MAX, usize::MAX),
        4 => (100, 1),
        _ => {
            return Config {
                max_incoming_message: 2000,
                max_batch: 5,
                max_in_flight: 4,
                max_in_flight_bytes: 1000,
                max_send_queue: 300,
                ..Config::default()
            };
        }
    };
    Config {
        max_incoming_message: message,
        max_batch: others,
        max_in_flight: others,
        max_in_flight_bytes: others,
        max_send_queue: others,
        ..Config::default()
    }
}

/// Whether the other side announced this crate's extensions.
pub fn is_extended(flags: u8) -> bool {
    flags & 8 != 0
}

/// Counts down to an error, without pausing.
struct CountDown(u64);

impl Stream for CountDown {
    type Item = Result<u64, ErrorObject>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        Poll::Ready(match self.0.checked_sub(1) {
            None => None,
            Some(6) => Some(Err(ErrorObject::new(6, "six"))),
            Some(less) => {
                self.0 = less;
                Some(Ok(less))
            }
        })
    }
}

/// The methods and subscriptions of both sides.
pub fn methods() -> Methods {
    let count = |_: Context, (from,): (u64,)| async move { Ok(CountDown(from % 100_000)) };
    let topic = || Topic::new("count").unsubscribe("stop");
    let hasty = Topic::new("hasty").unsubscribe("stop").notification("count");
    Methods::new()
        .subscription(topic(), count)
        .subscription(hasty.overflow(Overflow::DropOldest).buffer(2), count)
        .method("steps", |ctx: Context, (steps,): (u64,)| async move {
            for step in 0..steps % 100 {
                ctx.progress(step).await?;
                sleep(Duration::from_millis(10)).await;
            }
            Ok(ctx.deadline().is_some())
        })
        .method("until", |ctx: Context, ()| async move {
            ctx.cancelled().await;
            Ok(())
        })
        .method("echo", |_, values: Vec<i64>| async move { Ok(values) })
        .method("wait", |_, (time,): (u64,)| async move {
            sleep(Duration::from_millis(time % 100_000)).await;
            Ok(time)
        })
        .method("back", |ctx: Context, (number,): (i64,)| async move {
            Ok(ctx.peer().call::<i64>("question", [number]).await?)
        })
        // `resume_unwind` skips the panic hook, which would end the fuzzer.
        .method("panic", |_, (_,): (i64,)| async move {
            std::panic::resume_unwind(Box::new("as it should")) as wsjsonrpc::Result<()>
        })
}

/// A request that gets a response after any input, unless the connection has ended.
const QUESTION: &[u8] = br#"{"jsonrpc":"2.0","method":"echo","params":[1],"id":"the last one"}"#;
const ITS_ANSWER: &[u8] = br#""id":"the last one""#;

/// Makes one frame. The low half of `kind` is its opcode. The bits above mean: not the final
/// fragment (0x10), wrongly masked (0x20), raw bytes without a header (0x40), a reserved bit is set
/// (0x80).
fn frame(kind: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    if kind & 0x40 != 0 {
        return payload.to_vec();
    }
    let mut frame = vec![kind & 0x0f];
    frame[0] |= if kind & 0x10 == 0 { 0x80 } else { 0 };
    frame[0] |= if kind & 0x80 == 0 { 0 } else { 0x40 };
    let masked = masked != (kind & 0x20 != 0);
    let mask = if masked { 0x80 } else { 0 };
    match u16::try_from(payload.len()) {
        Ok(length @ 0..126) => frame.push(mask | length as u8),
        Ok(length) => {
            frame.push(mask | 126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(mask | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(masked.then_some([0; 4]).iter().flatten());
    frame.extend(payload);
    frame
}

/// Splits an input at pairs of bytes that cannot occur in UTF-8.
fn parts(input: &[u8]) -> Vec<&[u8]> {
    let (mut parts, mut rest) = (Vec::new(), input);
    while let Some(end) = rest.windows(2).position(|pair| pair == [0xff, 0xfe]) {
        parts.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    parts.push(rest);
    parts
}

/// Feeds a connection with the frames of the input and then with a question: it must respond or
/// end.
pub async fn feed(stream: DuplexStream, input: &[u8], masked: bool) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let feeding = async {
        for part in parts(input) {
            if let [kind, payload @ ..] = part {
                // The connection may have ended, or may have stopped reading.
                let frame = frame(*kind, payload, masked);
                let _ = timeout(Duration::from_secs(60), writer.write_all(&frame)).await;
                // Sometimes everything is handled before the next part arrives.
                if payload.len() % 2 == 0 {
                    sleep(Duration::from_millis(1)).await;
                }
            }
        }
        let question = frame(1, QUESTION, masked);
        let _ = timeout(Duration::from_secs(60), writer.write_all(&question)).await;
        std::future::pending::<()>().await;
    };
    let reading = async {
        let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let taken = reader.read(&mut buffer).await.unwrap_or(0);
            all.extend_from_slice(&buffer[..taken]);
            if taken == 0 || answered(&all, masked) {
                return;
            }
            if all.len() > 1 << 16 {
                all.drain(..1 << 15);
            }
        }
    };
    let both = async {
        let (mut feeding, mut reading) = (Box::pin(feeding), Box::pin(reading));
        std::future::poll_fn(|cx| {
            let _ = feeding.as_mut().poll(cx);
            reading.as_mut().poll(cx)
        })
        .await
    };
    ends(both).await;
}

/// Whether the response is in these bytes. The frames of a client are masked, so this compares each
/// byte XOR the one four places before it, which is the same with and without a mask.
fn answered(bytes: &[u8], plain: bool) -> bool {
    if plain {
        return bytes.windows(ITS_ANSWER.len()).any(|window| window == ITS_ANSWER);
    }
    let difference = |bytes: &[u8]| -> Vec<u8> {
        bytes.iter().zip(bytes.get(4..).unwrap_or_default()).map(|(a, b)| a ^ b).collect()
    };
    let (bytes, answer) = (difference(bytes), difference(ITS_ANSWER));
    bytes.windows(answer.len()).any(|window| window == answer)
}

/// Sends the input unchanged, ends its own direction, and reads everything that arrives.
pub async fn pour(stream: DuplexStream, input: &[u8]) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let writing = async {
        let _ = timeout(Duration::from_secs(60), writer.write_all(input)).await;
        let _ = writer.shutdown().await;
        std::future::pending::<()>().await;
    };
    let mut writing = Box::pin(writing);
    let mut buffer = Vec::new();
    let mut reading = Box::pin(reader.read_to_end(&mut buffer));
    let both = std::future::poll_fn(|cx| {
        let _ = writing.as_mut().poll(cx);
        reading.as_mut().poll(cx)
    });
    let _ = ends(both).await;
}
