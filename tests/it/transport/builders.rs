//! Building servers and clients: services, listeners, streams that were accepted elsewhere, invalid
//! URLs, and servers that are missing or silent.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use wsjsonrpc::error::{BindError, CloseReason, ConnectError};
use wsjsonrpc::server::{Handshake, ServerBuilder};
use wsjsonrpc::{Client, Config, Context, Error, Methods, Result, Server, memory, rpc};
use wsjsonrpc_tests::{listen, longest_timeouts};

#[rpc(namespace = "math")]
trait Math {
    #[method(aliases = ["add", "plus"])]
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

#[rpc]
trait Text {
    async fn upper(&self, ctx: &Context, text: &str) -> Result<String>;
}

/// Its method has the same name as an alias in `Math`.
#[rpc]
trait Clash {
    async fn plus(&self, ctx: &Context) -> Result<()>;
}

struct All;

impl Math for All {
    async fn sum(&self, _: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }
}

impl Text for All {
    async fn upper(&self, _: &Context, text: &str) -> Result<String> {
        Ok(text.to_uppercase())
    }
}

impl Clash for All {
    async fn plus(&self, _: &Context) -> Result<()> {
        Ok(())
    }
}

fn math() -> MathService<All> {
    Math::into_service(All)
}

fn server() -> ServerBuilder {
    Server::builder().service(math())
}

async fn sum(client: &Client) -> i64 {
    MathClient::new(client).sum(1, 2).await.unwrap()
}

#[tokio::test]
async fn one_server_has_several_services_and_closures() {
    let server = server()
        .service(Text::into_service(All))
        .service(Methods::new().method("one", |_, ()| async { Ok(1) }))
        .method("two", |_, ()| async { Ok(2) });
    let (client, _) = memory::pair(Client::builder(), server).unwrap();
    let peer = client.peer();
    assert_eq!(sum(&client).await, 3);
    assert_eq!(TextClient::new(&peer).upper("a").await.unwrap(), "A");
    assert_eq!(peer.call::<i64>("one", ()).await.unwrap(), 1);
    assert_eq!(peer.call::<i64>("two", ()).await.unwrap(), 2);
    assert_eq!(peer.call::<i64>("add", (3, 4)).await.unwrap(), 7);
    assert_eq!(peer.call::<i64>("plus", (3, 4)).await.unwrap(), 7);
}

fn words(name: &str) -> String {
    format!(
        "method `{name}` is registered twice; \
         rename one of the methods, or give one of the traits a namespace"
    )
}

#[tokio::test]
async fn a_server_names_a_method_that_is_registered_twice() {
    let closure =
        |builder: ServerBuilder, name: &'static str| builder.method(name, |_, ()| async { Ok(()) });
    let cases = [
        ("math.sum", server().service(math())),
        ("math.sum", closure(server(), "math.sum")),
        ("add", closure(server(), "add")),
        ("plus", Server::builder().service(Clash::into_service(All)).service(math())),
        ("x", closure(closure(Server::builder(), "x"), "x")),
    ];
    for (name, builder) in cases {
        let error = builder.bind("127.0.0.1:0").await.unwrap_err();
        let BindError::DuplicateMethod(duplicate) = &error else { panic!("{error:?}") };
        assert_eq!((duplicate.name(), error.to_string()), (name, words(name)));
    }
    let error = server().service(math()).build().unwrap_err();
    assert_eq!(error.to_string(), words("math.sum"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = server().service(math()).listen(listener).unwrap_err();
    assert_eq!(error.to_string(), words("math.sum"));
    let error = memory::pair(Client::builder(), server().service(math())).unwrap_err();
    assert_eq!(error.to_string(), words("math.sum"));
}

#[tokio::test]
async fn a_client_names_a_method_that_is_registered_twice() {
    let client = || Client::builder().service(math()).service(math());
    let (url, _) = listen(server()).await;
    for error in
        [client().connect(&url).await.unwrap_err(), memory::pair(client(), server()).unwrap_err()]
    {
        assert!(matches!(error, ConnectError::DuplicateMethod(_)), "{error:?}");
        assert_eq!(error.to_string(), words("math.sum"));
    }
}

#[tokio::test]
async fn a_client_checks_method_names_before_it_connects() {
    let (mut other_end, stream) = tokio::io::duplex(4096);
    let client = Client::builder().service(math()).service(math());
    let error = client.connect_over("ws://localhost/", stream).await.unwrap_err();
    assert_eq!(error.to_string(), words("math.sum"));
    let mut sent = String::new();
    other_end.read_to_string(&mut sent).await.unwrap();
    assert_eq!(sent, "");
}

#[tokio::test]
async fn a_server_knows_its_address_and_url() {
    let server = server().bind("127.0.0.1:0").await.unwrap();
    assert_eq!(server.url(), format!("ws://{}/", server.local_addr()));
    assert_ne!(server.local_addr().port(), 0);
    let with_path = Server::builder().path("/rpc").bind("127.0.0.1:0").await.unwrap();
    assert_eq!(with_path.url(), format!("ws://{}/rpc", with_path.local_addr()));
}

#[tokio::test]
async fn a_server_accepts_an_existing_listener() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = server().listen(listener).unwrap();
    assert_eq!(server.local_addr(), address);
    tokio::spawn(server.run());
    let client = Client::connect(&format!("ws://{address}/any/path")).await.unwrap();
    assert_eq!(sum(&client).await, 3);
}

/// Connections that nobody accepts: the operating system completes as many as the backlog allows,
/// and the others wait.
#[tokio::test]
async fn a_burst_of_clients_fits_into_the_backlog() {
    let connect = async |server: &Server, most: usize| {
        let address = server.local_addr();
        let mut streams = Vec::new();
        while streams.len() < most {
            let connecting = TcpStream::connect(address);
            match tokio::time::timeout(Duration::from_secs(1), connecting).await {
                Ok(stream) => streams.push(stream.unwrap()),
                Err(_) => break,
            }
        }
        streams.len()
    };
    let server = Server::builder().bind("127.0.0.1:0").await.unwrap();
    let limit = std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok();
    let limit = limit.and_then(|limit| limit.trim().parse().ok()).unwrap_or(128);
    let most = 600.min(limit);
    assert_eq!(connect(&server, most).await, most);
    let server = Server::builder().backlog(3).bind("127.0.0.1:0").await.unwrap();
    let few = connect(&server, 20).await;
    assert!((1..20).contains(&few), "{few}");
    // The backlog is at least 128, however low `max_connections` is.
    let config = Config { max_connections: 1, ..Config::default() };
    let server = Server::builder().config(config).bind("127.0.0.1:0").await.unwrap();
    assert_eq!(connect(&server, 100).await, 100);
    // The port can be bound again at once, although old connections linger.
    let server = Server::builder().bind("127.0.0.1:0").await.unwrap();
    let (url, address) = (server.url(), server.local_addr());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.run_until(async { drop(stopped.await) }));
    let client = Client::connect(&url).await.unwrap();
    drop(stop);
    serving.await.unwrap();
    client.closed().await;
    drop(Server::builder().bind(address).await.unwrap());
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_it() {
    let taken = server().bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr();
    for error in [
        server().bind(address).await.unwrap_err(),
        server().bind(address.to_string()).await.unwrap_err(),
        server().bind(("127.0.0.1", address.port())).await.unwrap_err(),
    ] {
        let BindError::Io { error: io, .. } = &error else { panic!("{error:?}") };
        assert_eq!(io.kind(), io::ErrorKind::AddrInUse);
        let words = error.to_string();
        assert!(words.starts_with(&format!("cannot listen on {address}: ")), "{words}");
    }
}

#[tokio::test]
async fn ipv6_works_in_addresses_and_urls() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        return; // no IPv6 on this machine
    };
    let server = server().listen(listener).unwrap();
    let url = server.url();
    assert!(url.starts_with("ws://[::1]:"), "{url}");
    tokio::spawn(server.run());
    assert_eq!(sum(&Client::connect(&url).await.unwrap()).await, 3);
}

