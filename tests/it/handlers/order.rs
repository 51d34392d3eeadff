//! Handlers start in the order in which their messages arrived, run concurrently, and respond when
//! they are ready. A slow handler delays no other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::SinkExt;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use wsjsonrpc::{Client, Server, memory};
use wsjsonrpc_tests::{Gate, Raw, frame, gated_server, notification, request, result};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_start_in_the_order_of_arrival() {
    const ROUNDS: usize = 100;
    let started: Arc<Mutex<Vec<usize>>> = Arc::default();
    let gate = Gate::default();
    let (begun, at_gate) = (Arc::clone(&started), gate.clone());
    let server = Server::builder()
        .method("start", move |_, (number,): (usize,)| {
            let (begun, gate) = (Arc::clone(&begun), at_gate.clone());
            async move {
                begun.lock().unwrap().push(number);
                match number % 3 {
                    0 => gate.pass().await,
                    1 => tokio::task::yield_now().await,
                    _ => {}
                }
                Ok(())
            }
        })
        .method("done", |_, ()| async { Ok(()) });
    let mut raw = Raw::client(server).await;
    for round in 0..ROUNDS {
        let params = [0, 1, 2, 3].map(|index| format!("[{}]", 4 * round + index));
        let messages = [
            notification("start", &params[0]),
            format!(
                "[{},{}]",
                notification("start", &params[1]),
                notification("start", &params[2])
            ),
            notification("start", &params[3]),
        ];
        for text in messages {
            raw.socket.feed(Message::text(text)).await.unwrap();
        }
    }
    raw.check(&request("done", "[]", "1"), &[&result("null", "1")]).await;
    let all: Vec<usize> = (0..4 * ROUNDS).collect();
    assert_eq!(*started.lock().unwrap(), all);
    gate.open(4 * ROUNDS);
}

#[tokio::test]
async fn calls_of_one_task_arrive_in_the_order_they_were_sent() {
    let (send, mut arrived) = mpsc::unbounded_channel();
    let server = Server::builder().method("note", move |_, (number,): (u32,)| {
        let sent = send.send(number).is_ok();
        async move { Ok(sent) }
    });
    let (client, _) = memory::pair(Client::builder(), server).unwrap();
    let peer = client.peer();
    for number in 0..300 {
        match number % 3 {
            0 => peer.notify("note", [number]).await.unwrap(),
            1 => drop(peer.batch([peer.notify("note", [number])]).await.unwrap()),
            _ => assert!(peer.call::<bool>("note", [number]).await.unwrap()),
        }
    }
    for number in 0..300 {
        assert_eq!(arrived.recv().await, Some(number));
    }
}

#[tokio::test]
async fn a_ready_response_overtakes_a_slow_one() {
    let gate = Gate::default();
    let mut raw = Raw::client(gated_server(&gate)).await;
    raw.send(request("gated", "[]", "1")).await;
    raw.send(format!("[{}]", request("gated", "[]", "2"))).await;
    raw.check(&request("quick", "[]", "3"), &[&result("null", "3")]).await;
    gate.arrived(2).await;
    gate.open(2);
    let mut answers = [raw.receive().await, raw.receive().await];
    answers.sort();
    assert_eq!(
        answers,
        [format!("[{}]", result("\"finished\"", "2")), result("\"finished\"", "1")]
    );
}

#[tokio::test]
async fn a_thousand_slow_handlers_delay_no_connection() {
    let gate = Gate::default();
    let (mut raw, mut other) = Raw::two_clients(gated_server(&gate)).await;
    for id in 0..1000 {
        raw.send(request("gated", "[]", &id.to_string())).await;
    }
    gate.arrived(1000).await;
    for raw in [&mut raw, &mut other] {
        raw.check(&request("quick", "[]", "\"a\""), &[&result("null", "\"a\"")]).await;
    }
    gate.open(1000);
    let mut ids: Vec<u32> = Vec::new();
    for _ in 0..1000 {
        let answer: serde_json::Value = serde_json::from_str(&raw.receive().await).unwrap();
        ids.push(answer["id"].as_u64().unwrap().try_into().unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, (0..1000).collect::<Vec<_>>(), "each is answered once");
}

/// The first handler can finish before all of the others have started.
#[tokio::test]
async fn a_burst_of_calls_does_not_delay_handlers_in_flight() {
    let begun = Arc::new(AtomicUsize::new(0));
    let server = Server::builder().method("count", move |_, ()| {
        let begun = Arc::clone(&begun);
        async move {
            begun.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(begun.load(Ordering::Relaxed))
        }
    });
    let mut raw = Raw::client(server).await;
    let burst: Vec<u8> = (0..100)
        .flat_map(|id| frame(0x81, request("count", "[]", &id.to_string()).as_bytes()))
        .collect();
    raw.send_bytes(&burst).await;
    let first = raw.receive().await;
    let begun = (1..50).find(|begun| first == result(&begun.to_string(), "0"));
    assert!(begun.is_some(), "{first}");
}
