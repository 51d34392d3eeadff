//! RFC 6455, section 4: which subprotocols and extensions a client must not accept from a server,
//! and which names both sides accept.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::error::ConnectError;
use wsjsonrpc::{Client, Server, memory};
use wsjsonrpc_tests::http::{accept_key, address, http, parts, read_head, upgrade};

/// The outcome of connecting to a server that responds with these headers.
async fn connect(client: ClientBuilder, headers: &'static str) -> Result<Client, ConnectError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let accept = accept_key(&read_head(&mut stream).await);
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n\
             Connection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut waste = Vec::new();
        stream.read_to_end(&mut waste).await
    });
    client.connect(&url).await
}

#[tokio::test]
async fn a_client_refuses_a_subprotocol_it_did_not_offer() {
    let none = Client::builder;
    let two = || Client::builder().subprotocol("a").subprotocol("b");
    let good: [(ClientBuilder, &str, Option<&str>); 3] = [
        (none(), "", None),
        (two(), "Sec-WebSocket-Protocol: a\r\n", Some("a")),
        (two(), "sec-websocket-protocol: b\r\n", Some("b")),
    ];
    for (client, headers, agreed) in good {
        let client = connect(client, headers).await.unwrap();
        assert_eq!(client.handshake().subprotocol.as_deref(), agreed);
    }
    let not_offered = "the server chose a subprotocol that the client did not offer";
    let several = "the server chose more than one subprotocol";
    let extension = "the server chose a WebSocket extension that the client did not offer";
    let bad = [
        (none(), "Sec-WebSocket-Protocol: a\r\n", not_offered),
        (two(), "Sec-WebSocket-Protocol: c\r\n", not_offered),
        (two(), "Sec-WebSocket-Protocol: A\r\n", not_offered),
        (two(), "Sec-WebSocket-Protocol: a, b\r\n", not_offered),
        (two(), "Sec-WebSocket-Protocol:\r\n", not_offered),
        (two(), "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n", several),
        (two(), "", "the server supports none of the offered subprotocols"),
        (none(), "Sec-WebSocket-Extensions: permessage-deflate\r\n", extension),
    ];
    for (client, headers, words) in bad {
        let error = connect(client, headers).await.unwrap_err();
        assert!(matches!(error, ConnectError::Handshake(_)), "{headers}: {error:?}");
        assert_eq!(error.to_string(), format!("WebSocket handshake failed: {words}"));
    }
}

#[tokio::test]
async fn a_response_that_accepts_another_request_is_refused() {
    for (right, wrong, words) in [
        ("Upgrade: websocket", "Upgrade: h2c", "has no `Upgrade: websocket` header"),
        ("Connection: Upgrade", "Connection: close", "has no `Connection: Upgrade`"),
        // The accept value for the key of RFC 6455, section 1.3; the client has another key.
        ("", "", "wrong `Sec-WebSocket-Accept` header"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                        Connection: Upgrade\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
            let head = head.replace(right, wrong);
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut waste = Vec::new();
            stream.read_to_end(&mut waste).await
        });
        let error = Client::connect(&url).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_server_without_a_common_subprotocol_names_none() {
    let address = address(Server::builder().subprotocol("a")).await;
    for offers in ["", "Sec-WebSocket-Protocol: b, A\r\n", "Sec-WebSocket-Protocol: , ,\r\n"] {
        let answer = http(address, upgrade("/", offers)).await;
        let (status, headers, _) = parts(&answer);
        assert_eq!(status, "HTTP/1.1 101 Switching Protocols");
        assert!(!headers.contains("sec-websocket-protocol"), "{answer}");
    }
}

#[tokio::test]
async fn an_invalid_subprotocol_is_an_error_on_both_sides() {
    for name in ["", "a b", "a,b", "a/b", "é", "\"a\""] {
        let words = format!("invalid subprotocol name `{name}`");
        let error = Server::builder().subprotocol("fine").subprotocol(name).build().unwrap_err();
        assert_eq!(error.to_string(), words);
        let client = Client::builder().subprotocol("fine").subprotocol(name);
        let error = memory::pair(client, Server::builder()).unwrap_err();
        assert!(matches!(&error, ConnectError::Header(_)), "{error:?}");
        assert_eq!(error.to_string(), words);
    }
    for name in ["ocpp1.6", "v10.stomp", "graphql-transport-ws", "!#$%&'*+-.^_`|~"] {
        let client = Client::builder().subprotocol(name);
        let (client, _) = memory::pair(client, Server::builder().subprotocol(name)).unwrap();
        assert_eq!(client.handshake().subprotocol.as_deref(), Some(name));
    }
}

#[tokio::test]
async fn handshake_headers_can_not_be_set_by_the_application() {
    let names = [
        "Sec-WebSocket-Extensions",
        "sec-websocket-accept",
        "UPGRADE",
        "Content-Length",
        "transfer-encoding",
        "TE",
        "Trailer",
        "Expect",
    ];
    for name in names {
        let client = Client::builder().header(name, "x");
        let error = client.connect("ws://127.0.0.1:9/").await.unwrap_err();
        let words = format!(
            "cannot set header `{name}`: the handshake sets it, or it describes a body; remove it"
        );
        assert_eq!(error.to_string(), words);
    }
    let client = Client::builder().header("Host", "a").header("host", "b");
    let error = client.connect("ws://127.0.0.1:9/").await.unwrap_err();
    assert_eq!(error.to_string(), "header `Host` is set twice; set it once");
}
