//! The memory of requests and their responses.

use std::io::Write;
use std::sync::{Arc, OnceLock};

use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::runtime::Builder;
use wsjsonrpc::{Config, Context, Methods, Result, Server};
use wsjsonrpc_tests::frames::{announcing, frame_of};
use wsjsonrpc_tests::request;

use crate::served::{Hostile, KIB, MIB, SCRATCH, TEXT, Tested, check, live, peak, settled};

/// The first bytes of a message in several frames.
const BEGIN: u8 = 0x01;
const GO_ON: u8 = 0x00;

/// The cost of a handler in flight: its task, its future, its entry.
const HANDLER: usize = 2 * KIB;

fn methods() -> Methods {
    Methods::new()
        .method("keep", |_: Context, params: Vec<String>| async move {
            std::future::pending::<()>().await;
            Ok(params.len())
        })
        .method("keep_value", |_: Context, params: Value| async move {
            std::future::pending::<()>().await;
            Ok(params)
        })
        .method("small", |_: Context, ()| async { Ok(1) })
        .method("large", |_: Context, ()| async { Ok("x".repeat(64 * KIB)) })
}

/// A message that is never complete, in one frame and in several.
#[test]
fn a_message_that_is_being_read_is_held_three_times_at_most() {
    const LARGEST: usize = 4 * MIB;
    let one = announcing(TEXT, LARGEST as u64, true);
    let almost = vec![b' '; LARGEST - 1];
    // The buffer grows by doubling, and the buffer of the first frame still exists.
    let two = [frame_of(BEGIN, &almost[..LARGEST - 100], true), frame_of(GO_ON, b"  ", true)];
    let half = &almost[..LARGEST / 2];
    let three = [frame_of(BEGIN, half, true), frame_of(GO_ON, &half[..LARGEST / 2 - 1], true)];
    let many =
        [frame_of(BEGIN, &[b' '; 600], true), frame_of(GO_ON, &[b' '; 600], true).repeat(6900)];
    for (what, bytes) in [
        ("one frame", [one, almost].concat()),
        ("a large frame and a small one", two.concat()),
        ("two large frames", three.concat()),
        ("many small frames", many.concat()),
    ] {
        let tested = Tested::new();
        let config = Config { max_incoming_message: LARGEST, ..Config::default() };
        let mut hostile = Hostile::connect(tested.serve(Server::builder().config(config)));
        let before = settled();
        let peak = peak(|| {
            hostile.stream.write_all(&bytes).unwrap();
            settled();
        });
        check(what, peak.saturating_sub(before), 3 * LARGEST + SCRATCH + 16 * KIB);
    }
}

/// Large requests, and the smallest ones, whose handlers never end.
#[test]
fn requests_in_flight_have_a_bound() {
    const BYTES: usize = 4 * MIB;
    const IN_FLIGHT: usize = 1024;
    for size in [40, 1200, 100 * KIB] {
        let tested = Tested::new();
        let config =
            Config { max_in_flight: IN_FLIGHT, max_in_flight_bytes: BYTES, ..Config::default() };
        let server = Server::builder().config(config).service(Keeper.into_service());
        let mut hostile = Hostile::connect(tested.serve(server));
        let text = request("hold", &format!("[\"{}\"]", "p".repeat(size)), "1");
        let frames = frame_of(TEXT, text.as_bytes(), true);
        let before = settled();
        hostile.flood(&frames, (IN_FLIGHT + 100).min(2 * BYTES / size));
        let grown = settled().saturating_sub(before);
        let bound =
            BYTES.min(IN_FLIGHT * text.len()) + text.len() + IN_FLIGHT * (2 * KIB + HANDLER);
        // Requests over the limit are refused.
        check(&format!("requests of {size} bytes"), grown, bound + SCRATCH);
    }
}

#[wsjsonrpc::rpc]
trait Keep {
    async fn hold(&self, ctx: &Context, text: &str) -> Result<usize>;
    #[method(max_params = "64 KiB")]
    async fn limited(&self, ctx: &Context, value: Value) -> Result<usize>;
}

