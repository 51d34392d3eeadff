//! Every kind of method behaves the same with middleware around it: ordered, droppable, blocking,
//! plain; the fallback; cancellation; the end of the connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::mpsc;
use wsjsonrpc::server::{Fallback, ServerBuilder};
use wsjsonrpc::service::Params;
use wsjsonrpc::{Client, Config, Context, Result, Server, async_trait, memory, rpc};
use wsjsonrpc_tests::record::Record;
use wsjsonrpc_tests::{Gate, Raw, begin, cancel, cancelled, error, request, result};

#[rpc]
trait Kinds {
    #[method(ordered)]
    async fn ordered(&self, ctx: &Context, line: u32) -> Result<u32>;
    #[method(cancel = "drop")]
    async fn droppable(&self, ctx: &Context) -> Result<()>;
    async fn told(&self, ctx: &Context) -> Result<()>;
    #[method(blocking)]
    fn blocking(&self, ctx: &Context, x: u32) -> Result<u32>;
    fn plain(&self, ctx: &Context, x: u32) -> Result<u32>;
    async fn slow(&self, ctx: &Context) -> Result<()>;
}

#[derive(Clone)]
struct Service {
    events: mpsc::UnboundedSender<String>,
    at_work: Arc<AtomicUsize>,
    gate: Gate,
}

/// Reports that it was dropped.
struct Dropped(mpsc::UnboundedSender<String>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send("dropped".to_owned());
    }
}

impl Kinds for Service {
    async fn ordered(&self, _: &Context, line: u32) -> Result<u32> {
        assert_eq!(self.at_work.fetch_add(1, Ordering::SeqCst), 0, "two overlap");
        self.events.send(line.to_string()).unwrap();
        for _ in 0..(10 - line) {
            tokio::task::yield_now().await;
        }
        self.at_work.fetch_sub(1, Ordering::SeqCst);
        Ok(line)
    }

    async fn droppable(&self, _: &Context) -> Result<()> {
        let _dropped = Dropped(self.events.clone());
        self.events.send("begun".to_owned()).unwrap();
        std::future::pending().await
    }

    async fn told(&self, ctx: &Context) -> Result<()> {
        self.events.send("begun".to_owned()).unwrap();
        ctx.cancelled().await;
        self.events.send("told".to_owned()).unwrap();
        Ok(())
    }

    fn blocking(&self, _: &Context, x: u32) -> Result<u32> {
        assert_ne!(x, 0, "on purpose");
        Ok(x)
    }

    fn plain(&self, _: &Context, x: u32) -> Result<u32> {
        assert_ne!(x, 0, "on purpose");
        Ok(x)
    }

    async fn slow(&self, _: &Context) -> Result<()> {
        let _dropped = Dropped(self.events.clone());
        self.gate.pass().await;
        self.events.send("done".to_owned()).unwrap();
        Ok(())
    }
}

struct Setup {
    record: Record,
    events: mpsc::UnboundedReceiver<String>,
    gate: Gate,
}

fn server() -> (ServerBuilder, Setup) {
    let (send, events) = mpsc::unbounded_channel();
    let (record, gate) = (Record::default(), Gate::default());
    let service = Service { events: send, at_work: Arc::default(), gate: gate.clone() };
    let server = Server::builder()
        .expose_errors(false)
        .service(service.into_service())
        .middleware(record.clone());
    (server, Setup { record, events, gate })
}

#[tokio::test]
async fn ordered_calls_run_one_after_another() {
    let (server, mut setup) = server();
    let mut raw = Raw::client(server).await;
    let calls: Vec<String> =
        (0..10).map(|line| request("ordered", &format!("[{line}]"), &line.to_string())).collect();
    for call in &calls[..5] {
        raw.send(call).await;
    }
    raw.send(format!("[{}]", calls[5..].join(","))).await;
    for line in 0..5 {
        assert_eq!(raw.receive().await, result(&line.to_string(), &line.to_string()));
    }
    raw.receive().await;
    for line in 0..10 {
        assert_eq!(setup.events.recv().await.unwrap(), line.to_string());
    }
}

