//! Connection events in middleware: connected, bytes transferred, disconnected.

use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::middleware::{Middleware, Next};
use wsjsonrpc::server::{Grant, Handshake, Refusal, ServerBuilder};
use wsjsonrpc::service::{Request, Response};
use wsjsonrpc::{Client, Context, Server, async_trait, memory};
use wsjsonrpc_tests::log::Log;
use wsjsonrpc_tests::{Raw, listen, request, result, server};

/// Records the events.
#[derive(Clone)]
struct Observer {
    events: mpsc::UnboundedSender<String>,
    /// Received, and sent.
    bytes: Arc<Mutex<(u64, u64)>>,
}

impl Observer {
    fn new() -> (Self, mpsc::UnboundedReceiver<String>) {
        let (events, told) = mpsc::unbounded_channel();
        (Observer { events, bytes: Arc::default() }, told)
    }
}

#[async_trait]
impl Middleware for Observer {
    async fn call(&self, _: &Context, request: Request, next: Next<'_>) -> Response {
        self.events.send(request.method().to_owned()).unwrap();
        next.run(request).await
    }

    fn connected(&self, ctx: &Context) {
        let user = ctx.get::<&str>().map_or("nobody", |user| *user);
        self.events.send(format!("connected {user}")).unwrap();
    }

    fn disconnected(&self, _: &Context, reason: &CloseReason) {
        let reason = match reason {
            CloseReason::Lost(_) => "lost".to_owned(),
            other => other.to_string(),
        };
        // The test may have ended.
        let _ = self.events.send(reason);
    }

    fn transferred(&self, _: &Context, received: u64, sent: u64) {
        assert!(received + sent > 0, "empty transfers must not be reported");
        let mut bytes = self.bytes.lock().unwrap();
        *bytes = (bytes.0 + received, bytes.1 + sent);
    }
}

#[tokio::test]
async fn middleware_sees_a_connection_open_carry_bytes_and_end() {
    let (observer, mut told) = Observer::new();
    let grant = |_: Handshake| async { Ok::<_, Refusal>(Grant::new().set("Ada")) };
    let (url, _) = listen(server().middleware(observer.clone()).authorize_fn(grant)).await;
    let client = Client::connect(&url).await.unwrap();
    let text = "x".repeat(10_000);
    let echoed = client.peer().call::<String>("echo", [&text]).await.unwrap();
    assert_eq!(echoed, text);
    client.peer().close(1000, "done");
    for event in ["connected Ada", "echo", "connection closed by the peer with code 1000: done"] {
        assert_eq!(told.recv().await.unwrap(), event);
    }
    let (received, sent) = *observer.bytes.lock().unwrap();
    assert!((10_000..11_000).contains(&received), "{received}");
    assert!((10_000..11_000).contains(&sent), "{sent}");
}

#[tokio::test]
async fn bytes_are_counted_as_on_the_network() {
    let (observer, mut told) = Observer::new();
    let mut raw = Raw::client(server().middleware(observer.clone())).await;
    let question = request("echo", "[\"abc\"]", "1");
    let answer = result("\"abc\"", "1");
    assert_eq!(raw.ask(&question).await, answer);
    raw.hang_up();
    for event in ["connected nobody", "echo", "lost"] {
        assert_eq!(told.recv().await.unwrap(), event);
    }
    let bytes = *observer.bytes.lock().unwrap();
    // The header of a short frame has 6 bytes from a client, and 2 from a server.
    assert_eq!(bytes, (question.len() as u64 + 6, answer.len() as u64 + 2));
}

#[tokio::test]
async fn a_refused_connection_is_not_reported() {
    let (observer, mut told) = Observer::new();
    let refuse = |_: Handshake| async { Err::<Grant, _>(Refusal::forbidden("no")) };
    let (url, _) = listen(server().middleware(observer.clone()).authorize_fn(refuse)).await;
    Client::connect(&url).await.expect_err("refused");
    let (client, _) =
        memory::pair(Client::builder(), server().middleware(observer.clone()).authorize_fn(refuse))
            .unwrap();
    client.closed().await;
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn a_dropped_connection_is_reported_as_ended() {
    let (observer, mut told) = Observer::new();
    let endpoint = server().middleware(observer.clone()).build().unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    assert_eq!(raw.ask(request("echo", "[\"\"]", "1")).await, result("\"\"", "1"));
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    for event in [
        "connected nobody",
        "echo",
        "the connection's task was dropped; the tokio runtime may have shut down",
    ] {
        assert_eq!(told.recv().await.unwrap(), event);
    }
    assert!(told.try_recv().is_err(), "told once");
}

#[tokio::test]
async fn a_client_reports_its_own_connections() {
    let (observer, mut told) = Observer::new();
    let client = Client::builder().middleware(observer.clone());
    let (client, _) = memory::pair(client, Server::builder()).unwrap();
    assert_eq!(told.recv().await.unwrap(), "connected nobody");
    drop(client);
    assert_eq!(told.recv().await.unwrap(), "connection closed by this side");
}

/// One value in two builders, as a trait object.
#[tokio::test]
async fn shared_middleware_sees_the_same_as_owned_middleware() {
    let (observer, mut told) = Observer::new();
    let bytes = Arc::clone(&observer.bytes);
    let shared: Arc<dyn Middleware> = Arc::new(observer);
    let echo = |builder: ServerBuilder| {
        builder
            .middleware(Arc::clone(&shared))
            .method("echo", |_, (text,): (String,)| async move { Ok(text) })
    };
    for _ in 0..2 {
        let mut raw = Raw::client(echo(Server::builder())).await;
        assert_eq!(raw.ask(request("echo", "[\"\"]", "1")).await, result("\"\"", "1"));
        raw.hang_up();
        for event in ["connected nobody", "echo", "lost"] {
            assert_eq!(told.recv().await.unwrap(), event);
        }
        let (received, sent) = std::mem::take(&mut *bytes.lock().unwrap());
        assert!(received > 0 && sent > 0, "{received} {sent}");
    }
}

struct Clumsy;

#[async_trait]
impl Middleware for Clumsy {
    async fn call(&self, _: &Context, request: Request, next: Next<'_>) -> Response {
        next.run(request).await
    }
    fn connected(&self, _: &Context) {
        panic!("on purpose");
    }
    fn disconnected(&self, _: &Context, _: &CloseReason) {
        panic!("on purpose");
    }
    fn transferred(&self, _: &Context, _: u64, _: u64) {
        panic!("on purpose");
    }
}

#[tokio::test]
async fn a_panic_in_connection_middleware_is_contained() {
    let (log, _guard) = Log::of_this_thread();
    let (observer, mut told) = Observer::new();
    let mut raw = Raw::client(server().middleware(observer.clone()).middleware(Clumsy)).await;
    assert_eq!(raw.ask(request("echo", "[\"\"]", "1")).await, result("\"\"", "1"));
    raw.hang_up();
    for event in ["connected nobody", "echo", "lost"] {
        assert_eq!(told.recv().await.unwrap(), event);
    }
    tokio::task::yield_now().await;
    let line = "middleware panicked in a connection callback";
    assert!(log.text().contains(line), "{}", log.text());
}
