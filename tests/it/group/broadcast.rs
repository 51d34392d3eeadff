//! Broadcasts: what arrives, in which order, and from where a program can send them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Serialize, Serializer};
use wsjsonrpc::middleware::{OutgoingMiddleware, OutgoingNext, OutgoingRequest, Reply};
use wsjsonrpc::{Client, Config, Context, Error, Group, Result, Server, async_trait, memory, rpc};
use wsjsonrpc_tests::{Raw, notification, request, result, server};

use super::{event, event_text, member, number_in};

#[tokio::test]
async fn every_member_gets_the_text_of_a_notification() {
    let group = Group::new();
    let mut members = [member(&group).await, member(&group).await, member(&group).await];
    for size in [0, 3, 40, 100, 5000, 100_000] {
        let text = "ä".repeat(size / 2);
        for (_, peer) in &members {
            peer.notify("event", (size, &text)).await.unwrap();
        }
        let report = group.peer().call::<()>("event", (size, &text)).broadcast().unwrap();
        assert_eq!((report.sent, report.dropped, report.gone, report.waiting), (3, 0, 0, 0));
        for (raw, _) in &mut members {
            let notified = raw.receive().await;
            assert_eq!(notified, notification("event", &format!("[{size},\"{text}\"]")));
            assert_eq!(raw.receive().await, notified);
        }
    }
    // Without a report.
    group.peer().notify("event", [1]).await.unwrap();
    for (raw, _) in &mut members {
        assert_eq!(raw.receive().await, event_text(1));
    }
}

/// Clients mask their messages; the other side refuses any that are not masked.
#[tokio::test]
async fn a_client_masks_its_copy() {
    let group = Group::new();
    let (mut first, client) = Raw::server(Client::builder()).await;
    let (mut second, other) = Raw::server(Client::builder()).await;
    let (mut third, _peer) = member(&group).await;
    assert!(group.insert(&client.peer()) && group.insert(&other.peer()));
    for size in [1, 100, 10_000] {
        let text = "x".repeat(size);
        group.peer().call::<()>("event", (size, &text)).broadcast().unwrap();
        let expected = notification("event", &format!("[{size},\"{text}\"]"));
        for raw in [&mut first, &mut second, &mut third] {
            assert_eq!(raw.receive().await, expected);
        }
    }
}

#[tokio::test]
async fn a_message_is_encoded_once() {
    struct Counted(Arc<AtomicUsize>);

    impl Serialize for Counted {
        fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
            self.0.fetch_add(1, Ordering::Relaxed);
            serializer.serialize_u8(7)
        }
    }

    let group = Group::new();
    let mut members = Vec::new();
    for _ in 0..10 {
        members.push(member(&group).await);
    }
    let encoded = Arc::new(AtomicUsize::new(0));
    let call = group.peer().call::<()>("event", [Counted(Arc::clone(&encoded))]);
    assert_eq!(call.broadcast().unwrap().sent, 10);
    for (raw, _) in &mut members {
        assert_eq!(raw.receive().await, event_text(7));
    }
    assert_eq!(encoded.load(Ordering::Relaxed), 1);
    let mut all = group.peer().call::<u8>("event", [Counted(Arc::clone(&encoded))]).call_all();
    assert!(wsjsonrpc_tests::poll_once(&mut Box::pin(all.next())).await.is_pending());
    for (raw, _) in &mut members {
        assert_eq!(raw.receive().await, request("event", "[7]", "\"s1\""));
        raw.send(result("1", "\"s1\"")).await;
    }
    while let Some((_, outcome)) = all.next().await {
        assert_eq!(outcome.unwrap(), 1);
    }
    assert_eq!(encoded.load(Ordering::Relaxed), 2);
}

#[rpc(namespace = "room")]
trait Room {
    async fn say(&self, ctx: &Context, number: usize) -> Result<usize>;
}

#[rpc]
trait Events {
    async fn event(&self, ctx: &Context, number: usize) -> Result<()>;
}

struct Chat(Group);

impl Room for Chat {
    async fn say(&self, ctx: &Context, number: usize) -> Result<usize> {
        self.0.insert(&ctx.peer());
        let others = self.0.except(&ctx.peer());
        Ok(others.client::<EventsClient>().event(number).broadcast()?.sent)
    }
}

#[tokio::test]
async fn a_handler_broadcasts_to_the_others() {
    let group = Group::new();
    let endpoint = server().service(Chat(group.clone()).into_service()).build().unwrap();
    let (mut ada, _) = Raw::client_of(&endpoint).await;
    let (mut bob, _) = Raw::client_of(&endpoint).await;
    assert_eq!(ada.ask(request("room.say", "[1]", "1")).await, result("0", "1"));
    assert_eq!(bob.ask(request("room.say", "[2]", "1")).await, result("1", "1"));
    assert_eq!(ada.receive().await, event_text(2));
    bob.check(&request("room.say", "[3]", "2"), &[&result("1", "2")]).await;
    assert_eq!(ada.receive().await, event_text(3));
}