#[tokio::test]
async fn an_endpoint_serves_any_stream() {
    let endpoint = server().build().unwrap();
    let (ours, theirs) = tokio::io::duplex(100);
    let serving = tokio::spawn({
        let endpoint = endpoint.clone();
        async move { endpoint.serve(ours, Some("192.0.2.1:7".parse().unwrap())).await }
    });
    let client = Client::builder().connect_over("ws://example.org/x", theirs).await.unwrap();
    assert_eq!(sum(&client).await, 3);
    assert_eq!(endpoint.connection_count(), 1);
    client.close().await;
    let reason = serving.await.unwrap().unwrap();
    assert!(matches!(reason, CloseReason::Remote { code: 1000, .. }), "{reason:?}");
    assert!(endpoint.connections().is_empty());
}

#[tokio::test]
async fn an_endpoint_serves_a_stream_that_was_upgraded_elsewhere() {
    let server = Server::builder().method("who", |ctx: Context, ()| async move {
        let handshake = ctx.handshake();
        Ok((handshake.path().to_owned(), handshake.header("x-user").map(str::to_owned)))
    });
    let endpoint = server.build().unwrap();
    let (mut ours, theirs) = tokio::io::duplex(4096);
    let serving = tokio::spawn(async move {
        let accepted = tokio_tungstenite::accept_async(&mut ours).await.unwrap();
        drop(accepted);
        let mut handshake = Handshake::new("/chat?room=7");
        handshake.headers.insert("x-user", http::HeaderValue::from_static("ada"));
        endpoint.serve_upgraded(ours, handshake).await
    });
    let client = Client::builder().connect_over("ws://localhost/", theirs).await.unwrap();
    let who: (String, Option<String>) = client.peer().call("who", ()).await.unwrap();
    assert_eq!(who, ("/chat".to_owned(), Some("ada".to_owned())));
    drop(client);
    assert!(matches!(serving.await.unwrap(), CloseReason::Remote { code: 1000, .. }));
}

