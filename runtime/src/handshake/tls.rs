//! TLS for both sides, with rustls and its ring provider: settings, trusted roots, and the TLS
//! handshake. A client that speaks plain HTTP to a TLS server gets an HTTP response.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use http::StatusCode;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, RootCertStore, ServerConfig};
use tokio_rustls::{LazyConfigAcceptor, TlsConnector};

use crate::error::connect_error::ConnectError;
use crate::handshake::accept::{AcceptError, refuse, too_late};
use crate::handshake::refusal::Refusal;
use crate::util::runtime::timeout_at;
use crate::websocket::stream::Stream;

/// The first byte of a TLS session: a handshake record.
const HANDSHAKE: u8 = 22;

/// WebSocket starts with HTTP/1.1. With ALPN, the session cannot be mistaken for one of another
/// protocol.
fn alpn() -> Vec<Vec<u8>> {
    vec![b"http/1.1".to_vec()]
}

/// Named explicitly, so that the process needs no default provider.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err("no certificate found; expected a PEM block of type `CERTIFICATE`".to_owned())
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(error.to_string()),
    }
}

/// # Errors
/// The reason why they cannot be used, as a text for the developer of the server.
pub(crate) fn server_config(chain: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, String> {
    let chain = certificates(chain)
        .map_err(|error| format!("cannot use the PEM certificate chain: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| format!("cannot use the PEM private key: {error}"))?;
    let config =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let config = config.map(|config| config.with_no_client_auth().with_single_cert(chain, key));
    match config {
        Ok(Ok(mut config)) => {
            config.alpn_protocols = alpn();
            Ok(Arc::new(config))
        }
        Ok(Err(error)) | Err(error) => {
            Err(format!("cannot use the certificate with this private key: {error}"))
        }
    }
}

/// Performs the server's half of the TLS handshake.
pub(crate) async fn accept(
    mut stream: Stream,
    config: &Arc<ServerConfig>,
    deadline: Instant,
) -> Result<Stream, AcceptError> {
    let first = timeout_at(deadline, pin!(stream.read_u8())).await.map_err(|_| too_late())??;
    if first != HANDSHAKE {
        let words = "this server speaks TLS; connect with wss://";
        let refusal = Refusal::new(StatusCode::BAD_REQUEST, words);
        return Err(refuse(&mut stream, refusal).await);
    }
    let shaking = async {
        let mut acceptor = Acceptor::default();
        acceptor.read_tls(&mut &[first][..])?;
        let start = LazyConfigAcceptor::new(acceptor, stream).await?;
        start.into_stream(Arc::clone(config)).await
    };
    let stream = timeout_at(deadline, pin!(shaking)).await.map_err(|_| too_late())??;
    Ok(Stream::tls(stream))
}

/// The roots that a client trusts.
#[derive(Clone, Default)]
pub(crate) enum Trust {
    /// The roots of the operating system.
    #[default]
    System,
    /// The roots in this PEM text.
    Pem(Vec<u8>),
    /// Mozilla's roots.
    #[cfg(feature = "webpki-roots")]
    Mozilla,
    Config(Arc<ClientConfig>),
}

impl Trust {
    async fn config(self) -> io::Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        match self {
            Trust::Config(config) => return Ok(config),
            Trust::System => {
                let load = rustls_native_certs::load_native_certs;
                let loaded = tokio::task::spawn_blocking(load).await.map_err(io::Error::other)?;
                let (added, _) = roots.add_parsable_certificates(loaded.certs);
                if added == 0 {
                    let why = loaded.errors.first().map(|error| format!(": {error}"));
                    let words = "this system has no list of trusted certificates; set them with \
                                 tls_roots_pem or tls_webpki_roots";
                    return Err(io::Error::other(format!("{words}{}", why.unwrap_or_default())));
                }
            }
            Trust::Pem(pem) => {
                let unusable = |error: String| {
                    let words = format!("cannot use the trusted PEM certificates: {error}");
                    io::Error::new(io::ErrorKind::InvalidInput, words)
                };
                for certificate in certificates(&pem).map_err(unusable)? {
                    roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
                }
            }
            #[cfg(feature = "webpki-roots")]
            Trust::Mozilla => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        let config = ClientConfig::builder_with_provider(provider());
        let config = config.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = alpn();
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Trust::System => "System",
            Trust::Pem(_) => "Pem",
            #[cfg(feature = "webpki-roots")]
            Trust::Mozilla => "Mozilla",
            Trust::Config(_) => "Config",
        })
    }
}

/// Performs the client's half of the TLS handshake. The certificate must be valid for `host`.
pub(crate) async fn connect(
    stream: Stream,
    host: &str,
    trust: Trust,
) -> Result<Stream, ConnectError> {
    let connecting = async {
        let config = trust.config().await?;
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        TlsConnector::from(config).connect(name, stream).await
    };
    connecting.await.map(Stream::tls).map_err(|error| ConnectError::Tls(explain(error)))
}

/// An error of rustls, and how to fix it.
#[derive(Debug)]
struct Explained {
    error: Error,
    fix: &'static str,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.error, self.fix)
    }
}

impl StdError for Explained {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}

/// How to fix a rejected certificate, if the error's own text does not say it.
fn fix(error: &CertificateError) -> Option<&'static str> {
    match error {
        CertificateError::UnknownIssuer => Some(
            "the client does not trust its issuer; add the issuer's certificate (or a self-signed \
             certificate itself) with tls_roots_pem",
        ),
        // For example, after the issuer's certificate was created again with the same name.
        CertificateError::BadSignature => Some(
            "a trusted certificate has the name of its issuer but another key; pass the issuer's \
             current certificate to tls_roots_pem",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some(
                "connect with a host that is among its subject alternative names (SAN), or add the host",
            )
        }
        // An error of webpki, which has no public type here.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => Some(
            "it is a certificate of an authority (CA:TRUE); create a server certificate with CA:FALSE",
        ),
        // For example, if a trusted certificate of the system has the name of the issuer, but a key
        // of another algorithm.
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Some(
            "add the issuer's certificate (or a self-signed certificate itself) with tls_roots_pem; if it is \
             added, another trusted certificate has the same subject: choose another one",
        ),
        _ => None,
    }
}

/// Adds an explanation to errors whose text does not help.
fn explain(error: io::Error) -> io::Error {
    let tls = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    match tls {
        Some(Error::InvalidMessage(_)) => {
            let words = "the server does not speak TLS; connect with ws:// if that is intended";
            return io::Error::new(error.kind(), words);
        }
        Some(Error::InvalidCertificate(certificate)) => {
            if let Some(fix) = fix(certificate) {
                let error_of_rustls = Error::InvalidCertificate(certificate.clone());
                return io::Error::new(error.kind(), Explained { error: error_of_rustls, fix });
            }
        }
        _ => {}
    }
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return io::Error::new(
            error.kind(),
            "the server closed the connection during the TLS handshake",
        );
    }
    error
}