#[tokio::test]
async fn a_thread_without_a_runtime_broadcasts() {
    let group = Group::new();
    let (mut raw, _peer) = member(&group).await;
    let stub = EventsClient::new(&group);
    let report = std::thread::spawn(move || stub.event(5).broadcast()).join().unwrap();
    assert_eq!(report.unwrap().sent, 1);
    assert_eq!(raw.receive().await, event_text(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_members_receive_concurrent_broadcasts_in_the_same_order() {
    const EACH: usize = 300;
    const TASKS: usize = 4;
    let group = Group::new();
    let mut members = Vec::new();
    for _ in 0..6 {
        members.push(member(&group).await.0);
    }
    let readers: Vec<_> = members
        .into_iter()
        .map(|mut raw| {
            tokio::spawn(async move {
                let mut order = Vec::new();
                while order.len() < EACH * TASKS {
                    order.push(number_in(&raw.receive().await));
                }
                order
            })
        })
        .collect();
    let senders: Vec<_> = (0..TASKS)
        .map(|task| {
            let group = group.clone();
            tokio::spawn(async move {
                for at in 0..EACH {
                    let report = event(&group.peer(), task * EACH + at).broadcast().unwrap();
                    assert_eq!(report.sent, 6);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    let mut orders = Vec::new();
    for reader in readers {
        orders.push(reader.await.unwrap());
    }
    for order in &orders {
        assert_eq!(order, &orders[0]);
        for task in 0..TASKS {
            let own = order.iter().filter(|number| *number / EACH == task);
            assert!(own.is_sorted(), "the broadcasts of a task stay in order");
        }
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_sent_is_an_error() {
    let config = Config { max_outgoing_message: 300, ..Config::default() };
    let small = Group::builder().config(config.clone()).build();
    let (mut raw, peer) = member(&small).await;
    let large = || small.peer().call::<()>("event", ["x".repeat(300)]);
    assert!(matches!(large().broadcast(), Err(Error::TooLarge { limit: 300, .. })));
    assert!(matches!(large().notify().await, Err(Error::TooLarge { limit: 300, .. })));
    let scalar = small.peer().call::<()>("event", 1);
    assert!(matches!(scalar.broadcast(), Err(Error::Encode(_))));
    assert_eq!(event(&small.peer(), 1).broadcast().unwrap().sent, 1);
    assert_eq!(raw.receive().await, event_text(1), "nothing else was sent");

    // The limit of one member's connection does not affect the others.
    let group = Group::new();
    assert!(group.insert(&peer));
    let (mut limited, _peer) = super::member_with(&group, config).await;
    let report = group.peer().call::<()>("event", ["x".repeat(300)]).broadcast().unwrap();
    assert_eq!((report.sent, report.dropped, group.dropped()), (1, 1, 1));
    assert!(raw.receive().await.len() > 300);
    event(&group.peer(), 2).broadcast().unwrap();
    assert_eq!(limited.receive().await, event_text(2));
}

#[tokio::test]
async fn a_single_peer_gets_a_message_without_waiting() {
    let config = Config { max_send_queue: 100, ..Config::default() };
    let (mut raw, peer) = Raw::client_and_peer(server().config(config)).await;
    let text = "x".repeat(200);
    let large = || peer.call::<()>("event", (0, &text)).broadcast().unwrap();
    assert_eq!(large().sent, 1);
    let report = large();
    assert_eq!((report.sent, report.dropped, report.gone), (0, 1, 0), "the send queue is full");
    raw.receive().await;
    assert_eq!(large().sent, 1);
    raw.receive().await;
    raw.hang_up();
    peer.closed().await;
    let report = large();
    assert_eq!((report.sent, report.dropped, report.gone), (0, 0, 1));
}

/// Counts the calls that it sees.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

#[async_trait]
impl OutgoingMiddleware for Count {
    async fn call(&self, request: OutgoingRequest, next: OutgoingNext<'_>) -> Result<Reply, Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        next.run(request).await
    }
}

#[tokio::test]
async fn outgoing_middleware_sees_calls_and_not_broadcasts() {
    let count = Count::default();
    let server = || Server::builder().outgoing_middleware(count.clone());
    let client =
        || Client::builder().method("event", |_, (number,): (usize,)| async move { Ok(number) });
    let (_client, peer) = memory::pair(client(), server()).unwrap();
    let (_other, other) = memory::pair(client(), server()).unwrap();
    let group = Group::new();
    assert!(group.insert(&peer) && group.insert(&other));
    assert_eq!(event(&group.peer(), 1).broadcast().unwrap().sent, 2);
    assert_eq!(event(&peer, 1).broadcast().unwrap().sent, 1);
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
    let mut all = group.peer().call::<usize>("event", [2]).call_all();
    while let Some((_, number)) = all.next().await {
        assert_eq!(number.unwrap(), 2);
    }
    assert_eq!(count.0.load(Ordering::Relaxed), 2);
    assert_eq!(group.peer().call::<usize>("event", [3]).await.unwrap(), 3);
    assert_eq!(count.0.load(Ordering::Relaxed), 3);
}