struct Keeper;

impl Keep for Keeper {
    async fn hold(&self, _: &Context, text: &str) -> Result<usize> {
        std::future::pending::<()>().await;
        Ok(text.len())
    }
    async fn limited(&self, _: &Context, value: Value) -> Result<usize> {
        std::future::pending::<()>().await;
        Ok(value.to_string().len())
    }
}

/// How many times the size of its text a decoded `Value` takes at worst, and the effect of
/// `max_params`.
#[test]
fn decoded_params_cost_a_multiple_unless_max_params_is_set() {
    const SIZE: usize = 256 * KIB;
    for (what, element) in [("numbers", "1,"), ("lists", "[0],"), ("objects", "{\"\":0},")] {
        let mut list = element.repeat(SIZE / element.len());
        list.pop();
        for (method, most) in [("keep_value", 110 * SIZE), ("limited", 2 * SIZE)] {
            let tested = Tested::new();
            let server = Server::builder().service(methods()).service(Keeper.into_service());
            let mut hostile = Hostile::connect(tested.serve(server));
            let text = request(method, &format!("[[{list}]]"), "1");
            let frame = frame_of(TEXT, text.as_bytes(), true);
            let before = settled();
            hostile.stream.write_all(&frame).unwrap();
            let grown = settled().saturating_sub(before);
            check(&format!("{what} in {method}"), grown, most);
        }
    }
}

/// Requests whose responses the peer does not read: the smallest ones, and large ones.
#[test]
fn answers_that_wait_have_a_bound() {
    const OUTBOX: usize = MIB;
    for (method, size) in [("small", 40), ("large", 64 * KIB)] {
        let tested = Tested::new();
        let config = Config { max_send_queue: OUTBOX, ..Config::default() };
        let server = Server::builder().config(config).service(methods());
        let mut hostile = Hostile::connect(tested.serve(server));
        let frames = frame_of(TEXT, request(method, "[]", "1").as_bytes(), true);
        // The network takes some megabytes of them.
        let flood = frames.repeat(16 * MIB / size / 100);
        let before = settled();
        let peak = peak(|| {
            hostile.flood(&flood, 100);
            settled();
        });
        check(method, peak - before, 4 * OUTBOX + 2 * size + SCRATCH);
    }
}

/// The results of handlers that are in flight when the peer stops reading have a separate bound.
#[test]
fn results_of_handlers_in_flight_have_a_bound() {
    const IN_FLIGHT: usize = 64;
    const RESULT: usize = 128 * KIB;
    let tested = Tested::new();
    let gate = wsjsonrpc_tests::Gate::default();
    let at_gate = gate.clone();
    let config = Config { max_in_flight: IN_FLIGHT, ..Config::default() };
    let server = Server::builder().config(config).service(methods()).method(
        "gated",
        move |_: Context, ()| {
            let gate = at_gate.clone();
            async move {
                gate.pass().await;
                Ok("x".repeat(RESULT))
            }
        },
    );
    let mut hostile = Hostile::connect(tested.serve(server));
    let before = settled();
    // Leaves room for one more handler.
    const GATED: usize = IN_FLIGHT - 1;
    for id in 0..GATED {
        hostile.send(&request("gated", "[]", &id.to_string()));
    }
    tested.runtime.block_on(gate.arrived(GATED as u32));
    // Fills the buffers of the network.
    hostile.flood(&frame_of(TEXT, request("large", "[]", "1").as_bytes(), true), 400);
    settled();
    gate.open(GATED);
    let grown = settled().saturating_sub(before);
    check("results", grown, MIB + IN_FLIGHT * (RESULT + HANDLER) + 400 * 256);
    assert!(grown > GATED * RESULT, "only {grown} bytes; were the results made?");
}

