//! The list of connections, and what a handle says about its connection.

use std::future::IntoFuture;
use std::time::SystemTime;

use tokio::io::AsyncWriteExt;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::server::{Connection, ConnectionId, Handshake};
use wsjsonrpc::{Context, Error};
use wsjsonrpc_tests::frames::frame_of;
use wsjsonrpc_tests::{
    Gate, Raw, begin, empty_batch, gated_server, request, result, serve_upgraded, server,
};

use super::on_connect::settle;

#[tokio::test(start_paused = true)]
async fn connections_are_listed_in_order_and_found_by_their_id() {
    let endpoint = server()
        .method("me", |ctx: Context, ()| async move { Ok(u64::from(ctx.connection_id())) })
        .build()
        .unwrap();
    assert!(endpoint.connections().is_empty());
    let mut raws = Vec::new();
    for _ in 0..3 {
        let (mut raw, serving) = Raw::client_of(&endpoint).await;
        raw.check("[]", &[&empty_batch()]).await;
        raws.push((raw, serving));
    }
    let connections = endpoint.connections();
    let ids: Vec<ConnectionId> = connections.iter().map(Connection::id).collect();
    assert_eq!((ids.len(), endpoint.connection_count()), (3, 3));
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    for ((raw, _), id) in raws.iter_mut().zip(&ids) {
        assert_eq!(raw.ask(request("me", "[]", "1")).await, result(&id.to_string(), "1"));
        let found = endpoint.connection(*id).unwrap();
        assert_eq!(found.id(), ConnectionId::from(u64::from(*id)));
    }
    // Another endpoint does not know it, and has other ids.
    let other = server().build().unwrap();
    assert!(other.connection(ids[0]).is_none());
    let (mut elsewhere, _) = Raw::client_of(&other).await;
    elsewhere.check("[]", &[&empty_batch()]).await;
    assert!(other.connections()[0].id() > ids[2]);

    let (middle, serving) = raws.remove(1);
    middle.hang_up();
    serving.await.unwrap();
    let left: Vec<ConnectionId> = endpoint.connections().iter().map(Connection::id).collect();
    assert_eq!(left, [ids[0], ids[2]]);
    assert!(endpoint.connection(ids[1]).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_handle_shows_the_handshake_and_the_values_of_its_connection() {
    let before = SystemTime::now();
    let endpoint = server()
        .method(
            "set",
            |ctx: Context, (text,): (String,)| async move { Ok(ctx.set(text).is_none()) },
        )
        .method("get", |ctx: Context, ()| async move {
            Ok(ctx.require::<String>()?.as_str().to_owned())
        })
        .build()
        .unwrap();
    let mut handshake = Handshake::new("/chat?room=7");
    handshake.remote_addr = Some("192.0.2.1:4000".parse().unwrap());
    let (mut raw, _) = Raw::client_with(&endpoint, handshake).await;
    assert_eq!(raw.ask(request("set", "[\"a\"]", "1")).await, result("true", "1"));
    let connection = endpoint.connections().pop().unwrap();
    assert_eq!(connection.get::<String>().unwrap().as_str(), "a");
    assert!(connection.get::<u32>().is_none() && connection.require::<u32>().is_err());
    connection.set("b".to_owned());
    assert_eq!(raw.ask(request("get", "[]", "2")).await, result("\"b\"", "2"));
    assert_eq!(connection.remove::<String>().unwrap().as_str(), "b");
    assert_eq!(connection.handshake().query(), Some("room=7"));
    assert_eq!(connection.remote_addr(), Some("192.0.2.1:4000".parse().unwrap()));
    let connected_at = connection.connected_at();
    assert!(before <= connected_at && connected_at <= SystemTime::now());
    let shown = format!("{connection:?}");
    assert!(shown.contains(&format!("id: {:?}", connection.id())), "{shown}");
}

/// Bytes are counted as they are on the network: with the headers of frames.
#[tokio::test(start_paused = true)]
async fn a_handle_counts_bytes_and_calls() {
    let gate = Gate::default();
    let endpoint = gated_server(&gate).build().unwrap();
    let (mut stream, _) = serve_upgraded(&endpoint, Handshake::new("/"), 1024);
    settle().await;
    let connection = endpoint.connections().pop().unwrap();
    let counts = || (connection.bytes_received(), connection.bytes_sent());
    assert_eq!(counts(), (0, 0));
    let quick = frame_of(0x81, request("quick", "[]", "1").as_bytes(), true);
    let done = frame_of(0x81, result("null", "1").as_bytes(), false);
    for times in 1..3 {
        stream.write_all(&quick).await.unwrap();
        settle().await;
        assert_eq!(counts(), ((times * quick.len()) as u64, (times * done.len()) as u64));
    }
    let gated = frame_of(0x81, request("gated", "[]", "2").as_bytes(), true);
    stream.write_all(&[gated.as_slice(), &gated].concat()).await.unwrap();
    gate.arrived(2).await;
    assert_eq!((connection.calls_in_flight(), connection.pending_calls()), (2, 0));
    let call = begin(connection.peer().call::<()>("ask", ()).into_future()).await;
    assert_eq!((connection.calls_in_flight(), connection.pending_calls()), (2, 1));
    drop(call);
    gate.open(2);
    settle().await;
    assert_eq!((connection.calls_in_flight(), connection.pending_calls()), (0, 0));

    // The stream buffers 1 KiB, and nobody reads it.
    assert_eq!(connection.queued_bytes(), 0);
    let text = "x".repeat(5000);
    connection.peer().notify("news", [&text]).await.unwrap();
    settle().await;
    let (sent, queued) = (connection.bytes_sent(), connection.queued_bytes());
    assert!(queued >= 5000, "a message counts until it is written: {queued}");
    assert!(sent > 100, "{sent}");
    let message = format!(r#"{{"jsonrpc":"2.0","method":"news","params":["{text}"]}}"#);
    assert_eq!(queued, message.len());
}

/// A handle may outlive its connection.
#[tokio::test(start_paused = true)]
async fn a_kept_handle_says_what_is_left() {
    let endpoint = server().build().unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    raw.check("[]", &[&empty_batch()]).await;
    let connection = endpoint.connections().pop().unwrap();
    connection.set(7_u32);
    let received = connection.bytes_received();
    assert!(!connection.is_closed() && received > 0);
    let closed = begin(connection.closed()).await;
    raw.hang_up();
    serving.await.unwrap();
    assert!(matches!(closed.await, CloseReason::Lost(_)));
    assert!(matches!(connection.closed().await, CloseReason::Lost(_)));
    assert!(connection.is_closed());
    assert_eq!((connection.bytes_received(), *connection.get::<u32>().unwrap()), (received, 7));
    assert_eq!((connection.queued_bytes(), connection.pending_calls()), (0, 0));
    let call = connection.peer().call::<()>("ask", ()).await;
    assert!(matches!(call, Err(Error::Closed(CloseReason::Lost(_)))), "{call:?}");
    connection.close(4003, "banned");
    connection.identify(1_u8);
    assert!(endpoint.connections_of(&1_u8).is_empty());
    assert!(endpoint.connection(connection.id()).is_none());
}
