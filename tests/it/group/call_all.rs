//! A call to all members: results as they arrive, timeouts, concurrency, and cancellation.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::time::Instant;
use wsjsonrpc::{Client, Error, Group, Peer, Server, memory};
use wsjsonrpc_tests::{Gate, Raw, SECOND, cancel, poll_once, request, result, server};

use super::member;

/// Clients with a method `wait`, and a group of them.
fn workers(group: &Group, gates: &[Gate]) -> Vec<(Client, Peer)> {
    let pairs = gates.iter().map(|gate| {
        let client = Client::builder().method("wait", gate.handler(1));
        let (client, peer) = memory::pair(client, Server::builder()).unwrap();
        assert!(group.insert(&peer));
        (client, peer)
    });
    pairs.collect()
}

#[tokio::test(start_paused = true)]
async fn results_come_as_they_arrive_and_each_call_has_its_own_timeout() {
    let group = Group::new();
    let gates = [Gate::default(), Gate::default(), Gate::default()];
    let workers = workers(&group, &gates);
    let begun = Instant::now();
    let mut all = group.peer().call::<u32>("wait", ()).timeout(10 * SECOND).call_all();
    assert_eq!(all.size_hint(), (3, Some(3)));
    assert!(poll_once(&mut Box::pin(all.next())).await.is_pending());
    for answering in [2, 0] {
        gates[answering].open(1);
        let (peer, outcome) = all.next().await.unwrap();
        assert!(peer.is_same(&workers[answering].1));
        assert_eq!(outcome.unwrap(), 1);
    }
    assert!(begun.elapsed() < 10 * SECOND);
    let (peer, outcome) = all.next().await.unwrap();
    assert!(peer.is_same(&workers[1].1));
    assert!(matches!(outcome, Err(Error::Timeout(_))), "{outcome:?}");
    assert!(begun.elapsed() >= 10 * SECOND);
    assert!(all.next().await.is_none() && all.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_bounded_number_of_calls_is_in_flight() {
    let group = Group::builder().max_concurrent_calls(2).call_timeout(10 * SECOND).build();
    let gates: Vec<Gate> = (0..6).map(|_| Gate::default()).collect();
    let _workers = workers(&group, &gates);
    let started = || gates.iter().map(Gate::started).sum::<usize>();
    let begun = Instant::now();
    let mut all = group.peer().call::<u32>("wait", ()).call_all();
    for round in 1..=3 {
        let mut next = Box::pin(all.next());
        assert!(poll_once(&mut next).await.is_pending());
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(started(), 2 * round);
        assert!(matches!(next.await, Some((_, Err(Error::Timeout(_))))));
        assert!(matches!(all.next().await, Some((_, Err(Error::Timeout(_))))));
    }
    assert!(all.next().await.is_none());
    // Each call's time starts when the call is sent.
    assert!(begun.elapsed() >= 30 * SECOND);
}

#[tokio::test]
async fn members_that_leave_or_fail_have_errors() {
    let group = Group::new();
    let (mut a, ada) = member(&group).await;
    let (mut b, bob) = member(&group).await;
    let (c, cy) = member(&group).await;
    cy.close(1000, "");
    let mut all = group.peer().call::<u32>("m", ()).call_all();
    let (peer, outcome) = all.next().await.unwrap();
    assert!(peer.is_same(&cy) && matches!(outcome, Err(Error::Closed(_))));
    a.receive().await;
    b.receive().await;
    a.hang_up();
    let (peer, outcome) = all.next().await.unwrap();
    assert!(peer.is_same(&ada) && matches!(outcome, Err(Error::Closed(_))));
    // A stream as others know it.
    b.send(wsjsonrpc_tests::error(7, "no", "\"s1\"")).await;
    let rest: Vec<_> = all.collect().await;
    assert_eq!(rest.len(), 1);
    assert!(
        rest[0].0.is_same(&bob)
            && matches!(&rest[0].1, Err(Error::Call(error)) if error.code().0 == 7)
    );
    c.hang_up();
}

#[tokio::test]
async fn arguments_that_cannot_be_encoded_fail_each_call() {
    let group = Group::new();
    let (_a, _) = member(&group).await;
    let (_b, _) = member(&group).await;
    let all: Vec<_> = group.peer().call::<u32>("m", 1).call_all().collect().await;
    assert_eq!(all.len(), 2);
    for (_, outcome) in all {
        let text = outcome.unwrap_err().to_string();
        assert!(text.starts_with("cannot serialize the arguments: "), "{text}");
    }
    let none = Group::new();
    assert!(none.peer().call::<u32>("m", ()).call_all().next().await.is_none());
}

#[tokio::test]
async fn dropping_the_stream_cancels_calls_without_a_result() {
    let group = Group::new();
    let (mut a, _ada) = knowing_member(&group).await;
    let (mut b, _bob) = knowing_member(&group).await;
    let mut all = group.peer().call::<u32>("m", ()).without_timeout().call_all();
    assert!(poll_once(&mut Box::pin(all.next())).await.is_pending());
    for raw in [&mut a, &mut b] {
        assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"m","id":"s1"}"#);
    }
    a.send(result("1", "\"s1\"")).await;
    assert_eq!(all.next().await.unwrap().1.unwrap(), 1);
    drop(all);
    assert_eq!(b.receive().await, cancel("\"s1\""));
    a.check(&request("quick", "[]", "1"), &[&result("null", "1")]).await;
}

async fn knowing_member(group: &Group) -> (Raw, Peer) {
    let (raw, peer) = Raw::knowing_client(server()).await;
    assert!(group.insert(&peer));
    (raw, peer)
}

#[tokio::test]
async fn progress_of_all_members_reaches_the_closure() {
    let group = Group::new();
    let mut clients = Vec::new();
    for number in 0..3_u32 {
        let client =
            Client::builder().method("work", move |ctx: wsjsonrpc::Context, ()| async move {
                ctx.progress(number).await?;
                Ok(number)
            });
        let (client, peer) = memory::pair(client, Server::builder()).unwrap();
        assert!(group.insert(&peer));
        clients.push((client, peer));
    }
    let (report, mut reports) = tokio::sync::mpsc::unbounded_channel();
    let call = group.peer().call::<u32>("work", ());
    let all = call.on_progress(move |number: u32| report.send(number).unwrap()).call_all();
    let results: BTreeSet<u32> = all.map(|(_, outcome)| outcome.unwrap()).collect().await;
    assert_eq!(results, BTreeSet::from([0, 1, 2]));
    let mut reported = BTreeSet::new();
    while let Some(number) = reports.recv().await {
        reported.insert(number);
    }
    assert_eq!(reported, results);
}

#[tokio::test]
async fn a_single_peer_has_one_result() {
    let client = Client::builder().method("one", |_, ()| async { Ok(1) });
    let (_client, peer) = memory::pair(client, Server::builder()).unwrap();
    let results: Vec<_> = peer.call::<u32>("one", ()).call_all().collect().await;
    assert_eq!(results.len(), 1);
    assert!(results[0].0.is_same(&peer) && *results[0].1.as_ref().unwrap() == 1);
}
