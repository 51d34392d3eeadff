//! Endpoints mounted in HTTP servers.

use std::net::SocketAddr;

use axum::Router;
use http::Uri;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use wsjsonrpc::Endpoint;
use wsjsonrpc::http::HttpService;

/// A listener on a free port.
pub async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Runs an axum application that has the service at `/rpc`.
pub async fn in_axum(service: HttpService) -> SocketAddr {
    application(Router::new().route_service("/rpc", service)).await
}

/// The same, with a layer that adds the original URI to the extensions of each request, as routers
/// do.
pub async fn in_axum_with_uris(endpoint: &Endpoint) -> SocketAddr {
    let service = endpoint.http_service().forget::<Uri>();
    let leaving = axum::middleware::map_request(|mut request: axum::extract::Request| async {
        let uri = request.uri().clone();
        request.extensions_mut().insert(uri);
        request
    });
    application(Router::new().route_service("/rpc", service).layer(leaving)).await
}

/// Runs an axum application.
pub async fn application(router: Router) -> SocketAddr {
    let (listener, address) = listener().await;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

/// Runs hyper's own server for HTTP/1.
pub async fn bare(service: HttpService) -> SocketAddr {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service.clone());
            tokio::spawn(serving.with_upgrades());
        }
    });
    address
}

/// Runs hyper's server that detects the version of HTTP.
async fn automatic(service: HttpService) -> SocketAddr {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                auto::Builder::new(TokioExecutor::new())
                    .serve_connection_with_upgrades(TokioIo::new(stream), service)
                    .await
            });
        }
    });
    address
}

/// The same endpoint in each of these three servers.
pub async fn everywhere(endpoint: &Endpoint) -> [SocketAddr; 3] {
    let service = || endpoint.http_service();
    [in_axum(service()).await, bare(service()).await, automatic(service()).await]
}
