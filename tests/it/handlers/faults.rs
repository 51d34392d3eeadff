//! Handlers that misbehave affect only their own caller: they panic, never finish, block, or
//! outlive their connection. `wire::failures` tests results that cannot be sent.

use std::fmt;
use std::future::{IntoFuture, pending};
use std::panic::panic_any;
use std::sync::mpsc;

use wsjsonrpc::{Client, Config, Context, ErrorObject, Result, RpcError, Server, memory, rpc};
use wsjsonrpc_tests::{Gate, Raw, error, notification, request, result};

/// Panics when it is dropped.
#[derive(Debug)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        // Rust aborts the process on a panic during another panic.
        if !std::thread::panicking() {
            panic!("dropped");
        }
    }
}

impl fmt::Display for Bomb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bomb")
    }
}

impl std::error::Error for Bomb {}

#[derive(Debug)]
struct Known(Bomb);

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "known: {}", self.0)
    }
}

impl std::error::Error for Known {}

impl RpcError for Known {
    fn to_object(&self) -> ErrorObject {
        ErrorObject::new(7, "known")
    }
    fn from_object(object: ErrorObject) -> std::result::Result<Self, ErrorObject> {
        Err(object)
    }
}

#[rpc]
trait Misbehaves {
    async fn throws(&self, ctx: &Context, later: bool) -> Result<()>;
    async fn thrown_payload(&self, ctx: &Context, later: bool) -> Result<()>;
    async fn drops(&self, ctx: &Context, later: bool) -> Result<()>;
    async fn source(&self, ctx: &Context, later: bool) -> Result<()>;
    async fn known_source(&self, ctx: &Context, later: bool) -> Result<()>;
    #[method(blocking)]
    fn blocking_payload(&self, ctx: &Context, later: bool) -> Result<()>;
    async fn fine(&self, ctx: &Context) -> Result<()>;
    async fn never(&self, ctx: &Context) -> Result<()>;
}

struct Service;

async fn at(later: bool) {
    if later {
        tokio::task::yield_now().await;
    }
}

impl Misbehaves for Service {
    async fn throws(&self, _: &Context, later: bool) -> Result<()> {
        at(later).await;
        panic!("as the test wants it")
    }
    async fn thrown_payload(&self, _: &Context, later: bool) -> Result<()> {
        at(later).await;
        panic_any(Bomb)
    }
    async fn drops(&self, _: &Context, later: bool) -> Result<()> {
        let _bomb = Bomb;
        at(later).await;
        Ok(())
    }
    async fn source(&self, _: &Context, later: bool) -> Result<()> {
        at(later).await;
        Err(Bomb)?
    }
    async fn known_source(&self, _: &Context, later: bool) -> Result<()> {
        at(later).await;
        Err(Known(Bomb))?
    }
    fn blocking_payload(&self, _: &Context, _: bool) -> Result<()> {
        panic_any(Bomb)
    }
    async fn fine(&self, _: &Context) -> Result<()> {
        Ok(())
    }
    async fn never(&self, _: &Context) -> Result<()> {
        pending().await
    }
}

const METHODS: [&str; 6] =
    ["throws", "thrown_payload", "drops", "source", "known_source", "blocking_payload"];

#[tokio::test]
async fn a_panic_anywhere_is_one_error_response() {
    let server =
        Server::builder().expose_errors(false).service(Service.into_service()).map_error::<Known>();
    let mut raw = Raw::client(server).await;
    for method in METHODS {
        for params in ["[false]", "[true]"] {
            // The code of a known error is kept even if dropping the error panics.
            let known = method == "known_source";
            let (code, words) = if known { (7, "known") } else { (-32603, "Internal error") };
            let expected = |id| error(code, words, id);
            assert_eq!(raw.ask(request(method, params, "1")).await, expected("1"), "{method}");
            raw.check(&notification(method, params), &[]).await;
            let batch = [
                request(method, params, "2"),
                notification(method, params),
                request("fine", "[]", "3"),
            ];
            let answer = raw.ask(format!("[{}]", batch.join(","))).await;
            assert_eq!(answer, format!("[{},{}]", expected("2"), result("null", "3")), "{method}");
        }
    }
}

/// The caller's timeout ends the call; nobody else waits for it.
#[tokio::test(start_paused = true)]
async fn a_handler_that_never_finishes_delays_no_other_call() {
    let server = Server::builder().service(Service.into_service());
    let (client, peer) = memory::pair(Client::builder(), server).unwrap();
    let stub = MisbehavesClient::new(client.peer());
    let never = tokio::spawn(stub.never().into_future());
    for _ in 0..100 {
        stub.fine().await.unwrap();
    }
    assert!(matches!(never.await.unwrap(), Err(wsjsonrpc::Error::Timeout(_))));
    stub.fine().await.unwrap();
    client.close().await;
    peer.closed().await;
}

#[rpc]
trait Blocks {
    #[method(blocking)]
    fn block(&self, ctx: &Context) -> Result<()>;
    async fn fine(&self, ctx: &Context) -> Result<()>;
}

/// Blocks until the test drops the sender.
struct Blocking(std::sync::Mutex<mpsc::Receiver<()>>);

impl Blocks for Blocking {
    fn block(&self, _: &Context) -> Result<()> {
        let _ = self.0.lock().map(|wait| wait.recv());
        Ok(())
    }
    async fn fine(&self, _: &Context) -> Result<()> {
        Ok(())
    }
}

