//! Groups by key, which exist as long as they have members.

use wsjsonrpc::Group;
use wsjsonrpc::group::{Groups, SlowMember};
use wsjsonrpc_tests::{Raw, server};

use super::{event, event_text};

#[tokio::test]
async fn a_group_exists_as_long_as_it_has_members() {
    let rooms: Groups<String> = Groups::new();
    let (mut a, ada) = Raw::client_and_peer(server()).await;
    let (b, bob) = Raw::client_and_peer(server()).await;
    assert!(rooms.is_empty() && rooms.get("lobby").is_none());
    assert!(rooms.insert("lobby".to_owned(), &ada));
    assert!(!rooms.insert("lobby".to_owned(), &ada));
    assert!(rooms.insert("lobby".to_owned(), &bob));
    assert!(rooms.insert("garden".to_owned(), &bob));
    let mut keys = rooms.clone().keys();
    keys.sort();
    assert_eq!(keys, ["garden", "lobby"]);
    assert_eq!(rooms.get("lobby").unwrap().len(), 2);
    assert_eq!(event(&rooms.group("lobby").except(&bob).peer(), 1).broadcast().unwrap().sent, 1);
    assert_eq!(event(&rooms.group("cellar").peer(), 1).broadcast().unwrap().sent, 0);
    assert_eq!(a.receive().await, event_text(1));
    assert_eq!(rooms.len(), 2, "asking for a group does not create it");

    b.hang_up();
    bob.closed().await;
    assert_eq!(rooms.keys(), ["lobby"]);
    assert!(!rooms.insert("garden".to_owned(), &bob), "its connection has ended");
    assert_eq!(rooms.keys(), ["lobby"]);
    let lobby = rooms.get("lobby").unwrap();
    assert!(!rooms.remove("garden", &ada) && rooms.remove("lobby", &ada));
    assert!(rooms.is_empty() && lobby.is_empty());

    // The handle is to the same room.
    assert!(rooms.insert("lobby".to_owned(), &ada));
    assert!(lobby.contains(&ada) && rooms.get("lobby").unwrap().contains(&ada));
    assert!(rooms.get("lobby").unwrap().remove(&ada));
    assert!(rooms.is_empty());
}

#[tokio::test]
async fn a_peer_leaves_all_groups_of_one_collection() {
    let (rooms, teams): (Groups<u32>, Groups<u32>) = (Groups::new(), Groups::new());
    let everyone = Group::new();
    let (_a, ada) = Raw::client_and_peer(server()).await;
    let (_b, bob) = Raw::client_and_peer(server()).await;
    assert_eq!(rooms.leave_all(&ada), 0);
    for key in 0..10 {
        assert!(rooms.insert(key, &ada) && teams.insert(key, &ada));
    }
    assert!(rooms.insert(3, &bob) && everyone.insert(&ada));
    assert_eq!(rooms.leave_all(&ada), 10);
    assert_eq!(rooms.leave_all(&ada), 0);
    assert_eq!((rooms.keys(), teams.len(), everyone.len()), (vec![3], 10, 1));
    assert!(rooms.get(&3).unwrap().contains(&bob) && !rooms.get(&3).unwrap().contains(&ada));
}

/// Rooms appear and vanish on several threads, and no member is lost.
#[tokio::test(flavor = "multi_thread")]
async fn no_member_gets_lost_while_groups_vanish() {
    let settings = Group::builder().slow_member(SlowMember::Disconnect);
    let rooms: Groups<usize> = settings.build_groups();
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let (raw, peer) = Raw::client_and_peer(server()).await;
        let rooms = rooms.clone();
        tasks.push(tokio::task::spawn_blocking(move || {
            for round in 0..2000 {
                let key = round % 2;
                assert!(rooms.insert(key, &peer));
                assert!(rooms.get(&key).is_some_and(|room| room.contains(&peer)));
                match round % 3 {
                    0 => assert_eq!(rooms.leave_all(&peer), 1),
                    _ => assert!(rooms.remove(&key, &peer)),
                }
            }
            drop(raw);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert!(rooms.is_empty());
}