#[tokio::test]
async fn an_endpoint_pushes_to_all_connected_peers() {
    let (url, endpoint) = listen(server()).await;
    let (told, mut heard) = mpsc::unbounded_channel();
    let mut clients = Vec::new();
    for number in 0..5 {
        let told = told.clone();
        let builder = Client::builder().method("news", move |_, (text,): (String,)| {
            let sent = told.send((number, text));
            async move { Ok(sent?) }
        });
        let client = builder.connect(&url).await.unwrap();
        assert_eq!(sum(&client).await, 3);
        clients.push(client);
    }
    clients.pop().unwrap().close().await;
    for connection in endpoint.connections() {
        // A client that has just disconnected may still be listed.
        let sent = connection.peer().notify("news", ("hear, hear",)).await;
        assert!(matches!(sent, Ok(()) | Err(Error::Closed(_))), "{sent:?}");
    }
    let mut who = Vec::new();
    for _ in 0..4 {
        let (number, text) = heard.recv().await.unwrap();
        assert_eq!(text, "hear, hear");
        who.push(number);
    }
    who.sort_unstable();
    assert_eq!(who, [0, 1, 2, 3]);
}

#[tokio::test]
async fn run_until_closes_the_connections_and_returns() {
    let server = server().bind("127.0.0.1:0").await.unwrap();
    let url = server.url();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run_until(async { drop(stopped.await) }));
    let client = Client::connect(&url).await.unwrap();
    assert_eq!(sum(&client).await, 3);
    stop.send(()).unwrap();
    assert_eq!(running.await.unwrap(), 0);
    let reason = client.closed().await;
    assert!(matches!(reason, CloseReason::Remote { code: 1001, .. }), "{reason:?}");
}

#[tokio::test]
async fn handshake_timeouts_may_be_duration_max() {
    let config = longest_timeouts();
    let (url, endpoint) = listen(server().config(config.clone())).await;
    let client = Client::builder().config(config).connect(&url).await.unwrap();
    assert_eq!(sum(&client).await, 3);
    assert_eq!(endpoint.shutdown().await, 0);
    client.closed().await;
}

#[tokio::test]
async fn only_the_chosen_paths_are_served() {
    let (url, _) = listen(server().path("/rpc").path("/v2/rpc")).await;
    let base = url.strip_suffix("/rpc").unwrap();
    for path in ["/rpc", "/v2/rpc", "/rpc?token=x"] {
        let client = Client::connect(&format!("{base}{path}")).await.unwrap();
        assert_eq!(sum(&client).await, 3, "{path}");
    }
    for path in ["", "/", "/rpc/", "/RPC", "/v2", "/rpc/more"] {
        let error = Client::connect(&format!("{base}{path}")).await.unwrap_err();
        assert!(matches!(error, ConnectError::Refused { .. }), "{path}: {error:?}");
        let seen = if path.is_empty() { "/" } else { path };
        let expected = "the server refused the connection with HTTP status 404 Not Found: \
                        unknown path";
        assert_eq!(error.to_string(), format!("{expected} `{seen}`"), "{path}");
    }
}

