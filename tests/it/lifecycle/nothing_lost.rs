//! Messages that were accepted arrive: over a real socket, in both directions, with a close right
//! after them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wsjsonrpc::error::CloseReason;
use wsjsonrpc::{Client, Config, Server};
use wsjsonrpc_tests::{Raw, notification, over_socket, request};

const COUNT: usize = 10_000;

/// A client or a server that counts notifications. The send queue has room for all of them.
macro_rules! counting {
    ($side:ident, $count:expr) => {{
        let count = Arc::clone(&$count);
        $side::builder().config(Config { max_send_queue: 10 << 20, ..Config::default() }).method(
            "count",
            move |_, _: (usize,)| {
                count.fetch_add(1, Ordering::Relaxed);
                async { Ok(()) }
            },
        )
    }};
}

#[tokio::test]
async fn a_client_that_closes_at_once_has_sent_everything() {
    let (at_client, at_server) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (client, caller) =
        over_socket(counting!(Client, at_client), counting!(Server, at_server)).await;
    for number in 0..COUNT {
        client.peer().notify("count", [number]).await.unwrap();
    }
    assert!(matches!(client.close().await, CloseReason::Local));
    assert!(matches!(caller.closed().await, CloseReason::Remote { code: 1000, .. }));
    assert_eq!(at_server.load(Ordering::Relaxed), COUNT);
}

#[tokio::test]
async fn a_server_that_ends_at_once_has_sent_everything() {
    for shuts_down in [false, true] {
        let (at_client, at_server) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let server = counting!(Server, at_server).bind("127.0.0.1:0").await.unwrap();
        let (url, endpoint) = (server.url(), server.endpoint().clone());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let running = tokio::spawn(server.run_until(async { drop(stopped.await) }));
        let client = counting!(Client, at_client).connect(&url).await.unwrap();
        client.peer().call::<()>("count", [0]).await.unwrap();
        let caller = endpoint.connections().pop().unwrap().peer();
        for number in 0..COUNT {
            caller.notify("count", [number]).await.unwrap();
        }
        let code = if shuts_down {
            stop.send(()).unwrap();
            assert_eq!(running.await.unwrap(), 0);
            1001
        } else {
            caller.close(4000, "");
            4000
        };
        let reason = client.closed().await;
        assert!(matches!(reason, CloseReason::Remote { code: at, .. } if at == code), "{reason:?}");
        assert_eq!(at_client.load(Ordering::Relaxed), COUNT);
    }
}

/// The peer cannot know yet that the connection is closing. Its request is refused.
#[tokio::test]
async fn notifications_received_before_a_queued_close_are_handled() {
    let counted = Arc::new(AtomicUsize::new(0));
    let (mut raw, peer) = Raw::client_and_peer(counting!(Server, counted)).await;
    peer.notify("fill", ["x".repeat(1_000_000)]).await.unwrap();
    peer.close(4000, "enough");
    raw.send(notification("count", "[1]")).await;
    raw.send(request("count", "[2]", "1")).await;
    assert!(raw.receive().await.contains("fill"));
    assert!(raw.receive().await.contains("-32002"), "the request is refused");
    assert_eq!(counted.load(Ordering::Relaxed), 1);
    assert_eq!(u16::from(raw.receive_close().await.unwrap().code), 4000);
}
