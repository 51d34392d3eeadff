//! The request that a client sends to open a WebSocket, for each form of URL.

use std::io;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::error::ConnectError;
use wsjsonrpc::http::HttpPeer;
use wsjsonrpc::{Client, Server};
use wsjsonrpc_tests::http::{answering, read_head};
use wsjsonrpc_tests::listen;

/// The lines that a client sends for this URL.
async fn request(client: ClientBuilder, url: &str) -> Vec<String> {
    let (ours, mut theirs) = tokio::io::duplex(4096);
    let reading = async {
        let request = read_head(&mut theirs).await;
        theirs.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        request
    };
    let (request, refused) = tokio::join!(reading, client.connect_over(url, ours));
    assert!(matches!(refused, Err(ConnectError::Refused { .. })), "{url}: {refused:?}");
    request.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_request_target_begins_with_a_slash_and_is_ascii() {
    for (url, target, host) in [
        ("ws://host", "/", "host"),
        ("ws://host:8080?token=x", "/?token=x", "host:8080"),
        ("ws://host:80/?token=x", "/?token=x", "host:80"),
        ("ws://host#?x", "/", "host"),
        ("ws://host/a#b", "/a", "host"),
        ("ws://host?a=b#c", "/?a=b", "host"),
        ("ws://host:", "/", "host"),
        ("ws://HOST.Example/A?B", "/A?B", "host.example"),
        ("WS://host/", "/", "host"),
        (" ws://host/a\n", "/a", "host"),
        ("ws://host/caf\u{e9}?q=\u{fc}", "/caf%C3%A9?q=%C3%BC", "host"),
        ("ws://host/a b?c d", "/a%20b?c%20d", "host"),
        ("ws://host/\"<>^`{}?\"<>'", "/%22%3C%3E%5E%60%7B%7D?%22%3C%3E%27", "host"),
        // Already encoded, or allowed without encoding.
        ("ws://host/a%20b%2F?c%20d", "/a%20b%2F?c%20d", "host"),
        ("ws://host/[]|!$&'()*+,;=:@?a[]=1&b={}|^`", "/[]|!$&'()*+,;=:@?a[]=1&b={}|^`", "host"),
        ("ws://host/100%", "/100%", "host"),
        ("ws://host/a/../b//c", "/a/../b//c", "host"),
        ("ws://host?a?b/c", "/?a?b/c", "host"),
        ("ws://[::1]:80", "/", "[::1]:80"),
        ("ws://[FE80::1%25eth0]:80/x", "/x", "[fe80::1]:80"),
        ("ws://[fe80::1%eth0]/x", "/x", "[fe80::1]"),
        ("ws://[fe80::1%25en%2D0]/x", "/x", "[fe80::1]"),
        ("ws://user:password@host/x", "/x", "host"),
    ] {
        let lines = request(Client::builder(), url).await;
        assert_eq!(lines[0], format!("GET {target} HTTP/1.1"), "{url}");
        assert!(lines.contains(&format!("Host: {host}")), "{url}: {lines:?}");
    }
}

#[tokio::test]
async fn a_url_that_can_not_be_sent_is_an_error_that_says_why() {
    for (url, words) in [
        ("ws://host/a\r\nx: y", "contains a control character"),
        ("ws://host/a\tb", "contains a control character"),
        ("ws://host/\0x", "contains a control character"),
        ("ws://ex\u{e4}mple.org/", "has non-ASCII characters in its host"),
        ("ws://ex%61mple.org/", "its host contains `%`"),
        ("ws://ho st/", "its host contains ` `"),
        ("ws://host\\path", "its host contains `\\`"),
        ("ws://fe80::1/", "its port is not a number"),
        ("ws://[fe80::1/", "a `]` is missing"),
        ("ws://[fe80::g]/", "not an IPv6 address"),
        ("ws://[fe80::1%]/", "zone of its IPv6 address"),
        ("ws://[fe80::1%25%00]/", "zone of its IPv6 address"),
        ("ws://[::1]80/", "only a port may follow"),
        ("ws://host:+80/", "its port is not a number"),
        ("ws://host:65536/", "its port is above 65535"),
        ("ws://user:pass/word@host/", "in a password, `/`, `?`, `#` and `@` must be"),
        ("ws://us%3Aer:password@host/", "a user name with a colon"),
        ("ws:host", "expected `ws://host:port/path`"),
    ] {
        let error = Client::connect(url).await.unwrap_err();
        let ConnectError::Url(text) = &error else { panic!("{url}: {error:?}") };
        assert!(text.contains(words), "{url}: {text}");
        assert!(!text.contains(char::is_control) && !text.contains("password@"), "{text}");
    }
}

#[tokio::test]
async fn user_information_is_sent_as_basic_authorization() {
    for (url, pair) in [
        ("ws://user:password@host/", Some("dXNlcjpwYXNzd29yZA==")),
        ("ws://user@host/", Some("dXNlcjo=")),
        ("ws://:password@host/", Some("OnBhc3N3b3Jk")),
        // RFC 7617, section 2.1: the pound sign in UTF-8.
        ("ws://test:123%C2%A3@host/", Some("dGVzdDoxMjPCow==")),
        ("ws://a%40b:c%2Fd:e@host/", Some("YUBiOmMvZDpl")),
        ("ws://a@b:c@host/", Some("YUBiOmM=")),
        ("ws://a:100%@host/", Some("YToxMDAl")),
        ("ws://@host/", None),
        ("ws://:@host/", None),
        ("ws://host/user:password@", None),
    ] {
        let lines = request(Client::builder(), url).await;
        let sent = lines.iter().find_map(|line| line.strip_prefix("Authorization: "));
        assert_eq!(sent, pair.map(|pair| format!("Basic {pair}")).as_deref(), "{url}");
    }
}

#[tokio::test]
async fn an_authorization_header_replaces_user_information() {
    let fixed = Client::builder().header("authorization", "Bearer x");
    let fresh = Client::builder().headers_with(|| async { Ok([("Authorization", "Bearer x")]) });
    for client in [fixed, fresh] {
        let lines = request(client, "ws://user:password@host/").await;
        let sent = lines.iter().filter(|line| line.to_lowercase().starts_with("authorization:"));
        assert_eq!(sent.collect::<Vec<_>>(), ["authorization: Bearer x"]);
    }
}

#[tokio::test]
async fn user_information_is_in_no_error() {
    let refusing = answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await.0;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for url in [
        format!("ws://user:s3cr3t@{refusing}/"),
        format!("ws://user:s3cr3t@{closed}/"),
        "ws://user:s3cr3t@127.0.0.1:99999/".to_owned(),
        "ws://us%3Aer:s3cr3t@127.0.0.1/".to_owned(),
        "ws://user:s3cr3t@host name/".to_owned(),
    ] {
        let error = Client::connect(&url).await.unwrap_err();
        for shown in [error.to_string(), format!("{error:?}")] {
            let encoded = shown.contains("s3cr3t") || shown.contains("dXNlcj");
            assert!(!encoded, "{url}: {shown}");
        }
    }
}

#[tokio::test]
async fn handlers_see_user_information_and_encoded_paths() {
    let server = Server::builder().path("/caf\u{e9}").method(
        "seen",
        |ctx: wsjsonrpc::Context, ()| async move {
            let handshake = ctx.handshake();
            Ok((handshake.target.clone(), handshake.header("authorization").map(str::to_owned)))
        },
    );
    let (url, _) = listen(server).await;
    let with_user = url.replace("ws://", "ws://ada:x@");
    let base = with_user.strip_suffix("/caf%C3%A9").unwrap();
    for path in ["/caf\u{e9}?q=\u{fc}", "/caf%C3%A9?q=%C3%BC"] {
        let client = Client::connect(&format!("{base}{path}")).await.unwrap();
        let seen: (String, Option<String>) = client.peer().call("seen", ()).await.unwrap();
        let expected = ("/caf%C3%A9?q=%C3%BC".to_owned(), Some("Basic YWRhOng=".to_owned()));
        assert_eq!(seen, expected, "{path}");
    }
}

#[tokio::test]
async fn an_ipv6_zone_is_not_sent_to_the_server() {
    let Ok(server) = Server::builder()
        .method("host", |ctx: wsjsonrpc::Context, ()| async move {
            Ok(ctx.handshake().header("host").map(str::to_owned))
        })
        .bind("[::1]:0")
        .await
    else {
        // This machine has no IPv6.
        return;
    };
    let address = server.local_addr();
    tokio::spawn(server.run());
    let url = format!("ws://[::1%251]:{}/", address.port());
    let client = Client::connect(&url).await.unwrap();
    let host: Option<String> = client.peer().call("host", ()).await.unwrap();
    assert_eq!(host, Some(address.to_string()));

    // No machine has an interface with this name.
    let url = format!("ws://[fe80::1%25no%20such]:{}/", address.port());
    let error = Client::connect(&url).await.unwrap_err();
    let words = "connection failed: cannot resolve host `fe80::1%no such`: ";
    assert!(error.to_string().starts_with(words), "{error}");
}

#[tokio::test]
async fn a_failed_connection_names_its_target() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = Client::connect(&format!("ws://{free}/?token=x")).await.unwrap_err();
    let ConnectError::Io(io) = &error else { panic!("{error:?}") };
    assert_eq!(io.kind(), io::ErrorKind::ConnectionRefused);
    let words = format!("connection failed: {free}: Connection refused");
    assert!(error.to_string().starts_with(&words), "{error}");

    let error = Client::connect(&format!("ws://localhost:{}/", free.port())).await.unwrap_err();
    let words = format!("connection failed: localhost:{} (", free.port());
    assert!(error.to_string().starts_with(&words), "{error}");
}

/// reqwest handles the URLs of the HTTP client, in the same way.
#[tokio::test]
async fn http_urls_are_encoded_and_send_user_information() {
    let answer = r#"{"jsonrpc":"2.0","result":3,"id":1}"#;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
    let (address, asked) = answering(head + answer).await;
    let peer = HttpPeer::new(&format!("http://user:123%C2%A3@{address}?q=\u{fc} x")).unwrap();
    let shown = format!("{peer:?}");
    assert!(!shown.contains("user") && !shown.contains("123%"), "{shown}");
    let peer = peer.peer();
    assert_eq!(peer.call::<i64>("sum", (1, 2)).await.unwrap(), 3);
    // The server waits until the client is gone.
    drop(peer);
    let request = asked.await.unwrap();
    assert!(request.starts_with("POST /?q=%C3%BC%20x HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Basic dXNlcjoxMjPCow==\r\n"), "{request}");
}
