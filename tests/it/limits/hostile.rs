//! Peers that are slow, stuck or hostile: their cost is bounded, and other connections are not
//! affected.

use std::future::IntoFuture;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::SinkExt;
use tokio::io::AsyncReadExt;
use tokio_tungstenite::tungstenite::Message;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::{Client, Config, Context, Server};
use wsjsonrpc_tests::http::{address, open_blocking};
use wsjsonrpc_tests::{
    Gate, Raw, SECOND, begin, both_ways, frame, gated_server, notification, request, test_name,
};

use super::served::{MAX_IN_FLIGHT, MAX_MESSAGE, MAX_SEND_QUEUE, Place, Served, ask};

/// The peer reads one byte a second: too slow for its responses, but not stuck. Its responses take
/// no more memory than the send queue allows.
#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_a_byte_a_second_is_served_at_its_own_pace() {
    let handled = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&handled);
    let config = Config { max_send_queue: 10_000, ..Config::default() };
    let server = Server::builder().config(config).method("large", move |_, ()| {
        counter.fetch_add(1, Ordering::Relaxed);
        async { Ok("x".repeat(1000)) }
    });
    let endpoint = server.build().unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    let asks = Message::text(request("large", "[]", "1"));
    while tokio::time::timeout(SECOND, raw.socket.send(asks.clone())).await.is_ok() {}
    let before = handled.load(Ordering::Relaxed);
    let mut byte = [0];
    for _ in 0..5000 {
        tokio::time::sleep(SECOND).await;
        assert_eq!(raw.socket.get_mut().read(&mut byte).await.unwrap(), 1);
    }
    let (mut other, _) = Raw::client_of(&endpoint).await;
    other.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
    assert!(!serving.is_finished(), "a slow peer must stay connected");
    let more = handled.load(Ordering::Relaxed) - before;
    assert!(more <= 6, "{more} more responses for 5000 bytes");
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_notifications_stays_within_max_in_flight() {
    const LIMIT: usize = 50;
    let gate = Gate::default();
    let config = Config { max_in_flight: LIMIT, ..Config::default() };
    let (mut raw, mut other) = Raw::two_clients(gated_server(&gate).config(config)).await;
    for _ in 0..100_000 {
        raw.socket.feed(Message::text(notification("gated", "[]"))).await.unwrap();
    }
    raw.check("1", &[&wsjsonrpc_tests::not_an_object()]).await;
    assert_eq!(gate.started(), LIMIT);
    other.check("1", &[&wsjsonrpc_tests::not_an_object()]).await;
    gate.open(LIMIT);
}

/// One frame that never completes its message. Other connections are served, and the reader's own
/// calls time out when they should.
#[tokio::test]
async fn an_endless_message_does_not_delay_other_connections() {
    let endpoint = Server::builder().build().unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    let (mut other, _) = Raw::client_of(&endpoint).await;
    raw.send_bytes(&frame(0x01, b"[")).await;
    let flood = frame(0x00, b"").repeat(10_000);
    let flooding = tokio::spawn(async move {
        loop {
            raw.send_bytes(&flood).await;
        }
    });
    for _ in 0..10 {
        other.check("1", &[&wsjsonrpc_tests::not_an_object()]).await;
    }
    assert!(!serving.is_finished());
    flooding.abort();
}

/// A flood is handled in parts. In between, the server polls the other connections.
#[tokio::test]
async fn a_flood_from_one_connection_does_not_starve_others() {
    let handled = Arc::new(AtomicUsize::new(0));
    let bystander = Arc::new(std::sync::Mutex::new(None::<std::net::TcpStream>));
    let (counter, before, asks) = (handled.clone(), handled.clone(), bystander.clone());
    let server = Server::builder()
        .method("note", move |_, ()| {
            // Wait until the flood is being handled.
            if counter.fetch_add(1, Ordering::Relaxed) == 10 {
                let frame = frame(0x81, request("ask", "[]", "1").as_bytes());
                asks.lock().unwrap().as_ref().unwrap().write_all(&frame).unwrap();
            }
            async { Ok(()) }
        })
        .method("ask", move |_, ()| {
            let before = before.load(Ordering::Relaxed);
            async move { Ok(before) }
        });
    let address = address(server).await;
    let asking = tokio::task::spawn_blocking(move || {
        let (mut hostile, mut other) =
            (open_blocking(address, "/rpc"), open_blocking(address, "/rpc"));
        *bystander.lock().unwrap() = Some(other.try_clone().unwrap());
        let flood = frame(0x81, notification("note", "[]").as_bytes()).repeat(100_000);
        // The connection ends with the test at the latest.
        std::thread::spawn(move || while hostile.write_all(&flood).is_ok() {});
        let mut answer = [0; 100];
        let length = other.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[2..length]).into_owned()
    });
    let answer: serde_json::Value = serde_json::from_str(&asking.await.unwrap()).unwrap();
    let before = answer["result"].as_u64().unwrap();
    assert!(before < 2000, "{before} messages of the flood were handled first");
}

