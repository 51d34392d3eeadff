//! The metrics of `Metrics`, as a recorder of the `metrics` crate receives them.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use wsjsonrpc::middleware::Metrics;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Config, Context, Server, memory};
use wsjsonrpc_tests::{Raw, notification, request};

/// Runs the program on one thread with a separate recorder. Returns the value of each metric by
/// name and labels; for a histogram, the number of values.
fn recorded(program: impl Future<Output = ()>) -> BTreeMap<String, f64> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(program);
        // Ends the connections that are still open.
        drop(runtime);
    });
    let metrics = snapshotter.snapshot().into_vec().into_iter().map(|(key, _, _, value)| {
        let key = key.key();
        let labels: Vec<String> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let value = match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(values) => {
                assert!(values.iter().all(|seconds| (0.0..60.0).contains(&seconds.into_inner())));
                values.len() as f64
            }
        };
        (format!("{} {}", key.name(), labels.join(" ")).trim_end().to_owned(), value)
    });
    metrics.collect()
}

fn check(figures: &BTreeMap<String, f64>, expected: &[(&str, f64)]) {
    for (name, value) in expected {
        assert_eq!(figures.get(*name), Some(value), "{name} in {figures:#?}");
    }
}

fn server() -> ServerBuilder {
    wsjsonrpc_tests::server().middleware(Metrics::new())
}

#[test]
fn incoming_calls_are_counted_by_method_and_outcome() {
    let figures = recorded(async {
        let mut raw = Raw::client(server()).await;
        for _ in 0..3 {
            raw.ask(request("sum", "[1,2]", "1")).await;
        }
        raw.ask(request("sum", "[1]", "1")).await;
        raw.ask(request("panic", "[]", "1")).await;
        raw.ask(request("fail", "[17]", "1")).await;
        raw.ask(request("count", "[0]", "1")).await;
        // The end of the subscription.
        raw.receive().await;
        // All unknown method names share one label.
        for name in 0..10 {
            raw.ask(request(&format!("made.up.{name}"), "[]", "1")).await;
        }
        raw.check(&notification("sum", "[1,2]"), &[]).await;
    });
    let calls = "rpc_server_calls_total";
    check(
        &figures,
        &[
            (&format!("{calls} method=sum outcome=ok"), 4.0),
            (&format!("{calls} method=sum outcome=-32602"), 1.0),
            (&format!("{calls} method=panic outcome=-32603"), 1.0),
            (&format!("{calls} method=fail outcome=17"), 1.0),
            (&format!("{calls} method=count outcome=ok"), 1.0),
            (&format!("{calls} method=unknown outcome=-32601"), 11.0),
            ("rpc_server_call_duration_seconds method=sum", 5.0),
            ("rpc_server_call_duration_seconds method=unknown", 11.0),
            ("rpc_server_calls_in_flight", 0.0),
        ],
    );
}

#[test]
fn the_number_of_error_code_labels_is_bounded() {
    let figures = recorded(async {
        let mut raw = Raw::client(server()).await;
        for code in 0..100 {
            raw.ask(request("fail", &format!("[{code}]"), "1")).await;
        }
    });
    check(
        &figures,
        &[
            ("rpc_server_calls_total method=fail outcome=63", 1.0),
            ("rpc_server_calls_total method=fail outcome=other", 36.0),
        ],
    );
}

#[test]
fn a_dropped_call_is_counted_and_no_longer_in_flight() {
    let figures = recorded(async {
        let config = Config { cancel_on_close: true, ..Config::default() };
        let mut raw = Raw::client(server().config(config)).await;
        raw.send(request("never", "[]", "1")).await;
        raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
    });
    check(
        &figures,
        &[
            ("rpc_server_calls_total method=never outcome=dropped", 1.0),
            ("rpc_server_calls_in_flight", 0.0),
        ],
    );
}

#[test]
fn connections_and_bytes_are_counted() {
    let (question, mut answered) = (request("sum", "[1,2]", "1"), 0);
    let figures = recorded(async {
        let endpoint = server().build().unwrap();
        for _ in 0..2 {
            let (mut raw, serving) = Raw::client_of(&endpoint).await;
            answered += raw.ask(&question).await.len() + 2;
            raw.hang_up();
            serving.await.unwrap();
        }
        let (mut raw, serving) = Raw::client_of(&endpoint).await;
        answered += raw.ask(&question).await.len() + 2;
        serving.abort();
        assert!(serving.await.is_err());
    });
    check(
        &figures,
        &[
            ("rpc_connections_opened_total", 3.0),
            ("rpc_connections", 0.0),
            ("rpc_connections_closed_total reason=lost", 2.0),
            ("rpc_connections_closed_total reason=aborted", 1.0),
            ("rpc_received_bytes_total", 3.0 * (question.len() as f64 + 6.0)),
            ("rpc_sent_bytes_total", answered as f64),
        ],
    );
}

#[test]
fn outgoing_calls_are_counted_with_the_programs_label() {
    let figures = recorded(async {
        let metrics = Metrics::new().label("backend", "stock");
        let client = Client::builder().outgoing_middleware(metrics);
        let (client, _) = memory::pair(client, server()).unwrap();
        let peer = client.peer();
        peer.call::<i64>("sum", (1, 2)).await.unwrap();
        peer.call::<i64>("fail", (3,)).await.unwrap_err();
        let hang = peer.call::<()>("never", ()).timeout(Duration::from_millis(1));
        hang.await.unwrap_err();
        peer.notify("sum", (1, 2)).await.unwrap();
        peer.batch([peer.call::<i64>("sum", (1, 2))]).await.unwrap();
        // Longer than any method name that is used as a label.
        peer.call::<()>(&"n".repeat(1000), ()).await.unwrap_err();
        for name in 0..300 {
            peer.call::<()>(&format!("made.up.{name}"), ()).await.unwrap_err();
        }
        peer.close(1000, "");
        peer.closed().await;
        peer.call::<i64>("sum", (1, 2)).await.unwrap_err();
    });
    let calls = "rpc_client_calls_total backend=stock";
    check(
        &figures,
        &[
            (&format!("{calls} method=sum outcome=ok"), 2.0),
            (&format!("{calls} method=sum outcome=closed"), 1.0),
            (&format!("{calls} method=fail outcome=3"), 1.0),
            (&format!("{calls} method=never outcome=timeout"), 1.0),
            (&format!("{calls} method=made.up.252 outcome=-32601"), 1.0),
            (&format!("{calls} method=other outcome=-32601"), 48.0),
            ("rpc_client_call_duration_seconds backend=stock method=sum", 3.0),
            ("rpc_client_calls_in_flight backend=stock", 0.0),
            ("rpc_client_batches_total backend=stock outcome=ok", 1.0),
        ],
    );
}

#[test]
fn calls_back_to_the_caller_count_as_outgoing() {
    let figures = recorded(async {
        let server = Server::builder().outgoing_middleware(Metrics::new()).method(
            "relay",
            |ctx: Context, ()| async move {
                ctx.peer().call::<u32>("seven", ()).await.map_err(|error| error.into_object())
            },
        );
        let client = Client::builder().method("seven", |_, ()| async { Ok(7) });
        let (client, _) = memory::pair(client, server).unwrap();
        assert_eq!(client.peer().call::<u32>("relay", ()).await.unwrap(), 7);
    });
    check(&figures, &[("rpc_client_calls_total method=seven outcome=ok", 1.0)]);
}
