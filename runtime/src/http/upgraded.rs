//! Takes the socket out of a connection that hyper has upgraded, so that reads and writes do not
//! pass through hyper's wrappers.

use hyper::rt::{Read, Write};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;

use crate::websocket::stream::Stream;

/// The stream, and the bytes that hyper read after the request.
pub(crate) fn stream_of(upgraded: Upgraded) -> (Stream, Vec<u8>) {
    let upgraded = match socket::<TcpStream>(upgraded) {
        Ok((socket, part)) => {
            // Responses are collected before they are written, so Nagle's algorithm gains nothing.
            if let Err(error) = socket.set_nodelay(true) {
                tracing::debug!(%error, "cannot set TCP_NODELAY");
            }
            return (Stream::tcp(socket), part);
        }
        Err(upgraded) => upgraded,
    };
    #[cfg(unix)]
    let upgraded = match socket::<tokio::net::UnixStream>(upgraded) {
        Ok((socket, part)) => return (Stream::unix(socket), part),
        Err(upgraded) => upgraded,
    };
    // TLS or another stream. It returns the bytes that were read before.
    (Stream::other(TokioIo::new(upgraded)), Vec::new())
}

/// Takes the socket out if it has this type. The automatic server of `hyper_util`, which axum uses,
/// adds its own wrapper.
fn socket<T>(upgraded: Upgraded) -> Result<(T, Vec<u8>), Upgraded>
where
    T: Send + 'static,
    TokioIo<T>: Read + Write + Unpin,
{
    let upgraded = match auto::upgrade::downcast::<TokioIo<T>>(upgraded) {
        Ok(parts) => return Ok((parts.io.into_inner(), parts.read_buf.into())),
        Err(upgraded) => upgraded,
    };
    let parts = upgraded.downcast::<TokioIo<T>>()?;
    Ok((parts.io.into_inner(), parts.read_buf.into()))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::header::{CONNECTION, UPGRADE};
    use http::{HeaderValue, Request, Response, StatusCode};
    use http_body_util::Empty;
    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioExecutor;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;

    /// Both servers of hyper return the socket itself, and the bytes that they read after the
    /// request.
    #[tokio::test]
    async fn the_raw_socket_is_extracted() {
        for automatic in [false, true] {
            let (give, mut take) = mpsc::unbounded_channel();
            let service = service_fn(move |mut request: Request<Incoming>| {
                let (give, upgrade) = (give.clone(), hyper::upgrade::on(&mut request));
                tokio::spawn(async move { give.send(stream_of(upgrade.await.unwrap())) });
                let mut response = Response::new(Empty::<bytes::Bytes>::new());
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
                response.headers_mut().insert(UPGRADE, HeaderValue::from_static("x"));
                async { Ok::<_, Infallible>(response) }
            });
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let server = TokioIo::new(listener.accept().await.unwrap().0);
            let head =
                "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nfirst";
            client.write_all(head.as_bytes()).await.unwrap();
            tokio::spawn(async move {
                if automatic {
                    let server = auto::Builder::new(TokioExecutor::new())
                        .serve_connection_with_upgrades(server, service)
                        .await;
                    assert!(server.is_ok());
                } else {
                    let serving = http1::Builder::new().serve_connection(server, service);
                    assert!(serving.with_upgrades().await.is_ok());
                }
            });
            let (mut stream, part) = take.recv().await.unwrap();
            assert_eq!((stream.is_tcp(), part.as_slice()), (true, &b"first"[..]), "{automatic}");
            client.write_all(b"second").await.unwrap();
            let mut second = [0; 6];
            stream.read_exact(&mut second).await.unwrap();
            assert_eq!(&second, b"second");
        }
    }
}