/// Calls in both directions, whose requests and results are larger than all buffers together.
#[tokio::test]
async fn peers_that_flood_each_other_both_get_their_answers() {
    const CALLS: usize = 100;
    let config = Config {
        max_send_queue: 50_000,
        call_timeout: None,
        max_in_flight: 10,
        ..Config::default()
    };
    let large = |_: Context, (id, _): (usize, String)| async move {
        tokio::task::yield_now().await;
        Ok((id, "x".repeat(50_000)))
    };
    let client = || Client::builder().config(config.clone()).method("large", large);
    let server = || Server::builder().config(config.clone()).method("large", large);
    for (client, caller) in both_ways(client, server).await {
        let mut calls = tokio::task::JoinSet::new();
        for id in 0..CALLS {
            for peer in [client.peer(), caller.clone()] {
                calls.spawn(async move {
                    let params = (id, "p".repeat(50_000));
                    peer.call::<(usize, String)>("large", params).await
                });
            }
        }
        let mut answered = 0;
        while let Some(outcome) = calls.join_next().await {
            match outcome.unwrap() {
                Ok(_) => answered += 1,
                Err(wsjsonrpc::Error::Call(busy)) => assert_eq!(busy.code().0, -32000),
                Err(other) => panic!("{other}"),
            }
        }
        assert!(answered >= 2, "the first of either side are not refused");
        client.peer().call::<(usize, String)>("large", (0, "")).await.unwrap();
    }
}

/// A close is bounded by `shutdown_timeout` too. A shutdown during the close does not change that.
#[tokio::test(start_paused = true)]
async fn a_close_is_bounded_even_if_the_peer_reads_bit_by_bit() {
    for drains in [false, true] {
        let config = Config { shutdown_timeout: 60 * SECOND, ..Config::default() };
        let endpoint = Server::builder().config(config).build().unwrap();
        let (mut raw, serving) = Raw::client_of(&endpoint).await;
        raw.check("1", &[&wsjsonrpc_tests::not_an_object()]).await;
        let peer = endpoint.connections().pop().unwrap().peer();
        peer.notify("fill", ["x".repeat(1_000_000)]).await.unwrap();
        let late = begin(peer.call::<()>("late", ()).without_timeout().into_future()).await;
        peer.close(4000, "enough");
        let begun = tokio::time::Instant::now();
        let taking = tokio::spawn(async move {
            let mut bytes = [0; 1000];
            while raw.socket.get_mut().read(&mut bytes).await.is_ok_and(|read| read > 0) {
                tokio::time::sleep(SECOND).await;
            }
        });
        let shutdown = endpoint.shutdown();
        if drains {
            tokio::time::sleep(10 * SECOND).await;
            assert_eq!(shutdown.await, 0);
        }
        let reason = serving.await.unwrap();
        assert!(matches!(reason, CloseReason::Local), "{reason:?}");
        assert!(begun.elapsed() >= 60 * SECOND, "closed too early: {:?}", begun.elapsed());
        assert!(late.await.is_err());
        taking.abort();
    }
}

/// A separate process serves a peer that sends as fast as it can and never reads. `write_timeout`
/// disconnects the peer. Until then another client gets its responses, and memory is bounded.
#[cfg(target_os = "linux")]
#[test]
fn a_peer_that_never_reads_costs_no_more_than_its_limits() {
    let text = |padding| format!("[\"{}\"]", "p".repeat(padding));
    let batch = |of: &[String], times| format!("[{}]", vec![of.join(","); times].join(","));
    let large = request("echo", &text(MAX_MESSAGE / 2), "1");
    let never = request("never", &text(1), "1");
    // Nothing slows down a peer that only sends notifications, so their number is limited here.
    let (held, not_held) = (1_000_000, 1000);
    for (what, text, most) in [
        ("small requests", request("echo", &text(0), "1"), held),
        ("requests with large results", request("echo", &text(MAX_MESSAGE - 200), "1"), held),
        (
            "requests that are not ready at once",
            request("later", &text(MAX_MESSAGE - 200), "1"),
            held,
        ),
        ("requests that never end", request("never", &text(1000), "1"), held),
        ("batches of small requests", batch(&[request("sum", "[1,2]", "1")], 250), held),
        ("batches of nothing", batch(&["1".to_owned()], 1000), held),
        ("batches that are never complete", batch(&[never, large], 1), held),
        ("batches of notifications", batch(&[notification("never", "[\"\"]")], 250), not_held),
    ] {
        let this = test_name!(a_peer_that_never_reads_costs_no_more_than_its_limits);
        let Some(served) = Served::in_a_child(this, Place::Alone) else { return };
        let mut bystander = served.connect();
        ask(&mut bystander);
        // Loads the pages of the program that the run needs before memory is measured.
        let mut warm = served.connect();
        warm.write_all(&frame(0x81, text.as_bytes()).repeat(4)).unwrap();
        drop(warm);
        ask(&mut bystander);
        let before = served.memory("VmRSS");

        let mut hostile = served.connect();
        let flood = frame(0x81, text.as_bytes()).repeat(1 + 65_536 / (text.len() + 8));
        let per_write = flood.len() / (text.len() + 8);
        let flooding = std::thread::spawn(move || {
            let mut sent = 0;
            while sent < most && hostile.write_all(&flood).is_ok() {
                sent += per_write;
            }
            sent
        });
        let mut times = Vec::new();
        while !flooding.is_finished() {
            let begun = std::time::Instant::now();
            ask(&mut bystander);
            times.push(begun.elapsed());
        }
        let sent = flooding.join().unwrap();
        assert!(sent < held, "sending {what} never blocks");
        ask(&mut bystander);
        let grown = served.memory("VmHWM") - before;
        times.sort();
        let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
        println!("{what}: {sent} sent, {grown} bytes more at the peak, others' p99 {p99:?}");
        // A call in flight holds a received message and a response.
        let bound = MAX_SEND_QUEUE + MAX_IN_FLIGHT * 2 * MAX_MESSAGE + (1 << 20);
        assert!(grown <= bound, "{what}: {grown} bytes, more than {bound}");
        served.end();
    }
}