#[tokio::test]
async fn a_cancelled_call_is_dropped_or_signalled() {
    let (server, mut setup) = server();
    let (mut raw, _) = Raw::knowing_client(server).await;
    for (method, last) in [("droppable", "dropped"), ("told", "told")] {
        raw.send(request(method, "[]", "1")).await;
        assert_eq!(setup.events.recv().await.unwrap(), "begun");
        let answer = raw.ask(cancel("1")).await;
        assert_eq!(answer, cancelled("1"));
        assert_eq!(setup.events.recv().await.unwrap(), last);
        raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
    }
    let outcomes: Vec<String> = setup.record.take();
    assert!(outcomes.contains(&"-32800 Request cancelled".to_owned()), "{outcomes:?}");
    assert!(
        outcomes.contains(&"null".to_owned()),
        "a handler that watches for the cancellation ends by itself"
    );
}

#[tokio::test]
async fn plain_and_blocking_methods_answer_and_panic_as_without() {
    let (server, setup) = server();
    let mut raw = Raw::client(server).await;
    for method in ["plain", "blocking"] {
        assert_eq!(raw.ask(request(method, "[5]", "1")).await, result("5", "1"));
        let answer = raw.ask(request(method, "[0]", "2")).await;
        assert_eq!(answer, error(-32603, "Internal error", "2"));
        let lines = setup.record.take();
        assert_eq!([&lines[1], &lines[3]], ["5", "-32603 Internal error"]);
    }
}

struct Echo;

#[async_trait]
impl Fallback for Echo {
    async fn call(&self, _: &Context, method: &str, params: Params<'_>) -> Result<Box<RawValue>> {
        Ok(to_raw_value(&(method, params.json()))?)
    }
}

#[tokio::test]
async fn a_call_of_the_fallback_has_no_registered_name() {
    let (server, setup) = server();
    let mut raw = Raw::client(server.fallback(Echo)).await;
    let answer = raw.ask(request("some.name", "[1]", "1")).await;
    assert_eq!(answer, result(r#"["some.name","[1]"]"#, "1"));
    assert_eq!(setup.record.take(), ["request some.name - [1]", r#"["some.name","[1]"]"#]);
}

#[tokio::test]
async fn only_droppable_handlers_end_with_their_connection() {
    for (cancel_on_close, last) in [(false, "done"), (true, "dropped")] {
        let (server, mut setup) = server();
        let config = Config { cancel_on_close, ..Config::default() };
        let mut raw = Raw::client(server.config(config)).await;
        raw.send(request("slow", "[]", "1")).await;
        setup.gate.arrived(1).await;
        raw.hang_up();
        if !cancel_on_close {
            setup.gate.open(1);
        }
        assert_eq!(setup.events.recv().await.unwrap(), last);
    }
}

#[tokio::test]
async fn middleware_wraps_what_a_client_serves() {
    let record = Record::default();
    let client = Client::builder()
        .method("double", |_, (x,): (u32,)| async move { Ok(2 * x) })
        .middleware(record.clone());
    let server = Server::builder().method("relay", |ctx: Context, (x,): (u32,)| async move {
        ctx.peer().call::<u32>("double", (x,)).await.map_err(|error| error.into_object())
    });
    let (client, _) = memory::pair(client, server).unwrap();
    assert_eq!(client.peer().call::<u32>("relay", (4,)).await.unwrap(), 8);
    assert_eq!(record.take(), ["request double double [4]", "8"]);
}

#[tokio::test]
async fn a_slow_call_behind_middleware_does_not_delay_others() {
    let (server, setup) = server();
    let (client, _) = memory::pair(Client::builder(), server).unwrap();
    let peer = client.peer().clone();
    let slow = begin(std::future::IntoFuture::into_future(peer.call::<()>("slow", ()))).await;
    setup.gate.arrived(1).await;
    assert_eq!(peer.call::<u32>("plain", (3,)).await.unwrap(), 3);
    setup.gate.open(1);
    slow.await.unwrap();
}
