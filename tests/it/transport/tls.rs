//! TLS on both sides: which certificates are trusted, and what happens with a peer that uses
//! another protocol. The tests make their own authority and certificates.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use wsjsonrpc::error::{BindError, ConnectError};
use wsjsonrpc::rustls::crypto::ring;
use wsjsonrpc::rustls::pki_types::pem::PemObject;
use wsjsonrpc::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use wsjsonrpc::rustls::server::WebPkiClientVerifier;
use wsjsonrpc::rustls::{ClientConfig, RootCertStore, ServerConfig};
use wsjsonrpc::{Client, Config, Server};
use wsjsonrpc_tests::http::{address_of, http, refusal, upgrade};
use wsjsonrpc_tests::listen;
use wsjsonrpc_tests::tls::{Authority, Certified, client, server, server_without, works};

/// Checks that the message ends with these words.
#[track_caller]
fn assert_tls(error: &ConnectError, words: &str) {
    assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with("TLS handshake failed: ") && text.contains(words), "{text}");
    let cause = std::error::Error::source(error).map(ToString::to_string);
    assert!(!cause.is_some_and(|cause| text.contains(&cause)), "{text}");
}

#[tokio::test]
async fn calls_go_both_ways_through_tls() {
    let authority = Authority::default();
    let (url, _) = listen(server(&authority.certify(|_| ()))).await;
    assert!(url.starts_with("wss://127.0.0.1:"), "{url}");
    let port = address_of(&url).port();
    let by_name = url.replace("127.0.0.1", "localhost");
    for url in [&url, &by_name, &url.replace("wss", "WSS")] {
        let client = client(&authority).connect(url).await.unwrap();
        works(&client.peer()).await;
        assert_eq!(client.handshake().remote_addr.unwrap().port(), port);
        // Larger than any buffer, in both directions.
        let text = "x".repeat(3 << 20);
        let echoed: String = client.peer().call("echo", (&text,)).await.unwrap();
        assert!(echoed == text);
        client.close().await;
    }
    // Over an existing stream.
    let tunnel = TcpStream::connect(address_of(&url)).await.unwrap();
    let client_over = client(&authority).connect_over("wss://localhost/", tunnel).await.unwrap();
    let seen: (i64, bool) = client_over.peer().call("double_by_caller", (1,)).await.unwrap();
    assert_eq!(seen.0, 2);
}

#[tokio::test]
async fn an_invalid_certificate_is_refused() {
    let authority = Authority::default();
    let cases = [
        (
            authority.certify(|params| params.not_after = date_time_ymd(2001, 1, 1)),
            "certificate expired",
        ),
        (
            authority.certify(|params| params.not_before = date_time_ymd(4000, 1, 1)),
            "certificate not valid yet",
        ),
        (authority.certify(|params| params.subject_alt_names.clear()), "(SAN), or add the host"),
        (
            authority.certify(|params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
            "certificate does not allow extended key usage",
        ),
        (
            Authority::default().certify(|_| ()),
            "BadSignature; a trusted certificate has the name of its issuer",
        ),
    ];
    for (certified, words) in cases {
        let (url, endpoint) = listen(server(&certified)).await;
        let error = client(&authority).connect(&url).await.unwrap_err();
        assert_tls(&error, words);
        assert!(endpoint.connections().is_empty());
    }
    let (url, _) = listen(server(&authority.certify(|_| ()))).await;
    // The host differs from the certificate's.
    let other = TcpStream::connect(address_of(&url)).await.unwrap();
    let error = client(&authority).connect_over("wss://evil.example/", other).await.unwrap_err();
    assert_tls(&error, "certificate not valid for name \"evil.example\"");
    // The system's roots do not include this authority. If there are no roots, the error says so.
    assert_tls(&Client::connect(&url).await.unwrap_err(), "");
    // The server still works.
    works(&client(&authority).connect(&url).await.unwrap().peer()).await;
}

/// A self-signed certificate can be its own root. The certificate of an authority is not valid for
/// a server.
#[tokio::test]
async fn a_self_signed_certificate_works_or_the_error_says_why_not() {
    let self_signed = |names: &[&str], is_ca: IsCa| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = is_ca;
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Certified { chain: certificate.pem(), key: key.serialize_pem() }
    };
    let authority = IsCa::Ca(BasicConstraints::Unconstrained);
    let cases = [
        (self_signed(&["127.0.0.1"], IsCa::ExplicitNoCa), None),
        (self_signed(&["127.0.0.1"], IsCa::NoCa), None),
        (self_signed(&["127.0.0.1"], authority), Some("create a server certificate with CA:FALSE")),
        (self_signed(&["localhost"], IsCa::ExplicitNoCa), Some("(SAN), or add the host")),
    ];
    let mut other = CertificateParams::default();
    other.distinguished_name = DistinguishedName::new();
    let other = other.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    let (url, _) = listen(server(&self_signed(&["127.0.0.1"], IsCa::ExplicitNoCa))).await;
    let stranger = Client::builder().tls_roots_pem(other).connect(&url).await;
    assert_tls(&stranger.unwrap_err(), "; the client does not trust its issuer; add");
    for (certified, refused) in cases {
        let (url, _) = listen(server(&certified)).await;
        let outcome = Client::builder().tls_roots_pem(certified.chain).connect(&url).await;
        match refused {
            Some(words) => assert_tls(&outcome.unwrap_err(), words),
            None => assert_eq!(
                outcome.unwrap().peer().call::<String>("echo", ["x"]).await.unwrap(),
                "x"
            ),
        }
    }
}

