//! A server with TLS. The program makes a self-signed certificate, serves `wss://` with it, and connects with a
//! client that trusts this certificate and no other.
//!
//! Self-signed certificates are for development and for machines that you control. On the public internet, give
//! `tls_pem` a certificate of an authority such as Let's Encrypt; clients then need no extra setting.
//!
//! Run it with `cargo run -p examples-tls --example tls`. It ends by itself.
//!
//! OpenSSL 3 makes the same kind of certificate on the command line:
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

/// Makes a certificate for these host names and IP addresses. Returns the certificate and its private key in PEM.
fn self_signed(names: &[&str]) -> Result<(String, String), rcgen::Error> {
    // Clients look for the URL's host among the subject alternative names, not in the common name.
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "self-signed example");
    // Sets CA:FALSE. Clients refuse the certificate of an authority (CA:TRUE) as a server's certificate.
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
    println!("The server listens on {by_address}");
    tokio::spawn(server.run());

    // Give clients the certificate. The private key stays on the server.
    for url in [&by_address, &by_name] {
        let client = Client::builder().tls_roots_pem(certificate.as_str()).connect(url).await?;
        println!("Over {url}: {}", GreeterClient::new(&client).greet("Ada").await?);
        client.close().await;
    }

    // This client trusts only the authorities of the operating system.
    match Client::connect(&by_name).await {
        Ok(_) => println!("Unexpected: connected without the certificate"),
        Err(error) => println!("Without the certificate: {error}"),
    }
    Ok(())
}
