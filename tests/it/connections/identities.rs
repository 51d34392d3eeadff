//! The index of connections by the keys that the application names.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wsjsonrpc::server::{ConnectionId, Grant, Handshake};
use wsjsonrpc::{Client, Context, Endpoint};
use wsjsonrpc_tests::{Raw, empty_batch, listen, post, request, result, serve_upgraded, server};

use super::on_connect::settle;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct User(String);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Tenant(u32);

fn user(name: &str) -> User {
    User(name.to_owned())
}

fn with_login() -> wsjsonrpc::server::ServerBuilder {
    server()
        .method("login", |ctx: Context, (name,): (String,)| async move {
            ctx.identify(User(name));
            Ok(u64::from(ctx.connection_id()))
        })
        .method("tenant", |ctx: Context, (id,): (u32,)| async move {
            ctx.identify(Tenant(id));
            Ok(())
        })
        .method("logout", |ctx: Context, ()| async move { Ok(ctx.remove_identity::<User>()) })
}

fn ids<K: Eq + Hash + Send + Sync + 'static>(endpoint: &Endpoint, key: &K) -> Vec<u64> {
    endpoint.connections_of(key).iter().map(|connection| connection.id().into()).collect()
}

#[tokio::test(start_paused = true)]
async fn connections_are_found_by_the_keys_of_their_logins() {
    let endpoint = with_login().build().unwrap();
    let mut raws = Vec::new();
    for name in ["ada", "bob", "ada"] {
        let (mut raw, _) = Raw::client_of(&endpoint).await;
        let id = raw.ask(request("login", &format!("[\"{name}\"]"), "1")).await;
        assert_eq!(id, result(&id_of_last(&endpoint).to_string(), "1"));
        raws.push(raw);
    }
    let all: Vec<u64> = endpoint.connections().iter().map(|it| it.id().into()).collect();
    assert_eq!(ids(&endpoint, &user("ada")), [all[0], all[2]]);
    assert_eq!(ids(&endpoint, &user("bob")), [all[1]]);
    assert!(ids(&endpoint, &user("eve")).is_empty());
    assert!(ids(&endpoint, &"ada".to_owned()).is_empty(), "another type");

    // One key of each type: a later one replaces it, and keys of other types stay.
    raws[0].ask(request("tenant", "[1]", "2")).await;
    raws[0].ask(request("login", "[\"bob\"]", "3")).await;
    assert_eq!(ids(&endpoint, &user("ada")), [all[2]]);
    assert_eq!(ids(&endpoint, &user("bob")), [all[0], all[1]]);
    assert_eq!(ids(&endpoint, &Tenant(1)), [all[0]]);
    raws[0].ask(request("login", "[\"bob\"]", "4")).await;
    assert_eq!(ids(&endpoint, &user("bob")), [all[0], all[1]]);

    assert_eq!(raws[0].ask(request("logout", "[]", "5")).await, result("true", "5"));
    assert_eq!(raws[0].ask(request("logout", "[]", "6")).await, result("false", "6"));
    assert_eq!(ids(&endpoint, &user("bob")), [all[1]]);
    assert_eq!(ids(&endpoint, &Tenant(1)), [all[0]]);

    raws.remove(0).hang_up();
    raws.remove(0).hang_up();
    settle().await;
    assert_eq!((ids(&endpoint, &user("bob")), ids(&endpoint, &Tenant(1))), (vec![], vec![]));
    assert_eq!(ids(&endpoint, &user("ada")), [all[2]]);
}

fn id_of_last(endpoint: &Endpoint) -> ConnectionId {
    endpoint.connections().last().unwrap().id()
}

/// Keys that differ may have the same hash.
#[tokio::test(start_paused = true)]
async fn keys_with_the_same_hash_are_told_apart() {
    #[derive(PartialEq, Eq)]
    struct Same(u32);
    impl Hash for Same {
        fn hash<H: Hasher>(&self, state: &mut H) {
            0.hash(state);
        }
    }
    let endpoint = server().build().unwrap();
    let mut raws = Vec::new();
    for key in 0..3 {
        let (mut raw, _) = Raw::client_of(&endpoint).await;
        raw.check("[]", &[&empty_batch()]).await;
        endpoint.connection(id_of_last(&endpoint)).unwrap().identify(Same(key));
        raws.push(raw);
    }
    for (key, connection) in (0..3).zip(endpoint.connections()) {
        assert_eq!(ids(&endpoint, &Same(key)), [u64::from(connection.id())]);
    }
    raws.remove(1).hang_up();
    settle().await;
    let left = [0, 1, 2].map(|key| ids(&endpoint, &Same(key)).len());
    assert_eq!(left, [1, 0, 1]);
}

