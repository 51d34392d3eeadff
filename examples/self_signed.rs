//! TLS with a self-signed certificate, for development and for machines of one's own: the program makes
//! a certificate, serves `wss://` with it, and connects with a client that trusts it and nothing else.
//!
//! Run it with `cargo run --example self_signed`. It ends by itself.
//!
//! OpenSSL 3 makes such a certificate on the command line:
//!
//! ```text
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
//!     -subj /CN=localhost -keyout key.pem -out cert.pem \
//!     -addext basicConstraints=critical,CA:FALSE \
//!     -addext subjectAltName=DNS:localhost,IP:127.0.0.1
//! ```

use rcgen::{CertificateParams, DnType, IsCa, KeyPair};
use wsjsonrpc::{Client, Context, Result, Server, rpc};

#[rpc]
trait Greeter {
    async fn greet(&self, ctx: &Context, name: &str) -> Result<String>;
}

struct Polite;

impl Greeter for Polite {
    async fn greet(&self, _: &Context, name: &str) -> Result<String> {
        Ok(format!("Hello, {name}!"))
    }
}

/// Makes a certificate for these host names and IP addresses, and its private key, both in PEM.
fn self_signed(names: &[&str]) -> Result<(String, String), rcgen::Error> {
    // A client looks for the host of its URL among the subject alternative names (SAN) only.
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "self-signed example");
    // CA:FALSE. The certificate of an authority (CA:TRUE) is refused as that of a server.
    params.is_ca = IsCa::ExplicitNoCa;
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let (certificate, key) = self_signed(&["localhost", "127.0.0.1"])?;
    let server = Server::builder()
        .service(Polite.into_service())
        .tls_pem(&certificate, &key)
        .bind("127.0.0.1:0")
        .await?;
    let (by_address, port) = (server.url(), server.local_addr().port());
    let by_name = format!("wss://localhost:{port}/");
    tokio::spawn(server.run());

    // Clients need the certificate. The key stays with the server.
    for url in [&by_address, &by_name] {
        let client = Client::builder().tls_roots_pem(certificate.as_str()).connect(url).await?;
        println!("{url}: {}", GreeterClient::new(&client).greet("Ada").await?);
    }

    let stranger = Client::connect(&by_name).await;
    println!("without the certificate: {}", stranger.expect_err("nobody vouches for the server"));
    Ok(())
}
