//! The rules for connections without TLS hold over TLS: a truncated stream is not an orderly end,
//! limits and turns are the same, and a silent client gets the reason for the disconnect.

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use wsjsonrpc::error::{CloseReason, ConnectError};
use wsjsonrpc::rustls::pki_types::pem::PemObject;
use wsjsonrpc::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use wsjsonrpc::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring};
use wsjsonrpc::{Config, Endpoint, Error, Server};
use wsjsonrpc_tests::frames::{frame_of, frames};
use wsjsonrpc_tests::http::{read_head, upgrade};
use wsjsonrpc_tests::{listen, poll_once, request, result};

use wsjsonrpc_tests::tls::{Authority, Certified, client, server, works};

fn connector(authority: &Authority) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

fn acceptor(certified: &Certified) -> TlsAcceptor {
    let chain = CertificateDer::from_pem_slice(certified.chain.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(certified.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// A raw client of an endpoint with TLS, after the opening handshake.
async fn raw_client(
    authority: &Authority,
    endpoint: &Endpoint,
) -> (TlsStream<DuplexStream>, JoinHandle<CloseReason>) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let endpoint = endpoint.clone();
    let serving = tokio::spawn(async move { endpoint.serve(theirs, None).await.unwrap() });
    let mut stream = connector(authority).connect(localhost(), ours).await.unwrap();
    stream.write_all(upgrade("/", "").as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    (stream, serving)
}

/// Without `close_notify`, the stream may be truncated: an attacker can cut it anywhere.
#[tokio::test]
async fn a_server_sees_a_truncated_session_as_lost_not_closed() {
    let authority = Authority::default();
    let endpoint = server(&authority.certify(|_| ())).build().unwrap();
    let call = request("echo", "[\"x\"]", "1");
    let whole = frame_of(0x81, call.as_bytes(), true);
    let close = frame_of(0x88, b"\x03\xe8", true);
    for (what, bytes) in [("nothing", &b""[..]), ("half a frame", &whole[..20]), ("a call", &whole)]
    {
        let (mut stream, serving) = raw_client(&authority, &endpoint).await;
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
        drop(stream);
        let reason = serving.await.unwrap();
        assert!(matches!(reason, CloseReason::Lost(_)), "{what}: {reason:?}");
    }
    // The client ends only the TLS session, but does not close the WebSocket.
    let (mut stream, serving) = raw_client(&authority, &endpoint).await;
    stream.shutdown().await.unwrap();
    assert!(matches!(serving.await.unwrap(), CloseReason::Lost(_)));
    // After a close frame, a missing `close_notify` does not matter.
    let (mut stream, serving) = raw_client(&authority, &endpoint).await;
    stream.write_all(&close).await.unwrap();
    drop(stream);
    let reason = serving.await.unwrap();
    assert!(matches!(reason, CloseReason::Remote { code: 1000, .. }), "{reason:?}");
}

/// Right after the call, the client ends the session or closes the WebSocket. It keeps reading.
#[tokio::test]
async fn ready_requests_are_answered_before_the_end_over_tls() {
    let authority = Authority::default();
    let endpoint = server(&authority.certify(|_| ())).build().unwrap();
    let call = frame_of(0x81, request("echo", "[\"x\"]", "1").as_bytes(), true);
    for close in [false, true] {
        let (mut stream, serving) = raw_client(&authority, &endpoint).await;
        stream.write_all(&call).await.unwrap();
        if close {
            stream.write_all(&frame_of(0x88, b"\x03\xe8", true)).await.unwrap();
            stream.flush().await.unwrap();
        } else {
            stream.shutdown().await.unwrap();
        }
        // Reading fails if the server does not send its own `close_notify`.
        let mut came = Vec::new();
        let read = stream.read_to_end(&mut came).await;
        let came = frames(&came);
        assert_eq!(came[0].payload, result("\"x\"", "1").as_bytes());
        match close {
            true => assert_eq!(came[1].close().0, 1000),
            false => assert_eq!((read.unwrap(), came.len()), (2 + came[0].length, 1)),
        }
        serving.await.unwrap();
    }
}

#[tokio::test]
async fn a_client_sees_a_truncated_session_as_lost_not_closed() {
    let authority = Authority::default();
    let acceptor = acceptor(&authority.certify(|_| ()));
    for says in [&b""[..], b"\x81\x7e", b"\x88\x02\x03\xe8"] {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let connecting = client(&authority).connect_over("wss://localhost/", theirs);
        let accepting = async {
            let stream = acceptor.accept(ours).await.unwrap();
            tokio_tungstenite::accept_async(stream).await.unwrap()
        };
        let (client, socket) = tokio::join!(connecting, accepting);
        let client = client.unwrap();
        let call = tokio::spawn(client.peer().call::<()>("m", ()).into_future());
        let mut stream = socket.into_inner();
        assert!(stream.read_u8().await.unwrap() > 0, "the call");
        stream.write_all(says).await.unwrap();
        stream.flush().await.unwrap();
        drop(stream);
        let reason = client.closed().await;
        match says {
            [0x88, ..] => assert!(matches!(reason, CloseReason::Remote { code: 1000, .. })),
            _ => assert!(matches!(reason, CloseReason::Lost(_)), "{reason:?}"),
        }
        assert!(matches!(call.await.unwrap(), Err(Error::Closed(_))));
    }
}

#[tokio::test]
async fn the_limit_per_address_applies_over_tls() {
    let authority = Authority::default();
    let config = Config { max_connections_per_address: Some(1), ..Config::default() };
    let (url, _) = listen(server(&authority.certify(|_| ())).config(config)).await;
    let first = client(&authority).connect(&url).await.unwrap();
    for _ in 0..3 {
        let error = client(&authority).connect(&url).await.unwrap_err();
        let ConnectError::Refused { status, retry_after, .. } = &error else { panic!("{error:?}") };
        assert_eq!((status.as_u16(), *retry_after), (429, Some(Duration::from_secs(5))));
        works(&first.peer()).await;
    }
    first.close().await;
    // The server has yet to notice.
    let next = loop {
        match client(&authority).connect(&url).await {
            Ok(next) => break next,
            Err(ConnectError::Refused { status, .. }) => assert_eq!(status.as_u16(), 429),
            Err(error) => panic!("{error}"),
        }
    };
    works(&next.peer()).await;
}

/// A connection that has not started TLS counts too.
#[tokio::test]
async fn an_unfinished_tls_handshake_counts_for_its_address() {
    let authority = Authority::default();
    let config = Config { max_connections_per_address: Some(1), ..Config::default() };
    let endpoint = server(&authority.certify(|_| ())).config(config).build().unwrap();
    let serve = || {
        let ((ours, theirs), endpoint) = (tokio::io::duplex(64 * 1024), endpoint.clone());
        let address = "192.0.2.1:1".parse().unwrap();
        tokio::spawn(async move { endpoint.serve(theirs, Some(address)).await });
        ours
    };
    let silent = serve();
    tokio::task::yield_now().await;
    let error = client(&authority).connect_over("wss://localhost/", serve()).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Refused { status, .. } if *status == 429), "{error}");
    drop(silent);
    while let Err(error) = client(&authority).connect_over("wss://localhost/", serve()).await {
        assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
    }
}

/// Each turn ends after 64 KiB, whatever it contains. Other connections are served on the same
/// thread.
#[tokio::test]
async fn an_endless_message_over_tls_does_not_delay_others() {
    let authority = Authority::default();
    let endpoint = server(&authority.certify(|_| ())).build().unwrap();
    let (mut stream, serving) = raw_client(&authority, &endpoint).await;
    stream.write_all(&frame_of(0x01, b"[", true)).await.unwrap();
    let flood = frame_of(0x00, b"", true).repeat(10_000);
    let flooding = tokio::spawn(async move { while stream.write_all(&flood).await.is_ok() {} });
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let served = endpoint.clone();
    tokio::spawn(async move { served.serve(theirs, None).await });
    let other = client(&authority).connect_over("wss://localhost/", ours).await.unwrap();
    for _ in 0..3 {
        let echoed: String = other.peer().call("echo", ("x",)).await.unwrap();
        assert_eq!(echoed, "x");
    }
    assert!(!serving.is_finished() && !flooding.is_finished());
    flooding.abort();
}

/// Polls a connection by hand while all its input is available: each poll is a turn.
async fn turns_are_bounded(
    mut stream: impl AsyncWrite + Unpin,
    serving: Serving,
    done: &AtomicUsize,
) {
    const MESSAGES: usize = 60;
    let text = request("take", &format!("[\"{}\"]", "x".repeat(100_000)), "1");
    let messages = frame_of(0x81, text.as_bytes(), true).repeat(MESSAGES);
    stream.write_all(&messages).await.unwrap();
    stream.flush().await.unwrap();
    let mut serving = serving;
    let mut before = 0;
    while before < MESSAGES {
        assert!(poll_once(&mut serving).await.is_pending());
        let now = done.load(Ordering::Relaxed);
        // One read returns up to 64 KiB, so a turn can exceed its limit by that much.
        assert!(now - before <= ((64 << 10) + (64 << 10)) / 100_000 + 1, "{before} to {now}");
        before = now;
        // Each poll of a task gets a new budget from tokio.
        tokio::task::yield_now().await;
    }
}

type Serving = Pin<Box<dyn Future<Output = std::io::Result<CloseReason>>>>;

/// Does the opening handshake with a connection that only this test polls.
async fn open(mut stream: impl AsyncRead + AsyncWrite + Unpin, serving: &mut Serving) {
    let opening = async {
        stream.write_all(upgrade("/", "").as_bytes()).await.unwrap();
        read_head(&mut stream).await;
    };
    tokio::select! {
        () = opening => {}
        ended = serving => panic!("{ended:?}"),
    }
}

#[tokio::test]
async fn at_most_64_kibibytes_are_read_before_yielding() {
    let authority = Authority::default();
    let done = Arc::new(AtomicUsize::new(0));
    for secure in [false, true] {
        done.store(0, Ordering::Relaxed);
        let taken = Arc::clone(&done);
        let mut server = Server::builder();
        if secure {
            let certified = authority.certify(|_| ());
            server = server.tls_pem(&certified.chain, &certified.key);
        }
        let server = server.method("take", move |_, (_,): (String,)| {
            taken.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        });
        let endpoint = server.build().unwrap();
        let (ours, theirs) = tokio::io::duplex(64 << 20);
        let mut serving: Serving = Box::pin(async move { endpoint.serve(theirs, None).await });
        if secure {
            let connector = connector(&authority);
            let mut stream = tokio::select! {
                stream = connector.connect(localhost(), ours) => stream.unwrap(),
                ended = &mut serving => panic!("{ended:?}"),
            };
            open(&mut stream, &mut serving).await;
            turns_are_bounded(&mut stream, serving, &done).await;
        } else {
            let mut stream = ours;
            open(&mut stream, &mut serving).await;
            turns_are_bounded(&mut stream, serving, &done).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_over_tls_gets_a_close_reason() {
    let authority = Authority::default();
    let config = Config { ping_interval: Some(Duration::from_secs(1)), ..Config::default() };
    let endpoint = server(&authority.certify(|_| ())).config(config).build().unwrap();
    let (mut stream, serving) = raw_client(&authority, &endpoint).await;
    assert!(matches!(serving.await.unwrap(), CloseReason::Unresponsive));
    let mut bytes = Vec::new();
    // The server disconnected, so the session has no orderly end.
    let _ = stream.read_to_end(&mut bytes).await;
    let came = frames(&bytes);
    let [ping, close] = came.as_slice() else { panic!("{came:?}") };
    assert_eq!((ping.first, ping.payload.len()), (0x89, 0));
    assert_eq!(close.close(), (1011, "keep-alive timed out".to_owned()));
}

/// A pause in the middle of a record is neither an end nor a message.
#[tokio::test(start_paused = true)]
async fn a_peer_over_tls_that_stops_reading_is_dropped() {
    let authority = Authority::default();
    let config = Config { max_send_queue: 1000, ..Config::default() };
    let endpoint = server(&authority.certify(|_| ())).config(config).build().unwrap();
    let (mut stream, serving) = raw_client(&authority, &endpoint).await;
    let text = request("echo", &format!("[\"{}\"]", "x".repeat(60_000)), "1");
    stream.write_all(&frame_of(0x81, text.as_bytes(), true).repeat(5)).await.unwrap();
    stream.flush().await.unwrap();
    assert!(matches!(serving.await.unwrap(), CloseReason::Stalled));
}
