//! Types behind features. The messages are rustc's.

fn main() {
    let _: wsjsonrpc::http::HttpPeer;
    let _ = wsjsonrpc::middleware::Metrics::new();
    let _ = wsjsonrpc::middleware::RateLimit::new(1);
    let _ = wsjsonrpc::rustls::ServerConfig::builder();
    let _ = wsjsonrpc::testing::pair;
}
