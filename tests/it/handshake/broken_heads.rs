//! Whatever is in the head of a request, the server responds with HTTP or disconnects, and none of
//! its tasks panics. Each byte of a valid request is replaced, removed and doubled in turn.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wsjsonrpc::server::Grant;
use wsjsonrpc::{Config, Endpoint, Server};
use wsjsonrpc_tests::http::upgrade;

async fn endpoint() -> Endpoint {
    let config = Config { handshake_timeout: Duration::from_secs(1), ..Config::default() };
    let server = Server::builder().config(config).path("/rpc").subprotocol("a");
    let server =
        server.allow_origin("https://app.example.com").authorize_fn(|handshake| async move {
            // Everything that a hook may look at.
            let _ = (handshake.path(), handshake.query(), handshake.cookie("session"));
            let _ = handshake.offered_subprotocols().count();
            Ok(Grant::new())
        });
    server.build().unwrap()
}

/// The status line of the response, if there is one.
async fn status(endpoint: &Endpoint, request: &[u8]) -> Option<String> {
    let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
    let endpoint = endpoint.clone();
    let serving = tokio::spawn(async move { endpoint.serve(theirs, None).await });
    ours.write_all(request).await.unwrap();
    ours.shutdown().await.unwrap();
    let mut answer = Vec::new();
    ours.read_to_end(&mut answer).await.unwrap();
    let _ = serving.await.expect("no task panics");
    // A close frame may follow.
    let answer = String::from_utf8_lossy(&answer);
    answer.split_once("\r\n").map(|(line, _)| line.to_owned())
}

const HEADERS: &str = "Origin: https://app.example.com:443\r\nSec-WebSocket-Protocol: b, a\r\n\
                       Cookie: session=\"x\"; y=z\r\n";

#[tokio::test(start_paused = true)]
async fn no_broken_byte_of_a_request_makes_a_task_panic() {
    let endpoint = endpoint().await;
    let good = upgrade("/rpc?a=b", HEADERS).into_bytes();
    let accepted = Some("HTTP/1.1 101 Switching Protocols".to_owned());
    assert_eq!(status(&endpoint, &good).await, accepted);
    let mut refused = 0;
    for at in 0..good.len() {
        let mut requests: Vec<Vec<u8>> = b"\0\n\r :,;/[%\x16\x7f\xff"
            .iter()
            .map(|byte| {
                let mut request = good.clone();
                request[at] = *byte;
                request
            })
            .collect();
        let mut without = good.clone();
        without.remove(at);
        let mut twice = good.clone();
        twice.insert(at, good[at]);
        requests.extend([without, twice, good[..at].to_vec()]);
        for request in requests {
            let status = status(&endpoint, &request).await;
            let line = status.as_deref().unwrap_or("HTTP/1.1 4");
            assert!(
                line == "HTTP/1.1 101 Switching Protocols" || line.starts_with("HTTP/1.1 4"),
                "{line}"
            );
            refused += usize::from(line.starts_with("HTTP/1.1 4"));
        }
    }
    assert!(
        refused > good.len(),
        "only {refused} were refused; check how this test breaks the heads"
    );
    assert_eq!(status(&endpoint, &good).await, accepted);
}
