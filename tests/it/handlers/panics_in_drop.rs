//! Values that panic when they are dropped, for every kind of value that the library keeps for the
//! application. The connection and other connections continue. There are two values of each kind,
//! because dropping both in one unwind would abort the process.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;

use futures_util::stream;
use serde::{Serialize, Serializer};
use tokio::sync::mpsc;
use wsjsonrpc::client::ConnectionState;
use wsjsonrpc::middleware::{
    Middleware, Next, OutgoingMiddleware, OutgoingNext, OutgoingRequest, Reply,
};
use wsjsonrpc::server::{Authorize, Fallback, Grant, Handshake, Refusal, ServerBuilder};
use wsjsonrpc::service::{Params, Request, Response};
use wsjsonrpc::subscription::{Overflow, Topic};
use wsjsonrpc::{
    Client, Context, Error, ErrorObject, Methods, Result, Server, async_trait, memory,
};
use wsjsonrpc_tests::{Raw, begin, error, request, result};

use wsjsonrpc_tests::reconnect::{client as reconnecting, connect, is_down};

static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// Panics when it is dropped.
#[derive(Debug)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
        panic!("a bomb of the test's own");
    }
}

#[derive(Debug)]
struct Failed(#[allow(dead_code, reason = "it is there to be dropped")] Bomb);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failed")
    }
}

impl std::error::Error for Failed {}

