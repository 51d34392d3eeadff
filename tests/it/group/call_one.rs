//! A call to one member: which one, and when the next one gets it.

use std::future::IntoFuture;

use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use wsjsonrpc::{Client, Error, Group, Peer, Server, memory};
use wsjsonrpc_tests::{Gate, Raw, SECOND, begin, request, result, server};

use super::{member, member_with};

/// Workers that count and hold their calls.
fn workers(group: &Group, count: usize) -> (Vec<(Client, Peer)>, Vec<Gate>) {
    let gates: Vec<Gate> = (0..count).map(|_| Gate::default()).collect();
    let pairs = gates.iter().map(|gate| {
        let client = Client::builder().method("work", gate.handler(1));
        let (client, peer) = memory::pair(client, Server::builder()).unwrap();
        assert!(group.insert(&peer));
        (client, peer)
    });
    (pairs.collect(), gates)
}

#[tokio::test]
async fn the_member_with_the_fewest_pending_calls_gets_a_call() {
    let group = Group::new();
    let (_workers, gates) = workers(&group, 3);
    let call = || begin(group.peer().call::<u32>("work", ()).into_future());
    for round in 1..=4 {
        for _ in 0..3 {
            tokio::spawn(call().await);
        }
        for gate in &gates {
            gate.arrived(1).await;
            assert_eq!(gate.started(), round, "each gets one");
        }
    }
    assert_eq!(group.peer().pending_calls(), 12);
    // One of them has finished its work.
    gates[1].open(4);
    while group.peer().pending_calls() > 8 {
        tokio::task::yield_now().await;
    }
    for _ in 0..4 {
        tokio::spawn(call().await);
    }
    gates[1].arrived(4).await;
    assert_eq!(gates[1].started(), 8);
}

#[tokio::test]
async fn members_without_pending_calls_take_turns() {
    let group = Group::new();
    let (_workers, gates) = workers(&group, 3);
    for gate in &gates {
        gate.open(100);
    }
    for _ in 0..9 {
        assert_eq!(group.peer().call::<u32>("work", ()).await.unwrap(), 1);
    }
    assert_eq!(gates.iter().map(Gate::started).collect::<Vec<_>>(), [3, 3, 3]);
}

/// Of two members, the one that gets the first call, and the other one.
async fn first_and_second(group: &Group) -> [(Raw, Peer); 2] {
    let mut members = [member(group).await, member(group).await];
    let call = begin(group.peer().call::<u32>("which", ()).into_future()).await;
    let first = members.iter().position(|(_, peer)| peer.pending_calls() == 1).unwrap();
    members[first].0.receive().await;
    drop(call);
    members.rotate_left(first);
    members
}

#[tokio::test]
async fn an_idempotent_call_goes_to_the_next_member_when_a_connection_ends() {
    let group = Group::new();
    let [(mut a, ada), (mut b, bob)] = first_and_second(&group).await;
    // The next call goes to the other one first.
    for idempotent in [true, false] {
        let call = group.peer().call::<u32>("work", [1]);
        let call = if idempotent { call.idempotent() } else { call };
        let mut call = begin(call.into_future()).await;
        let (first, last) =
            if bob.pending_calls() == 1 { (&mut b, &mut a) } else { (&mut a, &mut b) };
        assert!(first.receive().await.contains("\"work\""));
        first.socket.close(None).await.unwrap();
        if idempotent {
            assert!(wsjsonrpc_tests::poll_once(&mut call).await.is_pending());
            let text = tokio::select! {
                text = last.receive() => text,
                _ = &mut call => panic!("there is no response yet"),
            };
            assert!(text.contains("\"work\""));
            let id = text.split("\"id\":").nth(1).unwrap().trim_end_matches('}');
            last.send(result("5", id)).await;
            assert_eq!(call.await.unwrap(), 5);
            assert_eq!(group.len(), 1);
        } else {
            let outcome = call.await;
            assert!(matches!(outcome, Err(Error::Closed(_))), "{outcome:?}");
        }
    }
    drop((ada, bob));
    assert!(group.is_empty());
}

