//! Connections of a mounted endpoint: limits, shutdown, and the streams that they run over.

use std::future::IntoFuture;

use bytes::Bytes;
use http::Request;
use http::header::HeaderName;
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tower::ServiceExt;
use wsjsonrpc::error::{CloseReason, ConnectError};
use wsjsonrpc::http::HttpService;
use wsjsonrpc::{Client, Config, Endpoint};
use wsjsonrpc_tests::http::{UPGRADE, opened, parts, say, upgrade};
use wsjsonrpc_tests::mounted::in_axum;
use wsjsonrpc_tests::{Gate, begin, gated_server, request, result, server};

fn endpoint(config: Config) -> Endpoint {
    server().config(config).build().unwrap()
}

async fn status(url: &str) -> u16 {
    match Client::connect(url).await {
        Err(ConnectError::Refused { status, .. }) => status.as_u16(),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test]
async fn every_connection_counts_until_it_ends() {
    let endpoint = endpoint(Config { max_connections: 2, ..Config::default() });
    let url = format!("ws://{}/rpc", in_axum(endpoint.http_service()).await);
    for _ in 0..3 {
        let one = Client::connect(&url).await.unwrap();
        let two = Client::connect(&url).await.unwrap();
        // Both connections work: they count for their whole life, not only during the handshake.
        for client in [&one, &two] {
            assert_eq!(client.peer().call::<i64>("double", (2,)).await.unwrap(), 4);
        }
        assert_eq!(status(&url).await, 503);
        let connections = endpoint.connections();
        assert_eq!(connections.len(), 2);
        drop((one, two));
        for connection in connections {
            connection.closed().await;
        }
        // A refused request does not count, and neither does a request that is no handshake.
        let address = url.trim_start_matches("ws://").trim_end_matches("/rpc").parse().unwrap();
        for _ in 0..3 {
            let get = "GET /rpc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            assert!(say(address, get).await.starts_with("HTTP/1.1 426 "));
        }
        while !endpoint.connections().is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn the_limit_per_address_uses_the_applications_address() {
    let config = Config { max_connections_per_address: Some(1), ..Config::default() };
    let endpoint = endpoint(config);
    let service = endpoint.http_service().remote_addr(|parts| {
        let from = parts.headers.get("x-from")?.to_str().ok()?;
        format!("192.0.2.{from}:1").parse().ok()
    });
    let address = in_axum(service).await;
    let from = |last: u8| upgrade("/rpc", &format!("X-From: {last}\r\n"));
    let (_one, head) = opened(address, &from(1)).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let (_, head) = opened(address, &from(1)).await;
    let (line, headers, _) = parts(&head);
    assert!(line.contains(" 429 ") && headers.contains("retry-after: 5"), "{head}");
    let (_two, head) = opened(address, &from(2)).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

#[tokio::test]
async fn a_shutdown_closes_connections_and_refuses_new_ones() {
    let gate = Gate::default();
    let endpoint = gated_server(&gate).build().unwrap();
    let url = format!("ws://{}/rpc", in_axum(endpoint.http_service()).await);
    let client = Client::connect(&url).await.unwrap();
    let call = begin(client.peer().call::<String>("gated", ()).into_future()).await;
    gate.arrived(1).await;
    let shutdown = begin(endpoint.shutdown()).await;
    assert_eq!(status(&url).await, 503);
    gate.open(1);
    assert_eq!(call.await.unwrap(), "finished");
    assert_eq!(shutdown.await, 0);
    assert!(matches!(client.closed().await, CloseReason::Remote { code: 1001, .. }));
}

/// A WebSocket on the service, over this stream.
async fn over<S>(
    service: HttpService,
    ours: S,
    theirs: impl hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let serving = hyper::server::conn::http1::Builder::new().serve_connection(theirs, service);
    tokio::spawn(serving.with_upgrades());
    let client = Client::builder().connect_over("ws://localhost/rpc", ours).await.unwrap();
    assert_eq!(client.peer().call::<i64>("double", (21,)).await.unwrap(), 42);
    client.close().await;
}

#[tokio::test]
async fn a_mounted_endpoint_runs_over_any_stream() {
    let endpoint = endpoint(Config::default());
    let (ours, theirs) = tokio::io::duplex(100);
    over(endpoint.http_service(), ours, TokioIo::new(theirs)).await;
    // A wrapper around a socket, such as TLS: the socket cannot be unwrapped.
    let (listener, address) = wsjsonrpc_tests::mounted::listener().await;
    let ours = tokio::net::TcpStream::connect(address).await.unwrap();
    let theirs = listener.accept().await.unwrap().0;
    over(endpoint.http_service(), ours, TokioIo::new(Box::new(theirs))).await;
    #[cfg(unix)]
    {
        let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
        over(endpoint.http_service(), ours, TokioIo::new(theirs)).await;
    }
}

/// Without hyper, as in an application's own tests: a POST is answered, and nothing can be
/// upgraded.
#[tokio::test]
async fn the_service_can_be_called_directly() {
    let service = endpoint(Config::default()).http_service();
    let message = request("double", "[21]", "1");
    let post = Request::post("/rpc")
        .header("host", "x")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(message)))
        .unwrap();
    let response = service.clone().oneshot(post).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, result("42", "1"));

    let mut open = Request::get("/rpc").body(Empty::<Bytes>::new()).unwrap();
    for line in UPGRADE.lines() {
        let (name, value) = line.trim().split_once(": ").unwrap();
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        open.headers_mut().insert(name, value.parse().unwrap());
    }
    let response = service.oneshot(open).await.unwrap();
    assert_eq!(response.status(), 500);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(
        body,
        "the HTTP server of this endpoint does not support upgrades; enable them (hyper: `with_upgrades`)\n"
    );
}

/// The response has status 101, but the HTTP server does not upgrade the connection.
#[tokio::test]
async fn a_connection_that_is_never_upgraded_does_not_count() {
    let endpoint = endpoint(Config { max_connections: 1, ..Config::default() });
    for _ in 0..3 {
        let (ours, theirs) = tokio::io::duplex(1000);
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(theirs), endpoint.http_service());
        let serving = tokio::spawn(serving);
        let connecting = Client::builder().connect_over("ws://localhost/rpc", ours).await;
        if let Ok(client) = connecting {
            client.closed().await;
        }
        let _ = serving.await;
        assert_eq!(endpoint.connection_count(), 0);
        // The connection counts until the task that waited for the upgrade has ended.
        let mut tries = 0;
        while posted(endpoint.http_service()).await == 503 {
            tries += 1;
            assert!(tries < 1000, "the connection still counts");
            tokio::task::yield_now().await;
        }
    }
}

/// The status of a message that is posted directly to the service.
async fn posted(service: HttpService) -> u16 {
    let post = Request::post("/rpc")
        .header("host", "x")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(request("double", "[21]", "1"))))
        .unwrap();
    service.oneshot(post).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_panic_in_the_remote_addr_closure_refuses_one_request() {
    let endpoint = endpoint(Config { max_connections: 1, ..Config::default() });
    let service = endpoint.http_service().remote_addr(|parts| {
        let from = parts.headers.get("x-from").unwrap();
        from.to_str().unwrap().parse().ok()
    });
    assert_eq!(posted(service.clone()).await, 500);
    let address = in_axum(service).await;
    let url = format!("ws://{address}/rpc");
    assert_eq!(status(&url).await, 500);
    let client = Client::builder().header("x-from", "192.0.2.1:1").connect(&url).await.unwrap();
    assert_eq!(client.peer().call::<i64>("double", (2,)).await.unwrap(), 4);
}
