//! Graceful shutdown of a server: calls in flight are answered, new requests are refused, then all
//! connections are closed, within a time limit. Also what happens to handlers when a connection
//! ends.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Config, Context, Error, Server};
use wsjsonrpc_tests::{Gate, Raw, begin, error, gated_server, notification, request, result};

async fn expect_close(raw: &mut Raw, code: u16) {
    assert_eq!(raw.receive_close().await.map(|frame| frame.code.into()), Some(code));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_answers_calls_in_flight_and_refuses_new_ones() {
    let gate = Gate::default();
    let endpoint = gated_server(&gate).build().unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    let (mut idle, _) = Raw::client_of(&endpoint).await;
    idle.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
    raw.send(request("gated", "[]", "1")).await;
    raw.send(format!("[{},{}]", request("gated", "[]", "2"), request("quick", "[]", "3"))).await;
    gate.arrived(2).await;

    let shutdown = begin(endpoint.shutdown()).await;
    expect_close(&mut idle, 1001).await;
    idle.wait_for_end().await;
    raw.send(notification("quick", "[]")).await;
    let refused = raw.ask(request("quick", "[]", "4")).await;
    assert_eq!(refused, error(-32002, "Shutting down", "4"));
    let batch = format!("[{}, 1]", request("no.such.method", "[]", "5"));
    let refused =
        format!("[{},{}]", error(-32002, "Shutting down", "5"), wsjsonrpc_tests::not_an_object());
    assert_eq!(raw.ask(batch).await, refused);
    gate.open(2);
    let mut answers = [raw.receive().await, raw.receive().await];
    answers.sort();
    let batch = format!("[{},{}]", result("\"finished\"", "2"), result("null", "3"));
    assert_eq!(answers, [batch, result("\"finished\"", "1")]);
    expect_close(&mut raw, 1001).await;
    raw.wait_for_end().await;
    assert_eq!(shutdown.await, 0);
    assert!(matches!(serving.await.unwrap(), CloseReason::Local));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_calls_its_caller_can_finish_during_a_shutdown() {
    let asks = Server::builder().method("ask", |ctx: Context, ()| async move {
        let answer: i64 = ctx.peer().call("question", ()).await.unwrap_or(-1);
        Ok(answer)
    });
    let endpoint = asks.build().unwrap();
    let (mut raw, _) = Raw::client_of(&endpoint).await;
    assert_eq!(
        raw.ask(request("ask", "[]", "1")).await,
        r#"{"jsonrpc":"2.0","method":"question","id":"s1"}"#
    );
    let shutdown = begin(endpoint.shutdown()).await;
    assert_eq!(raw.ask(result("42", "\"s1\"")).await, result("42", "1"));
    expect_close(&mut raw, 1001).await;
    raw.wait_for_end().await;
    assert_eq!(shutdown.await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_reports_how_many_handlers_it_aborted() {
    let gate = Gate::default();
    let endpoint = gated_server(&gate).build().unwrap();
    let (mut stays, _) = Raw::client_of(&endpoint).await;
    let (mut goes, serving) = Raw::client_of(&endpoint).await;
    stays.send(request("gated", "[]", "1")).await;
    stays.send(notification("gated", "[]")).await;
    stays.check(&request("quick", "[]", "2"), &[&result("null", "2")]).await;
    goes.send(request("gated", "[]", "1")).await;
    goes.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
    goes.hang_up();
    serving.await.unwrap();

    let shutdown = begin(endpoint.shutdown()).await;
    let (cut_off, ()) = tokio::join!(shutdown, async {
        expect_close(&mut stays, 1001).await;
        stays.wait_for_end().await;
    });
    assert_eq!(cut_off, 3);
    assert_eq!(endpoint.shutdown().await, 3, "the handlers are still running");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_even_if_a_peer_neither_reads_nor_answers() {
    let endpoint = Server::builder()
        .method("large", |_, ()| async { Ok("x".repeat(1 << 20)) })
        .build()
        .unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    let (mut silent, silent_serving) = Raw::client_of(&endpoint).await;
    for raw in [&mut raw, &mut silent] {
        raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
    }
    for _ in 0..4 {
        raw.send(request("large", "[]", "1")).await;
    }
    assert_eq!(begin(endpoint.shutdown()).await.await, 0);
    serving.await.unwrap();
    silent_serving.await.unwrap();
    assert_eq!(endpoint.connection_count(), 0);
}

#[tokio::test]
async fn connecting_after_a_shutdown_is_refused() {
    let endpoint = Server::builder().build().unwrap();
    assert_eq!(endpoint.shutdown().await, 0);
    let (mut late, serving) = Raw::client_of(&endpoint).await;
    expect_close(&mut late, 1001).await;
    late.wait_for_end().await;
    assert!(matches!(serving.await.unwrap(), CloseReason::Local));
}

#[tokio::test]
async fn a_stopped_server_stops_listening_and_closes_connections() {
    let gate = Gate::default();
    let server = gated_server(&gate).bind("127.0.0.1:0").await.unwrap();
    let (url, address): (String, SocketAddr) = (server.url(), server.local_addr());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run_until(async { drop(stopped.await) }));
    let client = Client::connect(&url).await.unwrap();
    let peer = client.peer();
    let call = tokio::spawn(peer.call::<String>("gated", ()).into_future());
    gate.arrived(1).await;

    drop(stop);
    let refused = loop {
        match peer.call::<()>("quick", ()).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(Error::Call(error)) => break error.code().0,
            Err(other) => panic!("{other:?}"),
        }
    };
    assert_eq!(refused, -32002);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    gate.open(1);
    assert_eq!(call.await.unwrap().unwrap(), "finished");
    assert!(matches!(client.closed().await, CloseReason::Remote { code: 1001, .. }));
    assert_eq!(running.await.unwrap(), 0);
}

/// Reports how a handler ended: `finished` or `dropped`.
struct Witness(mpsc::UnboundedSender<&'static str>);

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

fn witnessed(
    gate: &Gate,
    config: Config,
) -> (ServerBuilder, mpsc::UnboundedReceiver<&'static str>) {
    let (witness, told) = mpsc::unbounded_channel();
    let gate = gate.clone();
    let server = Server::builder().config(config).method("work", move |_, ()| {
        let (gate, witness) = (gate.clone(), Witness(witness.clone()));
        async move {
            gate.pass().await;
            let _ = witness.0.send("finished");
            Ok(())
        }
    });
    (server, told)
}

#[tokio::test]
async fn a_handler_runs_to_its_end_after_its_connection_ended() {
    let gate = Gate::default();
    let (server, mut told) = witnessed(&gate, Config::default());
    let (mut raw, peer) = Raw::client_and_peer(server).await;
    raw.send(request("work", "[]", "1")).await;
    raw.send(notification("work", "[]")).await;
    gate.arrived(2).await;
    raw.hang_up();
    assert!(matches!(peer.closed().await, CloseReason::Lost(_)));
    gate.open(2);
    let mut ends = Vec::new();
    while let Some(end) = told.recv().await {
        ends.push(end);
    }
    ends.sort_unstable();
    assert_eq!(ends, ["dropped", "dropped", "finished", "finished"]);
}

#[tokio::test]
async fn a_droppable_handler_is_dropped_with_its_connection() {
    let gate = Gate::default();
    let config = Config { cancel_on_close: true, ..Config::default() };
    let (server, mut told) = witnessed(&gate, config);
    let (mut raw, peer) = Raw::client_and_peer(server).await;
    raw.send(request("work", "[]", "1")).await;
    raw.send(format!("[{}]", notification("work", "[]"))).await;
    gate.arrived(2).await;
    raw.hang_up();
    peer.closed().await;
    let mut ends = Vec::new();
    while let Some(end) = told.recv().await {
        ends.push(end);
    }
    assert_eq!(ends, ["dropped", "dropped"]);
}

#[tokio::test]
async fn a_handler_learns_that_its_connection_has_ended() {
    let (send, mut told) = mpsc::unbounded_channel();
    let waits = Server::builder().method("wait", move |ctx: Context, ()| {
        let send = send.clone();
        async move {
            let _ = send.send(None);
            let _ = send.send(Some(ctx.closed().await));
            Ok(())
        }
    });
    let (mut raw, _) = Raw::client_and_peer(waits).await;
    raw.send(request("wait", "[]", "1")).await;
    assert!(told.recv().await.expect("it began").is_none());
    raw.hang_up();
    assert!(matches!(told.recv().await, Some(Some(CloseReason::Lost(_)))));
}

/// Everything that belongs to a connection (services, state, handlers, its task) is dropped when it
/// has ended.
#[tokio::test]
async fn an_ended_connection_leaves_nothing_behind() {
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    let config = Config { cancel_on_close: true, ..Config::default() };
    let endpoint = Server::builder()
        .config(config)
        .method("stay", move |ctx: Context, ()| {
            ctx.set(alive.clone());
            ctx.set(ctx.peer().clone());
            let alive = alive.clone();
            async move {
                let _own = alive;
                ctx.peer().call::<()>("question", ()).without_timeout().await?;
                pending::<wsjsonrpc::Result<()>>().await
            }
        })
        .build()
        .unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    drop(endpoint);
    raw.ask(request("stay", "[]", "1")).await;
    raw.hang_up();
    serving.await.unwrap();
    assert!(all_gone.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn dropping_the_serving_future_ends_the_calls_of_its_peer() {
    let endpoint = Server::builder().build().unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
    let peer = endpoint.connections().pop().unwrap().peer();
    let call = begin(peer.call::<()>("never.answered", ()).into_future()).await;
    serving.abort();
    assert!(matches!(call.await, Err(Error::Closed(CloseReason::Aborted))));
    assert!(endpoint.connections().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_times_out_leaves_nothing_behind() {
    let builder = || Client::builder().call_timeout(Duration::from_secs(7));
    let (mut raw, client) = Raw::server(builder()).await;
    let peer = client.peer();
    let own = peer.call::<i64>("own", ()).timeout(Duration::from_secs(3));
    let (own, usual) = (own.into_future(), peer.call::<i64>("usual", ()).into_future());
    let brief = peer.call::<i64>("brief", ()).timeout(Duration::from_secs(1));
    let long = peer.call::<i64>("long", ()).without_timeout();
    let batch = tokio::spawn(peer.batch((brief, long)).into_future());
    raw.receive().await;
    let endless = begin(peer.call::<i64>("endless", ()).without_timeout().into_future()).await;
    let (own, usual) = tokio::join!(own, usual);
    assert!(matches!(own, Err(Error::Timeout(_))), "{own:?}");
    assert!(matches!(usual, Err(Error::Timeout(_))), "{usual:?}");
    assert_eq!(peer.pending_calls(), 2);
    for late in [result("1", "1"), result("2", "4"), result("3", "5"), result("4", "2")] {
        raw.send(late).await;
    }
    let (brief, long) = batch.await.unwrap().unwrap();
    assert!(matches!(brief, Err(Error::Timeout(_))), "{brief:?}");
    assert_eq!(long.unwrap(), 4);
    raw.send(result("5", "3")).await;
    assert_eq!(endless.await.unwrap(), 5);
    assert_eq!(peer.pending_calls(), 0);
}