#[tokio::test]
async fn a_call_is_not_sent_to_a_member_that_is_closing() {
    let group = Group::new();
    let [(a, ada), (mut b, _bob)] = first_and_second(&group).await;
    ada.close(1000, "");
    assert_eq!(group.len(), 2, "the connection has not ended yet");
    for number in 0..3 {
        let mut call = begin(group.peer().call::<u32>("work", ()).into_future()).await;
        let text = tokio::select! { text = b.receive() => text, _ = &mut call => panic!("early") };
        let id = text.split("\"id\":").nth(1).unwrap().trim_end_matches('}');
        b.send(result(&number.to_string(), id)).await;
        assert_eq!(call.await.unwrap(), number);
    }
    a.hang_up();
}

/// A message that ends each connection on which it is sent does not end all of them.
#[tokio::test]
async fn a_call_that_ends_connections_is_sent_twice() {
    let group = Group::new();
    let mut tasks = Vec::new();
    for _ in 0..5 {
        let (mut raw, _peer) = member(&group).await;
        tasks.push(tokio::spawn(async move {
            raw.receive().await;
            let frame = CloseFrame { code: CloseCode::Size, reason: "".into() };
            raw.socket.send(Message::Close(Some(frame))).await.unwrap();
            raw.wait_for_end().await;
        }));
    }
    let outcome = group.peer().call::<u32>("large", ()).idempotent().await;
    assert!(matches!(outcome, Err(Error::Closed(_))), "{outcome:?}");
    while group.len() > 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(group.len(), 3);
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn an_empty_group_says_so() {
    let group = Group::new();
    let peer = group.peer();
    let outcome = peer.call::<u32>("work", ()).await;
    let text = "the group has no member that accepts calls; insert a connected peer, or check \
                Group::is_empty";
    assert_eq!(outcome.unwrap_err().to_string(), text);
    let outcome = peer.batch((peer.call::<u32>("work", ()), peer.notify("event", [1]))).await;
    assert!(matches!(outcome, Err(Error::NoMember)), "{outcome:?}");
    let outcome = peer.subscribe::<u32>("count", [1]).await;
    assert!(matches!(outcome, Err(Error::NoMember)), "{outcome:?}");
    assert_eq!(peer.call::<u32>("work", ()).broadcast().unwrap(), Default::default());
    peer.notify("event", [1]).await.unwrap();
    assert!(!peer.is_closed() && peer.is_same(&group.clone().peer()));
    assert!(!peer.is_same(&Group::new().peer()));
}

#[tokio::test]
async fn a_batch_and_a_subscription_go_to_one_member() {
    let group = Group::new();
    let members = [Client::connect_to(&group), Client::connect_to(&group)];
    let peer = group.peer();
    for _ in 0..4 {
        let calls = (peer.call::<i64>("sum", (1, 2)), peer.call::<i64>("sum", (3, 4)));
        let (first, second) = peer.batch(calls).await.unwrap();
        assert_eq!((first.unwrap(), second.unwrap()), (3, 7));
    }
    let mut items = peer.subscribe::<u64>("count", [3]).await.unwrap();
    for expected in 1..=3 {
        assert_eq!(items.next().await.unwrap().unwrap(), expected);
    }
    assert!(items.next().await.is_none());
    drop(members);
}

/// A client in a group: the members serve, and this side calls them.
trait InGroup {
    fn connect_to(group: &Group) -> (Client, Peer);
}

impl InGroup for Client {
    fn connect_to(group: &Group) -> (Client, Peer) {
        let (client, peer) = memory::pair(Client::builder(), server()).unwrap();
        assert!(group.insert(&client.peer()));
        (client, peer)
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_times_out_once() {
    let group = Group::builder().call_timeout(3 * SECOND).build();
    let (_a, _) = member(&group).await;
    let (_b, _) = member(&group).await;
    let begun = tokio::time::Instant::now();
    let outcome = group.peer().call::<u32>("work", ()).idempotent().await;
    let text = outcome.unwrap_err().to_string();
    assert_eq!(text, "no response to \"work\" within 3 s");
    assert!(begun.elapsed() < 4 * SECOND);
}

#[tokio::test]
async fn closing_the_handle_of_a_group_closes_all_members() {
    let group = Group::new();
    let (mut a, ada) = member(&group).await;
    let (mut b, bob) = member_with(&group, Default::default()).await;
    group.except(&bob).peer().close(4000, "over");
    assert_eq!(u16::from(a.receive_close().await.unwrap().code), 4000);
    b.check(&request("quick", "[]", "1"), &[&result("null", "1")]).await;
    a.wait_for_end().await;
    ada.closed().await;
    group.peer().close(4000, "over");
    assert_eq!(u16::from(b.receive_close().await.unwrap().code), 4000);
}