#[rpc]
trait Questions {
    /// Blocks the thread until the caller responds.
    #[method(blocking)]
    fn ask(&self, ctx: &Context) -> Result<i64>;
}

struct Inquirer;

impl Questions for Inquirer {
    fn ask(&self, ctx: &Context) -> Result<i64> {
        let handle = tokio::runtime::Handle::current();
        Ok(handle.block_on(ctx.peer().call::<i64>("double", (21,)).into_future())?)
    }
}

/// In the connection's task the handler would wait for itself. The runtimes have one thread, or
/// several.
#[test]
fn a_blocking_handler_may_block_on_a_call_to_its_caller() {
    use tokio::runtime::Builder;
    for mut runtime in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        runtime.enable_all().build().unwrap().block_on(async {
            let client =
                Client::builder().method("double", |_, (x,): (i64,)| async move { Ok(2 * x) });
            let server = Server::builder().service(Inquirer.into_service());
            let (client, _) = memory::pair(client, server).unwrap();
            assert_eq!(QuestionsClient::new(&client).ask().await.unwrap(), 42);
        });
    }
}

#[tokio::test]
async fn a_handler_marked_blocking_delays_no_other_call() {
    let (let_go, wait) = mpsc::channel();
    let service = Blocking(std::sync::Mutex::new(wait)).into_service();
    let (mut raw, mut other) = Raw::two_clients(Server::builder().service(service)).await;
    raw.send(request("block", "[]", "1")).await;
    for _ in 0..100 {
        raw.check(&request("fine", "[]", "2"), &[&result("null", "2")]).await;
        other.check(&request("fine", "[]", "1"), &[&result("null", "1")]).await;
    }
    drop(let_go);
    assert_eq!(raw.receive().await, result("null", "1"));
}

/// Only the calls of its own connection have to wait, in both directions. Others continue while the
/// runtime has another thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unmarked_blocking_handler_delays_only_its_connection() {
    let (let_go, wait) = mpsc::channel::<()>();
    let (begins, begun) = std::sync::mpsc::channel();
    let wait = std::sync::Mutex::new(wait);
    let server = Server::builder().method("fine", |_, ()| async { Ok(()) });
    let server = server.method("block", move |_, ()| {
        begins.send(()).unwrap();
        let _ = wait.lock().map(|wait| wait.recv());
        async { Ok(()) }
    });
    let (mut raw, mut other) = Raw::two_clients(server).await;
    other.check(&request("fine", "[]", "1"), &[&result("null", "1")]).await;
    raw.send(request("block", "[]", "1")).await;
    raw.send(request("fine", "[]", "2")).await;
    tokio::task::spawn_blocking(move || begun.recv()).await.unwrap().unwrap();
    for _ in 0..100 {
        other.check(&request("fine", "[]", "1"), &[&result("null", "1")]).await;
    }
    assert!(wsjsonrpc_tests::poll_once(&mut Box::pin(raw.receive())).await.is_pending());
    drop(let_go);
    assert_eq!(raw.receive().await, result("null", "1"));
    assert_eq!(raw.receive().await, result("null", "2"));
}

/// The handler's outcome is discarded, whatever it is, and the next connection works.
#[tokio::test]
async fn handlers_that_outlive_their_connection_do_no_harm() {
    for cancel_on_close in [false, true] {
        let gate = Gate::default();
        let at_gate = gate.clone();
        let config = Config { cancel_on_close, ..Config::default() };
        let server = Server::builder().config(config).service(Service.into_service());
        let server = server.method("gated", move |_, (how,): (String,)| {
            let gate = at_gate.clone();
            async move {
                let bomb = (how == "drops").then(|| Bomb);
                gate.pass().await;
                match how.as_str() {
                    "panics" => panic!("as the test wants it"),
                    "fails" => Err(Known(Bomb))?,
                    _ => drop(bomb),
                }
                Ok("x".repeat(100_000))
            }
        });
        let endpoint = server.build().unwrap();
        let (mut raw, serving) = Raw::client_of(&endpoint).await;
        let hows = ["\"panics\"", "\"fails\"", "\"drops\"", "\"succeeds\""];
        let calls = hows.map(|how| request("gated", &format!("[{how}]"), how));
        for call in &calls {
            raw.send(call).await;
        }
        raw.send(format!("[{}]", calls.join(","))).await;
        gate.arrived(8).await;
        raw.hang_up();
        serving.await.unwrap();
        gate.open(8);
        assert_eq!(endpoint.shutdown().await, 0, "all have ended");
    }
}

/// The values are dropped one by one, because two panics at once would abort the process.
#[tokio::test]
async fn values_on_a_connection_may_panic_when_dropped() {
    struct Left<const NUMBER: u8>;
    impl<const NUMBER: u8> Drop for Left<NUMBER> {
        fn drop(&mut self) {
            panic!("{NUMBER} of the test's own");
        }
    }
    let server = Server::builder().method("leave", |ctx: Context, ()| async move {
        ctx.set(Left::<1>);
        ctx.set(Left::<2>);
        Ok(())
    });
    let endpoint = server.build().unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    raw.check(&request("leave", "[]", "1"), &[&result("null", "1")]).await;
    raw.hang_up();
    serving.await.unwrap();
}
