//! What requests and their responses hold.

use std::io::Write;

use serde_json::Value;
use wsjsonrpc::{Config, Context, Methods, Result, Server};
use wsjsonrpc_tests::frames::{announcing, frame_of};
use wsjsonrpc_tests::request;

use crate::served::{Hostile, KIB, MIB, TEXT, Tested, check, peak, settled};

/// The first bytes of a message in several frames.
const BEGIN: u8 = 0x01;
const GO_ON: u8 = 0x00;

/// What a handler in flight costs by itself: its task, its future, its entry.
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
    // What has come grows by doubling, and the buffer of the first frame is still there.
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
        check(what, peak.saturating_sub(before), 3 * LARGEST + 128 * KIB);
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
        // What is refused is answered.
        check(&format!("requests of {size} bytes"), grown, bound + 64 * KIB);
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

/// How many times its text a decoded `Value` takes, at worst; and what a method's own limit makes of it.
#[test]
fn decoded_params_have_their_multiplier_unless_a_method_limits_them() {
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
