//! Connections for the Autobahn test suite (`tests/autobahn`). All code is the real code, from the
//! opening handshake to the end, except that messages are echoed instead of dispatched.

use super::*;

use futures_util::{SinkExt, StreamExt};
use http::HeaderMap;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::handshake::accept::accept;
use crate::handshake::open::open;
use crate::handshake::rules::{Arrival, Rules};
use crate::util::runtime::deadline;
use crate::websocket::stream::Stream;

const FIN_BINARY: u8 = 0x82;

/// Echoes a message: text as text, and binary as binary.
fn echo(received: &Received, link: &Link) -> bool {
    match received {
        Received::Text(text) => link.send_queue.answer(text.as_bytes().to_vec()),
        Received::Binary(bytes) => link.send_queue.answer_as(FIN_BINARY, bytes.to_vec()),
        _ => return false,
    }
    true
}

fn echoing(transport: Transport, side: Side, config: &Arc<Config>) -> ConnectionTask {
    let setup = Setup {
        side,
        config: Arc::clone(config),
        router: Arc::default(),
        handshake: Handshake::new("/"),
        tracker: None,
        permit: None,
        index: None,
        gate: None,
    };
    let mut connection = ConnectionTask::new(transport, setup);
    connection.reader.takes = Some(echo);
    connection
}

/// The largest messages of the suite's group 9.
fn config() -> Arc<Config> {
    let max_incoming_message = 16 << 20;
    Arc::new(Config { max_incoming_message, ..Config::default() })
}

/// Serves one client.
async fn serve(stream: TcpStream, config: Arc<Config>) {
    stream.set_nodelay(true).unwrap();
    let mut stream = Stream::tcp(stream);
    let deadline = deadline(Instant::now(), config.handshake_timeout);
    let arrival = Arrival { remote_addr: None, secure: false, deadline, refusal: None };
    let (rules, max_head) = (Rules::default(), config.max_handshake_size);
    if let Ok(accepted) = accept(&mut stream, arrival, &rules, max_head).await {
        let transport = Transport::new(stream, accepted.part, Role::Server, &config);
        echoing(transport, Side::Server, &config).await;
    }
}

/// Opens one connection and serves it until it ends.
async fn visit(address: &str, target: &str, config: &Arc<Config>) {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut stream = Stream::tcp(stream);
    let target = crate::handshake::url::parse(&format!("ws://{address}{target}")).unwrap();
    let (headers, max_head) = (HeaderMap::new(), config.max_handshake_size);
    let (_, _, part) = open(&mut stream, &target, &headers, max_head).await.unwrap();
    let transport = Transport::new(stream, part, Role::Client, config);
    echoing(transport, Side::Client, config).await;
}

/// The first message of a server.
async fn ask(address: &str, target: &str) -> String {
    let stream = TcpStream::connect(address).await.unwrap();
    let url = format!("ws://{address}{target}");
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    match socket.next().await {
        Some(Ok(Message::Text(text))) => text.as_str().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn whole_messages_come_back_as_what_they_are() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { serve(listener.accept().await.unwrap().0, config()).await });
    let stream = TcpStream::connect(&address).await.unwrap();
    let url = format!("ws://{address}/");
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    let large = "x".repeat(1 << 20);
    for message in [Message::text("no JSON"), Message::binary(b"\xff".to_vec()), large.into()] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    for (part, first, last) in [("a", Data::Binary, false), ("b", Data::Continue, true)] {
        let frame = Frame::message(part, OpCode::Data(first), last);
        socket.send(Message::Frame(frame)).await.unwrap();
    }
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::binary("ab"));
}

#[tokio::test]
#[ignore = "run by tests/autobahn/run"]
async fn serves_the_suite() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("\nserves {}", listener.local_addr().unwrap());
    loop {
        tokio::spawn(serve(listener.accept().await.unwrap().0, config()));
    }
}

#[tokio::test]
#[ignore = "run by tests/autobahn/run, which sets WSJSONRPC_AUTOBAHN"]
async fn visits_the_suite() {
    let address = std::env::var("WSJSONRPC_AUTOBAHN").expect("the address of the suite's server");
    let cases: usize = ask(&address, "/getCaseCount").await.parse().unwrap();
    for case in 1..=cases {
        visit(&address, &format!("/runCase?case={case}&agent=client"), &config()).await;
    }
    visit(&address, "/updateReports?agent=client", &config()).await;
}
