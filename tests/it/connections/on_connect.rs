//! The hook `on_connect`: it may refuse a connection, and the calls of the client wait for it.

use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use wsjsonrpc::server::{Connection, Rejection, ServerBuilder};
use wsjsonrpc::{Config, Context, Error, ErrorObject, Peer, memory};
use wsjsonrpc_tests::frames::frame_of;
use wsjsonrpc_tests::http::upgrade;
use wsjsonrpc_tests::log::Log;
use wsjsonrpc_tests::record::Record;
use wsjsonrpc_tests::{
    Gate, Raw, SECOND, busy, cancel, cancelled, notification, request, result, server,
};

/// A server whose hook waits at this gate and accepts, and whose calls are recorded.
pub(super) fn gated(gate: &Gate, record: &Record) -> ServerBuilder {
    let gate = gate.clone();
    server().middleware(record.clone()).on_connect(move |_| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            Ok(())
        }
    })
}

/// The clock is paused, so every task that can run has run when this returns.
pub(super) async fn settle() {
    sleep(SECOND).await;
}

/// Checks that a client whose request waits gets this close frame, and that nothing was handled.
async fn refuses<F>(hook: impl Fn(Connection) -> F + Send + Sync + 'static, code: u16, reason: &str)
where
    F: Future<Output = Result<(), Rejection>> + Send + 'static,
{
    let record = Record::default();
    let endpoint = server().middleware(record.clone()).on_connect(hook).build().unwrap();
    let (mut raw, _) = Raw::client_of(&endpoint).await;
    raw.send(request("quick", "[]", "1")).await;
    let close = raw.receive_close().await.expect("a code");
    assert_eq!((u16::from(close.code), close.reason.as_str()), (code, reason));
    // Not handled after the close frame either.
    let _ = futures_util::SinkExt::send(&mut raw.socket, "1".into()).await;
    raw.wait_for_end().await;
    assert_eq!(record.take(), [""; 0]);
    assert_eq!(endpoint.connection_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hook_refuses_with_its_own_code_or_by_an_error() {
    let (log, _guard) = Log::of_this_thread();
    refuses(|_| async { Err(Rejection::new(4003, "banned")) }, 4003, "banned").await;
    refuses(
        |_| async { Err(Rejection::new(1006, "not a code to send")) },
        1008,
        "not a code to send",
    )
    .await;
    struct User;
    refuses(
        |connection| async move { connection.require::<User>().map(drop).map_err(Rejection::from) },
        1008,
        "Unauthorized",
    )
    .await;
    assert!(!log.text().contains("hook failed"), "a refusal is no failure");
    let internal = "the server failed to accept this connection";
    refuses(|_| async { Err(io::Error::other("secret of the database"))? }, 1011, internal).await;
    assert!(log.text().contains("secret of the database"));
    refuses(|_| async { Err("a text")? }, 1011, internal).await;
    refuses(|_| async { Err(ErrorObject::from(io::Error::other("wrapped")))? }, 1011, internal)
        .await;
    assert!(log.text().contains("wrapped"));
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_closes_its_connection_only() {
    let (log, _guard) = Log::of_this_thread();
    let internal = "the server failed to accept this connection";
    refuses(|_| async { if true { panic!("on purpose") } else { Ok(()) } }, 1011, internal).await;
    fn at_once(_: Connection) -> std::future::Ready<Result<(), Rejection>> {
        panic!("on purpose")
    }
    refuses(at_once, 1011, internal).await;
    assert_eq!(log.text().matches("`on_connect` hook panicked").count(), 2);

    let first = AtomicUsize::new(0);
    let endpoint = server().on_connect(move |_| {
        let panics = first.fetch_add(1, Ordering::Relaxed) == 0;
        async move { if panics { panic!("on purpose") } else { Ok(()) } }
    });
    let (mut broken, mut works) = Raw::two_clients(endpoint).await;
    assert_eq!(broken.receive_close().await.map(|close| close.code.into()), Some(1011_u16));
    works.check(&request("quick", "[]", "1"), &[&result("null", "1")]).await;
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_hangs_is_dropped_after_hook_timeout() {
    let dropped = Arc::new(AtomicUsize::new(0));
    struct OnDrop(Arc<AtomicUsize>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            panic!("contained");
        }
    }
    let (begun, held) = (Instant::now(), Arc::clone(&dropped));
    let hook = move |_| {
        let held = OnDrop(Arc::clone(&held));
        async move {
            let _held = held;
            pending().await
        }
    };
    let words = "the server did not accept this connection in time; try again later";
    refuses(hook, 1013, words).await;
    assert_eq!(begun.elapsed(), 10 * SECOND);
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn messages_wait_in_order_while_the_hook_calls_the_client() {
    let (record, before) = (Record::default(), Arc::new(Mutex::new(None)));
    let (seen, at_the_end) = (record.clone(), Arc::clone(&before));
    let server = server().middleware(record.clone()).on_connect(move |connection| {
        let (seen, at_the_end) = (seen.clone(), Arc::clone(&at_the_end));
        async move {
            let version: String = connection.peer().call("version", ()).await?;
            assert_eq!(connection.pending_calls(), 0);
            connection.set(version);
            // Everything that arrived before the response has been read.
            *at_the_end.lock().unwrap() = Some(seen.take());
            Ok(())
        }
    });
    let server = server.method("version_of_client", |ctx: Context, ()| async move {
        Ok(ctx.require::<String>()?.as_str().to_owned())
    });
    let mut raw = Raw::client(server).await;
    raw.send(request("version_of_client", "[]", "1")).await;
    raw.send(notification("echo", r#"["a"]"#)).await;
    raw.send(format!("[{},{}]", request("echo", r#"["b"]"#, "2"), notification("quick", "[]")))
        .await;
    raw.send("no JSON").await;
    raw.send(request("never", "[]", "3")).await;
    raw.send(cancel("3")).await;
    assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"version","id":"s1"}"#);
    raw.send(result("\"1.7\"", "\"s1\"")).await;
    raw.send(request("quick", "[]", "4")).await;
    let expected = [
        result("\"1.7\"", "1"),
        format!("[{}]", result("\"b\"", "2")),
        r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}"#.to_owned(),
        cancelled("3"),
        result("null", "4"),
    ];
    for expected in expected {
        assert_eq!(raw.receive().await, expected);
    }
    assert_eq!(before.lock().unwrap().take(), Some(Vec::new()), "nothing was handled before");
    let calls: Vec<String> = record.take();
    let calls: Vec<&str> =
        calls.iter().filter_map(|line| line.split_once(' ')?.1.split(' ').next()).collect();
    assert_eq!(calls, ["version_of_client", "echo", "echo", "quick", "never", "quick"]);
}

/// Large messages are decoded in slices, which must wait as well.
#[tokio::test(start_paused = true)]
async fn large_messages_wait_for_the_hook() {
    let (gate, record) = (Gate::default(), Record::default());
    let config = Config { max_send_queue: 8 << 20, ..Config::default() };
    let mut raw = Raw::client(gated(&gate, &record).config(config)).await;
    let text = "x".repeat(1 << 20);
    raw.send(request("echo", &format!("[\"{text}\"]"), "1")).await;
    raw.send(request("echo", "[\"small\"]", "2")).await;
    settle().await;
    assert_eq!(record.take(), [""; 0]);
    gate.open(1);
    assert_eq!(raw.receive().await, result(&format!("\"{text}\""), "1"));
    assert_eq!(raw.receive().await, result("\"small\"", "2"));
}

#[tokio::test(start_paused = true)]
async fn a_request_with_the_bytes_of_the_handshake_waits() {
    let (gate, record) = (Gate::default(), Record::default());
    let endpoint = gated(&gate, &record).build().unwrap();
    let (mut ours, theirs) = tokio::io::duplex(4096);
    tokio::spawn(async move { endpoint.serve(theirs, None).await });
    let frame = frame_of(0x81, request("quick", "[]", "1").as_bytes(), true);
    ours.write_all(&[upgrade("/", "").as_bytes(), &frame].concat()).await.unwrap();
    gate.arrived(1).await;
    settle().await;
    assert_eq!(record.take(), [""; 0]);
    gate.open(1);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(ours.read_u8().await.unwrap());
    }
    let expected = frame_of(0x81, result("null", "1").as_bytes(), false);
    let mut answer = vec![0; expected.len()];
    ours.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, expected);
    assert_eq!(record.take(), ["request quick quick []", "null"]);
}

/// How many requests of 1000 bytes a client can send, over a stream that buffers 64 KiB.
async fn flood(raw: &mut Raw) -> usize {
    let params = format!("[\"{}\"]", "x".repeat(1000));
    let mut sent = 0;
    while timeout(SECOND, raw.send(request("echo", &params, &sent.to_string()))).await.is_ok() {
        sent += 1;
        assert!(sent < 10_000, "the server reads without a bound");
    }
    sent
}

fn small_queue() -> Config {
    Config { max_send_queue: 16 << 10, max_in_flight: 8, ..Config::default() }
}

#[tokio::test(start_paused = true)]
async fn a_flood_while_the_hook_runs_is_bounded() {
    let (gate, record) = (Gate::default(), Record::default());
    let config = Config { hook_timeout: 100 * SECOND, ..small_queue() };
    let mut raw = Raw::client(gated(&gate, &record).config(config)).await;
    let sent = flood(&mut raw).await;
    // 16 KiB are held, and the rest is in the stream and in the buffers for reading.
    assert!((16..16 + 65 + 65).contains(&sent), "{sent} were sent");
    assert_eq!(record.take(), [""; 0]);
    gate.open(1);
    for id in 0..sent {
        assert!(raw.receive().await.ends_with(&format!("\"id\":{id}}}")), "all in order");
    }
}

/// Binary messages that are not UTF-8 are held as well.
#[tokio::test(start_paused = true)]
async fn a_flood_of_nonsense_while_the_hook_waits_for_the_client_is_bounded() {
    let server = server().config(small_queue()).on_connect(|connection| async move {
        connection.peer().call::<()>("version", ()).await.map_err(Error::into_object)?;
        Ok(())
    });
    let mut raw = Raw::client(server).await;
    let mut sent = 0;
    while timeout(SECOND / 100, raw.send_binary([0xff; 1000])).await.is_ok() {
        sent += 1;
        assert!(sent < 10_000, "the server reads without a bound");
    }
    assert!(sent > 128, "{sent}");
}

/// Beyond the bound, requests are refused while the hook waits for a response of the client, so that
/// the response can be read.
#[tokio::test(start_paused = true)]
async fn a_flood_does_not_keep_the_hook_from_getting_its_response() {
    let server = server().config(small_queue()).on_connect(|connection| async move {
        connection.peer().call::<()>("version", ()).await.map_err(Error::into_object)?;
        Ok(())
    });
    let mut raw = Raw::client(server).await;
    let params = format!("[\"{}\"]", "x".repeat(1000));
    for id in 0..40 {
        raw.send(request("echo", &params, &id.to_string())).await;
    }
    raw.send(result("null", "\"s1\"")).await;
    assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"version","id":"s1"}"#);
    let (mut refused, mut handled) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let answer = raw.receive().await;
        let id = wsjsonrpc_tests::id_of(&answer);
        if answer == busy(&id) { refused.push(id) } else { handled.push(id) }
    }
    // The first 16 KiB, and the calls of max_in_flight, are held.
    let held = handled.len();
    assert!((10..20).contains(&held), "{held} were held");
    let ids: Vec<String> = (0..40).map(|id| id.to_string()).collect();
    assert_eq!([handled, refused].concat(), ids);
}

#[tokio::test(start_paused = true)]
async fn what_the_hook_has_sent_arrives_before_the_close_frame() {
    let server = server().on_connect(|connection| async move {
        connection.peer().notify("sorry", ["full"]).await?;
        Err(Rejection::new(1013, "too many rooms"))
    });
    let mut raw = Raw::client(server).await;
    assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"sorry","params":["full"]}"#);
    assert_eq!(raw.receive_close().await.map(|close| close.code.into()), Some(1013_u16));
}

/// Clients of this crate, with typed handlers, in memory and mounted in HTTP servers.
#[tokio::test]
async fn hooks_run_wherever_a_connection_is_served() {
    let client = || wsjsonrpc::Client::builder().method("version", |_, ()| async { Ok(17) });
    let server = || {
        server()
            .on_connect(|connection| async move {
                connection.set(connection.peer().call::<u32>("version", ()).await?);
                Ok(())
            })
            .method("stored", |ctx: Context, ()| async move { Ok(*ctx.require::<u32>()?) })
    };
    let stored = |peer: Peer| async move { peer.call::<u32>("stored", ()).await.unwrap() };
    let (in_memory, _) = memory::pair(client(), server()).unwrap();
    assert_eq!(stored(in_memory.peer()).await, 17);
    for address in wsjsonrpc_tests::mounted::everywhere(&server().build().unwrap()).await {
        let mounted = client().connect(&format!("ws://{address}/rpc")).await.unwrap();
        assert_eq!(stored(mounted.peer()).await, 17);
    }
    // A caller that uses POST has no connection, so the hook does not run.
    let address = wsjsonrpc_tests::post::address(server()).await;
    let answer = wsjsonrpc_tests::post::ask(address, &request("stored", "[]", "1")).await;
    assert_eq!(answer, wsjsonrpc_tests::error(-32001, "Unauthorized", "1"));
}
