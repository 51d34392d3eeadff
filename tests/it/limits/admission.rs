//! Limits on the number of connections. A client over a limit gets an HTTP error, other clients are
//! not affected, and a connection stops counting however it ended.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use wsjsonrpc::error::{CloseReason, ConnectError};
use wsjsonrpc::server::{Grant, Handshake, ServerBuilder};
use wsjsonrpc::{Client, Config, Endpoint};
use wsjsonrpc_tests::http::{UPGRADE, address_of, http, opened, read_head, refusal, upgrade};
use wsjsonrpc_tests::{Gate, Raw, begin, child, listen, request, result, test_name};

const FULL: &str = "the server has reached its connection limit; try again later";
const TOO_MANY: &str = "too many connections from this address; close some first";

fn full() -> String {
    refusal("503 Service Unavailable", "retry-after: 5\r\n", FULL)
}

fn too_many() -> String {
    refusal("429 Too Many Requests", "retry-after: 5\r\n", TOO_MANY)
}

fn server(max_connections: usize, per_address: Option<usize>) -> ServerBuilder {
    let config =
        Config { max_connections, max_connections_per_address: per_address, ..Config::default() };
    wsjsonrpc_tests::server().config(config)
}

async fn one(client: &Client) {
    assert_eq!(client.peer().call::<i64>("double", (1,)).await.unwrap(), 2);
}

