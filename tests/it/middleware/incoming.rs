//! Middleware around incoming calls: what it sees, in which order, and what it may do.

use std::sync::{Arc, Mutex};

use wsjsonrpc::middleware::{Middleware, Next};
use wsjsonrpc::service::{Request, Response};
use wsjsonrpc::{Context, ErrorObject, RpcError, Server, async_trait};
use wsjsonrpc_tests::log::Log;
use wsjsonrpc_tests::record::Record;
use wsjsonrpc_tests::{Raw, busy, error, method_not_found, notification, request, result, server};

/// Records the `Debug` output of requests and responses.
struct Show(Record);

#[async_trait]
impl Middleware for Show {
    async fn call(&self, _: &Context, request: Request, next: Next<'_>) -> Response {
        self.0.add(format!("{request:?}"));
        let response = next.run(request).await;
        self.0.add(format!("{response:?}"));
        response
    }
}

/// Records its name before and after the call.
struct Named(&'static str, Record);

#[async_trait]
impl Middleware for Named {
    async fn call(&self, _: &Context, request: Request, next: Next<'_>) -> Response {
        self.1.add(format!("{} begins", self.0));
        let response = next.run(request).await;
        self.1.add(format!("{} ends", self.0));
        response
    }
}

#[tokio::test]
async fn debug_output_hides_what_a_call_carries() {
    let record = Record::default();
    let server = server().middleware(Show(record.clone()));
    let mut raw = Raw::client(server).await;
    assert_eq!(raw.ask(request("echo", "[\"secret\"]", "1")).await, result("\"secret\"", "1"));
    raw.ask(request("no", "[]", "2")).await;
    let expected = [
        r#"Request { method: "echo", notification: false, .. }"#,
        "Response { result: 8 bytes }",
        r#"Request { method: "no", notification: false, .. }"#,
        r#"Response { error: ErrorObject { code: -32601, message: "Method not found: \"no\"" } }"#,
    ];
    assert_eq!(record.take(), expected);
}

const SUM: &str = r#"{"jsonrpc":"2.0","method":"sum","params":[1,2],"id":1}"#;

#[tokio::test]
async fn the_first_middleware_installed_is_the_outermost() {
    let record = Record::default();
    let server = server()
        .middleware(Named("first", record.clone()))
        .middleware(Named("second", record.clone()));
    let mut raw = Raw::client(server).await;
    assert_eq!(raw.ask(SUM).await, result("3", "1"));
    let lines = ["first begins", "second begins", "second ends", "first ends"];
    assert_eq!(record.take(), lines);
}

#[tokio::test]
async fn every_call_and_its_outcome_are_seen() {
    let record = Record::default();
    let server = server().middleware(record.clone());
    let mut raw = Raw::client(server).await;
    for (text, answer, seen) in [
        (request("sum", "[1,2]", "1"), Some(result("3", "1")), ["request sum sum [1,2]", "3"]),
        (
            request("s\\u0075m", "[1,2]", "2"),
            Some(result("3", "2")),
            ["request sum sum [1,2]", "3"],
        ),
        (
            request("sum", "[1]", "3"),
            Some(error(-32602, "missing parameter", "3")),
            ["request sum sum [1]", "-32602"],
        ),
        (request("fail", "[7]", "4"), Some(error(7, "no", "4")), ["request fail fail [7]", "7 no"]),
        (
            request("none", "{}", "5"),
            Some(method_not_found("none", "5")),
            ["request none - {}", "-32601 Method not found"],
        ),
        (notification("sum", "[1,2]"), None, ["notification sum sum [1,2]", "nothing"]),
        (notification("none", "[]"), None, ["notification none - []", "-32601 Method not found"]),
    ] {
        raw.send(&text).await;
        if let Some(answer) = answer {
            let got = raw.receive().await;
            let exact = answer.contains("result") || !answer.contains("-32602");
            assert!(if exact { got == answer } else { got.contains("-32602") }, "{got}");
        } else {
            // Messages are handled in order, so this response proves that the notification was handled.
            raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
        }
        let lines = record.take();
        assert_eq!(lines[0], seen[0]);
        assert!(lines[1].starts_with(seen[1]), "{lines:?}");
    }
}

#[tokio::test]
async fn the_calls_of_a_batch_pass_middleware_one_by_one() {
    let record = Record::default();
    let mut raw = Raw::client(server().middleware(record.clone())).await;
    let batch =
        format!("[{SUM},{},1,{}]", notification("sum", "[3,4]"), request("none", "[]", "2"));
    let answers = format!(
        "[{},{},{}]",
        result("3", "1"),
        wsjsonrpc_tests::not_an_object(),
        method_not_found("none", "2")
    );
    assert_eq!(raw.ask(batch).await, answers);
    let lines = record.take();
    let calls = ["request sum sum [1,2]", "notification sum sum [3,4]", "request none - []"];
    assert_eq!([&lines[0], &lines[2], &lines[4]], calls);
    assert_eq!([&lines[1], &lines[3]], ["3", "nothing"]);
}

/// Responds to some methods instead of their handlers.
struct Instead;

#[async_trait]
impl Middleware for Instead {
    async fn call(&self, ctx: &Context, request: Request, next: Next<'_>) -> Response {
        match request.method() {
            "refused" => ErrorObject::new(9, "not for you").into(),
            "made.up" => request.reply(Ok::<_, ErrorObject>(["made", "up"])),
            "twice" => {
                let response = next.run(request).await;
                match response.result() {
                    Some(_) => ErrorObject::new(10, "a result is not wanted").into(),
                    None => response,
                }
            }
            "who" => {
                ctx.set(7_u32);
                next.run(request).await
            }
            _ => next.run(request).await,
        }
    }
}

#[tokio::test]
async fn middleware_may_answer_instead_of_the_handler() {
    let handled = Arc::new(Mutex::new(0));
    let count = Arc::clone(&handled);
    let server = Server::builder()
        .expose_errors(false)
        .middleware(Instead)
        .method("refused", move |_, ()| {
            *count.lock().unwrap() += 1;
            async { Ok(()) }
        })
        .method("twice", |_, ()| async { Ok(1) })
        .method("who", |ctx: Context, ()| async move { Ok(ctx.get::<u32>().map(|who| *who)) });
    let mut raw = Raw::client(server).await;
    raw.check_verbatim(&[
        (&request("refused", "[]", "1"), &error(9, "not for you", "1")),
        (&request("made.up", "[]", "2"), &result(r#"["made","up"]"#, "2")),
        (&request("twice", "[]", "3"), &error(10, "a result is not wanted", "3")),
        (&request("who", "[]", "4"), &result("7", "4")),
    ])
    .await;
    raw.check(&notification("refused", "[]"), &[]).await;
    raw.check(&notification("made.up", "[]"), &[]).await;
    assert_eq!(*handled.lock().unwrap(), 0);
}

/// Panics for some methods, in several places.
struct Panics;

#[async_trait]
impl Middleware for Panics {
    async fn call(&self, _: &Context, request: Request, next: Next<'_>) -> Response {
        let when = request.params().json().unwrap_or_default().to_owned();
        assert!(!when.contains("before"), "on purpose");
        let response = next.run(request).await;
        assert!(!when.contains("behind"), "on purpose");
        response
    }
}

#[tokio::test]
async fn outer_middleware_sees_a_panic_as_an_outcome() {
    let (log, _guard) = Log::of_this_thread();
    let record = Record::default();
    let server = Server::builder()
        .expose_errors(false)
        .middleware(record.clone())
        .middleware(Panics)
        .method("quick", |_, (when,): (String,)| async move {
            assert_ne!(when, "inside", "on purpose");
            Ok(when)
        })
        .method("slow", |_, (when,): (String,)| async move {
            tokio::task::yield_now().await;
            assert_ne!(when, "inside", "on purpose");
            Ok(when)
        });
    let mut raw = Raw::client(server).await;
    for method in ["quick", "slow"] {
        for (params, who) in [
            ("[\"before\"]", "middleware"),
            ("[\"behind\"]", "middleware"),
            ("[\"inside\"]", "handler"),
        ] {
            let answer = raw.ask(request(method, params, "1")).await;
            assert_eq!(answer, error(-32603, "Internal error", "1"));
            assert_eq!(record.take()[1], "-32603 Internal error");
            let line = format!("{who} panicked; the caller gets -32603");
            assert!(log.text().contains(&line), "{}", log.text());
        }
        assert_eq!(raw.ask(request(method, "[\"no\"]", "2")).await, result("\"no\"", "2"));
        record.take();
    }
}

#[derive(Debug, RpcError)]
#[rpc_error(code = 1001)]
struct OutOfStock;

impl std::fmt::Display for OutOfStock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("out of stock")
    }
}

impl std::error::Error for OutOfStock {}

/// Records the source of an error.
#[derive(Clone, Default)]
struct Sources(Arc<Mutex<Vec<Option<String>>>>);

#[async_trait]
impl Middleware for Sources {
    async fn call(&self, _: &Context, request: Request, next: Next<'_>) -> Response {
        let response = next.run(request).await;
        let source = response.error().and_then(|error| error.source()).map(ToString::to_string);
        self.0.lock().unwrap().push(source);
        response
    }
}

#[tokio::test]
async fn middleware_sees_recognized_codes_and_the_cause_of_others() {
    let (log, _guard) = Log::of_this_thread();
    let (record, sources) = (Record::default(), Sources::default());
    let server = Server::builder()
        .expose_errors(false)
        .map_error::<OutOfStock>()
        .middleware(record.clone())
        .middleware(sources.clone())
        .method("known", |_, ()| async { Err::<(), _>(OutOfStock.into()) })
        .method("other", |_, ()| async { Err::<(), _>(std::io::Error::other("inside").into()) });
    let mut raw = Raw::client(server).await;
    raw.check_verbatim(&[
        (&request("known", "[]", "1"), &error(1001, "out of stock", "1")),
        (&request("other", "[]", "2"), &error(-32603, "Internal error", "2")),
    ])
    .await;
    let lines = record.take();
    assert_eq!([&lines[1], &lines[3]], ["1001 out of stock", "-32603 Internal error"]);
    assert_eq!(*sources.0.lock().unwrap(), [None, Some("inside".to_owned())]);
    let told = log.text().matches("handler failed; the caller gets").count();
    assert_eq!(told, 1, "the error is logged once, whatever the number of middlewares");
}

#[tokio::test]
async fn calls_refused_before_dispatch_do_not_reach_middleware() {
    let record = Record::default();
    let config = wsjsonrpc::Config { max_in_flight: 1, ..Default::default() };
    let gate = wsjsonrpc_tests::Gate::default();
    let server = Server::builder()
        .config(config)
        .middleware(record.clone())
        .method("wait", gate.handler(()));
    let mut raw = Raw::client(server).await;
    raw.send(request("wait", "[]", "1")).await;
    gate.arrived(1).await;
    assert_eq!(raw.ask(request("wait", "[]", "2")).await, busy("2"));
    gate.open(1);
    assert_eq!(raw.receive().await, result("null", "1"));
    assert_eq!(record.take(), ["request wait wait []", "null"]);
}
