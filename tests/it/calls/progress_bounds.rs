//! Bounds of progress: for callers that do not read it, and for peers that send too much. Nothing
//! else is delayed.

use std::future::IntoFuture;
use std::sync::{Arc, Mutex};

use wsjsonrpc::{Config, Context, Server};
use wsjsonrpc_tests::{Raw, begin, request, result};

use super::progress::{list, taken, told, untimed};

/// The peer sends progress without end, and the caller does not read it.
#[tokio::test]
async fn unread_progress_is_bounded() {
    let (mut raw, client) = Raw::knowing_server(untimed()).await;
    let (steps, add) = list::<u64>();
    let (large, add_large) = list::<String>();
    let call = |method: &str| client.peer().call::<u8>(method, ());
    let small = begin(call("small").on_progress(add).into_future()).await;
    let big = begin(call("big").on_progress(add_large).into_future()).await;
    for value in 0..10_000 {
        raw.send(told("1", &value.to_string())).await;
    }
    for letter in ["a", "b", "c", "d", "e"] {
        raw.send(told("2", &format!("\"{}\"", letter.repeat(300_000)))).await;
    }
    raw.send(told("2", &format!("\"{}\"", "f".repeat(2_000_000)))).await;
    raw.send(format!("[{},{}]", result("1", "1"), result("2", "2"))).await;
    assert_eq!((small.await.unwrap(), big.await.unwrap()), (1, 2));
    assert!(taken(&steps).into_iter().eq(10_000 - 64..10_000), "the latest");
    let first: Vec<_> = taken(&large).iter().map(|text| text.as_bytes()[0]).collect();
    assert_eq!(first, *b"cde", "as many as fit");
}

/// A handler that sends more progress than its caller reads has to wait.
#[tokio::test]
async fn a_handler_that_sends_progress_waits_for_its_caller() {
    const STEPS: u32 = 2000;
    let count = Arc::new(Mutex::new(0));
    let counting = Arc::clone(&count);
    let config = Config { max_send_queue: 10_000, ..Config::default() };
    let server = Server::builder().config(config).method("m", move |ctx: Context, ()| {
        let count = Arc::clone(&counting);
        async move {
            let value = "x".repeat(1000);
            for _ in 0..STEPS {
                ctx.progress(&value).await?;
                *count.lock().unwrap() += 1;
            }
            Ok(())
        }
    });
    let mut raw = Raw::client(server).await;
    raw.send(r#"{"jsonrpc":"2.0","method":"m","wsjsonrpc":{"progress":1},"id":1}"#).await;
    for _ in 0..5000 {
        tokio::task::yield_now().await;
    }
    let unread = *count.lock().unwrap();
    assert!((1..300).contains(&unread), "{unread} values were sent to a caller that does not read");
    for _ in 0..STEPS {
        assert!(raw.receive().await.contains("$/progress"));
    }
    assert_eq!(raw.receive().await, result("null", "1"));
}

/// While requests are held back because the peer takes no responses, responses from the peer are
/// still read, and so is the progress before them.
#[tokio::test]
async fn progress_overtakes_requests_that_are_held_back() {
    let config = Config { max_send_queue: 1000, ..Config::default() };
    let big = |_: Context, ()| async { Ok("x".repeat(10_000)) };
    let server = Server::builder().config(config).method("big", big);
    let (mut raw, peer) = Raw::knowing_client(server).await;
    let (steps, add) = list::<u32>();
    let call = begin(peer.call::<u32>("m", ()).on_progress(add).into_future()).await;
    assert!(raw.receive().await.contains("\"progress\":\"s1\""));
    for id in 0..20 {
        raw.send(request("big", "[]", &id.to_string())).await;
    }
    raw.send(told("\"s1\"", "1")).await;
    raw.send(format!("[{},{}]", told("\"s1\"", "2"), result("5", "\"s1\""))).await;
    assert_eq!(call.await.unwrap(), 5);
    assert_eq!(taken(&steps), [1, 2]);
}
