//! TLS without the features `tls` and `webpki-roots`.

use wsjsonrpc::{Client, Server};

async fn open() {
    let _ = Server::builder().tls_pem("chain", "key").bind("0.0.0.0:443").await;
    let _ = Server::builder().tls_config(()).build();
    let _ = Client::builder().tls_roots_pem("roots").connect("wss://example.com").await;
    let _ = Client::builder().tls_webpki_roots().connect("wss://example.com").await;
    let _ = Client::builder().tls_config(()).connect("wss://example.com").await;
}

fn main() {
    let _ = open;
}
