//! Who is in a group: users with several connections, slow subscribers, and subscribers that resume.

use std::sync::Arc;

use serde_json::{Value, json};
use wsjsonrpc::group::{Groups, Presence, PresenceEvent};
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::subscription::Topic;
use wsjsonrpc::{Client, Context, Group, Methods, Peer, Server, memory};
use wsjsonrpc_tests::{Raw, notification, result};

use PresenceEvent::{Joined, Left, Present};

fn server(presence: &Presence<String>) -> ServerBuilder {
    let presence = presence.clone();
    let subscribe = move |ctx: Context, ()| {
        let stream = presence.subscribe(&ctx);
        async move { Ok(stream) }
    };
    Server::builder().service(Methods::new().subscription(Topic::new("users"), subscribe))
}

fn pair() -> (Client, Peer) {
    memory::pair(Client::builder(), Server::builder()).unwrap()
}

fn name(name: &str) -> String {
    name.to_owned()
}

#[tokio::test]
async fn a_user_is_present_as_long_as_one_connection_is() {
    let group = Group::new();
    let presence = Presence::of(&group);
    let (watcher, _) = memory::pair(Client::builder(), server(&presence)).unwrap();
    let ((first, one), (second, two), (third, three)) = (pair(), pair(), pair());
    assert!(presence.join(&one, name("Ada")));
    let mut users = watcher.peer().subscribe::<PresenceEvent<String>>("users", ()).await.unwrap();
    assert_eq!(users.next().await.unwrap().unwrap(), Present(vec![name("Ada")]));
    assert!(presence.join(&two, name("Ada")));
    assert!(presence.join(&three, name("Bob")));
    assert_eq!(users.next().await.unwrap().unwrap(), Joined(name("Bob")));
    first.close().await;
    third.close().await;
    assert_eq!(users.next().await.unwrap().unwrap(), Left(name("Bob")));
    assert!(presence.contains(&name("Ada")) && group.len() == 1);
    // Removed from the group, by a handle to the same presence.
    assert!(Presence::<String>::of(&group).leave(&two));
    assert_eq!(users.next().await.unwrap().unwrap(), Left(name("Ada")));
    assert!(presence.users().is_empty() && group.is_empty());
    // The same peer comes again, twice, and as another user.
    assert!(presence.join(&two, name("Eve")) && presence.join(&two, name("Eve")));
    assert!(presence.join(&two, name("Eve")) && presence.join(&two, name("Eva")));
    assert_eq!(users.next().await.unwrap().unwrap(), Joined(name("Eve")));
    assert_eq!(users.next().await.unwrap().unwrap(), Left(name("Eve")));
    assert_eq!(users.next().await.unwrap().unwrap(), Joined(name("Eva")));
    second.close().await;
    assert!(!presence.join(&one, name("Ada")), "its connection has ended");
    assert_eq!(users.next().await.unwrap().unwrap(), Left(name("Eva")));
}

/// A user whose serialization or drop panics.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Odd(&'static str);

impl serde::Serialize for Odd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(self.0 != "panics", "on purpose");
        serializer.serialize_str(self.0)
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        assert!(self.0 != "drop" || std::thread::panicking(), "on purpose");
    }
}

