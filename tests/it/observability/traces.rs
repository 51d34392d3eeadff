//! Spans for calls, and traces that cross the wire, as OpenTelemetry's own exporter sees them.

use opentelemetry::trace::{SpanId, SpanKind, Status, TraceContextExt, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;
use wsjsonrpc::{Client, Config, Context, ErrorObject, Result, SendTo, Server, memory, rpc};
use wsjsonrpc_tests::{Raw, begin, request, result};

use std::future::IntoFuture;

#[rpc]
trait Relay {
    async fn far(&self, ctx: &Context, depth: u32) -> Result<u32>;
    async fn wrong(&self, ctx: &Context) -> Result<()>;
}

/// Calls its caller back, `depth` levels deep.
struct There;

impl Relay for There {
    async fn far(&self, ctx: &Context, depth: u32) -> Result<u32> {
        tokio::task::yield_now().await;
        match depth {
            0 => Ok(0),
            _ => Ok(1 + ctx.client::<RelayClient>().far(depth - 1).await?),
        }
    }

    async fn wrong(&self, _ctx: &Context) -> Result<()> {
        Err(ErrorObject::new(17, "secret words"))
    }
}

/// Exports the spans of this thread into memory.
fn exporting() -> (InMemorySpanExporter, SdkTracerProvider, tracing::subscriber::DefaultGuard) {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("tests"));
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    (exporter, provider, guard)
}

fn attribute(span: &SpanData, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == name)?;
    Some(found.value.to_string())
}

fn rpc_spans(exporter: &InMemorySpanExporter) -> Vec<SpanData> {
    let spans = exporter.get_finished_spans().unwrap();
    spans.into_iter().filter(|span| attribute(span, "rpc.system").is_some()).collect()
}

#[tokio::test]
async fn calls_in_both_directions_are_one_trace() {
    let (exporter, _provider, _guard) = exporting();
    let (client, _) = memory::pair(
        Client::builder().service(There.into_service()),
        Server::builder().service(There.into_service()),
    )
    .unwrap();
    let relay = RelayClient::new(client.peer());
    let root = tracing::info_span!("root");
    let trace = root.context().span().span_context().trace_id();
    assert_eq!(relay.far(2).into_future().instrument(root.clone()).await.unwrap(), 2);
    let root_id = root.context().span().span_context().span_id();
    drop(root);
    // The call returns shortly before the handler's span ends.
    tokio::task::yield_now().await;

    let spans = rpc_spans(&exporter);
    assert_eq!(spans.len(), 6);
    assert!(spans.iter().all(|span| span.span_context.trace_id() == trace));
    let child = |parent: SpanId| {
        let mut found = spans.iter().filter(move |span| span.parent_span_id == parent);
        let child = found.next().unwrap();
        assert!(found.next().is_none());
        child
    };
    let mut parent = root_id;
    let kinds = [SpanKind::Client, SpanKind::Server];
    for kind in kinds.iter().cycle().take(6) {
        let span = child(parent);
        assert_eq!((&span.span_kind, span.name.as_ref()), (kind, "far"));
        assert_eq!(attribute(span, "rpc.system").unwrap(), "jsonrpc");
        assert_eq!(attribute(span, "rpc.method").unwrap(), "far");
        assert_eq!(attribute(span, "rpc.jsonrpc.version").unwrap(), "2.0");
        assert_eq!(span.status, Status::Unset);
        parent = span.span_context.span_id();
    }
    let ids: Vec<_> =
        spans.iter().map(|span| attribute(span, "rpc.jsonrpc.request_id").unwrap()).collect();
    for id in ["1", "\"s1\"", "2"] {
        assert_eq!(ids.iter().filter(|known| *known == id).count(), 2, "{id} in {ids:?}");
    }
}

#[tokio::test]
async fn an_error_marks_both_spans_without_its_message() {
    let (exporter, _provider, _guard) = exporting();
    let server = Server::builder().service(There.into_service());
    let (client, _) = memory::pair(Client::builder(), server).unwrap();
    let relay = RelayClient::new(client.peer());
    relay.wrong().await.unwrap_err();
    let (failed, fine) = relay.batch((relay.wrong(), relay.far(0))).await.unwrap();
    assert!(failed.is_err() && fine.is_ok());
    tokio::task::yield_now().await;
    let spans = rpc_spans(&exporter);
    assert_eq!(spans.len(), 6);
    for span in spans {
        let failed = span.name == "wrong";
        let code = attribute(&span, "rpc.jsonrpc.error_code");
        assert_eq!(code, failed.then(|| "17".to_owned()));
        assert_eq!(matches!(span.status, Status::Error { .. }), failed);
        assert!(!format!("{span:?}").contains("secret"));
    }
}

#[tokio::test]
async fn trace_context_has_w3c_names_and_goes_only_to_known_peers() {
    let (exporter, _provider, _guard) = exporting();
    // The members that a StreamJsonRpc client sends.
    let mut raw = Raw::client(Server::builder().service(There.into_service())).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"far","params":[0],"traceparent":"{parent}","tracestate":"a=1"}}"#
    );
    assert_eq!(raw.ask(call).await, result("0", "1"));
    assert_eq!(raw.ask(request("far", "[0]", "2")).await, result("0", "2"));
    tokio::task::yield_now().await;
    let spans = rpc_spans(&exporter);
    let trace = |id: &str| {
        let is_it = |span: &&SpanData| attribute(span, "rpc.jsonrpc.request_id").unwrap() == id;
        let span = spans.iter().find(is_it).unwrap();
        (span.span_context.trace_id().to_string(), span.parent_span_id.to_string())
    };
    let theirs = ("0af7651916cd43dd8448eb211c80319c".to_owned(), "b7ad6b7169203331".to_owned());
    assert_eq!(trace("1"), theirs);
    assert_ne!(trace("2").0, theirs.0);

    let (mut raw, client) = Raw::server(Client::builder()).await;
    let _call = begin(client.peer().call::<()>("m", ()).into_future()).await;
    assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"m","id":1}"#);
    let everyone = Config { send_trace: SendTo::Everyone, ..Config::default() };
    let (mut raw, client) = Raw::server(Client::builder().config(everyone)).await;
    let _call = begin(client.peer().call::<()>("m", ()).into_future()).await;
    let sent: serde_json::Value = serde_json::from_str(&raw.receive().await).unwrap();
    let parent = sent["traceparent"].as_str().unwrap();
    assert!(parent.starts_with("00-") && parent.ends_with("-01") && parent.len() == 55, "{parent}");
    assert_eq!(sent.get("tracestate"), None);
}
