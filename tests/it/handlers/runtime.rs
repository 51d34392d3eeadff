//! Handlers on a separate runtime: none of their code runs where connections run.

use std::collections::BTreeSet;
use std::future::IntoFuture;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, ThreadId};

use futures_util::{Stream, StreamExt, stream};
use serde_json::value::{RawValue, to_raw_value};
use tokio::runtime::{Builder, Runtime};
use wsjsonrpc::middleware::{Middleware, Next};
use wsjsonrpc::server::{Fallback, ServerBuilder};
use wsjsonrpc::service::{Params, Request, Response};
use wsjsonrpc::{Client, Context, Error, ErrorCode, Result, Server, async_trait, memory, rpc};
use wsjsonrpc_tests::{Gate, Raw, begin, cancel, cancelled, post, request, result};

/// Dropping a runtime inside of a test's runtime would block.
struct Handlers(Option<Runtime>);

impl Handlers {
    fn new(threads: usize) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build();
        Handlers(Some(runtime.unwrap()))
    }

    fn server(&self) -> ServerBuilder {
        Server::builder().handler_runtime(self.0.as_ref().unwrap().handle().clone())
    }

    fn shut_down(&mut self) {
        self.0.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

impl Drop for Handlers {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// One thread for all connections, their clients, and the test.
#[tokio::test]
async fn a_blocking_handler_delays_no_connection() {
    let handlers = Handlers::new(2);
    let (let_go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let endpoint = handlers
        .server()
        .method("block", move |_, ()| {
            let _ = wait.lock().map(|wait| wait.recv());
            async { Ok(()) }
        })
        .method("fine", |_, ()| async { Ok(()) })
        .build()
        .unwrap();
    let (mut raw, _) = Raw::client_of(&endpoint).await;
    let (mut other, _) = Raw::client_of(&endpoint).await;
    raw.send(request("block", "[]", "1")).await;
    for _ in 0..100 {
        assert_eq!(other.ask(request("fine", "[]", "1")).await, result("null", "1"));
    }
    // The connection itself works too: it receives the response to a call of the server.
    let peer = endpoint.connections()[0].peer();
    let call = begin(peer.call::<u32>("ask", ()).into_future()).await;
    let mut asked = raw.receive().await;
    if !asked.contains("\"ask\"") {
        asked = raw.receive().await;
    }
    assert!(asked.contains("\"s1\""), "{asked}");
    raw.send(result("7", "\"s1\"")).await;
    assert_eq!(call.await.unwrap(), 7);
    drop(let_go);
    assert_eq!(raw.receive().await, result("null", "1"));
}

/// The thread on which each part ran.
#[derive(Clone, Default)]
struct Places(Arc<Mutex<Vec<(&'static str, ThreadId)>>>);

impl Places {
    fn note(&self, what: &'static str) {
        self.0.lock().unwrap().push((what, thread::current().id()));
    }
}

#[rpc]
trait Work {
    fn plain(&self, ctx: &Context) -> Result<u32>;
    async fn later(&self, ctx: &Context) -> Result<u32>;
    #[method(ordered)]
    async fn turn(&self, ctx: &Context, number: usize) -> Result<usize>;
    fn note(&self, ctx: &Context);
    #[subscription]
    fn ticks(&self, ctx: &Context) -> impl Stream<Item = u32>;
}

struct Worker {
    places: Places,
    turns: Arc<Mutex<Vec<usize>>>,
}

impl Work for Worker {
    fn plain(&self, _: &Context) -> Result<u32> {
        self.places.note("plain");
        Ok(1)
    }
    async fn later(&self, _: &Context) -> Result<u32> {
        tokio::task::yield_now().await;
        self.places.note("later");
        Ok(2)
    }
    async fn turn(&self, _: &Context, number: usize) -> Result<usize> {
        self.turns.lock().unwrap().push(number);
        tokio::task::yield_now().await;
        self.turns.lock().unwrap().push(number);
        Ok(number)
    }
    fn note(&self, _: &Context) {
        self.places.note("notification");
    }
    fn ticks(&self, _: &Context) -> impl Stream<Item = u32> {
        self.places.note("subscription");
        let places = self.places.clone();
        stream::iter(0..3).map(move |tick| {
            places.note("stream");
            tick
        })
    }
}

#[async_trait]
impl Middleware for Places {
    async fn call(&self, _: &Context, request: Request, next: Next<'_>) -> Response {
        self.note("middleware");
        next.run(request).await
    }
}

#[async_trait]
impl Fallback for Places {
    async fn call(&self, _: &Context, _: &str, _: Params<'_>) -> Result<Box<RawValue>> {
        self.note("fallback");
        Ok(to_raw_value(&3)?)
    }
}

#[tokio::test]
async fn handlers_never_run_on_the_runtime_of_connections() {
    let handlers = Handlers::new(2);
    let places = Places::default();
    let worker = || Worker { places: places.clone(), turns: Arc::default() };
    let server = || handlers.server().service(worker().into_service()).fallback(places.clone());
    let expected = ["fallback", "later", "notification", "plain", "stream", "subscription"];
    for with_middleware in [false, true] {
        let server = if with_middleware { server().middleware(places.clone()) } else { server() };
        let (client, _) = memory::pair(Client::builder(), server).unwrap();
        let work = WorkClient::new(client.peer());
        work.note().await.unwrap();
        assert_eq!((work.plain().await.unwrap(), work.later().await.unwrap()), (1, 2));
        assert_eq!(client.peer().call::<u32>("unknown", ()).await.unwrap(), 3);
        let ticks = work.ticks().await.unwrap();
        let ticks: Vec<u32> = ticks.map(|tick| tick.unwrap()).collect().await;
        assert_eq!(ticks, [0, 1, 2]);
        let seen = std::mem::take(&mut *places.0.lock().unwrap());
        assert!(seen.iter().all(|(_, thread)| *thread != thread::current().id()), "{seen:?}");
        let seen: BTreeSet<&str> = seen.into_iter().map(|(what, _)| what).collect();
        let mut expected: BTreeSet<&str> = expected.into_iter().collect();
        expected.extend(with_middleware.then_some("middleware"));
        assert_eq!(seen, expected);
    }
    // Handlers do not run on the thread that answers HTTP requests either.
    let address = post::address(server()).await;
    let batch = format!("[{},{}]", request("plain", "[]", "1"), request("later", "[]", "2"));
    let answer = post::ask(address, &batch).await;
    assert_eq!(answer, format!("[{},{}]", result("1", "1"), result("2", "2")));
    let seen = std::mem::take(&mut *places.0.lock().unwrap());
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|(_, thread)| *thread != thread::current().id()), "{seen:?}");
}

/// With several threads.
#[tokio::test]
async fn handlers_start_in_the_order_of_their_calls() {
    let handlers = Handlers::new(4);
    let begun = Arc::new(Mutex::new(Vec::new()));
    let begins = Arc::clone(&begun);
    let turns = Arc::new(Mutex::new(Vec::new()));
    let worker = Worker { places: Places::default(), turns: Arc::clone(&turns) };
    let server = handlers.server().service(worker.into_service()).method(
        "begin",
        move |_, number: usize| {
            begins.lock().unwrap().push(number);
            async move {
                tokio::task::yield_now().await;
                Ok(number)
            }
        },
    );
    let mut raw = Raw::client(server).await;
    for number in 0..1000 {
        let id = number.to_string();
        raw.send(request("begin", &format!("[{number}]"), &id)).await;
        raw.send(request("turn", &format!("[{number}]"), &id)).await;
        // At most `max_in_flight` calls at once.
        if number % 400 == 399 {
            for _ in 0..800 {
                raw.receive().await;
            }
        }
    }
    for _ in 0..400 {
        raw.receive().await;
    }
    assert_eq!(*begun.lock().unwrap(), (0..1000).collect::<Vec<_>>());
    let expected: Vec<usize> = (0..1000).flat_map(|number| [number, number]).collect();
    assert_eq!(*turns.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_call_cancelled_before_it_starts_never_starts() {
    let handlers = Handlers::new(1);
    let (let_go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let places = Places::default();
    let worker = Worker { places: places.clone(), turns: Arc::default() };
    let server = handlers.server().service(worker.into_service()).method("block", move |_, ()| {
        let _ = wait.lock().map(|wait| wait.recv());
        async { Ok(()) }
    });
    let mut raw = Raw::client(server).await;
    raw.send(request("block", "[]", "1")).await;
    raw.send(request("plain", "[]", "2")).await;
    raw.send(cancel("2")).await;
    assert_eq!(raw.receive().await, cancelled("2"));
    drop(let_go);
    assert_eq!(raw.receive().await, result("null", "1"));
    assert_eq!(raw.ask(request("later", "[]", "3")).await, result("2", "3"));
    assert_eq!(places.0.lock().unwrap().len(), 1);
}

/// Their callers are still connected.
#[tokio::test]
async fn a_handler_runtime_that_is_shut_down_fails_its_calls() {
    let mut handlers = Handlers::new(1);
    let gate = Gate::default();
    let server = handlers.server().method("gated", gate.handler(()));
    let (client, peer) = memory::pair(Client::builder().call_timeout(None), server).unwrap();
    let is_internal = |outcome: std::result::Result<(), Error>| matches!(outcome, Err(Error::Call(error)) if error.code() == ErrorCode::INTERNAL_ERROR);
    let call = begin(client.peer().call::<()>("gated", ()).into_future()).await;
    gate.arrived(1).await;
    handlers.shut_down();
    assert!(is_internal(call.await), "one that was in flight");
    assert!(is_internal(client.peer().call::<()>("gated", ()).await), "one that came later");
    assert!(!peer.is_closed());
}
