//! Any bytes as what a server sends, while calls wait for responses: each of them ends, the
//! connection answers or ends, and other clients go on.
//!
//! Must not know where the bytes come from.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use wsjsonrpc::{Client, Error, Peer, Server, memory};

use super::{config, ends, feed, is_extended, methods, pour, simulate};

/// Lets the client in.
async fn accept(stream: &mut DuplexStream, extended: bool) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a request comes"));
    }
    let head = String::from_utf8(head).expect("a request is text");
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then_some(value.trim())
    });
    let key = derive_accept_key(key.expect("a request has a key").as_bytes());
    let extensions = if extended { "Wsjsonrpc-Extensions: 1\r\n" } else { "" };
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {key}\r\n{extensions}\r\n"
    );
    stream.write_all(answer.as_bytes()).await.expect("the client reads");
}

/// Single calls have the ids 1 and 2, those of the batch 3 and 4, that of the subscription 5, and the
/// one that wants to know how far it is 6.
async fn calls(peer: Peer) {
    let one = tokio::spawn(peer.call::<i64>("one", [1]).into_future());
    let two = tokio::spawn(peer.call::<String>("two", [2]).into_future());
    let batch = peer.batch([peer.call::<i64>("three", [3]), peer.call("four", [4])]);
    let batch = tokio::spawn(batch.into_future());
    let items = peer.subscribe::<u64>("five", ()).window(500);
    let items = tokio::spawn(async move {
        let Ok(mut items) = items.await else { return };
        // The end comes once.
        while items.next().await.is_some() {}
        assert!(items.next().await.is_none());
    });
    let six = peer.call::<bool>("six", ()).on_progress(|_: Option<u64>| {});
    let six = tokio::spawn(six.into_future());
    let _ = one.await.expect("it does not panic");
    let _ = two.await.expect("it does not panic");
    let _ = six.await.expect("it does not panic");
    items.await.expect("it does not panic");
    let unsent = batch.await.expect("it does not panic").err();
    assert!(matches!(unsent, None | Some(Error::Closed(_))), "{unsent:?}");
}

/// Feeds a client with this.
///
/// # Panics
/// It has done what it must not do.
pub fn run(input: &[u8]) {
    let [flags, input @ ..] = input else { return };
    simulate(async {
        let builder = Client::builder().config(config(*flags)).service(methods());
        let (mut ours, theirs) = tokio::io::duplex(1000);
        let connecting = tokio::spawn(builder.connect_over("ws://fuzzed/", theirs));
        if flags & 1 == 0 {
            accept(&mut ours, is_extended(*flags)).await;
            let client = ends(connecting).await.expect("it does not panic").expect("it is let in");
            let peer = client.peer();
            let calling = tokio::spawn(calls(peer.clone()));
            feed(ours, input, false).await;
            ends(calling).await.expect("it does not panic");
            ends(client.closed()).await;
            assert_eq!(peer.pending_calls(), 0);
        } else {
            pour(ours, input).await;
            let _ = ends(connecting).await.expect("it does not panic");
        }

        let server = Server::builder().service(methods());
        let (client, _) = memory::pair(Client::builder(), server).expect("names are unique");
        let answer = client.peer().call::<Vec<i64>>("echo", [1]).await;
        assert_eq!(answer.expect("others go on"), [1]);
    });
}
