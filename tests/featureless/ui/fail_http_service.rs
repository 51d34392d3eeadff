//! A route of a web application without the feature `tower`.

use wsjsonrpc::Server;

fn route_service(_path: &str, _service: impl Clone + Send) {}

fn main() {
    let endpoint = Server::builder().build().unwrap();
    route_service("/rpc", endpoint.http_service());
    route_service("/rpc", endpoint.http_service().secure(true));
}