struct Kept(#[allow(dead_code, reason = "it is there to be dropped")] Bomb);

#[async_trait]
impl Middleware for Kept {
    async fn call(&self, _: &Context, request: Request, next: Next<'_>) -> Response {
        next.run(request).await
    }
}

#[async_trait]
impl OutgoingMiddleware for Kept {
    async fn call(
        &self,
        request: OutgoingRequest,
        next: OutgoingNext<'_>,
    ) -> std::result::Result<Reply, Error> {
        next.run(request).await
    }
}

#[async_trait]
impl Fallback for Kept {
    async fn call(
        &self,
        _: &Context,
        _: &str,
        _: Params<'_>,
    ) -> Result<Box<serde_json::value::RawValue>> {
        Err(ErrorObject::method_not_found())
    }
}

#[async_trait]
impl Authorize for Kept {
    async fn authorize(&self, _: Handshake) -> std::result::Result<Grant, Refusal> {
        Ok(Grant::new())
    }
}

/// A service of two closures, each with a bomb.
fn methods(first: &'static str, second: &'static str) -> Methods {
    let (one, two) = (Bomb, Bomb);
    Methods::new()
        .method(first, move |_, ()| {
            let _ = &one;
            async { Ok(1) }
        })
        .method(second, move |_, ()| {
            let _ = &two;
            async { Ok(2) }
        })
}

fn loaded() -> ServerBuilder {
    Server::builder()
        .service(methods("a", "b"))
        .service(methods("c", "d"))
        .middleware(Kept(Bomb))
        .middleware(Kept(Bomb))
        .outgoing_middleware(Kept(Bomb))
        .outgoing_middleware(Kept(Bomb))
        .fallback(Kept(Bomb))
        .authorize(Kept(Bomb))
}

/// How many bombs were dropped.
fn count(run: impl FnOnce()) -> usize {
    let before = DROPPED.load(Ordering::Relaxed);
    run();
    DROPPED.load(Ordering::Relaxed) - before
}

/// One test, because the counter is global.
#[tokio::test]
async fn a_panic_in_drop_is_contained_for_every_kind_of_value() {
    // Without a connection, and with a connection that outlives its endpoint.
    assert_eq!(count(|| drop(loaded().build().unwrap())), 10);
    let endpoint = loaded().build().unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    raw.check(&request("a", "[]", "1"), &[&result("1", "1")]).await;
    drop(endpoint);
    raw.check(&request("d", "[]", "1"), &[&result("2", "1")]).await;
    let before = DROPPED.load(Ordering::Relaxed);
    raw.hang_up();
    serving.await.unwrap();
    assert_eq!(DROPPED.load(Ordering::Relaxed) - before, 10);

    let before = DROPPED.load(Ordering::Relaxed);
    let (first, second, third) = (Bomb, Bomb, Bomb);
    let client = Client::builder()
        .service(methods("a", "b"))
        .middleware(Kept(Bomb))
        .outgoing_middleware(Kept(Bomb))
        .headers_with(move || {
            let _ = &first;
            async { Ok([("x", "y")]) }
        })
        .on_connect(move |_| {
            let _ = &second;
            async { Ok(()) }
        })
        .on_state(move |_| {
            let _ = &third;
        });
    let (client, server) = memory::pair(client, Server::builder()).unwrap();
    assert_eq!(server.call::<i64>("b", ()).await.unwrap(), 2);
    client.close().await;
    drop((client, server));
    while DROPPED.load(Ordering::Relaxed) - before < 7 {
        tokio::task::yield_now().await;
    }

    a_connections_own_values().await;
    errors().await;
    items().await;
}

/// Values that handlers, hooks and layers leave on a connection.
async fn a_connections_own_values() {
    #[derive(Clone)]
    struct Left<const NUMBER: u8>(#[allow(dead_code, reason = "to be dropped")] Arc<Bomb>);
    let server = Server::builder().method("leave", |ctx: Context, ()| async move {
        ctx.set(Left::<1>(Arc::new(Bomb)));
        ctx.set(Left::<2>(Arc::new(Bomb)));
        Ok(())
    });
    let endpoint = server.build().unwrap();
    let (mut neighbour, _serving) = Raw::client_of(&endpoint).await;
    let mut handshake = Handshake::new("/");
    handshake.extensions.insert(Left::<3>(Arc::new(Bomb)));
    let (mut raw, serving) = Raw::client_with(&endpoint, handshake).await;
    raw.check(&request("leave", "[]", "1"), &[&result("null", "1")]).await;
    let before = DROPPED.load(Ordering::Relaxed);
    raw.hang_up();
    serving.await.unwrap();
    assert_eq!(DROPPED.load(Ordering::Relaxed) - before, 3);
    neighbour.check(&request("leave", "[]", "1"), &[&result("null", "1")]).await;
}

/// Errors of handlers, and of the hook of a reconnecting client.
async fn errors() {
    let server = Server::builder()
        .expose_errors(false)
        .method("fail", |_, ()| async { Err::<(), _>(Failed(Bomb).into()) });
    let mut raw = Raw::client(server).await;
    let internal = error(-32603, "Internal error", "1");
    raw.check(&request("fail", "[]", "1"), &[&internal]).await;
    raw.check(
        &format!("[{0},{0}]", request("fail", "[]", "1")),
        &[&format!("[{internal},{internal}]")],
    )
    .await;

    let fails = Arc::new(AtomicBool::new(true));
    let hook = Arc::clone(&fails);
    let (states, mut told) = mpsc::unbounded_channel();
    let builder = reconnecting()
        .on_connect(move |_| {
            let fails = hook.load(Ordering::Relaxed);
            async move { if fails { Err(Failed(Bomb).into()) } else { Ok(()) } }
        })
        .on_state(move |state| {
            let _ = states.send(state.clone());
        });
    fails.store(false, Ordering::Relaxed);
    let (connecting, mut attempts) = connect(builder);
    let (client, raw) = tokio::join!(connecting, attempts.accept());
    let client = client.unwrap();
    fails.store(true, Ordering::Relaxed);
    raw.hang_up();
    assert!(matches!(told.recv().await, Some(ConnectionState::Connected { .. })));
    is_down(told.recv().await);
    for _ in 0..3 {
        let raw = attempts.accept().await;
        let (reason, ..) = is_down(told.recv().await);
        assert!(reason.to_string().contains("failed"), "{reason}");
        raw.wait_for_end().await;
    }
    fails.store(false, Ordering::Relaxed);
    let mut raw = attempts.accept().await;
    assert!(matches!(told.recv().await, Some(ConnectionState::Connected { .. })));
    let call = tokio::spawn(client.peer().call::<i64>("m", ()).into_future());
    raw.receive().await;
    raw.send(result("5", "1")).await;
    assert_eq!(call.await.unwrap().unwrap(), 5);
}

/// Panics when it is dropped, if it is armed by then.
struct Item(Arc<AtomicBool>);

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_u8(1)
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        if self.0.load(Ordering::Relaxed) {
            drop(Bomb);
        }
    }
}

/// The stream of a subscription whose items wait for the consumer. The items were encoded and
/// dropped when they were taken from the stream.
async fn items() {
    let armed = Arc::new(AtomicBool::new(false));
    let pulled = Arc::new(AtomicUsize::new(0));
    let topic = Topic::new("items").overflow(Overflow::DropOldest).buffer(100);
    let service = {
        let (armed, pulled) = (Arc::clone(&armed), Arc::clone(&pulled));
        Methods::new().subscription(topic, move |_, ()| {
            let (armed, pulled) = (Arc::clone(&armed), Arc::clone(&pulled));
            let bomb = Bomb;
            let six = stream::poll_fn(move |_| {
                let _ = &bomb;
                match pulled.fetch_add(1, Ordering::Relaxed) {
                    0..6 => Poll::Ready(Some(Ok(Item(Arc::clone(&armed))))),
                    _ => Poll::Pending,
                }
            });
            async move { Ok(six) }
        })
    };
    let endpoint = Server::builder().service(service);
    let (client, server) = memory::pair(Client::builder(), endpoint).unwrap();
    let items = client.peer().subscribe::<u8>("items", ()).window(1).await.unwrap();
    while pulled.load(Ordering::Relaxed) <= 6 {
        tokio::task::yield_now().await;
    }
    armed.store(true, Ordering::Relaxed);
    let before = DROPPED.load(Ordering::Relaxed);
    drop((items, client));
    server.closed().await;
    // Only the stream is dropped here, because the queue holds no items.
    while DROPPED.load(Ordering::Relaxed) - before < 1 {
        tokio::task::yield_now().await;
    }
}

