//! Who is a member: joining, leaving, connections that end, and reconnecting clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wsjsonrpc::http::HttpPeer;
use wsjsonrpc::{Client, Context, Error, Group, Server, memory};
use wsjsonrpc_tests::{Raw, SECOND, reconnect, request, server};

use super::{event, event_text, member, number_in};

#[tokio::test]
async fn a_peer_is_a_member_once() {
    let group = Group::new();
    let (raw, peer) = member(&group).await;
    assert!(!group.insert(&peer), "it is a member already");
    assert!(group.clone().contains(&peer));
    assert_eq!((group.len(), group.is_empty()), (1, false));
    assert!(group.members()[0].is_same(&peer));
    assert!(group.remove(&peer));
    assert!(!group.remove(&peer));
    assert!(group.is_empty() && !group.contains(&peer) && group.members().is_empty());
    assert_eq!(event(&group.peer(), 1).broadcast().unwrap().sent, 0);
    assert!(group.insert(&peer), "it may come back");
    raw.hang_up();
}

#[tokio::test]
async fn a_connection_that_ends_leaves_all_its_groups() {
    let (first, second) = (Group::new(), Group::new());
    let (raw, peer) = member(&first).await;
    let (mut stays, other) = member(&first).await;
    assert!(second.insert(&peer));
    raw.hang_up();
    peer.closed().await;
    assert_eq!((first.len(), second.len()), (1, 0));
    assert!(!first.insert(&peer), "its connection has ended");
    assert_eq!(first.len(), 1);
    let report = event(&first.peer(), 1).broadcast().unwrap();
    assert_eq!((report.sent, report.gone), (1, 0));
    assert_eq!(stays.receive().await, event_text(1));
    // The connection is closing, and has not ended yet.
    other.close(1000, "");
    let report = event(&first.peer(), 2).broadcast().unwrap();
    assert_eq!((report.sent, report.gone, first.len()), (0, 1, 1));
}

#[tokio::test]
async fn peers_without_a_connection_cannot_join() {
    let group = Group::new();
    let peer = HttpPeer::new("http://127.0.0.1:1/").unwrap().peer();
    assert!(!group.insert(&peer));
    assert!(!group.contains(&peer) && !group.remove(&peer));
    assert_eq!(event(&peer, 1).broadcast().unwrap().gone, 1, "there is no send queue");
    assert!(!group.insert(&Group::new().peer()), "a group is not a member");

    // The caller of a handler that runs for a POST request.
    let joining = group.clone();
    let server = Server::builder().method("join", move |ctx: Context, ()| {
        let joined = joining.insert(&ctx.peer());
        async move { Ok(joined) }
    });
    let endpoint = server.build().unwrap();
    let address = wsjsonrpc_tests::mounted::in_axum(endpoint.http_service()).await;
    let caller = HttpPeer::new(&format!("http://{address}/rpc")).unwrap().peer();
    assert!(!caller.call::<bool>("join", ()).await.unwrap());
    assert!(group.is_empty());
}

#[tokio::test]
async fn except_leaves_peers_out() {
    let group = Group::new();
    let (mut a, ada) = member(&group).await;
    let (mut b, bob) = member(&group).await;
    let (mut c, cy) = member(&group).await;
    let others = group.except(&ada);
    assert_eq!((others.len(), others.contains(&ada), others.contains(&bob)), (2, false, true));
    assert_eq!(event(&others.peer(), 1).broadcast().unwrap().sent, 2);
    let last = others.except(&bob).except(&bob);
    assert_eq!(event(&last.peer(), 2).broadcast().unwrap().sent, 1);
    assert!(last.members()[0].is_same(&cy) && last.len() == 1);
    assert!(last.except(&cy).is_empty());
    event(&group.peer(), 3).broadcast().unwrap();
    assert_eq!(number_in(&a.receive().await), 3);
    assert_eq!([number_in(&b.receive().await), number_in(&b.receive().await)], [1, 3]);
    for expected in 1..=3 {
        assert_eq!(number_in(&c.receive().await), expected);
    }
    // Calls leave them out too, and changes apply to the group itself.
    let none = last.except(&cy).peer().call::<()>("event", ()).await;
    assert!(matches!(none, Err(Error::NoMember)), "{none:?}");
    assert!(others.remove(&bob) && !group.contains(&bob));
    assert!(others.insert(&bob) && group.contains(&bob));
}

