//! The log never contains data of calls, on either side: params, results, errors, ids, close
//! reasons. Not even at the most verbose level.

use std::time::Duration;

use serde_json::Value;
use wsjsonrpc::{Client, Config, Context, ErrorObject, Server, memory};
use wsjsonrpc_tests::log::Log;
use wsjsonrpc_tests::{Raw, notification, request, result};

const SECRET: &str = "s3cr3t";

fn secret(id: &str) -> String {
    format!("\"{SECRET}{id}\"")
}

/// Handles its secret as `how` says.
async fn answer(_: Context, (how, text): (String, String)) -> wsjsonrpc::Result<String> {
    if how.ends_with("later") {
        tokio::task::yield_now().await;
    }
    match how.trim_end_matches(" later") {
        "panic" => panic!("{text}"),
        "fail" => Err(ErrorObject::new(7, text.clone()).with_data([text])),
        "large" => Ok(text.repeat(1000)),
        _ => Ok(text),
    }
}

#[tokio::test(start_paused = true)]
async fn calls_good_and_bad_leave_no_secret_in_the_log() {
    let log = Log::default();
    // The runtime has one thread, so all its tasks write to this log.
    let _guard = tracing::subscriber::set_default(log.clone());
    let config = Config {
        max_in_flight: 2,
        max_in_flight_bytes: 1000,
        max_outgoing_message: 3000,
        max_incoming_message: 5000,
        ..Config::default()
    };
    let server = || {
        let server = Server::builder().config(config.clone()).method("answer", answer);
        server.method("never", |_, (_,): (String,)| std::future::pending::<wsjsonrpc::Result<()>>())
    };

    // Two peers of this crate.
    let (client, caller) =
        memory::pair(Client::builder().config(config.clone()).method("answer", answer), server())
            .unwrap();
    for peer in [client.peer(), caller] {
        for how in ["fine", "panic", "fail", "large", "panic later", "fail later", "large later"] {
            let call = || peer.call::<String>("answer", (how, SECRET));
            let _ = call().await;
            call().notify().await.unwrap();
            let _ = peer.batch([call(), call()]).await;
        }
        peer.call::<Value>("answer", [SECRET]).await.unwrap_err();
        peer.call::<Value>("answer", (SECRET, 7)).await.unwrap_err();
        peer.call::<u64>("answer", ("fine", SECRET)).await.unwrap_err();
        // The span of an outgoing call has the method name; an unknown method name from the peer is
        // not logged.
        peer.call::<Value>("no.such.method", ()).await.unwrap_err();
        let _ = peer.call::<Value>("never", [SECRET]).timeout(Duration::from_secs(1)).await;
    }
    client.peer().close(4000, SECRET);
    client.closed().await;

    // Raw peers, which send what this crate never sends.
    let (mut raw, peer) = Raw::client_and_peer(server()).await;
    let bad = [
        SECRET.to_owned(),
        secret(""),
        format!("[{}]", secret("")),
        result(&secret(""), &secret("id")),
        format!("{{\"error\":{},\"id\":{}}}", secret(""), secret("")),
        format!("{{\"jsonrpc\":{},\"method\":{},\"id\":1}}", secret(""), secret("")),
        notification(SECRET, &format!("[{}]", secret(""))),
        request("answer", &format!("{{{}:1}}", secret("")), &secret("id")),
    ];
    for text in bad {
        raw.send(text).await;
    }
    for id in 0..5 {
        raw.send(request("never", &format!("[{}]", secret("")), &secret(&id.to_string()))).await;
        raw.send(notification("never", &format!("[{}]", secret("")))).await;
        raw.send(request(SECRET, "[]", &secret(&id.to_string()))).await;
    }
    peer.notify("sync", ()).await.unwrap();
    while !raw.receive().await.contains("sync") {}
    raw.send(secret(&"x".repeat(5000))).await;
    peer.closed().await;
    // A peer that has disconnected.
    let (mut raw, peer) = Raw::client_and_peer(server()).await;
    raw.send(request("never", &format!("[{}]", secret("")), "1")).await;
    peer.closed().await;

    let text = log.text();
    assert!(!text.contains(SECRET), "{text}");
    for line in ["handler panicked", "too many calls are in flight", "matches no pending call"] {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
}
