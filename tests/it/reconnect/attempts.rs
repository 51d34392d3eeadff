//! A reconnecting client: when it connects, what happens to calls meanwhile, and what ends it. The
//! test holds the other end of each attempt, and the clock is paused, so times are exact.

use std::future::IntoFuture;

use tokio::time::Instant;
use wsjsonrpc::client::{ConnectionState, Reconnect};
use wsjsonrpc::error::{CloseReason, ConnectError};
use wsjsonrpc::{Client, ErrorObject, memory};
use wsjsonrpc_tests::log::Log;
use wsjsonrpc_tests::reconnect::{client, connect, connected, is_connected, is_down, settings};
use wsjsonrpc_tests::{MILLISECOND, Raw, SECOND, begin, notification, result};

#[tokio::test(start_paused = true)]
async fn delays_double_up_to_the_cap_and_states_are_reported() {
    let (client, raw, mut attempts) = connected(client()).await;
    let mut states = client.states();
    assert_eq!(is_connected(states.next().await), 1);
    let mut last = Instant::now();
    raw.hang_up();
    for (number, delay) in (1..).zip([100, 200, 400, 800, 1600, 2000, 2000]) {
        let delay = delay * MILLISECOND;
        let (reason, attempt, retry_in) = is_down(states.next().await);
        let expected = if number == 1 {
            "connection lost: "
        } else {
            "connection lost and reconnecting failed"
        };
        assert!(reason.to_string().starts_with(expected), "{reason}");
        assert_eq!((attempt, retry_in), (number, delay));
        let attempt = attempts.next().await;
        assert_eq!(attempt.at - last, delay);
        last = attempt.at;
        attempt.refuse();
    }
    let _ = states.next().await;
    let raw = attempts.accept().await;
    assert_eq!(is_connected(states.next().await), 2);
    assert!(matches!(client.state(), ConnectionState::Connected { number: 2, .. }));

    // A connection that was too short does not reset the back-off.
    raw.hang_up();
    assert_eq!(is_down(states.next().await).2, 2 * SECOND);
    let raw = attempts.accept().await;
    assert_eq!(is_connected(states.next().await), 3);
    tokio::time::sleep(2 * SECOND + MILLISECOND).await;
    raw.hang_up();
    assert_eq!(is_down(states.next().await).2, 100 * MILLISECOND);

    client.close().await;
    let closed = states.next().await;
    assert!(matches!(closed, Some(ConnectionState::Closed { reason: CloseReason::Local, .. })));
    assert!(states.next().await.is_none());
    assert!(states.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn jitter_spreads_the_delays() {
    let (_client, raw, mut attempts) = connected(Client::builder().reconnect(Reconnect {
        max: SECOND,
        initial: SECOND,
        ..settings()
    }))
    .await;
    drop(raw);
    attempts.next().await.refuse();
    let builder = Client::builder().reconnect(Reconnect { max: SECOND, ..Reconnect::default() });
    let (_client, raw, mut attempts) = connected(builder).await;
    let mut last = Instant::now();
    raw.hang_up();
    let mut delays = Vec::new();
    for _ in 0..50 {
        let attempt = attempts.next().await;
        delays.push(attempt.at - last);
        last = attempt.at;
        attempt.refuse();
    }
    // The resolution of the timer is a millisecond.
    assert!(delays.iter().all(|delay| *delay <= SECOND + MILLISECOND), "{delays:?}");
    delays.sort();
    delays.dedup();
    assert!(delays.len() > 10, "{delays:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_reconnects_however_the_connection_ended() {
    let (client, mut raw, mut attempts) = connected(client()).await;
    let mut states = client.states();
    let _ = states.next().await;
    for number in 2..5 {
        match number {
            2 => raw.socket.close(None).await.unwrap(),
            3 => raw.send_bytes(&[0xff; 16]).await,
            _ => {}
        }
        drop(raw);
        is_down(states.next().await);
        raw = attempts.accept().await;
        assert_eq!(is_connected(states.next().await), number);
    }
    let (call, ()) = tokio::join!(client.peer().call::<i64>("m", ()).into_future(), async {
        assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"m","id":1}"#);
        raw.send(result("5", "1")).await;
    });
    assert_eq!(call.unwrap(), 5);
    assert!(!client.peer().is_closed());
    assert!(client.peer().is_same(&client.peer()));
}

#[tokio::test(start_paused = true)]
async fn a_client_gives_up_after_the_last_attempt() {
    for (max_attempts, retry_first) in [(0, false), (3, false), (3, true)] {
        let settings = Reconnect { max_attempts: Some(max_attempts), retry_first, ..settings() };
        let (log, _guard) = Log::of_this_thread();
        let (client, raw, mut attempts) = connected(Client::builder().reconnect(settings)).await;
        let waiting = begin(client.peer().call::<i64>("m", ()).idempotent().into_future()).await;
        raw.hang_up();
        for _ in 0..max_attempts {
            attempts.next().await.refuse();
        }
        attempts.are_over().await;
        let reason = client.closed().await;
        assert_eq!(matches!(reason, CloseReason::Reconnect(_)), max_attempts > 0, "{reason}");
        let ended = "not reconnecting: no attempts are left";
        assert_eq!(log.text().matches(ended).count(), 1, "{}", log.text());
        let (Err(before), Err(after)) = (waiting.await, client.peer().call::<i64>("m", ()).await)
        else {
            panic!("there is no connection");
        };
        assert_eq!(before.to_string(), after.to_string());
        assert!(client.peer().is_closed());
        assert!(client.peer().notify("m", ()).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn with_retry_first_the_first_connection_is_retried() {
    let (connecting, mut attempts) = connect(client());
    let ((), error) = tokio::join!(async { attempts.next().await.refuse() }, connecting);
    assert!(matches!(error, Err(ConnectError::Io(_))));
    attempts.are_over().await;

    let stubborn = Reconnect { retry_first: true, max_attempts: Some(2), ..settings() };
    let (connecting, mut attempts) = connect(Client::builder().reconnect(stubborn.clone()));
    let refusing = async {
        for _ in 0..3 {
            attempts.next().await.refuse();
        }
    };
    let ((), error) = tokio::join!(refusing, connecting);
    assert!(matches!(error, Err(ConnectError::Io(_))));

    let (connecting, mut attempts) = connect(Client::builder().reconnect(stubborn));
    let accepting = async {
        attempts.next().await.refuse();
        attempts.accept().await
    };
    let (_raw, client) = tokio::join!(accepting, connecting);
    assert!(matches!(client.unwrap().state(), ConnectionState::Connected { number: 1, .. }));
}

#[tokio::test(start_paused = true)]
async fn only_401_and_403_end_reconnecting() {
    for (status, gives_up) in [
        ("400 Bad Request", false),
        ("401 Unauthorized", true),
        ("403 Forbidden", true),
        ("404 Not Found", false),
        ("429 Too Many Requests", false),
        ("503 Service Unavailable", false),
    ] {
        let (log, _guard) = Log::of_this_thread();
        let (client, raw, mut attempts) = connected(client()).await;
        raw.hang_up();
        attempts.next().await.answer(status).await;
        if gives_up {
            attempts.are_over().await;
            let CloseReason::Reconnect(error) = client.closed().await else { panic!("{status}") };
            assert!(matches!(*error, ConnectError::Refused { .. }), "{error}");
        } else {
            attempts.accept().await;
        }
        let ended = "not reconnecting: the server does not accept this client";
        assert_eq!(log.text().contains(ended), gives_up, "{}", log.text());
    }
}

#[tokio::test(start_paused = true)]
async fn headers_may_be_renewed_for_each_attempt() {
    let number = std::sync::atomic::AtomicU32::new(0);
    let builder =
        client().header("authorization", "old").header("x-kept", "1").headers_with(move || {
            let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async move {
                match number {
                    2 => Err(ErrorObject::new(1, "no token")),
                    3 => panic!("a panic of the test's own"),
                    4 => Ok(vec![("connection", "close".to_owned())]),
                    _ => Ok(vec![("authorization", format!("token {number}"))]),
                }
            }
        });
    let (client, raw, mut attempts) = connected(builder).await;
    let mut states = client.states();
    let _ = states.next().await;
    raw.hang_up();
    is_down(states.next().await);
    let head = attempts.next().await.answer("401 Unauthorized").await;
    assert!(
        head.contains("authorization: token 1\r\n") && head.contains("x-kept: 1\r\n"),
        "{head}"
    );
    assert!(!head.contains("old"), "{head}");
    is_down(states.next().await);
    for words in ["no token", "the closure panicked", "cannot set header `connection`"] {
        let _stream = attempts.next().await.open();
        let (reason, ..) = is_down(states.next().await);
        assert!(reason.to_string().contains(words), "{reason}");
    }
    let head = attempts.next().await.answer("404 Not Found").await;
    assert!(head.contains("authorization: token 5\r\n"), "{head}");
}

#[tokio::test(start_paused = true)]
async fn without_reconnect_there_are_two_states() {
    let (client, peer) = memory::pair(Client::builder(), wsjsonrpc::Server::builder()).unwrap();
    let mut states = client.states();
    assert_eq!(is_connected(Some(client.state())), 1);
    assert_eq!(is_connected(states.next().await), 1);
    peer.close(4000, "enough");
    let Some(ConnectionState::Closed { reason, .. }) = states.next().await else { panic!() };
    assert!(matches!(reason, CloseReason::Remote { code: 4000, .. }));
    assert!(states.next().await.is_none());
    let mut late = client.states();
    assert!(matches!(late.next().await, Some(ConnectionState::Closed { .. })));
    assert!(late.next().await.is_none());

    let (mut raw, client) = Raw::server(Client::builder().reconnect(settings())).await;
    client.peer().notify("m", [1]).await.unwrap();
    assert_eq!(raw.receive().await, notification("m", "[1]"));
    raw.hang_up();
    client.closed().await;
}
