//! Subscriptions that continue on the next connection of a reconnecting client: the messages, the
//! gaps, and real sockets and processes that break.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use wsjsonrpc::client::{ClientBuilder, Reconnect};
use wsjsonrpc::error::{CloseReason, Gap};
use wsjsonrpc::subscription::Topic;
use wsjsonrpc::{Channel, Client, Context, Error, Methods, Peer, Server, Subscription};
use wsjsonrpc_tests::breaker::Breaker;
use wsjsonrpc_tests::reconnect::{Attempts, client, connect};
use wsjsonrpc_tests::{Raw, child, end, error, item, listen, notification, result, test_name};

const EPOCH: &str = r#""epoch":"e""#;

/// A client with its first connection to a server that announces the extensions.
async fn connected(builder: ClientBuilder) -> (Client, Raw, Attempts) {
    let (connecting, mut attempts) = connect(builder);
    let accepting = async { attempts.next().await.accept_knowing().await };
    let (client, raw) = tokio::join!(connecting, accepting);
    (client.unwrap(), raw, attempts)
}

/// Reads a subscribe request, responds with a subscription id, and returns the member `resume`.
async fn accept(raw: &mut Raw, id: &str) -> Value {
    let request: Value = serde_json::from_str(&raw.receive().await).unwrap();
    assert_eq!(request["method"], "news");
    raw.send(result(id, &request["id"].to_string())).await;
    request["wsjsonrpc"]["resume"].clone()
}

/// A client with a subscription that resumes, the server's end of its connection, and the next connections.
async fn subscribed() -> (Client, Subscription<u64>, Raw, Attempts) {
    let (client, mut raw, attempts) = connected(client()).await;
    let subscribing = client.peer().subscribe::<u64>("news", ()).resume();
    let (news, asked) = tokio::join!(subscribing, accept(&mut raw, "1"));
    assert_eq!(asked, Value::Bool(true));
    (client, news.unwrap(), raw, attempts)
}

