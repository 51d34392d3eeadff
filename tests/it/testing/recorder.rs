//! The recorder: what it records, how it responds, and how it calls back.

use std::future::IntoFuture;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use wsjsonrpc::testing::{self, Faults, Recorder};
use wsjsonrpc::{Client, Config, Context, Error, ErrorCode, ErrorObject, Result, memory, rpc};
use wsjsonrpc_tests::begin;

#[rpc(namespace = "math")]
trait Math {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    #[method(params = "named")]
    async fn pow(&self, ctx: &Context, base: i64, exponent: u32) -> Result<i64>;
    async fn reset(&self, ctx: &Context);
}

fn code<T: std::fmt::Debug>(outcome: std::result::Result<T, Error>) -> (i64, String) {
    match outcome {
        Err(Error::Call(error)) => (error.code().0, error.message().to_owned()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn calls_are_recorded_as_they_came() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Pow {
        base: i64,
        exponent: u32,
    }
    let recorder = Recorder::new().answer("math.sum", 3).answer("math.pow", 8);
    let math = MathClient::new(recorder.peer());
    assert_eq!(math.sum(1, 2).await.unwrap(), 3);
    let (sum, pow) = math.batch((math.sum(4, 5), math.pow(2, 3))).await.unwrap();
    assert_eq!((sum.unwrap(), pow.unwrap()), (3, 8));
    math.reset().notify().await.unwrap();

    let calls = recorder.wait_for(4).await;
    let seen: Vec<(&str, &Value, bool, bool)> = calls
        .iter()
        .map(|call| (call.method(), call.params(), call.is_notification(), call.in_batch()))
        .collect();
    let expected = [
        ("math.sum", &json!([1, 2]), false, false),
        ("math.sum", &json!([4, 5]), false, true),
        ("math.pow", &json!({"base": 2, "exponent": 3}), false, true),
        ("math.reset", &json!(null), true, false),
    ];
    // The client chooses between no params and an empty list.
    assert_eq!(seen[..3], expected[..3]);
    assert_eq!((seen[3].0, seen[3].2, seen[3].3), ("math.reset", true, false));
    assert_eq!(calls[3].decode::<()>(), Ok(()));
    assert_eq!(calls[1].decode::<(i64, i64)>().unwrap(), (4, 5));
    assert_eq!(calls[2].decode::<Pow>().unwrap(), Pow { base: 2, exponent: 3 });
    assert_eq!(calls[1].json(), Some("[4,5]"));
    assert_eq!(calls[1].decode::<[String; 2]>().unwrap_err().code(), ErrorCode::INVALID_PARAMS);
    assert_eq!(recorder.calls().len(), 4);
    assert_eq!(recorder.calls_of("math.sum").len(), 2);
    assert!(recorder.calls_of("math.sun").is_empty());
}

#[tokio::test]
async fn answers_are_given_in_order_and_the_last_one_repeats() {
    let recorder = Recorder::new()
        .fail("math.sum", ErrorObject::new(7, "busy"))
        .answer("math.sum", 1)
        .answer_with("math.sum", |(x, y): (i64, i64)| match x {
            0 => Err(ErrorObject::new(8, "zero")),
            _ => Ok(x + y),
        });
    let math = MathClient::new(recorder.peer());
    assert_eq!(code(math.sum(1, 2).await), (7, "busy".to_owned()));
    assert_eq!(math.sum(1, 2).await.unwrap(), 1);
    assert_eq!(math.sum(1, 2).await.unwrap(), 3);
    assert_eq!(math.sum(3, 4).await.unwrap(), 7);
    assert_eq!(code(math.sum(0, 4).await), (8, "zero".to_owned()));
    let wrong = recorder.peer().call::<i64>("math.sum", ("a", 1)).await;
    assert_eq!(code(wrong).0, ErrorCode::INVALID_PARAMS.0);

    let (number, words) = code(math.pow(1, 2).await);
    let expected = "this recorder has no answer for `math.pow`; add one with \
                    `.answer(\"math.pow\", …)`, `.answer_with`, `.fail` or `.hang`";
    assert_eq!((number, words.as_str()), (-32601, expected));
    recorder.clone().answer("math.pow", 1);
    assert_eq!(math.pow(1, 2).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_call_is_recorded_and_times_out() {
    let recorder = Recorder::new().hang("math.sum");
    let math = MathClient::new(recorder.peer());
    let call = begin(math.sum(1, 2).timeout(Duration::from_secs(3)).into_future()).await;
    let seen = recorder.wait_for_calls_of("math.sum", 1).await;
    assert_eq!(*seen[0].params(), json!([1, 2]));
    assert!(matches!(call.await, Err(Error::Timeout(_))));

    let mut waiting = begin(Box::pin(recorder.wait_for(2))).await;
    drop(math.reset().notify().await);
    assert_eq!(waiting.as_mut().await.len(), 2);
}

#[tokio::test]
async fn the_recorder_calls_and_notifies_the_code_under_test() {
    let (sender, mut notes) = tokio::sync::mpsc::unbounded_channel();
    let client = Client::builder()
        .method("twice", |_, (x,): (i64,)| async move { Ok(2 * x) })
        .method("note", move |ctx: Context, (text,): (String,)| {
            let (sender, peer) = (sender.clone(), ctx.peer());
            async move {
                // The code under test makes a call itself.
                let sum: i64 = peer.call("math.sum", (1, 2)).await?;
                let _ = sender.send((text, sum));
                Ok(())
            }
        });
    let recorder = Recorder::new().answer("math.sum", 3);
    let (_client, to_client) = recorder.connect(client).unwrap();
    assert_eq!(to_client.call::<i64>("twice", (4,)).await.unwrap(), 8);
    to_client.notify("note", ("hello",)).await.unwrap();
    assert_eq!(notes.recv().await, Some(("hello".to_owned(), 3)));
    assert_eq!(recorder.calls_of("math.sum").len(), 1);
}

/// Together with other services of the test, and on a network with faults.
#[tokio::test]
async fn the_recorders_server_is_a_builder_like_any_other() {
    let recorder = Recorder::new().answer("math.sum", 3);
    let server = recorder.server().method("own", |_, ()| async { Ok("own") });
    let faults = Faults::seeded(1).split(7);
    let (client, _, _network) = testing::pair(Client::builder(), server, faults).unwrap();
    assert_eq!(client.peer().call::<String>("own", ()).await.unwrap(), "own");
    assert_eq!(MathClient::new(client.peer()).sum(1, 2).await.unwrap(), 3);
    assert_eq!(recorder.calls().len(), 1);
}

#[test]
#[should_panic(expected = "cannot serialize the answer for `math.sum`")]
fn an_answer_that_is_not_json_panics() {
    drop(Recorder::new().answer("math.sum", std::collections::HashMap::from([((1, 2), 3)])));
}

/// A notification needs no response, so it does not count as in flight.
#[tokio::test]
async fn a_notification_does_not_count_as_in_flight() {
    let recorder = Recorder::new().hang("log").answer("sum", 3);
    let config = Config { max_in_flight: 1, ..Config::default() };
    let server = recorder.server().config(config);
    let (client, _) = memory::pair(Client::builder(), server).unwrap();
    client.peer().notify("log", ["ready"]).await.unwrap();
    assert_eq!(client.peer().call::<u32>("sum", (1, 2)).await.unwrap(), 3);
    assert_eq!(recorder.calls_of("log").len(), 1);
}