/// The recipe in the documentation of `ServerBuilder::tls_pem`, with OpenSSL 3.
#[tokio::test]
async fn a_certificate_made_by_openssl_works() {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let version = std::process::Command::new("openssl").arg("version").output();
    if !version.is_ok_and(|version| text(version.stdout).starts_with("OpenSSL 3")) {
        return eprintln!("left out: OpenSSL 3 is not installed");
    }
    let documentation = include_str!("../../../runtime/src/server/builder.rs");
    let recipe = documentation.split_once("    /// openssl req").unwrap().1;
    let recipe = recipe.split_once("```").unwrap().0.replace("///", "").replace("\\\n", "");
    let directory = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("openssl")
        .arg("req")
        .args(recipe.split_whitespace())
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(made.stderr));
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    let certified = Certified { chain: read("fullchain.pem"), key: read("privkey.pem") };
    let (url, _) = listen(server(&certified)).await;
    for url in [url.replace("127.0.0.1", "localhost"), url] {
        let client = Client::builder().tls_roots_pem(certified.chain.as_str());
        let client = client.connect(&url).await.unwrap();
        assert_eq!(client.peer().call::<String>("echo", ["x"]).await.unwrap(), "x");
    }
}

#[tokio::test]
async fn a_rustls_config_is_used_unchanged() {
    let authority = Authority::default();
    let provider = || Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let roots = Arc::new(roots);
    let parts = |certified: &Certified| {
        let chain = CertificateDer::from_pem_slice(certified.chain.as_bytes()).unwrap();
        (vec![chain], PrivateKeyDer::from_pem_slice(certified.key.as_bytes()).unwrap())
    };
    // A server that requires client certificates.
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider());
    let (chain, key) = parts(&authority.certify(|_| ()));
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain, key)
        .unwrap();
    let (url, _) = listen(server_without().tls_config(config)).await;
    let (chain, key) = parts(&authority.certify(|_| ()));
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    let known = client(&authority).tls_config(Arc::new(config));
    works(&known.connect(&url).await.unwrap().peer()).await;
    let unknown = client(&authority).connect(&url).await.unwrap_err();
    assert!(unknown.to_string().contains("CertificateRequired"), "{unknown}");
}

#[tokio::test]
async fn unusable_pem_is_an_error_that_says_which() {
    let authority = Authority::default();
    let (good, other) = (authority.certify(|_| ()), authority.certify(|_| ()));
    for (chain, key, words) in [
        ("", &good.key[..], "cannot use the PEM certificate chain: no certificate found"),
        (&good.key, &good.key, "cannot use the PEM certificate chain: no certificate"),
        (&good.chain, "", "cannot use the PEM private key"),
        (&good.chain, &good.chain, "cannot use the PEM private key"),
        (&good.chain, &other.key, "cannot use the certificate with this private key"),
    ] {
        let error = Server::builder().tls_pem(chain, key).build().unwrap_err();
        assert!(matches!(error, BindError::Setting(_)), "{error:?}");
        assert!(error.to_string().starts_with(words), "{error}");
        assert!(!error.to_string().contains("BEGIN"), "{error}");
    }
    let (url, _) = listen(server(&good)).await;
    let error = Client::builder().tls_roots_pem("no PEM").connect(&url).await.unwrap_err();
    assert_tls(&error, "cannot use the trusted PEM certificates: no certificate found");
}

/// Each server still works after a client used the wrong protocol.
#[tokio::test]
async fn a_peer_with_the_wrong_protocol_is_told_the_right_one() {
    let authority = Authority::default();
    let (with, _) = listen(server(&authority.certify(|_| ()))).await;
    let words = "this server speaks TLS; connect with wss://";
    assert_eq!(
        http(address_of(&with), upgrade("/", "")).await,
        refusal("400 Bad Request", "", words)
    );
    let error = Client::connect(&with.replace("wss", "ws")).await.unwrap_err();
    assert!(error.to_string().ends_with(words), "{error}");
    for nonsense in [&b"\0\0\0\0\0\0\0\0"[..], b"\x16nonsense that is no hello", b"\x16", b""] {
        http(address_of(&with), nonsense).await;
    }
    works(&client(&authority).connect(&with).await.unwrap().peer()).await;

    let (without, _) = listen(server_without()).await;
    let error = client(&authority).connect(&without.replace("ws", "wss")).await.unwrap_err();
    assert_tls(&error, "the server does not speak TLS; connect with ws:// if that is intended");
    works(&client(&authority).connect(&without).await.unwrap().peer()).await;

    // Another server, which responds with a TLS alert.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&[21, 3, 1, 0, 2, 2, 10]).await.unwrap();
        stream.read_to_end(&mut Vec::new()).await
    });
    let error = Client::connect(&url).await.unwrap_err();
    assert!(error.to_string().ends_with("the server speaks TLS; connect with wss://"), "{error}");
}

