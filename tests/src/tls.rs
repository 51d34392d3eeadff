//! Certificates of a test authority, and servers and clients that use them.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Context, Peer, Server};

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub struct Certified {
    pub chain: String,
    pub key: String,
}

impl Default for Authority {
    /// A new authority with a self-signed certificate.
    fn default() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }
}

impl Authority {
    /// The authority's own certificate, in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `localhost` and 127.0.0.1, with these changes.
    pub fn certify(&self, change: impl FnOnce(&mut CertificateParams)) -> Certified {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Certified { chain: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A server with this certificate. Its method `double_by_caller` calls its caller back.
pub fn server(certified: &Certified) -> ServerBuilder {
    server_without().tls_pem(&certified.chain, &certified.key)
}

/// The same server without TLS.
pub fn server_without() -> ServerBuilder {
    let server = Server::builder().method("echo", |_, (text,): (String,)| async { Ok(text) });
    server.method("double_by_caller", |ctx: Context, (number,): (i64,)| async move {
        let doubled: i64 = ctx.peer().call("double", (number,)).await?;
        Ok((doubled, ctx.handshake().remote_addr.is_some()))
    })
}

/// A client that trusts this authority and serves the method that the server calls.
pub fn client(authority: &Authority) -> ClientBuilder {
    let client = Client::builder().tls_roots_pem(authority.pem());
    client.method("double", |_, (number,): (i64,)| async move { Ok(2 * number) })
}

/// Checks that calls work in both directions.
pub async fn works(peer: &Peer) {
    let seen: (i64, bool) = peer.call("double_by_caller", (21,)).await.unwrap();
    assert_eq!(seen, (42, true));
}