#[tokio::test]
async fn a_user_that_panics_silences_nobody() {
    let presence = Presence::of(&Group::new());
    let source = presence.clone();
    let methods = Methods::new().subscription(Topic::new("users"), move |ctx: Context, ()| {
        let stream = source.subscribe(&ctx);
        async move { Ok(stream) }
    });
    let mut raw = Raw::client(Server::builder().service(methods)).await;
    assert_eq!(raw.ask(ask("{}")).await, result(r#""0x1""#, "1"));
    assert_eq!(params(&mut raw).await, json!({ "result": { "present": [] } }));
    let ((_one, ada), (_two, eve)) = (pair(), pair());
    presence.join(&ada, Odd("Ada"));
    assert_eq!(params(&mut raw).await, json!({ "result": { "joined": "Ada" } }));
    let (joining, peer) = (presence.clone(), ada.clone());
    let joined = tokio::spawn(async move { joining.join(&peer, Odd("panics")) }).await;
    assert!(joined.is_err_and(|error| error.is_panic()));
    assert_eq!(params(&mut raw).await, json!({ "result": { "left": "Ada" } }));
    presence.join(&eve, Odd("drop"));
    assert_eq!(params(&mut raw).await, json!({ "result": { "joined": "drop" } }));
    presence.leave(&eve);
    assert_eq!(params(&mut raw).await, json!({ "result": { "left": "drop" } }));
}

#[tokio::test]
async fn members_without_a_user_are_not_listed() {
    let group = Group::new();
    let (_client, peer) = pair();
    assert!(group.insert(&peer));
    let presence = Presence::of(&group);
    assert!(presence.users().is_empty());
    assert!(presence.join(&peer, name("Ada")), "a member gets a user");
    assert_eq!((presence.users(), group.len()), (vec![name("Ada")], 1));
}

/// Reads the next `params` without the subscription's id.
async fn params(raw: &mut Raw) -> Value {
    let mut message: Value = serde_json::from_str(&raw.receive().await).unwrap();
    message["params"].as_object_mut().unwrap().remove("subscription");
    message["params"].take()
}

fn ask(extensions: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"users","id":1,"wsjsonrpc":{extensions}}}"#)
}