/// Batches that are never complete.
#[test]
fn responses_that_wait_for_others_of_their_batch_have_a_bound() {
    const BYTES: usize = 4 * MIB;
    let tested = Tested::new();
    let config = Config { max_in_flight_bytes: BYTES, ..Config::default() };
    let server = Server::builder().config(config).service(methods()).service(Keeper.into_service());
    let mut hostile = Hostile::connect(tested.serve(server));
    let entries = vec![request("large", "[]", "1"); 9].join(",");
    let batch = format!("[{entries},{}]", request("hold", "[\"\"]", "2"));
    let frame = frame_of(TEXT, batch.as_bytes(), true);
    let before = settled();
    hostile.flood(&frame, 60);
    let grown = settled().saturating_sub(before);
    check("batches", grown, 2 * BYTES + 60 * (frame.len() + 9 * 256 + HANDLER));
    assert!(grown > BYTES / 2, "only {grown} bytes; were the responses collected?");
}

/// Batches that are never complete, whose other entries are answered with errors.
#[test]
fn errors_that_wait_for_others_of_their_batch_have_a_bound() {
    const BYTES: usize = MIB;
    let tested = Tested::new();
    let config = Config { max_in_flight_bytes: BYTES, ..Config::default() };
    let server = Server::builder().config(config).service(methods()).service(Keeper.into_service());
    let mut hostile = Hostile::connect(tested.serve(server));
    let batch = format!("[{},{}]", request("hold", "[\"\"]", "2"), vec!["1"; 999].join(","));
    let frame = frame_of(TEXT, batch.as_bytes(), true);
    let before = settled();
    hostile.flood(&frame, 300);
    let grown = settled().saturating_sub(before);
    // The refusals of further batches wait too, because nobody reads them.
    check("batches of errors", grown, 2 * BYTES + MIB + 300 * (256 + HANDLER));
}

/// A call of a batch that has not started takes little memory besides its text, because it is
/// decoded and looked up when it starts.
#[test]
fn a_call_of_a_batch_that_has_not_started_is_a_place_in_the_text() {
    // So many that no call starts in the turn that reads the batch.
    const FEW: usize = 520;
    const MANY: usize = 1000;
    // The position in the text, the position of the response, and the entry for the response.
    const EACH: usize = 8 + 24 + 48;
    let held = |calls: usize, params: usize| {
        let tested = Tested::on(Builder::new_multi_thread().worker_threads(1));
        let held = Arc::new(OnceLock::new());
        let weighed = Arc::clone(&held);
        let server = Server::builder().method("weigh", move |_: Context, _: IgnoredAny| {
            weighed.get_or_init(live);
            async { Ok(0) }
        });
        let mut hostile = Hostile::connect(tested.serve(server));
        let call = request("weigh", &format!("[\"{}\"]", "x".repeat(params)), "1");
        let text = format!("[{}]", vec![call; calls].join(","));
        let frame = frame_of(TEXT, text.as_bytes(), true);
        let before = settled();
        hostile.stream.write_all(&frame).unwrap();
        settled();
        (held.get().unwrap().saturating_sub(before), text.len())
    };
    // Both messages have about the same size.
    let (few, text) = held(FEW, 150);
    let (many, same) = held(MANY, 51);
    assert!(text.abs_diff(same) < 2 * KIB, "{text} and {same}");
    check("calls of a batch", many.saturating_sub(few), (MANY - FEW) * EACH + 4 * KIB);
}

/// The head of an opening handshake that never ends.
#[test]
fn half_a_head_is_held_twice_at_most() {
    const CONNECTIONS: usize = 50;
    const HEAD: usize = 16 * KIB;
    let tested = Tested::new();
    let address = tested.serve(Server::builder());
    let head = wsjsonrpc_tests::http::upgrade("/", &format!("X: {}\r\n", "x".repeat(HEAD)));
    let part = &head.as_bytes()[..HEAD - 1];
    let warm = Hostile::connect(address);
    let before = settled();
    let many: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.write_all(part).unwrap();
            stream
        })
        .collect();
    let each = settled().saturating_sub(before) / CONNECTIONS;
    check("half a head", each, 2 * HEAD + 4 * KIB);
    drop((warm, many));
}
