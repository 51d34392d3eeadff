//! When a timer fires late, bytes that have already arrived are read first.

use std::future::IntoFuture;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::{Client, Config, Error, Server};
use wsjsonrpc_tests::http::{accept_key, read_head};
use wsjsonrpc_tests::{Raw, SECOND, begin, child, frame, id_of, notification, result, test_name};

/// The response is behind more messages than the connection reads in one turn.
#[tokio::test(start_paused = true)]
async fn a_late_timer_waits_for_a_response_already_received() {
    let server = Server::builder().call_timeout(10 * SECOND);
    let (mut raw, peer) = Raw::client_and_peer(server).await;
    let call = begin(peer.call::<u32>("late", ()).into_future()).await;
    raw.receive().await;
    let other = frame(0x81, notification("no.such.method", "[]").as_bytes());
    let mut bytes = other.repeat(500);
    bytes.extend(frame(0x81, result("7", "\"s1\"").as_bytes()));
    raw.send_bytes(&bytes).await;
    tokio::time::advance(60 * SECOND).await;
    assert_eq!(call.await.unwrap(), 7);
    // Without a response, the call still times out.
    let call = begin(peer.call::<u32>("never", ()).into_future()).await;
    raw.receive().await;
    tokio::time::advance(60 * SECOND).await;
    assert!(matches!(call.await, Err(Error::Timeout(_))));
}

/// After a pause, a silent peer gets time for the bytes that the pause has delayed.
#[tokio::test(start_paused = true)]
async fn a_paused_process_does_not_time_out_its_peer() {
    let config = Config { ping_interval: Some(30 * SECOND), ..Config::default() };
    let (mut raw, peer) = Raw::client_and_peer(Server::builder().config(config)).await;
    let other = frame(0x81, notification("no.such.method", "[]").as_bytes());
    for _ in 0..10 {
        let ping = raw.socket.next().await;
        assert!(matches!(ping, Some(Ok(Message::Ping(_)))), "{ping:?}");
        // The bytes of the peer arrive after the pause, as with a virtual machine.
        tokio::time::advance(600 * SECOND).await;
        sleep(3 * SECOND).await;
        raw.send_bytes(&other).await;
    }
    // A peer that is gone is noticed at the usual time.
    sleep(60 * SECOND).await;
    assert!(matches!(peer.closed().await, CloseReason::Unresponsive));
}

const CHILD: &str = "WSJSONRPC_TEST_PAUSED";
/// Connections with a pending call and an unanswered ping.
const CALLS: usize = 30;

fn config() -> Config {
    Config {
        ping_interval: Some(2 * SECOND),
        call_timeout: Some(4 * SECOND),
        handshake_timeout: 4 * SECOND,
        write_timeout: 4 * SECOND,
        ..Config::default()
    }
}

async fn call(url: &str) -> Result<u32, Error> {
    let client = Client::builder().config(config()).connect(url).await.unwrap();
    let first: u32 = client.peer().call("held", ()).await?;
    let second: u32 = client.peer().call("quick", ()).await?;
    Ok(first + second)
}

/// Sends more than all buffers on the path hold.
async fn push(url: &str) -> Result<(), Error> {
    let config = Config { ping_interval: None, ..config() };
    let client = Client::builder().config(config).connect(url).await.unwrap();
    let text = "x".repeat(1 << 20);
    for _ in 0..64 {
        client.peer().notify("push", (&text,)).await?;
    }
    Ok(())
}

