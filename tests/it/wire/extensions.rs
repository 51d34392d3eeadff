//! Extensions to JSON-RPC are sent only to peers that announced them, and understood from all
//! peers. A web page cannot set the header, and a POST has no opening handshake.

use std::future::IntoFuture;
use std::time::Duration;

use futures_util::stream;
use tokio::time::Instant;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::subscription::{Overflow, Topic};
use wsjsonrpc::{Client, Config, Context, Methods, Server};
use wsjsonrpc_tests::{
    Gate, Raw, begin, cancel, cancelled, empty_batch, method_not_found, notification, request,
    result,
};

use wsjsonrpc_tests::mounted::in_axum;
use wsjsonrpc_tests::post::ask;

fn server(gate: &Gate) -> ServerBuilder {
    let numbers = |_: Context, ()| async { Ok(stream::iter((1..=9).map(Ok))) };
    let methods = Methods::new()
        .method("steps", |ctx: Context, ()| async move {
            ctx.progress(1).await?;
            ctx.progress(2).await?;
            Ok("done")
        })
        .method("left", |ctx: Context, ()| async move {
            let left = ctx.deadline().map(|deadline| deadline - Instant::now());
            Ok(left.map(|left| left.as_secs()))
        })
        .method("slow", gate.handler("late"))
        .subscription(Topic::new("numbers").overflow(Overflow::Block), numbers);
    let config = Config { ping_interval: None, ..Config::default() };
    Server::builder().service(methods).config(config)
}

fn with(method: &str, member: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","wsjsonrpc":{member},"id":1}}"#)
}

fn item(number: u64) -> String {
    wsjsonrpc_tests::item("numbers", r#""0x1""#, &number.to_string())
}

async fn a_server_understands(mut raw: Raw, gate: Gate) {
    assert_eq!(raw.ask(with("left", r#"{"timeout":7000}"#)).await, result("7", "1"));
    assert_eq!(raw.ask(request("left", "[]", "1")).await, result("null", "1"));

    raw.send(with("steps", r#"{"progress":"p"}"#)).await;
    for step in [1, 2] {
        let params = format!(r#"{{"token":"p","value":{step}}}"#);
        assert_eq!(raw.receive().await, notification("$/progress", &params));
    }
    assert_eq!(raw.receive().await, result(r#""done""#, "1"));
    assert_eq!(raw.ask(request("steps", "[]", "1")).await, result(r#""done""#, "1"));

    raw.send(request("slow", "[]", "5")).await;
    gate.arrived(1).await;
    let cancelled = cancelled("5");
    assert_eq!(raw.ask(cancel("5")).await, cancelled);

    // The window takes a bit more than one item: two are sent, and the others when there is credit.
    assert_eq!(raw.ask(with("numbers", r#"{"window":66}"#)).await, result(r#""0x1""#, "1"));
    assert_eq!((raw.receive().await, raw.receive().await), (item(1), item(2)));
    raw.check("[]", &[&empty_batch()]).await;
    raw.send(notification("$/credit", r#"{"subscription":"0x1","bytes":130}"#)).await;
    assert_eq!((raw.receive().await, raw.receive().await), (item(3), item(4)));
    raw.check("[]", &[&empty_batch()]).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_understands_extensions_without_announcement() {
    let gate = Gate::default();
    a_server_understands(Raw::client(server(&gate)).await, gate).await;
    let gate = Gate::default();
    let (raw, _peer) = Raw::knowing_client(server(&gate)).await;
    a_server_understands(raw, gate).await;
}

#[tokio::test]
async fn a_server_understands_extensions_by_post() {
    let config = Config { handshake_timeout: Duration::from_secs(60), ..Config::default() };
    let server = server(&Gate::default()).config(config);
    let address = in_axum(server.build().unwrap().http_service()).await;
    let answer = ask(address, &with("left", r#"{"timeout":7000}"#)).await;
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert!(answer["result"].as_u64().is_some_and(|left| left <= 7), "{answer}");
    // There is no socket for progress.
    assert_eq!(ask(address, &with("steps", r#"{"progress":1}"#)).await, result(r#""done""#, "1"));
}

/// A server may send extensions although the client did not announce them.
#[tokio::test]
async fn a_client_understands_extensions_it_did_not_ask_for() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let peer = client.peer();
    let call =
        begin(peer.call::<u8>("m", ()).on_progress(|_: u8| panic!("not asked for")).into_future());
    let call = call.await;
    assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"m","id":1}"#);
    // The call did not ask for progress.
    raw.send(notification("$/progress", r#"{"token":1,"value":5}"#)).await;
    raw.send(result("7", "1")).await;
    assert_eq!(call.await.unwrap(), 7);

    let asked = tokio::spawn(async move { peer.subscribe::<u64>("numbers", ()).await });
    assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"numbers","id":2}"#);
    raw.send(result("8", "2")).await;
    let mut numbers = asked.await.unwrap().unwrap();
    let params = r#"{"subscription":8,"dropped":3,"result":4}"#;
    raw.send(notification("numbers", params)).await;
    assert_eq!(numbers.next().await.unwrap().unwrap(), 4);
    assert_eq!(numbers.dropped(), 3);
    raw.send(notification("numbers", r#"{"subscription":8,"error":null}"#)).await;
    assert!(numbers.next().await.is_none());
}

#[tokio::test]
async fn an_applications_own_method_comes_first() {
    let methods = Methods::new().method("$/progress", |_, _: serde_json::Value| async { Ok(()) });
    let mut raw = Raw::client(Server::builder().service(methods)).await;
    raw.check(&request("$/progress", r#"{"token":1}"#, "1"), &[&result("null", "1")]).await;
    let unknown = method_not_found("$/credit", "1");
    raw.check(&request("$/credit", "{}", "1"), &[&unknown]).await;
}
