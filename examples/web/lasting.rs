//! The example `axum_app` after a minute, with a slow page and with one that has gone. Connections are in memory,
//! and the clock is paused: it advances when all tasks wait.

use std::io;
use std::net::SocketAddr;

use axum::serve::Listener;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;

use guests::{Connect, Names};

#[path = "axum_app.rs"]
#[allow(dead_code, reason = "the test does not run its main function")]
mod axum_app;
#[path = "../lasting/guests.rs"]
mod guests;

/// A listener for connections in memory.
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

/// Logs in with the form and returns the cookie.
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
async fn a_room_does_not_wait_for_slow_pages() {
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
    let names = Names { hear: "page.show", enter: "room.users", say: "room.say", path: "/rpc" };
    guests::check(names, connect, cookies, "", 3).await;
}
