//! Calls, notifications and batches of a reconnecting client: those made while it is down, and
//! those in flight when its connection breaks.

use std::future::IntoFuture;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use wsjsonrpc::client::{Reconnect, WhileDown};
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::{Client, Config, Error};
use wsjsonrpc_tests::reconnect::{client, connected, is_connected, is_down, settings};
use wsjsonrpc_tests::{MILLISECOND, SECOND, begin, id_of, request, result};

#[tokio::test(start_paused = true)]
async fn calls_made_while_down_wait_for_the_connection() {
    let (client, raw, mut attempts) = connected(client()).await;
    let peer = client.peer();
    raw.hang_up();
    attempts.next().await.refuse();
    let call = begin(peer.call::<i64>("call", ()).into_future()).await;
    let notify = begin(peer.notify("notify", ()).into_future()).await;
    let batch = peer.batch((peer.call::<i64>("a", ()), peer.notify("b", ())));
    let batch = begin(batch.into_future()).await;
    assert_eq!(peer.pending_calls(), 0);

    let mut raw = attempts.accept().await;
    let sending = tokio::spawn(async move { tokio::join!(call, notify, batch) });
    let mut seen = Vec::new();
    for _ in 0..3 {
        let text = raw.receive().await;
        if text.contains("call") {
            let id = id_of(&text);
            raw.send(result("1", &id)).await;
        } else if let Some((_, id)) = text.split_once(r#""a","id":"#) {
            let id = id.split('}').next().unwrap();
            raw.send(format!("[{}]", result("2", id))).await;
        }
        seen.push(text);
    }
    let (call, notify, batch) = sending.await.unwrap();
    assert_eq!(call.unwrap(), 1);
    notify.unwrap();
    let (a, b) = batch.unwrap();
    assert_eq!(a.unwrap(), 2);
    b.unwrap();
    assert!(seen.contains(&r#"{"jsonrpc":"2.0","method":"notify"}"#.to_owned()), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_made_while_down_may_fail_at_once() {
    let settings = Reconnect { while_down: WhileDown::Fail, ..settings() };
    let (client, raw, mut attempts) = connected(Client::builder().reconnect(settings)).await;
    let peer = client.peer();
    let mut states = client.states();
    let _ = states.next().await;
    raw.hang_up();
    let fail = async || {
        let call = peer.call::<i64>("m", ()).await.unwrap_err();
        let idempotent = peer.call::<i64>("m", ()).idempotent().await.unwrap_err();
        let notify = peer.notify("m", ()).await.unwrap_err();
        let batch = peer.batch([peer.call::<i64>("m", ())]).await.unwrap_err();
        for error in [call, idempotent, notify, batch] {
            assert!(matches!(error, Error::Closed(_)), "{error}");
        }
    };
    is_down(states.next().await);
    fail().await;
    attempts.next().await.refuse();
    is_down(states.next().await);
    fail().await;
    let error = peer.call::<i64>("m", ()).await.unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
    let mut raw = attempts.accept().await;
    is_connected(states.next().await);
    peer.notify("here", ()).await.unwrap();
    assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"here"}"#);
}

/// Each connection that breaks may have delivered the call, so the handler may run once for each.
#[tokio::test(start_paused = true)]
async fn an_idempotent_call_is_resent_as_often_as_allowed() {
    for (max_sends, sends, in_batch) in [
        (None, 7, false),
        (None, 7, true),
        (Some(3), 3, false),
        (Some(3), 3, true),
        (Some(1), 1, false),
        (Some(1), 1, true),
        (Some(0), 1, false),
    ] {
        let settings = Reconnect { max_sends, ..settings() };
        let (client, mut raw, mut attempts) =
            connected(Client::builder().reconnect(settings)).await;
        let peer = client.peer();
        let call = peer.call::<i64>("m", ()).without_timeout().idempotent();
        let call = match in_batch {
            false => tokio::spawn(call.into_future()),
            true => tokio::spawn(async move { peer.batch([call]).await.unwrap().remove(0) }),
        };
        for _ in 0..sends {
            assert!(raw.receive().await.contains(r#""method":"m""#));
            raw.hang_up();
            raw = attempts.accept().await;
        }
        if max_sends.is_none() {
            raw.receive().await;
            raw.send(result("5", "1")).await;
            assert_eq!(call.await.unwrap().unwrap(), 5);
        } else {
            let failed = call.await.unwrap();
            assert!(matches!(failed, Err(Error::Closed(CloseReason::Lost(_)))), "{failed:?}");
        }
        // The client continues, and other calls are counted separately.
        let fine = tokio::spawn(client.peer().call::<i64>("fine", ()).into_future());
        assert!(raw.receive().await.contains("fine"));
        let id = if max_sends.is_none() { "2" } else { "1" };
        raw.send(result("1", id)).await;
        assert_eq!(fine.await.unwrap().unwrap(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_covers_waiting_and_all_connections() {
    let (client, mut raw, mut attempts) = connected(client()).await;
    let peer = client.peer();
    let begun = Instant::now();
    let call = peer.call::<i64>("m", ()).timeout(SECOND).idempotent();
    let call = begin(call.into_future()).await;
    raw.receive().await;
    tokio::time::sleep(300 * MILLISECOND).await;
    raw.hang_up();
    let call = tokio::spawn(call);
    let mut raw = attempts.accept().await;
    raw.receive().await;
    tokio::time::sleep(100 * MILLISECOND).await;
    raw.hang_up();
    let _no_answer = attempts.next().await;
    let late = call.await.unwrap().unwrap_err();
    let down = "within 1 s; the client is reconnecting: ";
    assert!(late.to_string().starts_with(&format!("no connection for \"m\" {down}")), "{late}");
    assert_eq!(begun.elapsed(), SECOND, "over all attempts");

    let begun = Instant::now();
    let batch = peer.batch((peer.call::<i64>("m", ()).timeout(SECOND), peer.notify("n", ())));
    let late = batch.await.unwrap_err().to_string();
    let down = "within 1 s; the client is reconnecting: ";
    assert!(
        late.starts_with(&format!("no connection for a batch of 2 (\"m\", …) {down}")),
        "{late}"
    );
    let Err(Error::Timeout(late)) = peer.call::<i64>("m", ()).timeout(SECOND).await else {
        panic!()
    };
    assert!(late.to_string().starts_with(&format!("no connection for \"m\" {down}")), "{late}");
    assert!(late.had_no_connection());
    assert_eq!(begun.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_fail_unless_they_are_idempotent() {
    let (client, mut raw, mut attempts) = connected(client()).await;
    let peer = client.peer();
    let once = begin(peer.call::<i64>("once", [1]).into_future()).await;
    let mut again = begin(peer.call::<i64>("again", [2]).idempotent().into_future()).await;
    assert_eq!(raw.receive().await, request("once", "[1]", "1"));
    assert_eq!(raw.receive().await, request("again", "[2]", "2"));
    raw.hang_up();
    assert!(matches!(once.await, Err(Error::Closed(CloseReason::Lost(_)))));

    // Sent again once for each break, with an id of the new connection.
    for _ in 0..3 {
        let waiting = begin(&mut again).await;
        let accepting = attempts.accept();
        let (mut raw, ()) = tokio::join!(accepting, async {
            tokio::select! {
                _ = waiting => panic!("nobody has answered"),
                () = tokio::time::sleep(SECOND) => {}
            }
        });
        assert_eq!(raw.receive().await, request("again", "[2]", "1"));
        // A response to an id of the first connection is ignored.
        raw.send(result("9", "2")).await;
        raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
        raw.hang_up();
    }
    let again = tokio::spawn(again);
    let mut raw = attempts.accept().await;
    assert_eq!(raw.receive().await, request("again", "[2]", "1"));
    raw.send(result("4", "1")).await;
    assert_eq!(again.await.unwrap().unwrap(), 4);
    assert_eq!(peer.pending_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_call_of_a_batch_is_resent_alone() {
    let (client, mut raw, mut attempts) = connected(client()).await;
    let peer = client.peer();
    let calls = vec![peer.call::<i64>("a", ()), peer.call("b", ()).idempotent()];
    let batch = begin(peer.batch(calls).into_future()).await;
    assert!(raw.receive().await.starts_with('['));
    raw.hang_up();
    let batch = tokio::spawn(batch);
    let mut raw = attempts.accept().await;
    assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"b","id":1}"#);
    raw.send(result("7", "1")).await;
    let replies = batch.await.unwrap().unwrap();
    assert!(matches!(replies.as_slice(), [Err(Error::Closed(_)), Ok(7)]), "{replies:?}");

    // Dropping a batch ends its calls.
    let mut batch = peer.new_batch();
    let reply = batch.add(peer.call::<i64>("a", ()).idempotent());
    drop(batch);
    assert!(matches!(reply.await, Err(Error::NotSent)));
    assert!(matches!(peer.new_batch().send().await, Err(Error::EmptyBatch)));
}

/// A call with a response that is too large would end each connection in turn, together with all
/// other calls.
#[tokio::test(start_paused = true)]
async fn a_call_that_breaks_connections_is_not_resent_for_ever() {
    let builder = || {
        client()
            .config(Config { max_incoming_message: 100, ..Config::default() })
            .reconnect(settings())
    };
    let large = format!("\"{}\"", "x".repeat(100));
    for in_batch in [false, true] {
        let (client, mut raw, mut attempts) = connected(builder()).await;
        let peer = client.peer();
        let poison = peer.call::<String>("poison", ()).without_timeout().idempotent();
        let poison = match in_batch {
            false => tokio::spawn(poison.into_future()),
            true => tokio::spawn(async move {
                let mut batch = peer.new_batch();
                let reply = batch.add(poison);
                let (_, reply) = tokio::join!(batch.send(), reply);
                reply
            }),
        };
        for _ in 0..2 {
            assert!(raw.receive().await.contains("poison"));
            raw.send(result(&large, "1")).await;
            assert_eq!(raw.receive_close().await.unwrap().code, CloseCode::Size);
            raw = attempts.accept().await;
        }
        let error = poison.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Closed(CloseReason::Protocol(_))), "{error}");
        // The client continues.
        let fine = tokio::spawn(client.peer().call::<i64>("fine", ()).into_future());
        assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"fine","id":1}"#);
        raw.send(result("1", "1")).await;
        assert_eq!(fine.await.unwrap().unwrap(), 1);
    }

    // The same if the server closes because of the message; other close codes do not count.
    let (client, mut raw, mut attempts) = connected(builder()).await;
    let call = client.peer().call::<i64>("poison", ()).idempotent();
    let call = tokio::spawn(call.into_future());
    for code in [CloseCode::Away, CloseCode::Size, CloseCode::Restart, CloseCode::Unsupported] {
        assert!(raw.receive().await.contains("poison"));
        let frame = CloseFrame { code, reason: "".into() };
        raw.socket.close(Some(frame)).await.unwrap();
        raw = attempts.accept().await;
    }
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Closed(CloseReason::Remote { code: 1003, .. })), "{error}");
}