/// The program of the process that is stopped.
async fn run(address: &str) {
    let urls: Vec<String> =
        ["call", "push", "open"].iter().map(|path| format!("ws://{address}/{path}")).collect();
    let mut tasks = Vec::new();
    for _ in 0..CALLS {
        let url = urls[0].clone();
        tasks.push(tokio::spawn(async move { format!("call {:?}", call(&url).await) }));
    }
    let url = urls[1].clone();
    tasks.push(tokio::spawn(async move { format!("push {:?}", push(&url).await) }));
    let url = urls[2].clone();
    tasks.push(tokio::spawn(async move {
        let opened = Client::builder().config(config()).connect(&url).await;
        format!("open {:?}", opened.map(drop))
    }));
    for task in tasks {
        println!("outcome {}", task.await.unwrap());
    }
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

/// A client of the process, after the head of its request was read.
struct Visitor {
    stream: TcpStream,
    path: String,
    accept: String,
}

async fn accept(listener: &TcpListener) -> Visitor {
    let (mut stream, _) = listener.accept().await.unwrap();
    let head = read_head(&mut stream).await;
    let path = head.split(' ').nth(1).unwrap().to_owned();
    Visitor { stream, path, accept: accept_key(&head) }
}

impl Visitor {
    async fn open(mut self) -> WebSocketStream<TcpStream> {
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            self.accept
        );
        self.stream.write_all(head.as_bytes()).await.unwrap();
        let role = tokio_tungstenite::tungstenite::protocol::Role::Server;
        WebSocketStream::from_raw_socket(self.stream, role, None).await
    }
}

fn answer(text: &str) -> Message {
    Message::text(result("1", &id_of(text)))
}

/// Real sockets, a runtime with several threads, and a process that is stopped while its timers
/// expire: everything that arrived meanwhile counts.
#[cfg(unix)]
#[test]
fn a_stopped_process_loses_no_call_and_no_connection() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap()
    };
    if let Ok(address) = std::env::var(CHILD) {
        return runtime().block_on(run(&address));
    }
    runtime().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut child =
            child::command(&[], test_name!(a_stopped_process_loses_no_call_and_no_connection))
                .env(CHILD, listener.local_addr().unwrap().to_string())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
        let (mut calls, mut pushes, mut opens) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..CALLS + 2 {
            let visitor = accept(&listener).await;
            match visitor.path.as_str() {
                "/call" => calls.push(visitor.open().await),
                "/push" => pushes.push(visitor.open().await),
                _ => opens.push(visitor),
            }
        }
        let mut asked = Vec::new();
        for socket in &mut calls {
            let Some(Ok(Message::Text(text))) = socket.next().await else { panic!("no call") };
            let ping = socket.next().await;
            assert!(matches!(ping, Some(Ok(Message::Ping(_)))), "{ping:?}");
            asked.push(text);
        }

        signal(&child, "-STOP");
        for (socket, text) in calls.iter_mut().zip(asked) {
            // The pong is sent together with the response.
            socket.send(answer(&text)).await.unwrap();
        }
        let mut rest = Vec::new();
        for mut socket in pushes {
            let stream = socket.get_mut();
            let mut waste = vec![0; 1 << 16];
            while tokio::time::timeout(SECOND, stream.read(&mut waste)).await.is_ok() {}
            rest.push(tokio::spawn(async move {
                let stream = socket.get_mut();
                while stream.read(&mut waste).await.is_ok_and(|count| count > 0) {}
            }));
        }
        let mut opened = Vec::new();
        for visitor in opens {
            opened.push(visitor.open().await);
        }
        sleep(5 * SECOND).await;
        signal(&child, "-CONT");

        for mut socket in calls {
            rest.push(tokio::spawn(async move {
                while let Some(Ok(message)) = socket.next().await {
                    if let Message::Text(text) = message {
                        socket.send(answer(&text)).await.unwrap();
                    }
                }
            }));
        }
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let lines = tokio::task::spawn_blocking(move || {
            let lines = stdout.lines().map_while(Result::ok);
            let outcomes =
                lines.filter_map(|line| line.strip_prefix("outcome ").map(str::to_owned));
            outcomes.collect::<Vec<String>>()
        });
        let mut expected = vec!["call Ok(2)"; CALLS];
        expected.extend(["push Ok(())", "open Ok(())"]);
        assert_eq!(lines.await.unwrap(), expected);
        assert!(child.wait().unwrap().success());
        rest.iter().for_each(tokio::task::JoinHandle::abort);
    });
}