/// Uses a duplex stream, because a real network does not follow the paused clock.
#[tokio::test(start_paused = true)]
async fn both_sides_time_out_an_endless_tls_handshake() {
    let authority = Authority::default();
    let config = Config { handshake_timeout: Duration::from_secs(3), ..Config::default() };
    let endpoint = server(&authority.certify(|_| ())).config(config.clone()).build().unwrap();
    for begin in [&b""[..], b"\x16", b"\x16\x03\x01\x01\x00\x01"] {
        let (mut ours, theirs) = tokio::io::duplex(4096);
        ours.write_all(begin).await.unwrap();
        let error = endpoint.serve(theirs, None).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    }
    let (ours, theirs) = tokio::io::duplex(4096);
    let connecting = client(&authority).config(config).connect_over("wss://localhost/", ours);
    assert!(matches!(connecting.await.unwrap_err(), ConnectError::Timeout { .. }));
    drop(theirs);

    let (ours, theirs) = tokio::io::duplex(4096);
    let serving = tokio::spawn(async move { endpoint.serve(theirs, None).await });
    let client = client(&authority).connect_over("wss://localhost/", ours).await.unwrap();
    let seen: (i64, bool) = client.peer().call("double_by_caller", (1,)).await.unwrap();
    assert_eq!(seen, (2, false));
    client.close().await;
    serving.await.unwrap().unwrap();
}

/// Limits and origin checks work over TLS too; pages that were loaded without TLS are refused.
#[tokio::test]
async fn limits_and_origin_checks_apply_over_tls() {
    let authority = Authority::default();
    let config = Config { max_connections: 1, ..Config::default() };
    let (url, _) = listen(server(&authority.certify(|_| ())).config(config)).await;
    let host = address_of(&url);
    let first = client(&authority).header("origin", format!("https://{host}"));
    let first = first.connect(&url).await.unwrap();
    let error = client(&authority).connect(&url).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Refused { status, .. } if *status == 503), "{error}");
    works(&first.peer()).await;

    let (url, _) = listen(server(&authority.certify(|_| ()))).await;
    let insecure = client(&authority).header("origin", format!("http://{}", address_of(&url)));
    let error = insecure.connect(&url).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Refused { status, .. } if *status == 403), "{error}");
}

#[tokio::test]
async fn alpn_negotiates_http_1_1() {
    let authority = Authority::default();
    let (url, _) = listen(server(&authority.certify(|_| ()))).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(address_of(&url)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = connector.connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    // The application has made the TLS session, so the URL has no TLS.
    let client = client(&authority).connect_over("ws://localhost/", stream).await.unwrap();
    works(&client.peer()).await;
}

/// A TLS session buffers far more than the network accepts. Only the bytes that the network
/// accepted count.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_over_tls_is_not_dropped() {
    let authority = Authority::default();
    // The peer cannot answer a ping that is an hour behind.
    let write_timeout = Duration::from_secs(20);
    let config = Config { write_timeout, ping_interval: None, ..Config::default() };
    let endpoint = server(&authority.certify(|_| ())).config(config).build().unwrap();
    let (near, middle) = tokio::io::duplex(64);
    let (theirs, far) = tokio::io::duplex(64);
    tokio::spawn(async move { endpoint.serve(near, None).await });
    let (mut from_server, mut to_server) = tokio::io::split(middle);
    let (mut from_client, mut to_client) = tokio::io::split(far);
    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let slow = Arc::new(AtomicBool::new(false));
    let pace = Arc::clone(&slow);
    tokio::spawn(async move {
        let mut part = [0; 64];
        while let Ok(count @ 1..) = from_server.read(&mut part).await {
            if pace.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            if to_client.write_all(&part[..count]).await.is_err() {
                break;
            }
        }
    });
    let client = client(&authority).connect_over("wss://localhost/", theirs).await.unwrap();
    slow.store(true, Ordering::Relaxed);
    // More than the session buffers, at 64 bytes a second.
    let text = "x".repeat(200_000);
    let echoed: String = client.peer().call("echo", (&text,)).without_timeout().await.unwrap();
    assert!(echoed == text);
}
