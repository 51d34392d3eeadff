//! The opening handshake: raw HTTP requests to a real server, raw HTTP responses to a real client,
//! and what both sides know about each other afterwards.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wsjsonrpc::error::ConnectError;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Context, Server, memory};
use wsjsonrpc_tests::frames::frame_of;
use wsjsonrpc_tests::http::{UPGRADE, address, http, parts, read_head};
use wsjsonrpc_tests::{assert_same_json, both_ways, listen, over_socket};

/// Returns what its handlers see of the handshake.
fn server() -> ServerBuilder {
    Server::builder().method("seen", |ctx: Context, ()| async move {
        let handshake = ctx.handshake();
        Ok(json!({
            "target": handshake.target,
            "path": handshake.path(),
            "query": handshake.query(),
            "user": handshake.header("X-User"),
            "all": handshake.headers.get_all("x-all").iter().map(|value| value.to_str().unwrap())
                .collect::<Vec<_>>(),
            "host": handshake.header("host"),
            "session": handshake.cookie("session"),
            "theme": handshake.cookie("theme"),
            "address": handshake.remote_addr,
            "subprotocol": handshake.subprotocol,
        }))
    })
}

#[tokio::test]
async fn a_request_for_no_websocket_gets_a_status_that_says_why() {
    let address = address(server().path("/rpc")).await;
    let upgrade = |drop: &str| -> String {
        let lines = UPGRADE.split_inclusive("\r\n");
        lines.filter(|line| !line.to_lowercase().starts_with(drop)).collect()
    };
    let get = |headers: &str| format!("GET /rpc HTTP/1.1\r\n{headers}\r\n");
    let whole = upgrade("none");
    let cases = [
        (
            get("Host: x\r\n"),
            "426 Upgrade Required",
            "this is a WebSocket endpoint; connect with ws://",
        ),
        (get(&upgrade("upgrade")), "426 Upgrade Required", "connect with ws://"),
        (get(&upgrade("connection")), "426 Upgrade Required", "connect with ws://"),
        (get(&whole.replace("13", "8")), "426 Upgrade Required", "connect with ws://"),
        (get(&upgrade("sec-websocket-version")), "426 Upgrade Required", "connect with ws://"),
        (get(&upgrade("sec-websocket-key")), "400 Bad Request", "malformed"),
        (get(&whole.replace("dGhl", "")), "400 Bad Request", "malformed"),
        (get(&whole).replace("1.1", "1.0"), "400 Bad Request", "set `proxy_http_version 1.1;`"),
        (get(&whole).replace("GET", "POST"), "405 Method Not Allowed", "must use the method GET"),
        (get(&whole).replace("GET", "HEAD"), "405 Method Not Allowed", ""),
        (get(&whole).replace("/rpc", "/"), "404 Not Found", "unknown path `/`"),
        (get(&whole).replace("/rpc", "/rpc/x?/rpc"), "404 Not Found", "unknown path `/rpc/x`"),
        (get("Host: x\r\n").replace("/rpc", "/"), "404 Not Found", "unknown path `/`"),
        ("nonsense\r\n\r\n".to_owned(), "400 Bad Request", "malformed"),
        (get("no colon\r\n"), "400 Bad Request", "malformed"),
        ("\u{16}\u{3}\u{1} a TLS hello".to_owned(), "400 Bad Request", "does not speak TLS"),
        (get(&upgrade("host")), "400 Bad Request", "one `Host` header"),
        (get(&format!("{whole}Host: y\r\n")), "400 Bad Request", "one `Host` header"),
    ];
    for (request, status, words) in cases {
        let answer = http(address, &request).await;
        let (line, headers, body) = parts(&answer);
        assert_eq!(line, format!("HTTP/1.1 {status}"), "for {request}");
        assert!(body.contains(words), "{answer}");
        assert!(headers.contains("connection: close"), "{answer}");
        assert!(headers.contains("content-type: text/plain; charset=utf-8"), "{answer}");
        assert!(headers.contains(&format!("content-length: {}", body.len())), "{answer}");
        let names_what_to_upgrade_to =
            headers.contains("upgrade: websocket") && headers.contains("sec-websocket-version: 13");
        assert_eq!(names_what_to_upgrade_to, status.starts_with("426"), "{answer}");
        assert_eq!(names_what_to_upgrade_to, headers.contains("connection: close, upgrade"));
        assert_eq!(headers.contains("allow: get"), status.starts_with("405"), "{answer}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_gets_a_431() {
    let address = address(server()).await;
    let long = format!("GET / HTTP/1.1\r\n{UPGRADE}X-Long: {}\r\n\r\n", "x".repeat(17 * 1024));
    let many = format!("GET / HTTP/1.1\r\n{UPGRADE}{}\r\n", "a: b\r\n".repeat(200));
    for (request, words) in [(long, "too large"), (many, "too many headers")] {
        let answer = http(address, &request).await;
        let (line, _, body) = parts(&answer);
        assert_eq!(line, "HTTP/1.1 431 Request Header Fields Too Large");
        assert!(body.contains(words), "{answer}");
    }
}

/// When a server closes a socket with unread bytes, the kernel resets the connection. The client
/// must still get the response.
#[tokio::test]
async fn a_refusal_arrives_even_if_the_client_keeps_sending() {
    let address = address(server().path("/rpc")).await;
    let more = "x".repeat(8 << 20);
    let post =
        format!("POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{more}", more.len());
    let long = format!("GET /rpc HTTP/1.1\r\n{UPGRADE}X-Long: {more}\r\n\r\n");
    let lost = format!("GET / HTTP/1.1\r\n{UPGRADE}\r\n{more}");
    for (request, status) in [(post, "405"), (long, "431"), (lost, "404")] {
        for _ in 0..20 {
            let answer = http(address, &request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
    }
}

/// Reads the server's response to an upgrade, and one short frame after it.
async fn head_and_frame(stream: &mut TcpStream) -> (String, String) {
    let head = read_head(stream).await;
    assert_eq!(stream.read_u8().await.unwrap(), 0x81);
    let mut text = vec![0; usize::from(stream.read_u8().await.unwrap())];
    stream.read_exact(&mut text).await.unwrap();
    (head, String::from_utf8(text).unwrap())
}

const SUM: &str = r#"{"jsonrpc":"2.0","method":"sum","params":[1,2],"id":1}"#;
const THREE: &str = r#"{"jsonrpc":"2.0","result":3,"id":1}"#;

#[tokio::test]
async fn a_frame_right_behind_the_request_is_not_lost() {
    let address = address(wsjsonrpc_tests::server()).await;
    let request = format!("GET / HTTP/1.1\r\n{UPGRADE}\r\n").into_bytes();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[request, frame_of(0x81, SUM.as_bytes(), true)].concat()).await.unwrap();
    let (head, text) = head_and_frame(&mut stream).await;
    let (line, headers, _) = parts(&head);
    assert_eq!(line, "HTTP/1.1 101 Switching Protocols");
    // The key and the accept value of RFC 6455, section 1.3.
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    assert!(!headers.contains("sec-websocket-protocol"), "{head}");
    assert_same_json(&text, THREE, "a frame behind the request");
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte() {
    let address = address(wsjsonrpc_tests::server()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!("GET / HTTP/1.1\r\n{UPGRADE}\r\n").into_bytes();
    for byte in [request, frame_of(0x81, SUM.as_bytes(), true)].concat() {
        stream.write_u8(byte).await.unwrap();
        tokio::task::yield_now().await;
    }
    let (_, text) = head_and_frame(&mut stream).await;
    assert_same_json(&text, THREE, "byte by byte");
}

#[tokio::test]
async fn handlers_see_target_headers_cookies_and_address() {
    let (url, _) = listen(server()).await;
    let client = Client::builder()
        .header("x-user", "ada")
        .header("Cookie", "session=\"xyz\"; theme=dark")
        .connect(&format!("{url}chat/7?room=a%20b&x=?"))
        .await
        .unwrap();
    let seen: Value = client.peer().call("seen", ()).await.unwrap();
    assert_eq!(seen["target"], "/chat/7?room=a%20b&x=?");
    assert_eq!(seen["path"], "/chat/7");
    assert_eq!(seen["query"], "room=a%20b&x=?");
    assert_eq!(seen["user"], "ada");
    assert_eq!((&seen["session"], &seen["theme"]), (&json!("xyz"), &json!("dark")));
    assert_eq!(seen["subprotocol"], Value::Null);
    let address: SocketAddr = serde_json::from_value(seen["address"].clone()).unwrap();
    assert!(address.ip().is_loopback());

    let handshake = client.handshake();
    let url: http::Uri = url.parse().unwrap();
    assert_eq!(handshake.remote_addr.unwrap().port(), url.port_u16().unwrap());
    assert_eq!(seen["host"], url.authority().unwrap().as_str());
    assert_eq!(handshake.target, "/chat/7?room=a%20b&x=?");
    assert_eq!(handshake.header("upgrade"), Some("websocket"));
}

#[tokio::test]
async fn a_header_that_is_set_twice_is_sent_twice() {
    let client = || {
        let client = Client::builder().header("x-all", "1").header("x-all", "2");
        client.header("cookie", "session=s").header("cookie", "theme=t")
    };
    for (client, _) in both_ways(client, server).await {
        let seen: Value = client.peer().call("seen", ()).await.unwrap();
        assert_eq!(seen["all"], json!(["1", "2"]));
        assert_eq!((&seen["session"], &seen["theme"]), (&json!("s"), &json!("t")));
    }
}

#[tokio::test]
async fn a_custom_host_header_is_sent() {
    let client = Client::builder().header("host", "virtual.example");
    let (client, _) = over_socket(client, server()).await;
    let seen: Value = client.peer().call("seen", ()).await.unwrap();
    assert_eq!(seen["host"], "virtual.example");
}

#[tokio::test]
async fn both_sides_see_the_servers_preferred_subprotocol() {
    let cases: [(&[&str], &[&str], Option<&str>); 5] = [
        (&[], &[], None),
        (&["a"], &[], None),
        (&["a", "b"], &["b"], Some("b")),
        (&["a", "b"], &["c", "b", "a"], Some("a")),
        (&["b", "a"], &["c", "b", "a"], Some("b")),
    ];
    for (spoken, offered, agreed) in cases {
        let server = || spoken.iter().fold(server(), |server, name| server.subprotocol(*name));
        let client =
            || offered.iter().fold(Client::builder(), |client, name| client.subprotocol(*name));
        for (client, _) in both_ways(client, server).await {
            let seen: Value = client.peer().call("seen", ()).await.unwrap();
            assert_eq!(seen["subprotocol"].as_str(), agreed, "{spoken:?} {offered:?}");
            assert_eq!(client.handshake().subprotocol.as_deref(), agreed);
        }
    }
}

#[tokio::test]
async fn subprotocols_offered_in_several_headers_are_all_seen() {
    let address = address(wsjsonrpc_tests::server().subprotocol("z").subprotocol("c")).await;
    let offers = "Sec-WebSocket-Protocol: a,b\r\nSec-WebSocket-Protocol:  d , c\r\n";
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\n{UPGRADE}{offers}\r\n").into_bytes();
    stream.write_all(&[request, frame_of(0x81, SUM.as_bytes(), true)].concat()).await.unwrap();
    let (head, _) = head_and_frame(&mut stream).await;
    assert!(parts(&head).1.contains("sec-websocket-protocol: c"), "{head}");
}

#[tokio::test]
async fn a_client_without_a_common_subprotocol_does_not_connect() {
    let client = || Client::builder().subprotocol("a").subprotocol("b");
    let (url, _) = listen(server().subprotocol("c")).await;
    let over_socket = client().connect(&url).await.unwrap_err();
    let in_memory = memory::pair(client(), server().subprotocol("c")).unwrap_err();
    for error in [over_socket, in_memory] {
        assert!(matches!(error, ConnectError::Handshake(_)), "{error:?}");
        assert!(error.to_string().starts_with("WebSocket handshake failed: "), "{error}");
    }
}

#[tokio::test]
async fn an_invalid_header_is_an_error_without_its_value() {
    for (name, value) in
        [("x y", "secret"), ("", "secret"), ("x-y", "secret\r\nx: y"), ("é", "secret")]
    {
        let client = || Client::builder().header("fine", "1").header(name, value).header("\n", "");
        let over_socket = client().connect("ws://127.0.0.1:9/").await.unwrap_err();
        let in_memory = memory::pair(client(), server()).unwrap_err();
        for error in [over_socket, in_memory] {
            let words = format!("header `{name}` has a name or a value that HTTP does not allow");
            assert_eq!(error.to_string(), words);
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
    let error = memory::pair(Client::builder().subprotocol("a\nb"), server()).unwrap_err();
    assert!(error.to_string().contains("invalid subprotocol name"), "{error}");
}

/// The error of a client whose server answers every request with these bytes and then disconnects.
async fn connect_to(answer: &'static str) -> ConnectError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let answering = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let error = Client::connect(&url).await.unwrap_err();
    answering.await.unwrap();
    error
}

#[tokio::test]
async fn a_refusal_is_quoted_in_the_error() {
    let body = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 16\r\n\r\nwho are you? é\n";
    let error = connect_to(body).await;
    let ConnectError::Refused { status, body, .. } = &error else { panic!("{error:?}") };
    assert_eq!((status.as_u16(), body.as_str()), (401, "who are you? é"));
    let words = "the server refused the connection with HTTP status 401 Unauthorized";
    assert_eq!(error.to_string(), format!("{words}: who are you? é"));

    let error = connect_to("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(error.to_string(), words);
    let long: &str = format!("HTTP/1.1 500 Oh\r\n\r\n{}", "x".repeat(10_000)).leak();
    let ConnectError::Refused { body, .. } = connect_to(long).await else { panic!("refused") };
    assert_eq!(body, "x".repeat(4096));
    let error = connect_to("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n").await;
    assert!(matches!(&error, ConnectError::Refused { status, .. } if status.as_u16() == 302));
}

/// The status has arrived, but the body arrives late or never.
#[tokio::test(start_paused = true)]
async fn a_slow_refusal_is_quoted_as_far_as_it_has_come() {
    for (rest, expected) in [("are you?", "who are you?"), ("are", "who are")] {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let connecting = tokio::spawn(Client::builder().connect_over("ws://x/", ours));
        let head = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 12\r\n\r\nwho ";
        theirs.write_all(head.as_bytes()).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        theirs.write_all(rest.as_bytes()).await.unwrap();
        let error = connecting.await.unwrap().unwrap_err();
        let ConnectError::Refused { status, body, .. } = &error else { panic!("{error:?}") };
        assert_eq!((status.as_u16(), body.as_str()), (401, expected));
    }
}

#[tokio::test]
async fn a_server_without_websocket_is_a_failed_handshake() {
    for answer in [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    ] {
        let error = connect_to(answer).await;
        assert!(matches!(error, ConnectError::Handshake(_)), "{answer}: {error:?}");
        assert!(error.to_string().starts_with("WebSocket handshake failed: "), "{error}");
    }
    // A server that is restarting sends nothing, so this counts as a network error.
    let error = connect_to("").await;
    assert!(matches!(error, ConnectError::Io(_)), "{error:?}");
    assert!(error.to_string().ends_with("the server closed the connection without a response"));
}
