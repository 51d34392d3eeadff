//! Treats any bytes as the input of a client: the connection responds or ends, and the next
//! connection is served. Does not depend on the source of the bytes.

use tokio_tungstenite::tungstenite::http::HeaderValue;
use wsjsonrpc::server::Handshake;
use wsjsonrpc::{Client, Server};

use super::{config, ends, feed, is_extended, methods, pour, simulate};

/// Feeds a server with this input.
///
/// # Panics
/// If the server violates one of these promises.
pub fn run(input: &[u8]) {
    let [flags, input @ ..] = input else { return };
    simulate(async {
        let server = Server::builder().config(config(*flags)).service(methods());
        let endpoint = server.build().expect("method names are unique");
        let (ours, theirs) = tokio::io::duplex(1000);
        let served = endpoint.clone();
        if flags & 1 == 0 {
            let mut handshake = Handshake::new("/");
            if is_extended(*flags) {
                let version = HeaderValue::from_static("1");
                handshake.headers.insert("wsjsonrpc-extensions", version);
            }
            let serving = async move { served.serve_upgraded(theirs, handshake).await };
            let serving = tokio::spawn(serving);
            feed(ours, input, true).await;
            ends(serving).await.expect("it does not panic");
        } else {
            let serving = tokio::spawn(async move { served.serve(theirs, None).await });
            pour(ours, input).await;
            let _ = ends(serving).await.expect("it does not panic");
        }
        assert!(endpoint.connections().is_empty());

        let (ours, theirs) = tokio::io::duplex(1000);
        tokio::spawn(async move { endpoint.serve(ours, None).await });
        let client = Client::builder().connect_over("ws://fuzzed/", theirs).await;
        let client = client.expect("the next client connects");
        let answer = client.peer().call::<Vec<i64>>("echo", [1]).await;
        assert_eq!(answer.expect("the next client gets a response"), [1]);
        client.close().await;
    });
}