/// Some members join and leave while others get every message in order.
#[tokio::test(flavor = "multi_thread")]
async fn members_join_and_leave_during_broadcasts() {
    const ROUNDS: usize = 300;
    let group = Group::new();
    let (mut stays, _stays) = member(&group).await;
    let mut guests = Vec::new();
    for _ in 0..4 {
        guests.push(Raw::client_and_peer(server()).await);
    }
    let over = Arc::new(AtomicBool::new(false));
    let guests: Vec<_> = guests
        .into_iter()
        .enumerate()
        .map(|(index, (mut raw, peer))| {
            let (group, over) = (group.clone(), Arc::clone(&over));
            let visits = tokio::spawn({
                let peer = peer.clone();
                async move {
                    while !over.load(Ordering::Relaxed) {
                        assert!(group.insert(&peer));
                        tokio::task::yield_now().await;
                        assert!(group.remove(&peer));
                    }
                    // Half of them end as members.
                    if index % 2 == 0 {
                        assert!(group.insert(&peer));
                    }
                    event(&peer, ROUNDS).broadcast().unwrap();
                }
            });
            let reads = tokio::spawn(async move {
                let mut last = None;
                while last != Some(ROUNDS) {
                    let next = Some(number_in(&raw.receive().await));
                    assert!(next > last, "{next:?} after {last:?}");
                    last = next;
                }
                raw
            });
            (visits, reads, peer)
        })
        .collect();
    let sending = group.clone();
    let sender = tokio::task::spawn_blocking(move || {
        for number in 0..ROUNDS {
            let report = event(&sending.peer(), number).broadcast().unwrap();
            assert!(report.sent >= 1 && report.dropped == 0 && report.gone == 0);
        }
    });
    for number in 0..ROUNDS {
        assert_eq!(stays.receive().await, event_text(number));
    }
    sender.await.unwrap();
    over.store(true, Ordering::Relaxed);
    let mut left = Vec::new();
    for (visits, reads, peer) in guests {
        visits.await.unwrap();
        left.push((reads.await.unwrap(), peer));
    }
    assert_eq!(group.len(), 3);
    for (index, (raw, peer)) in left.into_iter().enumerate() {
        assert_eq!(group.contains(&peer), index % 2 == 0);
        raw.hang_up();
        peer.closed().await;
    }
    assert_eq!(group.len(), 1);
}

/// Connections end while others join, on several threads.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_while_it_joins_is_not_left_behind() {
    let group = Group::new();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let group = group.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    let (client, peer) =
                        memory::pair(Client::builder(), Server::builder()).unwrap();
                    let (joining, joined) = (group.clone(), peer.clone());
                    let join = tokio::task::spawn_blocking(move || joining.insert(&joined));
                    drop(client);
                    peer.closed().await;
                    join.await.unwrap();
                    assert!(!group.contains(&peer));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(group.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reconnecting_client_leaves_when_it_is_closed() {
    let group = Group::new();
    let (client, mut raw, mut attempts) = reconnect::connected(reconnect::client()).await;
    assert!(group.insert(&client.peer()));
    assert!(!group.insert(&client.peer()) && group.contains(&client.peer()));
    event(&group.peer(), 1).broadcast().unwrap();
    assert_eq!(raw.receive().await, event_text(1));
    raw.hang_up();
    let attempt = attempts.next().await;
    let report = event(&group.peer(), 2).broadcast().unwrap();
    assert_eq!((report.sent, report.gone, group.len()), (0, 1, 1), "it is not connected");
    let mut raw = attempt.accept().await;
    while event(&group.peer(), 3).broadcast().unwrap().sent == 0 {
        tokio::time::sleep(SECOND).await;
    }
    assert_eq!(raw.receive().await, event_text(3));
    client.peer().close(1000, "");
    raw.wait_for_end().await;
    client.peer().closed().await;
    assert!(group.is_empty());
    assert!(!group.insert(&client.peer()));
}

/// A group's handle to a member does not inherit the deadline of the handler that has inserted it.
#[tokio::test]
async fn a_members_handle_has_no_inherited_deadline() {
    let group = Group::new();
    let joining = group.clone();
    let server = server().method("join", move |ctx: Context, ()| {
        let group = joining.clone();
        async move {
            group.insert(&ctx.peer());
            // During the handler, of which the caller waits for a minute.
            let _ = group.members()[0].call::<()>("one", ()).without_timeout().await;
            let _ = ctx.peer().call::<()>("other", ()).without_timeout().await;
            Ok(())
        }
    });
    let (mut raw, _peer) = Raw::knowing_client(server).await;
    let join = r#"{"jsonrpc":"2.0","method":"join","id":1,"wsjsonrpc":{"timeout":60000}}"#;
    let own = raw.ask(join).await;
    assert_eq!(own, r#"{"jsonrpc":"2.0","method":"one","id":"s1"}"#);
    let inherited = raw.ask(wsjsonrpc_tests::result("null", "\"s1\"")).await;
    assert!(inherited.contains("\"timeout\":"), "{inherited}");
    raw.send(request("quick", "[]", "2")).await;
}
