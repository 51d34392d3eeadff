//! The examples that keep handles to their clients, when longer has passed than a call may take, with a
//! client that never reads and one that is gone. In memory, with the clock paused.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::Listener;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::{Client, Endpoint, ErrorObject};

#[path = "axum_app.rs"]
#[allow(dead_code, reason = "its main function is not run here")]
mod axum_app;
#[path = "bidirectional.rs"]
#[allow(dead_code, reason = "its main function is not run here")]
mod bidirectional;

const SECOND: Duration = Duration::from_secs(1);

/// A way to open streams to a server.
type Connect = Box<dyn Fn() -> DuplexStream>;

/// What the server calls on a client, and what it is asked to do first.
#[derive(Clone, Copy)]
struct Names {
    hear: &'static str,
    enter: &'static str,
    say: &'static str,
    path: &'static str,
}

struct Guest {
    client: Client,
    heard: mpsc::UnboundedReceiver<(String, String)>,
}

impl Guest {
    async fn enter(names: Names, connect: &Connect, name: &'static str, cookie: &str) -> Self {
        let (tell, heard) = mpsc::unbounded_channel();
        let hear = move |_, line: (String, String)| {
            let told = tell.send(line);
            async move { told.map(|()| true).map_err(ErrorObject::from) }
        };
        let client = Client::builder()
            .header("cookie", cookie)
            .method(names.hear, hear)
            .method("guest.name", move |_, ()| async move { Ok(name) });
        let client = open(client, names, connect()).await;
        client.peer().call::<Value>(names.enter, ()).await.unwrap();
        Guest { client, heard }
    }

    /// The next line of somebody, past those of the room.
    async fn hears(&mut self, who: &str, text: &str) {
        loop {
            let (from, line) = self.heard.recv().await.unwrap();
            if from != "room" {
                return assert_eq!((from.as_str(), line.as_str()), (who, text));
            }
        }
    }
}

async fn open(client: ClientBuilder, names: Names, stream: DuplexStream) -> Client {
    client.connect_over(&format!("ws://localhost{}", names.path), stream).await.unwrap()
}

/// Passes bytes on to a client until it is told to stop. From then on the client takes nothing.
fn through(server: DuplexStream) -> (DuplexStream, mpsc::Sender<()>) {
    let (client, mut near) = duplex(1024);
    let (stop, mut stopped) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut server = server;
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut server, &mut near) => {}
            _ = stopped.recv() => std::future::pending().await,
        }
    });
    (client, stop)
}

/// `cookies`: of each guest.
async fn check(names: Names, connect: Connect, cookies: [String; 4], large: &str, others: usize) {
    let mut ada = Guest::enter(names, &connect, "Ada", &cookies[0]).await;
    let mut bob = Guest::enter(names, &connect, "Bob", &cookies[1]).await;
    let gone = Guest::enter(names, &connect, "gone", &cookies[2]).await;
    // One that stops reading when it has come in.
    let (tell, stops) = std::sync::mpsc::channel();
    let slowed: Connect = Box::new(move || {
        let (client, stop) = through(connect());
        tell.send(stop).unwrap();
        client
    });
    let _silent = Guest::enter(names, &slowed, "silent", &cookies[3]).await;
    stops.recv().unwrap().send(()).await.unwrap();
    drop(gone);
    sleep(31 * SECOND).await;
    for number in 0..others {
        let text = format!("{number}{large}");
        let begun = Instant::now();
        let said = ada.client.peer().call::<Value>(names.say, (&text,)).await.unwrap();
        assert!(
            begun.elapsed() < 10 * SECOND,
            "nobody waits for the slowest: {:?}",
            begun.elapsed()
        );
        ada.hears("Ada", &text).await;
        bob.hears("Ada", &text).await;
        // Where it is counted, two have shown it.
        assert!(said.is_null() || said == 2, "{said}");
    }
}

/// An HTTP server's listener, whose connections are opened in memory.
struct Memory(mpsc::UnboundedReceiver<DuplexStream>);

impl Listener for Memory {
    type Io = DuplexStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (DuplexStream, SocketAddr) {
        match self.0.recv().await {
            Some(stream) => (stream, SocketAddr::from(([127, 0, 0, 1], 1))),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([127, 0, 0, 1], 80)))
    }
}

/// Logs in by the form; gives the cookie.
async fn log_in(mut stream: DuplexStream, name: &str) -> String {
    let body = format!("name={name}");
    let head = "POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Type: application/x-www-form-urlencoded\r\nContent-Length:";
    let request = format!("{head} {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let cookie = answer.split_once("session=").unwrap().1.split_once(';').unwrap().0;
    format!("session={cookie}")
}

#[tokio::test(start_paused = true)]
async fn axum_app() {
    let recorder = PrometheusBuilder::new().build_recorder().handle();
    let app = axum_app::app(&axum_app::endpoint().unwrap(), recorder);
    let (accept, accepted) = mpsc::unbounded_channel();
    tokio::spawn(async move { axum::serve(Memory(accepted), app).await.unwrap() });
    let connect: Connect = Box::new(move || {
        let (client, server) = duplex(64 * 1024);
        accept.send(server).unwrap();
        client
    });
    let mut cookies = [const { String::new() }; 4];
    for (cookie, name) in cookies.iter_mut().zip(["Ada", "Bob", "gone", "silent"]) {
        *cookie = log_in(connect(), name).await;
    }
    let names = Names { hear: "page.show", enter: "room.join", say: "room.say", path: "/rpc" };
    check(names, connect, cookies, "", 3).await;
}

#[tokio::test(start_paused = true)]
async fn bidirectional() {
    let endpoint: Endpoint = bidirectional::server().build().unwrap();
    let connect: Connect = Box::new(move || {
        let (client, server) = duplex(64 * 1024);
        let endpoint = endpoint.clone();
        tokio::spawn(async move { endpoint.serve(server, None).await });
        client
    });
    let names = Names { hear: "guest.heard", enter: "room.enter", say: "room.say", path: "/" };
    // So much that the silent guest's connection has no room at some time.
    let large = "x".repeat(400 * 1024);
    check(names, connect, [const { String::new() }; 4], &large, 8).await;
}