/// The item panics when it is dropped, and the stream panics while that unwinds. Then the same with
/// a panic in the item's `Serialize`.
#[tokio::test]
async fn an_item_and_its_stream_may_both_panic_when_dropped() {
    /// Not `Bomb`, whose drops another test counts.
    struct Boom;

    impl Drop for Boom {
        fn drop(&mut self) {
            panic!("a bomb of the test's own");
        }
    }

    struct Both(bool, #[allow(dead_code, reason = "it is there to be dropped")] Boom);

    impl Serialize for Both {
        fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
            if self.0 {
                panic!("a panic of the test's own");
            }
            serializer.serialize_u8(1)
        }
    }

    let service = Methods::new().subscription(Topic::new("items"), |_, (fails,): (bool,)| {
        let bomb = Boom;
        let stream = stream::poll_fn(move |_| {
            let _ = &bomb;
            Poll::Ready(Some(Ok(Both(fails, Boom))))
        });
        async move { Ok(stream) }
    });
    let endpoint = Server::builder().service(service).build().unwrap();
    let (mut raw, _) = Raw::client_of(&endpoint).await;
    for (fails, id) in [(false, "1"), (true, "2")] {
        raw.send(request("items", &format!("[{fails}]"), id)).await;
        let answer = raw.receive().await;
        assert!(answer.contains("result"), "{answer}");
        let item = raw.receive().await;
        assert!(item.contains(if fails { "-32603" } else { "\"result\":1" }), "{item}");
        if !fails {
            raw.send(request("unsubscribe_items", "[\"0x1\"]", "9")).await;
            while !raw.receive().await.contains("\"id\":9") {}
        }
    }
}

/// Values that the application holds while one of its tasks unwinds: handles, calls, batches,
/// subscriptions.
#[tokio::test]
async fn a_task_that_panics_while_it_holds_handles_is_contained() {
    let ticks = || {
        Methods::new().subscription(Topic::new("ticks"), |_, ()| async {
            Ok(stream::pending::<Result<u8>>())
        })
    };
    let never = |_, ()| std::future::pending::<Result<()>>();
    let server = Server::builder()
        .service(ticks())
        .method("never", never)
        .method("double", |_, (x,): (i64,)| async move { Ok(2 * x) })
        .method("hold", |ctx: Context, ()| async move {
            let peer = ctx.peer();
            let _call = begin(peer.call::<()>("never", ()).into_future()).await;
            ctx.set(begin(ctx.peer().call::<()>("never", ()).into_future()).await);
            if true {
                panic!("a handler of the test's own");
            }
            Ok(())
        })
        .build()
        .unwrap();
    let open = || {
        let (ours, theirs) = tokio::io::duplex(4096);
        let endpoint = server.clone();
        tokio::spawn(async move { endpoint.serve(theirs, None).await });
        Client::builder().method("never", never).connect_over("ws://localhost/", ours)
    };
    let neighbour = open().await.unwrap();
    let client = open().await.unwrap();
    let task = tokio::spawn(async move {
        let peer = client.peer();
        let _called = begin(peer.call::<()>("never", ()).into_future()).await;
        let _unsent = peer.call::<()>("never", ());
        let mut batch = peer.new_batch();
        let _reply = batch.add(peer.call::<()>("never", ()));
        let _sent = begin(peer.batch([peer.call::<()>("never", ())]).into_future()).await;
        let _ticks = peer.subscribe::<u8>("ticks", ()).await.unwrap();
        let failed = peer.call::<()>("hold", ()).await.unwrap_err();
        assert!(matches!(failed, Error::Call(_)), "{failed}");
        assert_eq!(peer.call::<i64>("double", (2,)).await.unwrap(), 4);
        panic!("a task of the test's own");
    });
    assert!(task.await.unwrap_err().is_panic());
    // Its connection closes, because its last handle was dropped.
    while server.connection_count() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(neighbour.peer().call::<i64>("double", (21,)).await.unwrap(), 42);
}
