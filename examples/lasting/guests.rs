//! Guests of a chat server: two that work, one that stops reading, and one that disconnects. Shared by the tests
//! of `bidirectional` and `axum_app`.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{DuplexStream, copy_bidirectional, duplex};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};
use wsjsonrpc::{Client, ErrorObject};

/// Opens a stream to the server.
pub(crate) type Connect = Box<dyn Fn() -> DuplexStream + Send + Sync>;

/// The methods of the server and of its clients.
#[derive(Clone, Copy)]
pub(crate) struct Names {
    pub(crate) hear: &'static str,
    pub(crate) enter: &'static str,
    pub(crate) say: &'static str,
    pub(crate) path: &'static str,
}

struct Guest {
    client: Client,
    heard: mpsc::UnboundedReceiver<(String, String)>,
}

impl Guest {
    async fn enter(names: Names, stream: DuplexStream, name: &'static str, cookie: &str) -> Self {
        let (sender, heard) = mpsc::unbounded_channel();
        let hear = move |_, line: (String, String)| {
            let sent = sender.send(line);
            async move { sent.map(|()| true).map_err(ErrorObject::from) }
        };
        let client = Client::builder()
            .header("cookie", cookie)
            .method(names.hear, hear)
            .method("guest.name", move |_, ()| async move { Ok(name) })
            .connect_over(&format!("ws://localhost{}", names.path), stream)
            .await
            .unwrap();
        client.peer().call::<Value>(names.enter, ()).await.unwrap();
        Guest { client, heard }
    }

    /// Checks the next line that a guest said. Skips the lines of the room.
    async fn hears(&mut self, who: &str, text: &str) {
        loop {
            let (from, line) = self.heard.recv().await.unwrap();
            if from != "room" {
                return assert_eq!((from.as_str(), line.as_str()), (who, text));
            }
        }
    }
}

/// Forwards bytes between a client and a server. After a message to the sender, it stops reading and writing,
/// and keeps both streams open.
pub(crate) fn stoppable(mut server: DuplexStream) -> (DuplexStream, oneshot::Sender<()>) {
    let (client, mut near) = duplex(1024);
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(async move {
        tokio::select! {
            _ = copy_bidirectional(&mut server, &mut near) => {}
            Ok(()) = stopped => std::future::pending().await,
        }
    });
    (client, stop)
}

/// Each of the `cookies` belongs to one guest. `padding` is part of each line.
pub(crate) async fn check(
    names: Names,
    connect: Connect,
    cookies: [String; 4],
    padding: &str,
    lines: usize,
) {
    let mut ada = Guest::enter(names, connect(), "Ada", &cookies[0]).await;
    let mut bob = Guest::enter(names, connect(), "Bob", &cookies[1]).await;
    let gone = Guest::enter(names, connect(), "gone", &cookies[2]).await;
    let (stream, stop) = stoppable(connect());
    let _silent = Guest::enter(names, stream, "silent", &cookies[3]).await;
    // Longer than the default timeout of a call, and shorter than keep-alive needs to notice the silent guest.
    sleep(Duration::from_secs(31)).await;
    stop.send(()).unwrap();
    drop(gone);
    for number in 0..lines {
        let text = format!("{number}{padding}");
        let start = Instant::now();
        let said = ada.client.peer().call::<Value>(names.say, (&text,)).await.unwrap();
        // The silent guest delays a line only by the server's own limit.
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        ada.hears("Ada", &text).await;
        bob.hears("Ada", &text).await;
        // `room.say` of `axum_app` counts the pages that have shown the text.
        assert!(said.is_null() || said == 2, "{said}");
    }
}
