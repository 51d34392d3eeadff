//! The hook and the services of a reconnecting client, and closing the client in each of its
//! states.

use std::error::Error as _;
use std::future::IntoFuture;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;
use tokio::time::Instant;
use wsjsonrpc::client::{ConnectionState, Reconnect, WhileDown};
use wsjsonrpc::error::{CloseReason, ConnectError};
use wsjsonrpc::{Client, Config, Context, Error, ErrorObject, Peer};
use wsjsonrpc_tests::reconnect::{
    Attempt, Attempts, client, connect, connected, is_connected, is_down, settings,
};
use wsjsonrpc_tests::{Gate, MILLISECOND, Raw, SECOND, begin, id_of, request, result};

/// Answers the next request, which must call this method.
async fn answer(raw: &mut Raw, method: &str) {
    let text = raw.receive().await;
    assert!(text.contains(&format!(r#""method":"{method}""#)), "{text}");
    raw.send(result("0", &id_of(&text))).await;
}

/// A client whose hook logs in.
async fn logging_in() -> (Client, Raw, Attempts) {
    let builder = client().on_connect(|peer| async move {
        peer.call::<i64>("login", ()).await?;
        Ok(())
    });
    let (connecting, mut attempts) = connect(builder);
    let accepting = async {
        let mut raw = attempts.accept().await;
        answer(&mut raw, "login").await;
        raw
    };
    let (client, raw) = tokio::join!(connecting, accepting);
    (client.unwrap(), raw, attempts)
}

#[tokio::test(start_paused = true)]
async fn the_hook_finishes_before_waiting_calls_are_sent() {
    let (client, mut raw, mut attempts) = logging_in().await;
    let peer = client.peer();
    let mut states = client.states();
    let _ = states.next().await;
    let call = tokio::spawn(peer.call::<i64>("m", ()).idempotent().into_future());
    raw.receive().await;
    raw.hang_up();
    let waiting = tokio::spawn(peer.call::<i64>("n", ()).into_future());
    let mut raw = attempts.accept().await;
    assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"login","id":1}"#);
    // No other call is sent before.
    raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
    tokio::time::sleep(SECOND).await;
    raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
    assert!(matches!(client.state(), ConnectionState::Down { .. }));
    raw.send(result("0", "1")).await;
    for _ in 0..2 {
        let text = raw.receive().await;
        let id = if text.contains(r#""id":2"#) { "2" } else { "3" };
        let value = if text.contains(r#""m""#) { "5" } else { "6" };
        raw.send(result(value, id)).await;
    }
    assert_eq!((call.await.unwrap().unwrap(), waiting.await.unwrap().unwrap()), (5, 6));
}

#[tokio::test(start_paused = true)]
async fn a_failing_hook_closes_the_connection_and_delays_grow() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&runs);
    let builder = client().on_connect(move |peer: Peer| {
        let run = counter.fetch_add(1, Ordering::Relaxed);
        async move {
            match run {
                1 => Err(ErrorObject::new(7, "wrong password")),
                2 => panic!("a panic of the test's own"),
                3 => {
                    peer.call::<i64>("never.answered", ()).await?;
                    Ok(())
                }
                4 => std::future::pending().await,
                _ => Ok(()),
            }
        }
    });
    let (client, raw, mut attempts) = connected(builder).await;
    let mut states = client.states();
    let _ = states.next().await;
    raw.hang_up();
    let _ = states.next().await;
    let mut last = Instant::now();
    for (run, words) in
        (1..).zip(["wrong password", "the closure panicked", "connection lost", "connection lost"])
    {
        let attempt = attempts.next().await;
        assert_eq!(attempt.at - last, 100 * MILLISECOND * 2_u32.pow(run - 1));
        let mut raw = attempt.accept().await;
        last = Instant::now();
        match run {
            1 | 2 => {
                assert_eq!(u16::from(raw.receive_close().await.unwrap().code), 1000);
                last = Instant::now();
            }
            3 => drop(raw.receive().await),
            _ => {}
        }
        raw.hang_up();
        let Some(ConnectionState::Down { reason, .. }) = states.next().await else { panic!() };
        let CloseReason::Reconnect(error) = reason else { panic!("{reason}") };
        assert!(matches!(*error, ConnectError::Hook(_)), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let _raw = attempts.accept().await;
    assert!(matches!(states.next().await, Some(ConnectionState::Connected { number: 2, .. })));
    assert_eq!(runs.load(Ordering::Relaxed), 6);

    // On the first connection, a failed hook makes `connect` fail.
    let failing = Client::builder().on_connect(|_| async { Err(ErrorObject::new(7, "no")) });
    let (connecting, mut attempts) = connect(failing);
    let (error, _raw) = tokio::join!(connecting, attempts.accept());
    assert!(matches!(error, Err(ConnectError::Hook(object)) if object.code().0 == 7));
}

/// A value of the application that panics when it is dropped.
struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("a panic of the test's own");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_when_dropped_costs_one_attempt() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&runs);
    let builder = client()
        .headers_with(move || {
            let run = counter.fetch_add(1, Ordering::Relaxed);
            async move {
                if run == 1 {
                    let _held = PanicsWhenDropped;
                    std::future::pending::<()>().await;
                }
                Ok([("x-run", run.to_string())])
            }
        })
        .on_connect(move |_| {
            let run = runs.load(Ordering::Relaxed);
            async move {
                if run == 3 || run == 5 {
                    let _held = PanicsWhenDropped;
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
        });
    let (client, raw, mut attempts) = connected(builder).await;
    let mut states = client.states();
    let _ = states.next().await;
    raw.hang_up();
    let _ = is_down(states.next().await);
    // The headers are not ready in time.
    let _open = attempts.next().await.open();
    let (reason, ..) = is_down(states.next().await);
    assert!(
        matches!(&reason, CloseReason::Reconnect(error) if matches!(**error, ConnectError::Timeout { .. }))
    );
    // The connection ends during the hook.
    attempts.accept().await.hang_up();
    let (reason, ..) = is_down(states.next().await);
    assert!(
        matches!(&reason, CloseReason::Reconnect(error) if matches!(**error, ConnectError::Hook(_)))
    );
    let raw = attempts.accept().await;
    assert_eq!(is_connected(states.next().await), 2);
    raw.hang_up();
    let _ = is_down(states.next().await);
    // The application closes the client during the hook.
    let raw = attempts.accept().await;
    tokio::time::sleep(MILLISECOND).await;
    let (reason, ()) = tokio::join!(client.close(), raw.wait_for_end());
    assert!(matches!(reason, CloseReason::Local), "{reason}");
}

/// A hook that uses the client's own handle fails, with the error of the previous attempt as its
/// cause.
#[tokio::test(start_paused = true)]
async fn close_reasons_do_not_grow_with_each_attempt() {
    let own: Arc<OnceLock<Peer>> = Arc::default();
    let hooks = Arc::clone(&own);
    let builder = Client::builder()
        .reconnect(Reconnect { while_down: WhileDown::Fail, ..settings() })
        .on_connect(move |_| {
            let own = hooks.get().cloned();
            async move {
                match own {
                    Some(peer) => Ok(peer.call::<()>("login", ()).await?),
                    None => Ok(()),
                }
            }
        });
    let (client, raw, mut attempts) = connected(builder).await;
    own.set(client.peer()).unwrap();
    let mut states = client.states();
    let _ = states.next().await;
    raw.hang_up();
    let _ = is_down(states.next().await);
    for attempt in 1..20 {
        let raw = attempts.accept().await;
        let (reason, ..) = is_down(states.next().await);
        let causes = std::iter::successors(reason.source(), |error| (*error).source()).count();
        assert!(causes < 10, "{causes} causes after {attempt} attempts");
        assert!(reason.to_string().contains("hook failed"), "{reason}");
        raw.wait_for_end().await;
    }
    client.close().await;
}

/// Brings a client into a state: connected, waiting for its next attempt, during an attempt, or in
/// its hook.
async fn bring_into(state: usize) -> (Client, Option<Raw>, Attempts, Option<Attempt>) {
    let (client, raw, mut attempts) = logging_in().await;
    let mut states = client.states();
    let _ = states.next().await;
    if state == 0 {
        return (client, Some(raw), attempts, None);
    }
    raw.hang_up();
    let _ = states.next().await;
    match state {
        1 => (client, None, attempts, None),
        2 => {
            let attempt = attempts.next().await;
            (client, None, attempts, Some(attempt))
        }
        _ => {
            let mut raw = attempts.accept().await;
            raw.receive().await;
            (client, Some(raw), attempts, None)
        }
    }
}

#[tokio::test(start_paused = true)]
async fn close_ends_a_client_for_good_in_any_state() {
    for state in 0..4 {
        let (client, raw, mut attempts, _attempt) = bring_into(state).await;
        let call = begin(client.peer().call::<i64>("m", ()).idempotent().into_future()).await;
        client.peer().close(4001, "enough");
        let error = client.peer().call::<i64>("m", ()).await.unwrap_err();
        assert!(matches!(error, Error::Closed(CloseReason::Local)), "{state}: {error}");
        if let Some(mut raw) = raw {
            if state == 0 {
                raw.receive().await;
            }
            let frame = raw.receive_close().await.expect("it has a code");
            assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4001, "enough"), "{state}");
            raw.wait_for_end().await;
        }
        assert!(matches!(client.close().await, CloseReason::Local), "{state}");
        assert!(matches!(call.await, Err(Error::Closed(CloseReason::Local))), "{state}");
        assert!(client.peer().is_closed(), "{state}");
        attempts.are_over().await;
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_ends_a_client_in_any_state() {
    for state in 0..4 {
        let (client, raw, mut attempts, attempt) = bring_into(state).await;
        let mut states = client.states();
        let peer = client.peer();
        drop(client);
        assert!(!peer.is_closed());
        drop(peer);
        if let Some(mut raw) = raw {
            assert_eq!(u16::from(raw.receive_close().await.unwrap().code), 1000, "{state}");
            raw.wait_for_end().await;
        }
        drop(attempt);
        attempts.are_over().await;
        let mut last = None;
        while let Some(state) = states.next().await {
            last = Some(state);
        }
        assert!(matches!(last, Some(ConnectionState::Closed { .. })), "{state}: {last:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_keeps_the_client_alive() {
    let (client, raw, mut attempts) = connected(client()).await;
    let call = tokio::spawn(client.peer().call::<i64>("m", ()).into_future());
    raw.hang_up();
    let mut raw = attempts.accept().await;
    drop(client);
    answer(&mut raw, "m").await;
    assert_eq!(call.await.unwrap().unwrap(), 0);
    raw.wait_for_end().await;
    attempts.are_over().await;
}

#[tokio::test(start_paused = true)]
async fn unsent_messages_move_to_the_next_connection() {
    let config = Config { max_send_queue: 1, ..Config::default() };
    let (client, raw, mut attempts) = connected(client().config(config)).await;
    let peer = client.peer();
    // More than the stream takes while nobody reads.
    peer.notify("large", ["x".repeat(1 << 20)]).await.unwrap();
    let call = begin(peer.call::<i64>("call", ()).into_future()).await;
    let notify = begin(peer.notify("notify", ()).into_future()).await;
    let batch = begin(peer.batch([peer.call::<i64>("batch", ())]).into_future()).await;
    raw.hang_up();
    let sending = tokio::spawn(async move { tokio::join!(call, notify, batch) });
    let mut raw = attempts.accept().await;
    for _ in 0..3 {
        let text = raw.receive().await;
        let methods = ["call", "notify", "batch"];
        assert!(methods.iter().any(|name| text.contains(name)), "{text}");
    }
    raw.send(result("1", "1")).await;
    raw.send(result("1", "2")).await;
    let (call, notify, batch) = sending.await.unwrap();
    assert_eq!(call.unwrap(), 1);
    notify.unwrap();
    assert!(matches!(batch.unwrap().as_slice(), [Ok(1)]));
}

#[test]
fn dropping_the_runtime_ends_the_client() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let inner = runtime();
    let (client, raw, attempts) = inner.block_on(connected(client()));
    drop(inner);
    let reason = runtime().block_on(client.closed());
    assert!(matches!(reason, CloseReason::Aborted), "{reason}");
    drop((raw, attempts));
}

#[tokio::test(start_paused = true)]
async fn services_stay_and_old_connections_reach_no_new_one() {
    let gate = Gate::default();
    let (sender, mut contexts) = mpsc::unbounded_channel();
    let builder =
        client().method("slow", gate.handler("slow")).method("visits", move |ctx: Context, ()| {
            let visits = ctx.get::<usize>().map_or(0, |visits| *visits);
            ctx.set(visits + 1);
            let _ = sender.send(ctx);
            async move { Ok(visits) }
        });
    let (client, mut raw, mut attempts) = connected(builder).await;
    let first = client.handshake();
    raw.send(request("slow", "[]", "1")).await;
    gate.arrived(1).await;
    for visits in ["0", "1"] {
        assert_eq!(raw.ask(request("visits", "[]", "2")).await, result(visits, "2"));
    }
    raw.hang_up();
    let mut raw = attempts.accept().await;
    assert_eq!(raw.ask(request("visits", "[]", "1")).await, result("0", "1"));
    gate.open(1);
    tokio::time::sleep(SECOND).await;
    raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
    assert!(!Arc::ptr_eq(&first, &client.handshake()), "that of the latest connection");

    let (old, _, new) = (
        contexts.recv().await.unwrap(),
        contexts.recv().await.unwrap(),
        contexts.recv().await.unwrap(),
    );
    assert!(old.peer().is_closed() && !new.peer().is_closed());
    assert!(!old.peer().is_same(&new.peer()) && !new.peer().is_same(&client.peer()));
    assert!(old.peer().notify("m", ()).await.is_err());

    // A handler's handle closes only its connection.
    new.peer().close(1000, "");
    raw.wait_for_end().await;
    let mut raw = attempts.accept().await;
    assert_eq!(raw.ask(request("visits", "[]", "1")).await, result("0", "1"));
}
