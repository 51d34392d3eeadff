//! Handlers start in the order in which their messages arrived, run concurrently, and answer when
//! they are ready: a slow one holds up nobody.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::SinkExt;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Context, Server, memory, rpc};
use wsjsonrpc_tests::{Gate, Raw, frame, notification, request, result};

fn server(gate: &Gate) -> ServerBuilder {
    let gate = gate.clone();
    Server::builder().method("quick", |_, ()| async { Ok("quick") }).method("slow", move |_, ()| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            Ok("slow")
        }
    })
}

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
    let mut raw = Raw::client(server(&gate)).await;
    raw.send(request("slow", "[]", "1")).await;
    raw.send(format!("[{}]", request("slow", "[]", "2"))).await;
    raw.check(&request("quick", "[]", "3"), &[&result("\"quick\"", "3")]).await;
    gate.arrived(2).await;
    gate.open(2);
    let mut answers = [raw.receive().await, raw.receive().await];
    answers.sort();
    assert_eq!(answers, [format!("[{}]", result("\"slow\"", "2")), result("\"slow\"", "1")]);
}

#[tokio::test]
async fn a_thousand_slow_handlers_delay_no_connection() {
    let gate = Gate::default();
    let endpoint = server(&gate).build().unwrap();
    let (mut raw, _) = Raw::client_of(&endpoint).await;
    let (mut other, _) = Raw::client_of(&endpoint).await;
    for id in 0..1000 {
        raw.send(request("slow", "[]", &id.to_string())).await;
    }
    gate.arrived(1000).await;
    for raw in [&mut raw, &mut other] {
        raw.check(&request("quick", "[]", "\"a\""), &[&result("\"quick\"", "\"a\"")]).await;
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

#[rpc]
trait Blocks {
    #[method(blocking)]
    fn block(&self, ctx: &Context) -> wsjsonrpc::Result<i64>;
}

struct Blocker(Mutex<std::sync::mpsc::Receiver<i64>>);

impl Blocks for Blocker {
    fn block(&self, _: &Context) -> wsjsonrpc::Result<i64> {
        Ok(self.0.lock().unwrap().recv()?)
    }
}

#[tokio::test]
async fn a_handler_that_blocks_its_thread_holds_up_nobody() {
    let (release, wait) = std::sync::mpsc::channel();
    let blocker = Blocker(Mutex::new(wait));
    let mut raw = Raw::client(server(&Gate::default()).service(blocker.into_service())).await;
    raw.send(request("block", "[]", "1")).await;
    raw.check(&request("quick", "[]", "2"), &[&result("\"quick\"", "2")]).await;
    release.send(7).unwrap();
    assert_eq!(raw.receive().await, result("7", "1"));
}

/// The first of many need not wait until all of them have begun.
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
