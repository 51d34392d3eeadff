//! Handlers of calls over HTTP POST: what they cannot do, how many may run, and what they learn when
//! their caller disconnects or the endpoint shuts down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use wsjsonrpc::error::{CloseReason, Timeout};
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Config, Context, Error, ErrorObject, Result, Server, rpc};
use wsjsonrpc_tests::http::parts;
use wsjsonrpc_tests::log::Log;
use wsjsonrpc_tests::{Gate, begin, busy, error, notification, request, result, server};

use wsjsonrpc_tests::http::say;
use wsjsonrpc_tests::mounted::in_axum;
use wsjsonrpc_tests::post::{JSON, address, ask, head, post};

#[derive(Debug, thiserror::Error)]
enum Wrapped {
    #[error("the caller did not answer")]
    Caller(#[source] Error),
    #[error(transparent)]
    Same(#[from] Error),
}

#[rpc]
trait Page {
    async fn confirm(&self, ctx: &Context, question: &str) -> Result<bool>;
}

const NEEDS_SOCKET: &str = "This method needs a WebSocket: it sends messages to its caller";

#[tokio::test]
async fn calling_an_http_caller_back_fails_at_once() {
    let server = Server::builder()
        .expose_errors(false)
        .method("typed", |ctx: Context, ()| async move {
            Ok(ctx.client::<PageClient>().confirm("sure?").await?)
        })
        .method("relayed", |ctx: Context, ()| async move {
            ctx.peer().call::<bool>("confirm", ()).await.map_err(Error::into_object)
        })
        .method("wrapped", |ctx: Context, ()| async move {
            Ok(ctx.peer().call::<bool>("confirm", ()).await.map_err(Wrapped::Caller)?)
        })
        .method("transparent", |ctx: Context, ()| async move {
            Ok(ctx.peer().call::<bool>("confirm", ()).await.map_err(Wrapped::Same)?)
        })
        .method(
            "notify",
            |ctx: Context, ()| async move { Ok(ctx.peer().notify("news", ("x",)).await?) },
        )
        .method("subscribe", |ctx: Context, ()| async move {
            Ok(ctx.peer().subscribe::<u8>("subscribe_x", ()).await.map(drop)?)
        })
        // Handles the failure itself.
        .method("copes", |ctx: Context, ()| async move {
            let failed = ctx.client::<PageClient>().confirm("sure?").await.unwrap_err();
            assert!(matches!(failed, Error::Closed(CloseReason::NoSocket)), "{failed:?}");
            Ok(failed.to_string())
        })
        .method("own", |_, ()| async { Err::<(), _>(ErrorObject::new(1, "own")) })
        .method("another", |_, ()| async {
            Err::<(), ErrorObject>(
                Wrapped::Same(Error::Timeout(Timeout::new("m", Duration::ZERO))).into(),
            )
        });
    let address = address(server).await;
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(log.clone());
    for method in ["typed", "relayed", "wrapped", "transparent", "notify", "subscribe"] {
        let answer = ask(address, &request(method, "[]", "1")).await;
        assert_eq!(answer, error(-32006, NEEDS_SOCKET, "1"), "{method}");
    }
    assert!(!log.text().contains("handler failed"), "{}", log.text());
    let words = "\"cannot call back: only WebSocket callers can be called back\"";
    assert_eq!(ask(address, &request("copes", "[]", "1")).await, result(words, "1"));
    assert_eq!(ask(address, &request("own", "[]", "1")).await, error(1, "own", "1"));
    let answer = ask(address, &request("another", "[]", "1")).await;
    assert_eq!(answer, error(-32603, "Internal error", "1"));
}

#[tokio::test]
async fn progress_is_not_sent_and_deadlines_apply() {
    let server = Server::builder().method("work", |ctx: Context, ()| async move {
        ctx.progress(1).await?;
        Ok(ctx.deadline().is_some())
    });
    let address = address(server).await;
    let asks =
        |extra: &str| format!(r#"{{"jsonrpc":"2.0","method":"work","id":1,"wsjsonrpc":{extra}}}"#);
    assert_eq!(ask(address, &asks(r#"{"progress":1}"#)).await, result("false", "1"));
    let answer = ask(address, &asks(r#"{"progress":"x","timeout":5000}"#)).await;
    assert_eq!(answer, result("true", "1"));
}

#[rpc]
trait Work {
    #[method(ordered)]
    async fn turn(&self, ctx: &Context, turns: u32) -> Result<usize>;
    #[method(blocking)]
    fn blocks(&self, ctx: &Context) -> Result<u8>;
    fn plain(&self, ctx: &Context) -> Result<u8>;
}

#[derive(Default)]
struct Worker(AtomicUsize);

impl Work for Worker {
    async fn turn(&self, _ctx: &Context, turns: u32) -> Result<usize> {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        Ok(self.0.fetch_add(1, Ordering::Relaxed))
    }
    fn blocks(&self, _ctx: &Context) -> Result<u8> {
        Ok(1)
    }
    fn plain(&self, _ctx: &Context) -> Result<u8> {
        Ok(2)
    }
}

#[tokio::test]
async fn methods_of_all_kinds_are_answered_in_one_batch() {
    let address = address(Server::builder().service(Worker::default().into_service())).await;
    let batch = [
        request("turn", "[20]", "1"),
        request("blocks", "[]", "2"),
        request("turn", "[0]", "3"),
        request("plain", "[]", "4"),
    ];
    let expected = [result("0", "1"), result("1", "2"), result("1", "3"), result("2", "4")];
    let answer = ask(address, &format!("[{}]", batch.join(","))).await;
    assert_eq!(answer, format!("[{}]", expected.join(",")));
}

/// `gated` waits at the gate and then reports `ctx.is_cancelled()`.
fn gated(gate: &Gate) -> (ServerBuilder, mpsc::UnboundedReceiver<bool>) {
    let (tell, told) = mpsc::unbounded_channel();
    let gate = gate.clone();
    let server = server().method("gated", move |ctx: Context, ()| {
        let (gate, tell) = (gate.clone(), tell.clone());
        async move {
            gate.pass().await;
            let _ = tell.send(ctx.is_cancelled());
            Ok("finished")
        }
    });
    (server, told)
}

#[tokio::test]
async fn a_batch_is_bounded_by_max_in_flight() {
    let gate = Gate::default();
    let (server, _told) = gated(&gate);
    let config = Config { max_in_flight: 2, max_batch: 3, ..Config::default() };
    let address = address(server.config(config)).await;
    let ids = |ids: &[&str]| {
        let entries: Vec<String> = ids.iter().map(|id| request("gated", "[]", id)).collect();
        format!("[{}]", entries.join(","))
    };
    let asking = tokio::spawn(ask_owned(address, ids(&["1", "2", "3"])));
    gate.arrived(2).await;
    gate.open(2);
    let finished = |id| result("\"finished\"", id);
    let expected = [finished("1"), finished("2"), busy("3")];
    assert_eq!(asking.await.unwrap(), format!("[{}]", expected.join(",")));
    let words = "Invalid Request: a batch may have at most 3 entries";
    assert_eq!(ask(address, &ids(&["1", "2", "3", "4"])).await, error(-32600, words, "null"));
}

async fn ask_owned(address: std::net::SocketAddr, body: String) -> String {
    ask(address, &body).await
}

#[tokio::test]
async fn notifications_get_a_status_at_once_and_run_to_their_end() {
    let gate = Gate::default();
    let (server, mut told) = gated(&gate);
    let endpoint = server.config(Config { cancel_on_close: true, ..Config::default() });
    let endpoint = endpoint.build().unwrap();
    let address = in_axum(endpoint.http_service()).await;
    let mixed = format!("[{},{}]", notification("gated", "[]"), request("quick", "[]", "1"));
    assert_eq!(ask(address, &notification("gated", "[]")).await, "");
    assert_eq!(ask(address, &mixed).await, format!("[{}]", result("null", "1")));
    gate.arrived(2).await;
    assert!(endpoint.connections().is_empty());
    gate.open(2);
    // `cancel_on_close` does not affect notifications, because nobody waits for them.
    assert_eq!((told.recv().await, told.recv().await), (Some(false), Some(false)));
}

/// A message counts as a connection until its last handler has ended. A client cannot start more
/// handlers by disconnecting or by sending notifications.
#[tokio::test]
async fn a_message_counts_as_a_connection_until_its_handlers_end() {
    let gate = Gate::default();
    let (server, mut told) = gated(&gate);
    let config = Config { max_connections: 1, ..Config::default() };
    let address = address(server.config(config)).await;
    for round in 0..3 {
        assert_eq!(ask(address, &notification("gated", "[]")).await, "", "{round}");
        gate.arrived(1).await;
        let (line, headers, _) = post(address, JSON, &request("quick", "[]", "1")).await;
        assert!(line.contains(" 503 ") && headers.contains("retry-after: 5"), "{line} {headers}");
        gate.open(1);
        told.recv().await.unwrap();
        // The handler ends shortly after its report.
        let free = async {
            while post(address, JSON, &request("quick", "[]", "1")).await.0.contains(" 503 ") {
                tokio::task::yield_now().await;
            }
        };
        free.await;
    }
    assert_eq!(ask(address, &request("quick", "[]", "1")).await, result("null", "1"));
}

/// Posts a message, and disconnects when its handler has started.
async fn hang_up(address: std::net::SocketAddr, gate: &Gate) {
    let message = request("gated", "[]", "1");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all((head(JSON, message.len()) + &message).as_bytes()).await.unwrap();
    gate.arrived(1).await;
}

#[tokio::test]
async fn a_disconnect_signals_handlers_and_lets_them_finish() {
    let (give, mut contexts) = mpsc::unbounded_channel();
    let gate = Gate::default();
    let (server, mut told) = gated(&gate);
    let at_gate = gate.clone();
    let server = server.method("waits", move |ctx: Context, ()| {
        let (give, gate) = (give.clone(), at_gate.clone());
        async move {
            gate.pass().await;
            ctx.cancelled().await;
            let _ = give.send(ctx.closed().await);
            Ok(())
        }
    });
    let address = address(server).await;
    hang_up(address, &gate).await;
    let message = request("waits", "[]", "1");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all((head(JSON, message.len()) + &message).as_bytes()).await.unwrap();
    gate.open(1);
    gate.arrived(1).await;
    gate.open(1);
    drop(stream);
    assert!(matches!(contexts.recv().await, Some(CloseReason::NoSocket)));
    // The handler was not dropped, whether or not it has seen the end by then.
    assert!(told.recv().await.is_some());
}

/// Reports when it is dropped.
struct Tell(Option<mpsc::UnboundedSender<()>>);

impl Drop for Tell {
    fn drop(&mut self) {
        let _ = self.0.take().map(|tell| tell.send(()));
    }
}

#[tokio::test]
async fn droppable_handlers_are_dropped_with_their_caller() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let gate = Gate::default();
    let at_gate = gate.clone();
    let config = Config { cancel_on_close: true, ..Config::default() };
    let server = Server::builder().config(config).method("gated", move |_, ()| {
        let (tell, gate) = (Tell(Some(tell.clone())), at_gate.clone());
        async move {
            let _tell = tell;
            gate.pass().await;
            std::future::pending::<Result<()>>().await
        }
    });
    let address = address(server).await;
    hang_up(address, &gate).await;
    told.recv().await.unwrap();
}

#[tokio::test]
async fn a_shutdown_waits_for_handlers_and_refuses_new_messages() {
    let gate = Gate::default();
    let (server, _told) = gated(&gate);
    let endpoint = server.build().unwrap();
    let address = in_axum(endpoint.http_service()).await;
    let asking = tokio::spawn(ask_owned(address, request("gated", "[]", "1")));
    gate.arrived(1).await;
    let shutdown = begin(endpoint.shutdown()).await;
    let (line, _, words) = post(address, JSON, &request("quick", "[]", "2")).await;
    assert!(line.contains(" 503 ") && words == "the server is shutting down\n", "{line} {words}");
    gate.open(1);
    assert_eq!(asking.await.unwrap(), result("\"finished\"", "1"));
    assert_eq!(shutdown.await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_counts_aborted_handlers_and_answers_callers() {
    let gate = Gate::default();
    let (server, mut told) = gated(&gate);
    let config = Config { shutdown_timeout: Duration::from_secs(5), ..Config::default() };
    let endpoint = server.config(config).build().unwrap();
    let address = in_axum(endpoint.http_service()).await;
    assert_eq!(ask(address, &notification("gated", "[]")).await, "");
    let message = request("gated", "[]", "1");
    let text = head(JSON, message.len()) + &message;
    let asking = tokio::spawn(say(address, text));
    gate.arrived(2).await;
    assert_eq!(endpoint.shutdown().await, 2);
    let answer = asking.await.unwrap();
    let (line, headers, words) = parts(&answer);
    let expected =
        "the server shut down before the request was answered; it may still have been executed\n";
    assert!(line.contains(" 503 ") && words == expected, "{answer}");
    // No `Retry-After`: the handler may still complete, so the client should not repeat the call.
    assert!(!headers.to_ascii_lowercase().contains("retry-after"), "{answer}");
    gate.open(2);
    assert_eq!((told.recv().await, told.recv().await), (Some(true), Some(true)));
}

#[tokio::test]
async fn a_kept_context_stops_working_after_the_response() {
    let (give, mut contexts) = mpsc::unbounded_channel();
    let kept = Arc::new(give);
    let server = Server::builder().method("give", move |ctx: Context, ()| {
        let _ = kept.send(ctx);
        async { Ok(()) }
    });
    let address = address(server).await;
    assert_eq!(ask(address, &request("give", "[]", "1")).await, result("null", "1"));
    let ctx = contexts.recv().await.unwrap();
    assert!(matches!(ctx.closed().await, CloseReason::NoSocket));
    assert!(ctx.is_cancelled() && ctx.peer().is_closed());
}