/// A user's session has ended elsewhere: all connections of the user close, and no other.
#[tokio::test]
async fn the_connections_of_a_user_can_be_closed_from_outside() {
    let (url, endpoint) = listen(server().authorize_fn(|handshake| async move {
        let name = handshake.header("x-user").unwrap_or_default();
        // The later key of a type counts.
        Ok(Grant::new().identify(user("nobody")).identify(user(name)).identify(Tenant(1)))
    }))
    .await;
    let connect = |name: &'static str| Client::builder().header("x-user", name).connect(&url);
    let (ada, also_ada, bob) = (
        connect("ada").await.unwrap(),
        connect("ada").await.unwrap(),
        connect("bob").await.unwrap(),
    );
    for client in [&ada, &also_ada, &bob] {
        client.peer().call::<()>("quick", ()).await.unwrap();
    }
    assert_eq!((ids(&endpoint, &Tenant(1)).len(), ids(&endpoint, &user("nobody")).len()), (3, 0));
    for connection in endpoint.connections_of(&user("ada")) {
        connection.close(4001, "session ended");
    }
    for client in [ada, also_ada] {
        let words = "connection closed by the peer with code 4001: session ended";
        assert_eq!(client.closed().await.to_string(), words);
    }
    bob.peer().call::<()>("quick", ()).await.unwrap();
}

#[tokio::test]
async fn a_caller_without_a_connection_has_no_identity() {
    let server = with_login().authorize_fn(|_| async { Ok(Grant::new().identify(Tenant(1))) });
    let endpoint = server.build().unwrap();
    let address = wsjsonrpc_tests::mounted::in_axum(endpoint.http_service()).await;
    let answer = post::ask(address, &request("login", "[\"ada\"]", "1")).await;
    let id = answer.split_once("\"result\":").unwrap().1.split(',').next().unwrap();
    assert!(endpoint.connection(id.parse::<u64>().unwrap().into()).is_none());
    assert_eq!(post::ask(address, &request("logout", "[]", "1")).await, result("false", "1"));
    assert_eq!((ids(&endpoint, &user("ada")), ids(&endpoint, &Tenant(1))), (vec![], vec![]));
}

/// Counts the keys and the values that exist.
struct Counted(u32, Arc<AtomicUsize>);

impl Counted {
    fn new(key: u32, count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Counted(key, Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::Relaxed);
    }
}

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Counted {}

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// All tasks are in memory, so they are done after a number of turns.
async fn wait(done: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if done() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it does not happen");
}

#[tokio::test]
async fn ten_thousand_connections_leave_nothing_behind() {
    let count = Arc::new(AtomicUsize::new(0));
    let (keys, ends) = (Arc::clone(&count), Arc::new(AtomicUsize::new(0)));
    let ended = Arc::clone(&ends);
    let endpoint = server()
        .on_connect(move |connection| {
            let keys = Arc::clone(&keys);
            async move {
                let number = u64::from(connection.id()) as u32;
                connection.identify(Counted::new(number % 100, &keys));
                connection.set(Counted::new(number, &keys));
                Ok(())
            }
        })
        .on_disconnect(move |_, _| {
            ended.fetch_add(1, Ordering::Relaxed);
            async {}
        })
        .build()
        .unwrap();
    let mut most = 0;
    for _ in 0..100 {
        let open: Vec<_> =
            (0..100).map(|_| serve_upgraded(&endpoint, Handshake::new("/"), 64)).collect();
        wait(|| count.load(Ordering::Relaxed) == 200).await;
        most = most.max(endpoint.connections_of(&Counted::new(7, &count)).len());
        for (stream, serving) in open {
            drop(stream);
            serving.await.unwrap();
        }
    }
    wait(|| ends.load(Ordering::Relaxed) == 10_000 && count.load(Ordering::Relaxed) == 0).await;
    assert_eq!((endpoint.connection_count(), most), (0, 1));
}

/// A key is the application's: its drop may panic.
#[tokio::test(start_paused = true)]
async fn a_key_that_panics_when_dropped_is_contained() {
    #[derive(PartialEq, Eq, Hash)]
    struct Panics(u32);
    impl Drop for Panics {
        fn drop(&mut self) {
            if self.0 == 1 {
                panic!("on purpose");
            }
        }
    }
    let endpoint = server()
        .on_connect(|connection| async move {
            connection.identify(Panics(1));
            Ok(())
        })
        .build()
        .unwrap();
    let (mut one, serving) = Raw::client_of(&endpoint).await;
    let (mut two, _) = Raw::client_of(&endpoint).await;
    two.check("[]", &[&empty_batch()]).await;
    one.check("[]", &[&empty_batch()]).await;
    let key = std::mem::ManuallyDrop::new(Panics(1));
    assert_eq!(endpoint.connections_of(&*key).len(), 2);
    one.hang_up();
    serving.await.unwrap();
    assert_eq!(endpoint.connections_of(&*key).len(), 1);
    two.check(&request("quick", "[]", "1"), &[&result("null", "1")]).await;
}
