//! Treats any bytes as the input of a server while calls are pending: each call ends, the
//! connection responds or ends, and other clients still work. Does not depend on the source of the
//! bytes.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use wsjsonrpc::{Client, Error, Peer, Server, memory};

use super::{config, ends, feed, is_extended, methods, pour, simulate};

/// Accepts the client.
async fn accept(stream: &mut DuplexStream, extended: bool) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a request arrives"));
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

/// Makes calls with these ids: single calls 1 and 2, a batch 3 and 4, a subscription 5, a call with
/// progress 6.
async fn calls(peer: Peer) {
    let one = tokio::spawn(peer.call::<i64>("one", [1]).into_future());
    let two = tokio::spawn(peer.call::<String>("two", [2]).into_future());
    let batch = peer.batch([peer.call::<i64>("three", [3]), peer.call("four", [4])]);
    let batch = tokio::spawn(batch.into_future());
    let items = peer.subscribe::<u64>("five", ()).window(500);
    let items = tokio::spawn(async move {
        let Ok(mut items) = items.await else { return };
        // The stream ends once.
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

/// Feeds a client with this input.
///
/// # Panics
/// If the client violates one of these promises.
pub fn run(input: &[u8]) {
    let [flags, input @ ..] = input else { return };
    simulate(async {
        let builder = Client::builder().config(config(*flags)).service(methods());
        let (mut ours, theirs) = tokio::io::duplex(1000);
        let connecting = tokio::spawn(builder.connect_over("ws://fuzzed/", theirs));
        if flags & 1 == 0 {
            accept(&mut ours, is_extended(*flags)).await;
            let client =
                ends(connecting).await.expect("it does not panic").expect("the client connects");
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
        assert_eq!(answer.expect("other clients still work"), [1]);
    });
}
