//! The hook `on_disconnect`: exactly once for each connection that was accepted.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::SinkExt;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::server::{Rejection, ServerBuilder};
use wsjsonrpc::{Config, Context, Endpoint, Server};
use wsjsonrpc_tests::log::Log;
use wsjsonrpc_tests::{Gate, Raw, SECOND, empty_batch, gated_server, request, result, server};

use super::on_connect::settle;

/// What the hook was called with: the user of the connection, and the reason.
#[derive(Clone, Default)]
struct Ends(Arc<Mutex<Vec<String>>>);

impl Ends {
    fn hook(&self, server: ServerBuilder) -> ServerBuilder {
        let ends = self.clone();
        server.on_disconnect(move |connection, reason| {
            assert!(connection.is_closed());
            let user = connection.get::<&str>().map_or("-", |user| *user);
            ends.0.lock().unwrap().push(format!("{user}: {reason}"));
            async {}
        })
    }

    async fn take(&self) -> Vec<String> {
        settle().await;
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A server that stores a user in its `on_connect` hook, if it has one.
fn with_hooks(ends: &Ends, accepts: bool) -> Endpoint {
    let server = ends.hook(server());
    let accepting = |server: ServerBuilder| {
        server.on_connect(|connection| async move {
            connection.set("Ada");
            tokio::task::yield_now().await;
            Ok(())
        })
    };
    let server = if accepts { accepting(server) } else { server };
    server.build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_hook_runs_once_for_each_way_to_end() {
    for accepts in [true, false] {
        let ends = Ends::default();
        let user = if accepts { "Ada" } else { "-" };
        let only = |reason: &str| vec![format!("{user}: {reason}")];
        let open = || async {
            let endpoint = with_hooks(&ends, accepts);
            let (mut raw, serving) = Raw::client_of(&endpoint).await;
            raw.check("[]", &[&empty_batch()]).await;
            assert_eq!(ends.take().await, [""; 0]);
            (endpoint, raw, serving)
        };

        let (_, mut raw, _serving) = open().await;
        raw.socket.send(Message::Close(None)).await.unwrap();
        raw.wait_for_end().await;
        assert_eq!(ends.take().await, only("connection closed by the peer with code 1005"));

        let (endpoint, raw, _serving) = open().await;
        endpoint.connections()[0].close(4003, "banned");
        raw.wait_for_end().await;
        assert_eq!(ends.take().await, only("connection closed by this side"));

        let (_, raw, _serving) = open().await;
        raw.hang_up();
        let [lost] = &ends.take().await[..] else { panic!("once") };
        assert!(lost.starts_with(&format!("{user}: connection lost")), "{lost}");

        let (_, mut raw, _serving) = open().await;
        raw.send_bytes(b"\xff\xff\xff\xff").await;
        raw.wait_for_end().await;
        let [broken] = &ends.take().await[..] else { panic!("once") };
        assert!(broken.contains("violated the protocol"), "{broken}");

        // The client answers nothing, so keep-alive ends the connection.
        let (_endpoint, raw, _serving) = open().await;
        sleep(60 * SECOND).await;
        let [silent] = &ends.take().await[..] else { panic!("once") };
        assert!(silent.contains("keep-alive timed out"), "{silent}");
        drop(raw);

        let (endpoint, raw, _serving) = open().await;
        let waiting = tokio::spawn(raw.wait_for_end());
        assert_eq!(endpoint.shutdown().await, 0);
        // Shutdown has waited for the hook.
        assert_eq!(
            std::mem::take(&mut *ends.0.lock().unwrap()),
            only("connection closed by this side")
        );
        waiting.await.unwrap();

        let (_, raw, serving) = open().await;
        serving.abort();
        assert_eq!(ends.take().await, only(&CloseReason::Aborted.to_string()));
        drop(raw);
        assert_eq!(ends.take().await, [""; 0], "once");
    }
}

#[tokio::test(start_paused = true)]
async fn the_hook_does_not_run_for_connections_that_were_not_accepted() {
    let (ends, count) = (Ends::default(), AtomicUsize::new(0));
    let server = ends.hook(server()).config(Config { max_connections: 3, ..Config::default() });
    let endpoint = server
        .on_connect(move |_| {
            let kind = count.fetch_add(1, Ordering::Relaxed);
            async move {
                match kind {
                    0 => Err(Rejection::new(4003, "banned")),
                    1 => panic!("on purpose"),
                    _ => pending().await,
                }
            }
        })
        .build()
        .unwrap();
    for code in [4003_u16, 1011, 1013] {
        let (mut raw, serving) = Raw::client_of(&endpoint).await;
        assert_eq!(raw.receive_close().await.map(|frame| frame.code.into()), Some(code));
        raw.wait_for_end().await;
        serving.await.unwrap();
    }
    // Refused by the limit, before any hook.
    let serving = (0..4).map(|_| wsjsonrpc_tests::serve_upgraded(&endpoint, handshake(), 4096));
    let serving: Vec<_> = serving.collect();
    settle().await;
    assert_eq!(endpoint.connection_count(), 3);
    drop(serving);
    assert_eq!(ends.take().await, [""; 0]);
}

fn handshake() -> wsjsonrpc::server::Handshake {
    wsjsonrpc::server::Handshake::new("/")
}

/// Nothing can be spawned on a runtime that shuts down.
#[test]
fn a_runtime_that_shuts_down_runs_no_hook() {
    let ends = Ends::default();
    let runtime: Runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (endpoint, raw) = runtime.block_on(async {
        let endpoint = with_hooks(&ends, true);
        let (mut raw, _) = Raw::client_of(&endpoint).await;
        raw.check("[]", &[&empty_batch()]).await;
        (endpoint, raw)
    });
    let connection = endpoint.connections().pop().unwrap();
    drop(runtime);
    assert!(connection.is_closed());
    assert!(ends.0.lock().unwrap().is_empty());
    assert_eq!(endpoint.connection_count(), 0);
    drop(raw);
}

/// A handler that outlives its connection may run beside the hook.
#[tokio::test(start_paused = true)]
async fn the_hook_does_not_wait_for_handlers() {
    let (ends, gate) = (Ends::default(), Gate::default());
    let endpoint = ends.hook(gated_server(&gate)).build().unwrap();
    let (mut raw, _) = Raw::client_of(&endpoint).await;
    raw.send(request("gated", "[]", "1")).await;
    gate.arrived(1).await;
    let connection = endpoint.connections().pop().unwrap();
    raw.hang_up();
    assert_eq!(ends.take().await.len(), 1);
    assert_eq!(connection.calls_in_flight(), 1);
    gate.open(1);
    settle().await;
    assert_eq!(connection.calls_in_flight(), 0);
}

/// A handler that hangs uses up the time of the shutdown. The hook begins after that, and still ends.
#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_hooks_that_begin_after_its_deadline() {
    let (done, gate) = (Arc::new(AtomicUsize::new(0)), Gate::default());
    let counted = Arc::clone(&done);
    let endpoint = gated_server(&gate)
        .on_disconnect(move |_, _| {
            let done = Arc::clone(&counted);
            async move {
                sleep(SECOND).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        })
        .build()
        .unwrap();
    let (mut raw, _) = Raw::client_of(&endpoint).await;
    raw.send(request("gated", "[]", "1")).await;
    gate.arrived(1).await;
    let waiting = tokio::spawn(raw.wait_for_end());
    assert_eq!(endpoint.shutdown().await, 1);
    assert_eq!(done.load(Ordering::Relaxed), 1);
    waiting.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_or_hangs_affects_nothing_else() {
    let (log, _guard) = Log::of_this_thread();
    let count = AtomicUsize::new(0);
    let config = Config { max_connections: 2, ..Config::default() };
    let server = server().config(config).on_disconnect(move |_, _| {
        let panics = count.fetch_add(1, Ordering::Relaxed) == 0;
        async move { if panics { panic!("on purpose") } else { pending().await } }
    });
    let endpoint = server.build().unwrap();
    let (mut stays, _) = Raw::client_of(&endpoint).await;
    let lines = [("`on_disconnect` hook panicked", 1), ("`on_disconnect` hook exceeded", 2)];
    for (line, times) in lines {
        let (mut raw, serving) = Raw::client_of(&endpoint).await;
        raw.check("[]", &[&empty_batch()]).await;
        raw.hang_up();
        serving.await.unwrap();
        // A connection counts in the limit until its hook has ended.
        sleep(SECOND).await;
        let (mut next, _) = Raw::client_of(&endpoint).await;
        if line.ends_with("exceeded") {
            let close = timeout(SECOND, next.receive_close()).await.expect("the limit is reached");
            assert_eq!(close.map(|frame| frame.code.into()), Some(1013_u16));
        }
        next.hang_up();
        sleep(10 * SECOND).await;
        assert_eq!(log.text().matches(line).count(), times, "{line}");
        stays.check(&request("quick", "[]", "1"), &[&result("null", "1")]).await;
    }
}

/// In the hook, the connection is not found any more, so the hook sees whether it was the user's last.
#[tokio::test(start_paused = true)]
async fn the_hook_sees_whether_a_user_has_other_connections() {
    #[derive(PartialEq, Eq, Hash)]
    struct User(u32);
    let (left, endpoint) =
        (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(None::<Endpoint>)));
    let (seen, lookup) = (Arc::clone(&left), Arc::clone(&endpoint));
    let server = Server::builder()
        .on_connect(|connection| async move {
            connection.identify(User(7));
            Ok(())
        })
        .on_disconnect(move |_, _| {
            let endpoint = lookup.lock().unwrap().clone().unwrap();
            seen.lock().unwrap().push(endpoint.connections_of(&User(7)).len());
            async {}
        })
        .method("me", |ctx: Context, ()| async move { Ok(u64::from(ctx.connection_id())) });
    let built = server.build().unwrap();
    *endpoint.lock().unwrap() = Some(built.clone());
    let (mut one, _) = Raw::client_of(&built).await;
    let (mut two, _) = Raw::client_of(&built).await;
    one.check("[]", &[&empty_batch()]).await;
    two.check("[]", &[&empty_batch()]).await;
    let ids: Vec<u64> = built.connections_of(&User(7)).iter().map(|it| it.id().into()).collect();
    assert_eq!(one.ask(request("me", "[]", "1")).await, result(&ids[0].to_string(), "1"));
    assert_eq!(two.ask(request("me", "[]", "1")).await, result(&ids[1].to_string(), "1"));
    one.hang_up();
    settle().await;
    two.hang_up();
    settle().await;
    assert_eq!(*left.lock().unwrap(), [1, 0]);
}
