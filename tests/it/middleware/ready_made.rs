//! Ready-made middleware: logging, limits, and permissions.

use std::future::IntoFuture;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::Level;
use wsjsonrpc::middleware::{
    ConcurrencyLimit, LogCalls, Middleware, Next, RateLimit, RequireIdentity,
};
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::service::{Request, Response};
use wsjsonrpc::{Client, Context, Server, async_trait, memory, rpc};
use wsjsonrpc_tests::log::Log;
use wsjsonrpc_tests::{
    Gate, Raw, begin, error, method_not_found, notification, request, result, server,
};

fn limit_words(what: &str) -> String {
    format!("Limit exceeded: too many calls of this kind are in flight{what}")
}

#[tokio::test]
async fn calls_are_logged_without_their_contents() {
    let (log, _guard) = Log::of_this_thread();
    let server = Server::builder()
        .middleware(LogCalls::new().success(Level::INFO).failure(Level::ERROR))
        .method("add", |_, (x,): (String,)| async move { Ok(x) })
        .method(
            "hang",
            |_, ()| async move { std::future::pending::<wsjsonrpc::Result<()>>().await },
        );
    let config = wsjsonrpc::Config { cancel_on_close: true, ..Default::default() };
    let mut raw = Raw::client(server.config(config)).await;
    let s3cr3t = r#"["s3cr3t"]"#;
    raw.ask(request("add", s3cr3t, "1")).await;
    raw.ask(request("add", r#"[["s3cr3t"]]"#, "2")).await;
    raw.ask(request("s3cr3t", s3cr3t, "3")).await;
    raw.check(&notification("add", s3cr3t), &[]).await;
    raw.send(request("hang", "[]", "4")).await;
    raw.wait_for_hang().await;
    let text = log.text();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("wsjsonrpc::calls")).collect();
    let first = [
        ("INFO", "incoming call succeeded", "add", ""),
        ("ERROR", "incoming call failed", "add", "code=-32602"),
        ("ERROR", "incoming call failed", "unknown", "code=-32601"),
        ("INFO", "incoming notification succeeded", "add", ""),
    ];
    for (line, (level, words, method, code)) in lines.iter().zip(first) {
        assert!(line.starts_with(level) && line.contains(&format!("message={words} ")), "{line}");
        assert!(line.contains(&format!("method=\"{method}\"")) && line.contains(code), "{line}");
        assert!(line.contains("duration=") && line.contains("remote=unknown address"), "{line}");
    }
    let last = lines.last().unwrap();
    assert!(last.contains("hang") && last.contains("incoming call dropped"), "{last}");
    assert!(!lines.iter().any(|line| line.contains("s3cr3t")), "{lines:?}");
}

trait Hang {
    async fn wait_for_hang(self);
}

impl Hang for Raw {
    /// Checks that the last call is in flight, disconnects, and lets its handler be dropped.
    async fn wait_for_hang(mut self) {
        self.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
        self.hang_up();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn outgoing_calls_are_logged_too() {
    let (log, _guard) = Log::of_this_thread();
    let server = Server::builder().method("add", |_, (x,): (String,)| async move { Ok(x) });
    let client = Client::builder().outgoing_middleware(LogCalls::new());
    let (client, _) = memory::pair(client, server).unwrap();
    let peer = client.peer();
    peer.call::<String>("add", ["s3cr3t"]).await.unwrap();
    peer.call::<String>("n\none", ["s3cr3t"]).await.unwrap_err();
    // In a proxy, the peer chooses the method names.
    peer.call::<String>(&"n".repeat(100_000), ["s3cr3t"]).await.unwrap_err();
    peer.notify("add", ["s3cr3t"]).await.unwrap();
    drop(peer.batch([peer.call::<String>("add", ["s3cr3t"])]).await.unwrap());
    let text = log.text();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("wsjsonrpc::calls")).collect();
    let expected = [
        ("DEBUG", "outgoing call succeeded"),
        ("WARN", "outgoing call failed"),
        ("WARN", "outgoing call failed"),
        ("DEBUG", "outgoing notification succeeded"),
        ("DEBUG", "outgoing batch succeeded"),
    ];
    assert_eq!(lines.len(), expected.len());
    for (line, (level, words)) in lines.iter().zip(expected) {
        assert!(line.starts_with(level) && line.contains(words), "{line}");
        assert!(!line.contains("s3cr3t") && line.len() < 1000, "{line}");
    }
}

/// So few calls an hour that no test is slow enough to get another one.
#[tokio::test]
async fn a_rate_limit_bounds_the_calls_of_a_connection() {
    let (log, _guard) = Log::of_this_thread();
    let server = server().middleware(RateLimit::per_hour(1).burst(3).except(["quick"]));
    let endpoint = server.build().unwrap();
    let (mut raw, _) = Raw::client_of(&endpoint).await;
    let sum = |id: &str| request("sum", "[1,2]", id);
    assert_eq!(raw.ask(sum("1")).await, result("3", "1"));
    // Each call of a batch counts.
    let batch = raw.ask(format!("[{},{},{}]", sum("2"), sum("3"), sum("4"))).await;
    assert!(batch.starts_with(&format!("[{},{},", result("3", "2"), result("3", "3"))), "{batch}");
    let refused = r#"{"code":-32005,"message":"Limit exceeded: too many calls; try again in 3"#;
    assert!(batch.contains(refused) && batch.contains(r#""data":{"retry_after":3"#), "{batch}");
    assert_eq!(raw.ask(request("quick", "[]", "5")).await, result("null", "5"));
    assert!(raw.ask(request("none", "[]", "6")).await.contains("-32005"));
    for _ in 0..5 {
        raw.send(notification("sum", "[1,2]")).await;
    }
    assert_eq!(raw.ask(request("quick", "[]", "7")).await, result("null", "7"));
    let (mut other, _) = Raw::client_of(&endpoint).await;
    assert_eq!(
        other.ask(sum("1")).await,
        result("3", "1"),
        "another connection has a separate limit"
    );
    let dropped = "dropped a notification: rate limit exceeded";
    assert_eq!(log.text().matches(dropped).count(), 1, "one line for a connection");
}

#[tokio::test]
async fn several_rate_limits_count_independently() {
    let server = server()
        .middleware(RateLimit::per_hour(2).methods(["sum"]))
        .middleware(RateLimit::per_hour(3));
    let mut raw = Raw::client(server).await;
    let limited = |answer: String| answer.contains("-32005");
    for (method, params, expected) in [
        ("sum", "[1,2]", false),
        ("sum", "[1,2]", false),
        ("sum", "[1,2]", true),
        ("quick", "[]", false),
        ("quick", "[]", true),
    ] {
        assert_eq!(limited(raw.ask(request(method, params, "1")).await), expected, "{method}");
    }
}

#[tokio::test]
async fn cloned_rate_limits_share_until_one_gets_its_own_burst() {
    let limit = RateLimit::per_hour(2);
    let server = server()
        .middleware(limit.clone().methods(["sum"]))
        .middleware(limit.clone().methods(["quick"]))
        .middleware(limit.burst(1).methods(["none"]));
    let mut raw = Raw::client(server).await;
    for (method, params, expected) in [
        ("quick", "[]", "result"),
        ("none", "[]", "-32601"),
        ("none", "[]", "-32005"),
        ("sum", "[1,2]", "result"),
        ("sum", "[1,2]", "-32005"),
        ("quick", "[]", "-32005"),
    ] {
        let answer = raw.ask(request(method, params, "1")).await;
        assert!(answer.contains(expected), "{method}: {answer}");
    }
}

fn gated(gate: &Gate) -> ServerBuilder {
    server().method("report.sales", gate.handler(())).method("report.costs", gate.handler(()))
}

#[tokio::test]
async fn a_concurrency_limit_bounds_the_calls_in_flight() {
    let gate = Gate::default();
    let server = gated(&gate).middleware(ConcurrencyLimit::new(2).methods(["report.*"]));
    let endpoint = server.build().unwrap();
    let ((mut raw, _), (mut other, _)) =
        (Raw::client_of(&endpoint).await, Raw::client_of(&endpoint).await);
    raw.send(request("report.sales", "[]", "1")).await;
    other.send(request("report.costs", "[]", "1")).await;
    gate.arrived(2).await;
    let refused = error(-32005, &limit_words(""), "2");
    assert_eq!(raw.ask(request("report.sales", "[]", "2")).await, refused);
    assert_eq!(other.ask(request("report.sales", "[]", "2")).await, refused);
    assert_eq!(raw.ask(request("sum", "[1,2]", "3")).await, result("3", "3"));
    gate.open(2);
    assert_eq!(raw.receive().await, result("null", "1"));
    gate.open(1);
    assert_eq!(raw.ask(request("report.sales", "[]", "4")).await, result("null", "4"));
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_a_permit_for_a_bounded_time() {
    let gate = Gate::default();
    let limit = ConcurrencyLimit::new(1).methods(["report.*"]).wait(Duration::from_secs(5));
    let (client, _) = memory::pair(Client::builder(), gated(&gate).middleware(limit)).unwrap();
    let peer = client.peer();
    let report = || peer.call::<()>("report.sales", ()).without_timeout().into_future();
    let first = begin(report()).await;
    gate.arrived(1).await;
    let second = begin(report()).await;
    gate.open(1);
    first.await.unwrap();
    gate.arrived(1).await;
    // The second call is in flight and stays there.
    let late = report().await.unwrap_err();
    assert!(late.to_string().contains("-32005"), "{late}");
    let given_up = begin(report()).await;
    // Messages are read in order, so this call waits for a permit by now. After it is dropped, it
    // waits no more.
    assert_eq!(peer.call::<i64>("sum", (1, 2)).await.unwrap(), 3);
    drop(given_up);
    assert_eq!(peer.call::<i64>("sum", (1, 2)).await.unwrap(), 3);
    gate.open(1);
    second.await.unwrap();
    gate.open(1);
    report().await.unwrap();
}

/// The end of the connection does not cancel a notification.
#[tokio::test(start_paused = true)]
async fn a_waiting_notification_runs_after_its_connection_ended() {
    let gate = Gate::default();
    let limit = ConcurrencyLimit::new(1).methods(["report.*"]).wait(Duration::from_secs(5));
    let mut raw = Raw::client(gated(&gate).middleware(limit)).await;
    raw.send(request("report.sales", "[]", "1")).await;
    gate.arrived(1).await;
    raw.send(notification("report.costs", "[]")).await;
    raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
    raw.hang_up();
    tokio::time::sleep(Duration::from_secs(1)).await;
    gate.open(1);
    gate.arrived(1).await;
}

#[tokio::test]
async fn notifications_over_a_concurrency_limit_log_two_lines() {
    let (log, _guard) = Log::of_this_thread();
    let server = server().middleware(ConcurrencyLimit::new(0).methods(["sum"]));
    let endpoint = server.build().unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    for _ in 0..5 {
        raw.send(notification("sum", "[1,2]")).await;
    }
    raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
    raw.hang_up();
    serving.await.unwrap();
    let text = log.text();
    let dropped = "dropped a notification: concurrency limit exceeded";
    assert_eq!(text.matches(dropped).count(), 1, "{text}");
    let all = "connection ended: total number of notifications over a limit";
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(all)).collect();
    assert!(matches!(lines[..], [line] if line.contains("count=5")), "{text}");
}

struct User;

#[tokio::test]
async fn without_identity_only_exempt_methods_can_be_called() {
    let server = server()
        .middleware(RequireIdentity::<User>::new().except(["login"]))
        .middleware(RequireIdentity::<u32>::new().methods(["admin.*"]))
        .method("admin.stop", |_, ()| async { Ok(()) })
        .method("login", |ctx: Context, ()| async move {
            ctx.set(User);
            Ok(())
        });
    let mut raw = Raw::client(server).await;
    let unauthorized = |id: &str| error(-32001, "Unauthorized", id);
    raw.check_verbatim(&[
        (&request("sum", "[1,2]", "1"), &unauthorized("1")),
        (&request("none", "[]", "2"), &unauthorized("2")),
        (&request("login", "[]", "3"), &result("null", "3")),
        (&request("sum", "[1,2]", "4"), &result("3", "4")),
        (&request("admin.stop", "[]", "5"), &unauthorized("5")),
        (&request("none", "[]", "6"), &method_not_found("none", "6")),
    ])
    .await;
}

#[rpc]
trait Orders {
    #[method(name = "admin.delete", aliases = ["delete", "remove"])]
    fn delete(&self, ctx: &Context);
}

struct Shop;

impl Orders for Shop {
    fn delete(&self, _: &Context) {}
}

#[tokio::test]
async fn an_alias_does_not_bypass_a_guard() {
    let guards = [
        (RequireIdentity::<User>::new().methods(["admin.*"]), [true, true, true]),
        (RequireIdentity::new().methods(["remove"]), [true, true, true]),
        // `except` applies to the called name only, not to its aliases.
        (RequireIdentity::new().except(["admin.*"]), [false, true, true]),
        (RequireIdentity::new().methods(["admin.*"]).except(["delete"]), [true, false, true]),
    ];
    for (guard, guarded) in guards {
        let server = Server::builder().service(Shop.into_service()).middleware(guard);
        let mut raw = Raw::client(server).await;
        for (name, guarded) in ["admin.delete", "delete", "remove"].into_iter().zip(guarded) {
            let refused = error(-32001, "Unauthorized", "1");
            let expected = if guarded { refused } else { result("null", "1") };
            assert_eq!(raw.ask(request(name, "[]", "1")).await, expected, "{name}");
        }
    }
}

/// Middleware that decides by name sees the aliases too.
#[tokio::test]
async fn middleware_sees_all_names_of_a_method() {
    struct Names(mpsc::UnboundedSender<(Option<String>, Vec<String>)>);
    #[async_trait]
    impl Middleware for Names {
        async fn call(&self, _: &Context, request: Request, next: Next<'_>) -> Response {
            let names = next.names().iter().map(|name| name.to_string()).collect();
            self.0.send((next.method().map(str::to_owned), names)).unwrap();
            next.run(request).await
        }
    }
    let (names, mut seen) = mpsc::unbounded_channel();
    let server = server().service(Shop.into_service()).middleware(Names(names));
    let mut raw = Raw::client(server).await;
    let all = ["admin.delete", "delete", "remove"];
    for (name, expected) in [("remove", &all[..]), ("sum", &["sum"]), ("none", &[])] {
        raw.ask(request(name, "[1,2]", "1")).await;
        let (method, names) = seen.recv().await.unwrap();
        assert_eq!(method.as_deref(), (name != "none").then_some(name));
        assert_eq!(names, expected);
    }
}