#[tokio::test]
async fn the_list_heals_what_a_subscriber_has_missed() {
    let presence = Presence::of(&Group::new());
    let mut raw = Raw::client(server(&presence)).await;
    // Credit for one item.
    assert_eq!(raw.ask(ask(r#"{"resume":true,"window":1}"#)).await, result(r#""0x1""#, "1"));
    let start = params(&mut raw).await;
    let first = start["position"]["offset"].as_u64().unwrap();
    assert_eq!(start, json!({ "position": { "epoch": "presence", "offset": first } }));
    assert_eq!(params(&mut raw).await, json!({ "offset": first + 1, "result": { "present": [] } }));
    // 601 changes, more than wait for a subscriber; in the end, one user is there.
    let (_client, peer) = pair();
    for _ in 0..300 {
        presence.join(&peer, name("Ada"));
        presence.leave(&peer);
    }
    presence.join(&peer, name("Ada"));
    raw.send(notification("$/credit", r#"{"subscription":"0x1","bytes":100000}"#)).await;
    let list = json!({ "offset": first + 602, "result": { "present": ["Ada"] } });
    assert_eq!(params(&mut raw).await, list);
    presence.leave(&peer);
    let left = json!({ "offset": first + 603, "result": { "left": "Ada" } });
    assert_eq!(params(&mut raw).await, left);
    presence.join(&peer, name("Bob"));
    // One that resumes gets the list, without a gap before it: at this presence, and at that of
    // another process.
    let position = json!({ "epoch": "presence", "offset": first + 603 });
    let other = Presence::of(&Group::new());
    let (_client, peer) = pair();
    other.join(&peer, name("Bob"));
    for presence in [&presence, &other] {
        let mut again = Raw::client(server(presence)).await;
        let resume = format!(r#"{{"resume":{position}}}"#);
        assert_eq!(again.ask(ask(&resume)).await, result(r#""0x1""#, "1"));
        assert_eq!(params(&mut again).await, json!({ "position": position }));
        let list = params(&mut again).await;
        assert_eq!(list["result"], json!({ "present": ["Bob"] }));
        assert!(list["offset"].as_u64().unwrap() > first + 603);
    }
    // A position of the future, from a clock that was wrong, is a gap.
    let mut raw = Raw::client(server(&presence)).await;
    let resume = r#"{"resume":{"epoch":"presence","offset":9007199254740991}}"#;
    assert_eq!(raw.ask(ask(resume)).await, result(r#""0x1""#, "1"));
    assert_ne!(params(&mut raw).await["position"]["epoch"], "presence");
    assert_eq!(params(&mut raw).await["result"], json!({ "present": ["Bob"] }));
}

#[tokio::test]
async fn the_users_of_several_groups_have_no_positions() {
    let (one, two) = (Presence::of(&Group::new()), Presence::of(&Group::new()));
    let (first, second) = (one.clone(), two.clone());
    let methods = Methods::new().subscription(Topic::new("users"), move |ctx: Context, ()| {
        let both = futures_util::stream::select(first.subscribe(&ctx), second.subscribe(&ctx));
        async move { Ok(both) }
    });
    let mut raw = Raw::client(Server::builder().service(methods)).await;
    assert_eq!(raw.ask(ask(r#"{"resume":true}"#)).await, result(r#""0x1""#, "1"));
    for _ in 0..2 {
        assert_eq!(params(&mut raw).await, json!({ "result": { "present": [] } }));
    }
    let (_client, peer) = pair();
    one.join(&peer, name("Ada"));
    assert_eq!(params(&mut raw).await, json!({ "result": { "joined": "Ada" } }));
    two.join(&peer, name("Ada"));
    assert_eq!(params(&mut raw).await, json!({ "result": { "joined": "Ada" } }));
}

#[tokio::test]
async fn rooms_have_their_own_users_and_vanish() {
    let rooms: Groups<String> = Groups::new();
    let (client, peer) = pair();
    for room in ["lobby", "garden"] {
        Presence::of(&rooms.group(room)).join(&peer, name(&format!("Ada in {room}")));
    }
    assert_eq!(rooms.len(), 2);
    assert_eq!(Presence::<String>::of(&rooms.group("garden")).users(), ["Ada in garden"]);
    let kept = Presence::<String>::of(&rooms.group("lobby"));
    client.close().await;
    peer.closed().await;
    assert!(rooms.is_empty() && kept.users().is_empty());
    assert!(rooms.get("lobby").is_none());
}

#[tokio::test]
async fn a_subscriber_of_an_empty_room_learns_who_comes_back() {
    let rooms: Groups<String> = Groups::new();
    let watched = rooms.clone();
    let subscribe = move |ctx: Context, ()| {
        let stream = Presence::<String>::of(&watched.group("lobby")).subscribe(&ctx);
        async move { Ok(stream) }
    };
    let methods = Methods::new().subscription(Topic::new("users"), subscribe);
    let (watcher, _) = memory::pair(Client::builder(), Server::builder().service(methods)).unwrap();
    let mut users = watcher.peer().subscribe::<PresenceEvent<String>>("users", ()).await.unwrap();
    assert_eq!(users.next().await.unwrap().unwrap(), Present(vec![]));
    for _ in 0..2 {
        let (client, peer) = pair();
        assert!(Presence::of(&rooms.group("lobby")).join(&peer, name("Ada")));
        assert_eq!(users.next().await.unwrap().unwrap(), Joined(name("Ada")));
        assert!(rooms.get("lobby").is_some_and(|room| room.contains(&peer)));
        client.close().await;
        assert_eq!(users.next().await.unwrap().unwrap(), Left(name("Ada")));
        assert!(rooms.is_empty() && rooms.keys().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn joining_and_leaving_at_the_same_time_loses_nobody() {
    let group = Group::new();
    let presence = Presence::of(&group);
    let (_client, peer) = pair();
    let (peer, presence) = (Arc::new(peer), Arc::new(presence));
    let tasks = (0..4).map(|task| {
        let (peer, presence) = (Arc::clone(&peer), Arc::clone(&presence));
        tokio::spawn(async move {
            for _ in 0..2000 {
                presence.join(&peer, format!("user {task}"));
                if task % 2 == 0 {
                    presence.group().remove(&peer);
                }
                tokio::task::yield_now().await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    presence.join(&peer, name("last"));
    assert_eq!(presence.users(), ["last"]);
    presence.leave(&peer);
    assert!(presence.users().is_empty());
}
