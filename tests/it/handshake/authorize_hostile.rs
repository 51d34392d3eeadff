//! Clients that do not wait for the hook's decision: they send calls after their handshake, or
//! disconnect while the hook decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use wsjsonrpc::server::{Grant, Refusal, ServerBuilder};
use wsjsonrpc::{Config, Context, Server};
use wsjsonrpc_tests::frames::{frame_of, frames};
use wsjsonrpc_tests::http::{address, http, read_head, refusal, upgrade};
use wsjsonrpc_tests::{Gate, notification, request, result};

/// A server that counts the calls that reach it. Its hook waits at the gate and then decides by the
/// path.
fn server(gate: &Gate, reached: &Arc<AtomicUsize>) -> ServerBuilder {
    let (gate, reached) = (gate.clone(), Arc::clone(reached));
    let server = Server::builder().authorize_fn(move |handshake| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            match handshake.path() {
                "/in" => Ok(Grant::new()),
                "/panic" => panic!("as the test wants it"),
                "/error" => Err(std::io::Error::other("as the test wants it"))?,
                _ => Err(Refusal::forbidden("not you")),
            }
        }
    });
    server.method("reach", move |_, ()| {
        reached.fetch_add(1, Ordering::Relaxed);
        async { Ok(()) }
    })
}

/// Calls of all kinds, as frames.
fn calls() -> Vec<u8> {
    let call = request("reach", "[]", "1");
    let texts = [notification("reach", "[]"), call.clone(), format!("[{call},{call}]")];
    let whole = texts.map(|text| frame_of(0x81, text.as_bytes(), true)).concat();
    let (begins, ends) = call.as_bytes().split_at(10);
    [whole, frame_of(0x01, begins, true), frame_of(0x80, ends, true)].concat()
}

#[tokio::test]
async fn calls_behind_a_refused_handshake_are_not_handled() {
    let (gate, reached) = (Gate::default(), Arc::default());
    let address = address(server(&gate, &reached)).await;
    let failed = "the server failed to authorize this connection";
    for (path, expected) in [
        ("/out", refusal("403 Forbidden", "", "not you")),
        ("/panic", refusal("500 Internal Server Error", "", failed)),
        ("/error", refusal("500 Internal Server Error", "", failed)),
    ] {
        let bytes = [upgrade(path, "").as_bytes(), &calls()].concat();
        let asked = tokio::spawn(http(address, bytes));
        // All of it was sent before the hook decides.
        gate.arrived(1).await;
        gate.open(1);
        assert_eq!(asked.await.unwrap(), expected, "{path}");
        assert_eq!(reached.load(Ordering::Relaxed), 0, "{path}");
    }
}

/// Counterpart of the test above: if the hook accepts, the same bytes are handled afterwards, in
/// order.
#[tokio::test]
async fn calls_behind_a_handshake_wait_for_the_hook() {
    let (gate, reached) = (Gate::default(), Arc::default());
    let endpoint = server(&gate, &reached).build().unwrap();
    let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
    let serving = tokio::spawn(async move { endpoint.serve(theirs, None).await });
    ours.write_all(upgrade("/in", "").as_bytes()).await.unwrap();
    ours.write_all(&calls()).await.unwrap();
    gate.arrived(1).await;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(reached.load(Ordering::Relaxed), 0);
    gate.open(1);
    is_accepted(&mut ours).await;
    ours.write_all(&frame_of(0x88, b"\x03\xe8", true)).await.unwrap();
    let mut bytes = Vec::new();
    ours.read_to_end(&mut bytes).await.unwrap();
    let one = result("null", "1");
    let texts = frames(&bytes).into_iter().filter(|frame| frame.first == 0x81);
    let texts: Vec<_> = texts.map(|frame| String::from_utf8(frame.payload).unwrap()).collect();
    assert_eq!(texts, [one.clone(), format!("[{one},{one}]"), one]);
    assert_eq!(reached.load(Ordering::Relaxed), 5);
    serving.await.unwrap().unwrap();
}

async fn is_accepted(stream: &mut DuplexStream) {
    let head = read_head(stream).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

/// A value that a hook gives its connection, and that must be dropped in the end.
struct Lease(Arc<AtomicUsize>);

impl Lease {
    fn take(leases: &Arc<AtomicUsize>) -> Self {
        leases.fetch_add(1, Ordering::Relaxed);
        Lease(Arc::clone(leases))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A hook that has started runs to completion when the client disconnects. The value that it grants is
/// dropped, and the connection no longer counts.
#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_during_the_hook_leaves_nothing_behind() {
    let (gate, leases, decided) = (Gate::default(), Arc::default(), Arc::<AtomicUsize>::default());
    let (at_gate, given, done) = (gate.clone(), Arc::clone(&leases), Arc::clone(&decided));
    let config = Config { max_connections: 1, ..Config::default() };
    let server = Server::builder().config(config).authorize_fn(move |_| {
        let (gate, lease, done) = (at_gate.clone(), Lease::take(&given), Arc::clone(&done));
        async move {
            gate.pass().await;
            done.fetch_add(1, Ordering::Relaxed);
            Ok(Grant::new().set(lease))
        }
    });
    let server = server
        .method("has_lease", |ctx: Context, ()| async move { Ok(ctx.get::<Lease>().is_some()) });
    let endpoint = server.build().unwrap();
    let serve = |stream| {
        let endpoint = endpoint.clone();
        tokio::spawn(async move { endpoint.serve(stream, None).await })
    };
    for behind in [Vec::new(), calls()] {
        let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
        let serving = serve(theirs);
        ours.write_all(upgrade("/", "").as_bytes()).await.unwrap();
        ours.write_all(&behind).await.unwrap();
        gate.arrived(1).await;
        drop(ours);
        tokio::task::yield_now().await;
        assert_eq!(leases.load(Ordering::Relaxed), 1);
        gate.open(1);
        // The client is gone, so there is nobody to respond to.
        serving.await.unwrap().unwrap_err();
        assert_eq!(leases.load(Ordering::Relaxed), 0);
        assert!(endpoint.connections().is_empty());
    }
    assert_eq!(decided.swap(0, Ordering::Relaxed), 2);

    // The client disconnects and the hook never decides: the timeout of the handshake ends it.
    let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
    let serving = serve(theirs);
    ours.write_all(upgrade("/", "").as_bytes()).await.unwrap();
    gate.arrived(1).await;
    drop(ours);
    serving.await.unwrap().unwrap_err();
    assert_eq!((leases.load(Ordering::Relaxed), decided.load(Ordering::Relaxed)), (0, 0));

    // The limit is one connection, and the next client gets it.
    gate.open(1);
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let serving = serve(theirs);
    let client = wsjsonrpc::Client::builder().connect_over("ws://x/", ours).await.unwrap();
    assert!(client.peer().call::<bool>("has_lease", ()).await.unwrap());
    client.close().await;
    serving.await.unwrap().unwrap();
    drop(client);
    assert_eq!(leases.load(Ordering::Relaxed), 0);
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("as the test wants it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_after_its_timeout_is_a_timeout() {
    let server = Server::builder().authorize_fn(|_| async {
        let _held = PanicsWhenDropped;
        std::future::pending().await
    });
    let endpoint = server.build().unwrap();
    let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
    let serving = tokio::spawn(async move { endpoint.serve(theirs, None).await });
    ours.write_all(upgrade("/", "").as_bytes()).await.unwrap();
    let mut answer = String::new();
    ours.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    drop(ours);
    serving.await.unwrap().unwrap_err();
}