fn message(id: &str, members: &str) -> String {
    notification("news", &format!(r#"{{"subscription":{id},{members}}}"#))
}

fn position(id: &str, offset: u64) -> String {
    message(id, &format!(r#""position":{{{EPOCH},"offset":{offset}}}"#))
}

fn numbered(id: &str, offset: u64) -> String {
    message(id, &format!(r#""offset":{offset},"result":{offset}"#))
}

async fn next(news: &mut Subscription<u64>) -> Result<u64, Error> {
    news.next().await.expect("the stream continues")
}

async fn gap(news: &mut Subscription<u64>) -> Gap {
    match next(news).await {
        Err(Error::Gap(gap)) => gap,
        other => panic!("expected a gap, got {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_continues_after_the_last_consumed_item() {
    let (_client, mut news, mut raw, mut attempts) = subscribed().await;
    raw.send(position("1", 4)).await;
    raw.send(message("1", r#""dropped":1,"offset":5,"result":5"#)).await;
    for offset in 6..=8 {
        raw.send(numbered("1", offset)).await;
    }
    assert!(matches!(gap(&mut news).await, Gap::Dropped { missed: 1, .. }));
    assert_eq!(next(&mut news).await.unwrap(), 5);
    raw.hang_up();
    // Items that have arrived are consumed first.
    for number in 6..=8 {
        assert_eq!(next(&mut news).await.unwrap(), number);
    }
    let server = async {
        let mut raw = attempts.next().await.accept_knowing().await;
        let asked = accept(&mut raw, "7").await;
        assert_eq!(asked, serde_json::json!({ "epoch": "e", "offset": 8 }));
        raw.send(position("7", 8)).await;
        raw.send(numbered("7", 9)).await;
        raw
    };
    let (number, mut raw) = tokio::join!(next(&mut news), server);
    assert_eq!(number.unwrap(), 9);
    assert_eq!(news.id(), "7");
    raw.send(message("7", r#""dropped":2,"offset":12,"result":12"#)).await;
    assert!(matches!(gap(&mut news).await, Gap::Dropped { missed: 2, .. }));
    assert_eq!((next(&mut news).await.unwrap(), news.dropped()), (12, 3));
    // The end of the stream is its end.
    raw.send(end("news", "7", "null")).await;
    assert!(news.next().await.is_none());
}

/// What the server says about the second subscription, and the gap that the consumer gets.
async fn gap_after(says: &[String], first_has_position: bool) -> (Gap, Vec<u64>) {
    let (_client, mut news, mut raw, mut attempts) = subscribed().await;
    if first_has_position {
        raw.send(position("1", 4)).await;
        raw.send(numbered("1", 5)).await;
    } else {
        raw.send(item("news", "1", "5")).await;
    }
    assert_eq!(next(&mut news).await.unwrap(), 5);
    raw.hang_up();
    let server = async {
        let mut raw = attempts.next().await.accept_knowing().await;
        accept(&mut raw, "7").await;
        for says in says {
            raw.send(says).await;
        }
        raw
    };
    let (gap, _raw) = tokio::join!(gap(&mut news), server);
    let mut rest = Vec::new();
    while let Some(Ok(number)) = news.next().await {
        rest.push(number);
    }
    (gap, rest)
}

#[tokio::test(start_paused = true)]
async fn each_gap_is_reported_once_with_its_reason() {
    let over = || end("news", "7", "null");
    let other = message("7", r#""position":{"epoch":"f","offset":0}"#);
    let restarted = [other, numbered("7", 1), numbered("7", 2), over()];
    assert_eq!(gap_after(&restarted, true).await, (Gap::Restarted, vec![1, 2]));
    let (gap, rest) = gap_after(&[position("7", 8), numbered("7", 9), over()], true).await;
    assert!(matches!(gap, Gap::Expired { missed: 3, .. }), "{gap:?}");
    assert_eq!(rest, [9]);
    // The position is right, and items are dropped later.
    let dropped = message("7", r#""dropped":2,"offset":8,"result":8"#);
    let (gap, rest) = gap_after(&[position("7", 5), dropped, over()], true).await;
    assert!(matches!(gap, Gap::Dropped { missed: 2, .. }), "{gap:?}");
    assert_eq!(rest, [8]);
    // The server no longer sends positions.
    let plain = [item("news", "7", "9"), over()];
    assert_eq!(gap_after(&plain, true).await, (Gap::Resubscribed, vec![9]));
    // The server never sent positions.
    assert_eq!(gap_after(&plain, false).await, (Gap::Resubscribed, vec![9]));
    // A server that starts too early repeats items.
    let early = [position("7", 2), numbered("7", 5), numbered("7", 7), over()];
    let (_client, mut news, mut raw, mut attempts) = subscribed().await;
    raw.send(position("1", 4)).await;
    raw.send(numbered("1", 6)).await;
    assert_eq!(next(&mut news).await.unwrap(), 6);
    raw.hang_up();
    let server = async {
        let mut raw = attempts.next().await.accept_knowing().await;
        accept(&mut raw, "7").await;
        for says in early {
            raw.send(says).await;
        }
        raw
    };
    let (number, _raw) = tokio::join!(next(&mut news), server);
    assert_eq!(number.unwrap(), 7);
}

/// A stream that has consumed the first results, and what it yields on its next connection.
async fn after_reconnect(first: &[String], take: usize, second: &[String]) -> (Vec<String>, u64) {
    let (_client, mut news, mut raw, mut attempts) = subscribed().await;
    for text in first {
        raw.send(text).await;
    }
    for _ in 0..take {
        let _ = next(&mut news).await;
    }
    raw.hang_up();
    let server = async {
        let mut raw = attempts.next().await.accept_knowing().await;
        accept(&mut raw, "7").await;
        for text in second {
            raw.send(text).await;
        }
        raw
    };
    let read = async {
        let mut seen = Vec::new();
        while let Some(item) = news.next().await {
            seen.push(match item {
                Ok(number) => number.to_string(),
                Err(Error::Gap(Gap::Dropped { missed, .. })) => format!("dropped {missed}"),
                Err(error) => error.to_string(),
            });
        }
        seen
    };
    let (seen, _raw) = tokio::join!(read, server);
    (seen, news.dropped())
}

#[tokio::test(start_paused = true)]
async fn drops_among_repeated_items_are_no_gap_and_drops_before_the_end_are_one() {
    let first = [position("1", 4), numbered("1", 5)];
    let second = [
        position("7", 2),
        message("7", r#""dropped":1,"offset":4,"result":4"#),
        numbered("7", 5),
        message("7", r#""dropped":3,"offset":9,"result":9"#),
        message("7", r#""dropped":2,"error":null"#),
    ];
    let (seen, _) = after_reconnect(&first, 1, &second).await;
    assert_eq!(seen, ["dropped 3", "9", "dropped 2"]);
}

#[tokio::test(start_paused = true)]
async fn counts_of_a_hostile_producer_do_not_overflow() {
    let most = message("1", r#""dropped":18446744073709551615,"offset":5,"result":5"#);
    let second = [
        position("7", 5),
        message("7", r#""dropped":1,"offset":7,"result":7"#),
        end("news", "7", "null"),
    ];
    let (seen, dropped) = after_reconnect(&[position("1", 4), most], 2, &second).await;
    assert_eq!((seen, dropped), (vec!["dropped 1".to_owned(), "7".to_owned()], u64::MAX));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_shutdown_elsewhere_does_not_stop_the_stream() {
    let (_client, mut news, mut raw, _attempts) = subscribed().await;
    raw.send(end("news", "1", r#"{"code":-32002,"message":"upstream"}"#)).await;
    // The connection stays open, and the stream continues on it.
    let server = async {
        assert_eq!(accept(&mut raw, "7").await, Value::Bool(true));
        raw.send(position("7", 4)).await;
        raw.send(numbered("7", 5)).await;
    };
    let (first, ()) = tokio::join!(next(&mut news), server);
    assert!(matches!(first, Err(Error::Gap(Gap::Resubscribed))));
    assert_eq!(next(&mut news).await.unwrap(), 5);
}

#[tokio::test(start_paused = true)]
async fn resubscribing_asks_for_no_position_and_marks_the_gap_at_once() {
    let (client, mut raw, mut attempts) = connected(client()).await;
    let subscribing = client.peer().subscribe::<u64>("news", ()).resubscribe();
    let (news, asked) = tokio::join!(subscribing, accept(&mut raw, "1"));
    assert_eq!(asked, Value::Null);
    let mut news = news.unwrap();
    raw.send(item("news", "1", "5")).await;
    assert_eq!(next(&mut news).await.unwrap(), 5);
    raw.hang_up();
    let server = async {
        let mut raw = attempts.next().await.accept_knowing().await;
        assert_eq!(accept(&mut raw, "7").await, Value::Null);
        raw
    };
    let (gap, _raw) = tokio::join!(gap(&mut news), server);
    assert_eq!(gap, Gap::Resubscribed);
}

#[tokio::test(start_paused = true)]
async fn the_login_comes_before_the_subscription() {
    let builder = client().on_connect(|peer: Peer| async move {
        peer.call::<()>("login", ["token"]).await?;
        Ok(())
    });
    let (connecting, mut attempts) = connect(builder);
    let accepting = async {
        let mut raw = attempts.next().await.accept_knowing().await;
        log_in(&mut raw).await;
        raw
    };
    let (client, mut raw) = tokio::join!(connecting, accepting);
    let client = client.unwrap();
    let subscribing = client.peer().subscribe::<u64>("news", ()).resume();
    let (news, _) = tokio::join!(subscribing, accept(&mut raw, "1"));
    let mut news = news.unwrap();
    raw.hang_up();
    let server = async {
        let mut raw = attempts.next().await.accept_knowing().await;
        log_in(&mut raw).await;
        accept(&mut raw, "7").await;
        raw
    };
    let (gap, _raw) = tokio::join!(gap(&mut news), server);
    assert_eq!(gap, Gap::Resubscribed, "there was no position yet");
}

async fn log_in(raw: &mut Raw) {
    let request: Value = serde_json::from_str(&raw.receive().await).unwrap();
    assert_eq!(request["method"], "login");
    raw.send(result("null", &request["id"].to_string())).await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_ends_the_stream_and_a_shutdown_does_not() {
    let (_client, mut news, mut raw, mut attempts) = subscribed().await;
    // A server that shuts down ends the subscription, and closes the connection later.
    raw.send(end("news", "1", r#"{"code":-32002,"message":"Shutting down"}"#)).await;
    let server = async {
        // The client must not ask this server again.
        raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
        raw.hang_up();
        // The next server shuts down as well.
        let mut raw = attempts.next().await.accept_knowing().await;
        let request: Value = serde_json::from_str(&raw.receive().await).unwrap();
        raw.send(error(-32002, "Shutting down", &request["id"].to_string())).await;
        raw.hang_up();
        let mut raw = attempts.next().await.accept_knowing().await;
        let request: Value = serde_json::from_str(&raw.receive().await).unwrap();
        raw.send(error(-32001, "Unauthorized", &request["id"].to_string())).await;
        raw
    };
    let (refused, _raw) = tokio::join!(next(&mut news), server);
    let refused = refused.unwrap_err();
    assert!(matches!(&refused, Error::Call(object) if object.code().0 == -32001), "{refused}");
    assert!(news.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_closed_ends_the_stream() {
    let (_client, mut news, raw, _attempts) = subscribed().await;
    let peer = news.peer().clone();
    let (ended, _) = tokio::join!(news.next(), async {
        peer.close(1000, "");
        raw.wait_for_end().await;
    });
    assert!(matches!(ended, Some(Err(Error::Closed(CloseReason::Local)))), "{ended:?}");
    assert!(news.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_while_it_resumes_unsubscribes() {
    let (_client, mut news, raw, mut attempts) = subscribed().await;
    raw.hang_up();
    let server = async {
        let mut raw = attempts.next().await.accept_knowing().await;
        let request: Value = serde_json::from_str(&raw.receive().await).unwrap();
        (raw, request)
    };
    let (mut raw, request) = tokio::select! {
        both = server => both,
        item = news.next() => panic!("{item:?}"),
    };
    drop(news);
    let cancel: Value = serde_json::from_str(&raw.receive().await).unwrap();
    assert_eq!(cancel["method"], "$/cancelRequest");
    raw.send(result("7", &request["id"].to_string())).await;
    let unsubscribe: Value = serde_json::from_str(&raw.receive().await).unwrap();
    assert_eq!(unsubscribe["method"], "unsubscribe_news");
    assert_eq!(unsubscribe["params"], serde_json::json!([7]));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_breaks_connections_is_not_sent_for_ever() {
    let (_client, mut news, raw, mut attempts) = subscribed().await;
    raw.hang_up();
    let server = async {
        for _ in 0..2 {
            let mut raw = attempts.next().await.accept_knowing().await;
            raw.receive().await;
            let (code, reason) = (CloseCode::Size, Utf8Bytes::from_static("too large"));
            raw.socket.close(Some(CloseFrame { code, reason })).await.unwrap();
            raw.wait_for_end().await;
        }
    };
    let (ended, ()) = tokio::join!(next(&mut news), server);
    let ended = ended.unwrap_err();
    assert!(matches!(ended, Error::Closed(CloseReason::Remote { code: 1009, .. })), "{ended:?}");
}

/// The subscription `news` to this channel, and its method `received`, which counts.
fn server(channel: &Channel<u64>) -> wsjsonrpc::server::ServerBuilder {
    let channel = channel.clone();
    let subscribe = move |ctx: Context, ()| {
        let stream = channel.subscribe(&ctx);
        async move { Ok(stream) }
    };
    Server::builder().service(Methods::new().subscription(Topic::new("news"), subscribe))
}

fn eager() -> Reconnect {
    Reconnect {
        initial: Duration::from_millis(1),
        max: Duration::from_millis(5),
        retry_first: true,
        ..Reconnect::default()
    }
}

#[tokio::test]
async fn each_item_arrives_once_over_a_hundred_breaks() {
    const BREAKS: usize = 100;
    let channel = Channel::builder().replay(1_000_000).replay_bytes(1 << 30).build();
    let (url, _endpoint) = listen(server(&channel)).await;
    let breaker = Arc::new(Breaker::default());
    let url = breaker.before(&url, 0x5eed).await;
    let client =
        Client::builder().reconnect(eager()).call_timeout(None).connect(&url).await.unwrap();
    let mut news = loop {
        // The first request may break, too.
        match client.peer().subscribe::<u64>("news", ()).resume().await {
            Ok(news) => break news,
            Err(Error::Closed(_)) => {}
            Err(error) => panic!("{error}"),
        }
    };
    let published = Arc::new(AtomicUsize::new(0));
    let (source, breaks, count) = (channel.clone(), Arc::clone(&breaker), Arc::clone(&published));
    let publishing = tokio::spawn(async move {
        let mut number = 0;
        while breaks.breaks.load(Ordering::Relaxed) < BREAKS {
            for _ in 0..5 {
                number += 1;
                source.publish(&number).unwrap();
            }
            count.store(number as usize, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        breaks.enough.store(true, Ordering::Relaxed);
        source.close();
        number
    });
    let (mut last, mut first) = (0, None);
    let mut gaps = 0;
    while let Some(number) = news.next().await {
        match number {
            Ok(number) => {
                assert!(first.is_none() || number == last + 1, "{number} follows {last}");
                first.get_or_insert(number);
                last = number;
            }
            // The connection may break before the first position arrives.
            Err(Error::Gap(Gap::Resubscribed)) if first.is_none() => gaps += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(last, publishing.await.unwrap());
    assert!(breaker.breaks.load(Ordering::Relaxed) >= BREAKS && gaps < BREAKS / 2);
    assert_eq!(channel.subscriber_count(), 0);
}

const CHILD: &str = "WSJSONRPC_RESUME_SERVER";

/// A server process that publishes 1, 2, 3, … It listens on this address.
fn serve(address: &str) -> (Child, String) {
    let test = test_name!(a_restart_of_the_process_is_one_gap);
    let mut child = child::command(&[], test)
        .env(CHILD, address)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let mut lines = stdout.lines().map_while(std::result::Result::ok);
    let address = lines.find_map(|line| line.strip_prefix("address ").map(str::to_owned));
    // The pipe must stay open, or the process would fail when it prints.
    std::thread::spawn(move || lines.for_each(drop));
    (child, address.expect("the server prints its port"))
}

#[tokio::test]
async fn a_restart_of_the_process_is_one_gap() {
    if let Ok(address) = std::env::var(CHILD) {
        let channel = Channel::builder().replay(1_000_000).build();
        let server = server(&channel).bind(address).await.unwrap();
        println!("\naddress {}", server.local_addr());
        tokio::spawn(server.run());
        for number in 1.. {
            channel.publish(&number).unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let (mut process, address) =
        tokio::task::spawn_blocking(|| serve("127.0.0.1:0")).await.unwrap();
    let url = format!("ws://{address}/");
    let client = Client::builder().reconnect(eager()).connect(&url).await.unwrap();
    let mut news = client.peer().subscribe::<u64>("news", ()).resume().await.unwrap();
    let mut last = next(&mut news).await.unwrap();
    for _ in 0..5 {
        for _ in 0..20 {
            let number = next(&mut news).await.unwrap();
            assert_eq!(number, last + 1);
            last = number;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        let again = address.clone();
        let serving = tokio::task::spawn_blocking(move || serve(&again));
        // What had arrived is consumed before the gap, and the new process replays from its start.
        loop {
            match next(&mut news).await {
                Ok(number) => {
                    assert_eq!(number, last + 1);
                    last = number;
                }
                Err(Error::Gap(Gap::Restarted)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        last = next(&mut news).await.unwrap();
        assert_eq!(last, 1);
        (process, _) = serving.await.unwrap();
    }
    process.kill().unwrap();
    process.wait().unwrap();
}