#[tokio::test]
async fn an_unusable_url_is_an_error_that_says_why() {
    let no_websocket =
        "is not a WebSocket URL; expected `ws://host:port/path` or `wss://host:port/path`";
    for (url, words) in [
        ("http://127.0.0.1/", no_websocket),
        ("127.0.0.1:80", no_websocket),
        ("/path", no_websocket),
        ("WSX://host", no_websocket),
        ("wss://", "is not a URL"),
        ("", "is not a URL"),
        ("ws://", "is not a URL"),
        ("ws:///path", "is not a URL"),
        ("ws://host name/", "is not a URL"),
        ("ws://127.0.0.1:99999/", "is not a URL"),
    ] {
        let error = Client::connect(url).await.unwrap_err();
        assert!(matches!(error, ConnectError::Url(_)), "{url}: {error:?}");
        let expected = format!("`{url}` {words}");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
    // The message is a single line, whatever text the application passed; the field keeps the text
    // unchanged.
    let wrong = "ws://h\r\nX: y/";
    let header = Client::builder().header("x\r\ny", "1").connect("ws://127.0.0.1:9/").await;
    let subprotocol = Client::builder().subprotocol("x\r\ny").connect("ws://127.0.0.1:9/").await;
    for error in [Client::connect(wrong).await, header, subprotocol].map(Result::unwrap_err) {
        if let ConnectError::Header(words) = &error {
            assert!(words.contains("\r\n"), "{words:?}");
        }
        let text = error.to_string();
        assert!(!text.contains(char::is_control) && text.contains("\\r\\n"), "{text:?}");
    }
    let bound = Server::builder().subprotocol("x\r\ny").bind("127.0.0.1:0").await.unwrap_err();
    assert!(!bound.to_string().contains(char::is_control), "{bound}");
    // Errors contain no secrets.
    for url in ["http://u:s3cr3t@h/p?token=s3cr3t#s3cr3t", "ws://u:s3cr3t@h:99999/p?s3cr3t"] {
        let error = Client::connect(url).await.unwrap_err();
        assert!(error.to_string().contains("://h"), "{error}");
        assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
    }
    let (stream, _) = tokio::io::duplex(100);
    let error = Client::builder().connect_over("http://x/", stream).await.unwrap_err();
    assert!(error.to_string().contains(no_websocket), "{error}");
}

#[tokio::test]
async fn an_absent_server_is_an_io_error() {
    // Bound, so that no other process gets the port, and not listening.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let free = socket.local_addr().unwrap();
    let error = Client::connect(&format!("ws://{free}/")).await.unwrap_err();
    let ConnectError::Io(io) = &error else { panic!("{error:?}") };
    assert_eq!(io.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(error.to_string(), format!("connection failed: {io}"));

    // Longer than any valid host name.
    let error = Client::connect(&format!("ws://{}.invalid/", "x".repeat(64))).await.unwrap_err();
    assert!(matches!(error, ConnectError::Io(_)), "{error:?}");
}

fn impatient() -> Config {
    Config { handshake_timeout: Duration::from_millis(20), ..Config::default() }
}

#[tokio::test]
async fn a_silent_server_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let error = Client::builder().config(impatient()).connect(&url).await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error:?}");

    let (_silent, stream) = tokio::io::duplex(4096);
    let builder = Client::builder().config(impatient());
    let error = builder.connect_over("ws://x/", stream).await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn a_silent_client_is_disconnected() {
    let endpoint = server().config(impatient()).build().unwrap();
    let (_silent, stream) = tokio::io::duplex(4096);
    let error = endpoint.serve(stream, None).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);

    let server = server().config(impatient()).bind("127.0.0.1:0").await.unwrap();
    let mut silent = TcpStream::connect(server.local_addr()).await.unwrap();
    tokio::spawn(server.run());
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
}