/// Repeats `ask` until the result changes, because the server notices dropped clients only later.
async fn until_not(answer: &str, mut ask: impl AsyncFnMut() -> String) -> String {
    loop {
        let got = ask().await;
        if got != answer {
            return got;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn over_max_connections_clients_get_503_until_one_closes() {
    let server = server(2, None).bind("127.0.0.1:0").await.unwrap();
    let (url, address) = (server.url(), server.local_addr());
    tokio::spawn(server.run());
    let first = Client::connect(&url).await.unwrap();
    let second = Client::connect(&url).await.unwrap();
    for _ in 0..3 {
        assert_eq!(http(address, upgrade("/", "")).await, full());
    }
    let error = Client::connect(&url).await.unwrap_err();
    let words = format!("HTTP status 503 Service Unavailable: {FULL}");
    assert!(error.to_string().ends_with(&words), "{error}");
    one(&first).await;
    one(&second).await;

    second.close().await;
    let answer = until_not(&full(), || http(address, upgrade("/", ""))).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    one(&first).await;
}

#[tokio::test]
async fn over_the_limit_per_address_a_client_gets_429() {
    let server = server(10, Some(2)).bind("127.0.0.1:0").await.unwrap();
    let (url, address) = (server.url(), server.local_addr());
    let endpoint = server.endpoint().clone();
    tokio::spawn(server.run());
    let first = Client::connect(&url).await.unwrap();
    let second = Client::connect(&url).await.unwrap();
    assert_eq!(http(address, upgrade("/", "")).await, too_many());
    // Other addresses, and clients without an address, do not count.
    let client = over(&endpoint, Some("192.0.2.1:1")).await.unwrap();
    one(&client).await;
    one(&over(&endpoint, None).await.unwrap()).await;
    one(&first).await;

    drop(second);
    let answer = until_not(&too_many(), || http(address, upgrade("/", ""))).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    one(&first).await;
}

/// A client that connects to the endpoint from this address.
async fn over(endpoint: &Endpoint, address: Option<&str>) -> Result<Client, ConnectError> {
    let (ours, theirs) = tokio::io::duplex(4096);
    let (endpoint, address) = (endpoint.clone(), address.map(|text| text.parse().unwrap()));
    tokio::spawn(async move { endpoint.serve(theirs, address).await });
    Client::builder().connect_over("ws://x/", ours).await
}

async fn status(endpoint: &Endpoint, address: &str) -> u16 {
    match over(endpoint, Some(address)).await {
        Ok(_) => 101,
        Err(ConnectError::Refused { status, .. }) => status.as_u16(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn an_ipv6_network_counts_as_one_address() {
    let endpoint = server(10, Some(1)).build().unwrap();
    let client = over(&endpoint, Some("[2001:db8::1]:1")).await.unwrap();
    assert_eq!(status(&endpoint, "[2001:db8::2]:1").await, 429);
    assert_eq!(status(&endpoint, "[2001:db8:0:1::1]:1").await, 101);
    one(&client).await;
}

/// Unfinished handshakes count, so slow clients cannot hold more connections than the limit.
#[tokio::test(start_paused = true)]
async fn unfinished_handshakes_count_as_connections() {
    let endpoint = server(3, None).build().unwrap();
    let client = over(&endpoint, None).await.unwrap();
    let (mut silent, _) = serve(&endpoint);
    let (mut slow, _) = serve(&endpoint);
    slow.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let (mut late, _) = serve(&endpoint);
    late.write_all(upgrade("/", "").as_bytes()).await.unwrap();
    assert_eq!(until_end(&mut late).await, full());
    one(&client).await;
    // The handshake times out. A client that sent nothing gets no response.
    assert_eq!(until_end(&mut silent).await, "");
    let words = "the request did not arrive completely within the server's handshake timeout";
    assert_eq!(until_end(&mut slow).await, refusal("408 Request Timeout", "", words));
    one(&over(&endpoint, None).await.unwrap()).await;
    one(&client).await;
}

async fn until_end(stream: &mut DuplexStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// A stream to the endpoint, and the task that serves it, which can be aborted.
fn serve(endpoint: &Endpoint) -> (DuplexStream, tokio::task::JoinHandle<()>) {
    let (ours, theirs) = tokio::io::duplex(4096);
    let endpoint = endpoint.clone();
    let address: SocketAddr = "192.0.2.1:1".parse().unwrap();
    let serving = tokio::spawn(async move {
        let _ = endpoint.serve(theirs, Some(address)).await;
    });
    (ours, serving)
}

async fn answer(stream: &mut DuplexStream) -> String {
    read_head(stream).await
}

/// The limit is one connection, so each success shows that the previous connection no longer
/// counts.
#[tokio::test(start_paused = true)]
async fn a_connection_stops_counting_however_it_ended() {
    let gate = Gate::default();
    let held = gate.clone();
    let server = server(1, Some(1)).path("/").authorize_fn(|handshake| async move {
        assert_ne!(handshake.query(), Some("panic"), "as the test wants it");
        if handshake.query() == Some("slow") {
            std::future::pending::<()>().await;
        }
        Ok(Grant::new())
    });
    let server = server.method("hold", move |_, ()| {
        let held = held.clone();
        async move {
            held.pass().await;
            Ok(())
        }
    });
    let endpoint = server.build().unwrap();
    for end in [
        "refused by path",
        "malformed",
        "panic",
        "slow",
        "silent",
        "gone in the head",
        "aborted",
        "aborted in the head",
        "disconnected",
        "protocol error",
        "handler in flight",
    ] {
        let (mut stream, serving) = serve(&endpoint);
        match end {
            "refused by path" => stream.write_all(upgrade("/x", "").as_bytes()).await.unwrap(),
            "malformed" => stream.write_all(b"\r\n\r\n\r\n").await.unwrap(),
            "panic" | "slow" => {
                let request = upgrade(&format!("/?{end}"), "");
                stream.write_all(request.as_bytes()).await.unwrap();
            }
            "silent" => {}
            "gone in the head" | "aborted in the head" => {
                stream.write_all(b"GET /").await.unwrap();
                tokio::task::yield_now().await;
            }
            _ => {
                stream.write_all(upgrade("/", "").as_bytes()).await.unwrap();
                assert!(answer(&mut stream).await.starts_with("HTTP/1.1 101 "), "{end}");
            }
        }
        if end == "handler in flight" {
            let call = wsjsonrpc_tests::frame(0x81, request("hold", "[]", "1").as_bytes());
            stream.write_all(&call).await.unwrap();
            gate.arrived(1).await;
        }
        if end == "protocol error" {
            stream.write_all(&[0xff; 20]).await.unwrap();
        }
        if end.starts_with("aborted") {
            // Polled at least once.
            tokio::task::yield_now().await;
            serving.abort();
        }
        if end == "silent" || end == "slow" {
            serving.await.unwrap();
        } else {
            drop(stream);
            let _ = serving.await;
        }
        if end == "handler in flight" {
            assert_eq!(status(&endpoint, "192.0.2.1:1").await, 503, "it is the handler's");
            gate.open(1);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let client = over(&endpoint, Some("192.0.2.1:1")).await;
        let client = client.unwrap_or_else(|error| panic!("after `{end}`: {error}"));
        one(&client).await;
        client.close().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // One that is never polled, and one that is dropped after its first poll.
    drop(endpoint.serve(tokio::io::duplex(64).1, None));
    let (_half, theirs) = tokio::io::duplex(64);
    drop(begin(endpoint.serve(theirs, None)).await);
    one(&over(&endpoint, None).await.unwrap()).await;
}

#[tokio::test]
async fn an_upgraded_stream_over_the_limit_is_closed_with_1013() {
    let endpoint = server(1, None).build().unwrap();
    let (mut first, _) = Raw::client_of(&endpoint).await;
    first.check(&request("double", "[1]", "1"), &[&result("2", "1")]).await;
    let (mut second, serving) = Raw::client_of(&endpoint).await;
    let frame = second.receive_close().await.unwrap();
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1013, FULL));
    second.hang_up();
    assert!(matches!(serving.await.unwrap(), CloseReason::Local));
    first.check(&request("double", "[1]", "2"), &[&result("2", "2")]).await;

    let mut handshake = Handshake::new("/");
    handshake.remote_addr = Some("192.0.2.1:1".parse().unwrap());
    let endpoint = server(10, Some(0)).build().unwrap();
    let (ours, theirs) = tokio::io::duplex(4096);
    drop(ours);
    let served = endpoint.serve_upgraded(theirs, handshake).await;
    assert!(matches!(served, CloseReason::Local));
}

#[tokio::test]
async fn a_server_refuses_a_head_over_max_handshake_size() {
    let request = |size: usize| {
        let head = format!("GET / HTTP/1.1\r\n{UPGRADE}X: \r\n\r\n");
        head.replace("X: ", &format!("X: {}", "x".repeat(size - head.len())))
    };
    let words = "the request line and headers are too large";
    let large = refusal("431 Request Header Fields Too Large", "", words);
    for limit in [400, 16 * 1024, 100_000] {
        let config = Config { max_handshake_size: limit, ..Config::default() };
        let (url, _) = listen(server(10, None).config(config)).await;
        let uri: http::Uri = url.parse().unwrap();
        let address: SocketAddr = uri.authority().unwrap().as_str().parse().unwrap();
        let (mut bystander, _) = opened(address, &request(limit)).await;
        assert_eq!(request(limit).len(), limit);
        assert_eq!(http(address, request(limit + 1)).await, large);
        // A head without end.
        let endless = request(2 * limit).replace("\r\n\r\n", "");
        assert_eq!(http(address, endless).await, large);
        let ping = [0x89, 0x80, 0, 0, 0, 0];
        bystander.write_all(&ping).await.unwrap();
        assert_eq!(bystander.read_u8().await.unwrap(), 0x8a);
    }
    assert_eq!(Config::default().max_handshake_size, 16 * 1024);
    assert_eq!(Config::default().max_connections, 10_000);
    assert_eq!(Config::default().max_connections_per_address, None);
    assert_eq!(Config::default().handshake_timeout, Duration::from_secs(10));
}

#[tokio::test]
async fn a_client_refuses_a_head_over_max_handshake_size() {
    let config = Config { max_handshake_size: 1000, ..Config::default() };
    let (ours, mut theirs) = tokio::io::duplex(100_000);
    let head = format!("HTTP/1.1 101 Switching Protocols\r\nX: {}", "x".repeat(2000));
    theirs.write_all(head.as_bytes()).await.unwrap();
    let client = Client::builder().config(config);
    let error = client.connect_over("ws://x/", ours).await.unwrap_err();
    assert!(matches!(error, ConnectError::Handshake(_)), "{error:?}");
    assert!(error.to_string().contains("head of the response is larger than"), "{error}");
}

/// Refusing a connection must cost less than serving it: clients that do not read the refusal do
/// not pile up.
#[tokio::test(start_paused = true)]
async fn refused_connections_do_not_pile_up() {
    let endpoint = server(0, None).build().unwrap();
    let mut streams: Vec<DuplexStream> = (0..128).map(|_| serve(&endpoint).0).collect();
    tokio::task::yield_now().await;
    let (mut one_more, serving) = serve(&endpoint);
    serving.await.unwrap();
    assert_eq!(one_more.read(&mut [0; 1]).await.unwrap(), 0, "the server must disconnect");
    // The timeout disconnects the others too.
    for stream in &mut streams {
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    }
    let (mut stream, _) = serve(&endpoint);
    stream.write_all(upgrade("/", "").as_bytes()).await.unwrap();
    assert_eq!(until_end(&mut stream).await, full());
}

/// Set in the process with few file descriptors.
#[cfg(unix)]
const CHILD: &str = "WSJSONRPC_TEST_FEW_DESCRIPTORS";

/// Runs this test again in a process with a low limit of open files.
#[cfg(unix)]
#[test]
fn accepting_resumes_when_file_descriptors_are_free_again() {
    if std::env::var_os(CHILD).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(without_file_descriptors());
    }
    let wrapper = ["sh", "-c", "ulimit -n 40 && exec \"$0\" \"$@\""];
    let this = test_name!(accepting_resumes_when_file_descriptors_are_free_again);
    let output = child::command(&wrapper, this).env(CHILD, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("nothing left"), "{text}");
}

#[cfg(unix)]
async fn without_file_descriptors() {
    let (url, _) = listen(server(1000, None)).await;
    let address = address_of(&url);
    let client = Client::connect(&url).await.unwrap();
    let mut hoard = Vec::new();
    let error = loop {
        // The server uses up descriptors at the same time.
        tokio::task::yield_now().await;
        match TcpStream::connect(address).await {
            Ok(stream) => hoard.push(stream),
            Err(error) => break error,
        }
    };
    println!("nothing left: {error}");
    one(&client).await;
    // A connection that the operating system has established, but that the server has not accepted.
    drop(hoard.pop());
    let waiting = TcpStream::connect(address).await.unwrap();
    // Gives the server time to try to accept it.
    for _ in 0..20 {
        one(&client).await;
    }
    drop(hoard);
    one(&Client::connect(&url).await.unwrap()).await;
    one(&client).await;
    drop(waiting);
}
