//! Reads what axum stores in a request's extensions. Only with the feature `axum`.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, OriginalUri};
use http::Uri;
use http::request::Parts;

/// The client's address, if the application was made with
/// `into_make_service_with_connect_info::<SocketAddr>()`.
pub(crate) fn remote_addr(request: &Parts) -> Option<SocketAddr> {
    request.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| *address)
}

/// Replaces the URI that axum keeps by a copy. The original is part of the buffer that the request
/// was read into; the whole buffer would stay in memory as long as the connection.
pub(crate) fn detach_uri(request: &mut Parts) {
    let Some(OriginalUri(uri)) = request.extensions.get_mut() else { return };
    if let Ok(copy) = uri.to_string().parse::<Uri>() {
        *uri = copy;
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn a_copied_uri_is_equal() {
        for uri in ["/", "/rpc/a%20b?x=1&y", "http://host:80/rpc", "*", "host:443"] {
            let uri: Uri = uri.parse().unwrap();
            let request = Request::builder().uri("/").extension(OriginalUri(uri.clone()));
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            detach_uri(&mut parts);
            assert_eq!(parts.extensions.get::<OriginalUri>().unwrap().0, uri);
        }
    }
}
