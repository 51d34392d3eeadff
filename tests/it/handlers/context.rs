//! The context of a handler: values stored on the connection, the identity of the caller, and the
//! end of the connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Barrier, mpsc};
use tokio::task::JoinSet;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::{
    Client, Config, Context, Error, ErrorCode, ErrorObject, Methods, Peer, Result, Server, memory,
    rpc,
};
use wsjsonrpc_tests::{both_ways, listen};

#[derive(Debug, PartialEq)]
struct User(String);

#[rpc]
trait Account {
    async fn login(&self, ctx: &Context, name: &str, password: &str) -> Result<()>;
    async fn logout(&self, ctx: &Context) -> Result<bool>;
    async fn whoami(&self, ctx: &Context) -> Result<String>;
    /// Returns `None` where `whoami` returns an error.
    async fn maybe(&self, ctx: &Context) -> Result<Option<String>>;
}

struct Accounts;

impl Account for Accounts {
    async fn login(&self, ctx: &Context, name: &str, password: &str) -> Result<()> {
        if password != "swordfish" {
            return Err(ErrorObject::unauthorized("wrong password"));
        }
        ctx.set(User(name.to_owned()));
        Ok(())
    }

    async fn logout(&self, ctx: &Context) -> Result<bool> {
        Ok(ctx.remove::<User>().is_some())
    }

    async fn whoami(&self, ctx: &Context) -> Result<String> {
        Ok(ctx.require::<User>()?.0.clone())
    }

    async fn maybe(&self, ctx: &Context) -> Result<Option<String>> {
        Ok(ctx.get::<User>().map(|user| user.0.clone()))
    }
}

async fn refused(account: &AccountClient) {
    let Err(Error::Call(error)) = account.whoami().await else { panic!("nobody has logged in") };
    assert_eq!((error.code(), error.message()), (ErrorCode::UNAUTHORIZED, "Unauthorized"));
    assert!(error.data().is_none());
    assert_eq!(account.maybe().await.unwrap(), None);
}

#[tokio::test]
async fn values_on_a_connection_are_seen_until_removed() {
    let server = || Server::builder().service(Accounts.into_service());
    for (client, _) in both_ways(Client::builder, server).await {
        let account = AccountClient::new(&client);
        refused(&account).await;
        let Err(Error::Call(error)) = account.login("ada", "?").await else { panic!() };
        assert_eq!(error.message(), "wrong password");
        refused(&account).await;
        account.login("ada", "swordfish").await.unwrap();
        assert_eq!(account.whoami().await.unwrap(), "ada");
        account.login("bob", "swordfish").await.unwrap();
        assert_eq!(account.whoami().await.unwrap(), "bob");
        assert!(account.logout().await.unwrap());
        assert!(!account.logout().await.unwrap());
        refused(&account).await;
    }
}

#[tokio::test]
async fn values_on_a_connection_are_not_seen_by_others() {
    let (url, _) = listen(Server::builder().service(Accounts.into_service())).await;
    let ada = AccountClient::connect(&url).await.unwrap();
    let bob = AccountClient::connect(&url).await.unwrap();
    ada.login("ada", "swordfish").await.unwrap();
    refused(&bob).await;
    bob.login("bob", "swordfish").await.unwrap();
    assert_eq!(ada.whoami().await.unwrap(), "ada");
    assert!(ada.logout().await.unwrap());
    assert_eq!(bob.whoami().await.unwrap(), "bob");
    let late = AccountClient::connect(&url).await.unwrap();
    refused(&late).await;
}

#[tokio::test]
async fn a_call_behind_a_login_in_the_same_batch_sees_the_user() {
    let server = || Server::builder().service(Accounts.into_service());
    for (client, _) in both_ways(Client::builder, server).await {
        let account = AccountClient::new(&client);
        let calls = (account.maybe(), account.login("ada", "swordfish"), account.whoami());
        let (before, login, after) = account.batch(calls).await.unwrap();
        login.unwrap();
        assert_eq!((before.unwrap(), after.unwrap()), (None, "ada".to_owned()));
    }
}

#[tokio::test]
async fn a_client_has_its_own_values_for_the_servers_calls() {
    let client = || Client::builder().service(Accounts.into_service());
    for (_client, caller) in both_ways(client, Server::builder).await {
        let account = AccountClient::new(caller);
        refused(&account).await;
        account.login("server", "swordfish").await.unwrap();
        assert_eq!(account.whoami().await.unwrap(), "server");
    }
}

/// The context of a connection, and the client and peer that keep the connection open.
async fn context() -> (Context, Client, Peer) {
    let (give, mut take) = mpsc::unbounded_channel();
    let server = Server::builder().method("give", move |ctx: Context, ()| {
        let given = give.send(ctx).map_err(|_| ErrorObject::internal());
        async move { given }
    });
    let client = Client::builder().method("double", |_, (x,): (i64,)| async move { Ok(2 * x) });
    let (client, peer) = memory::pair(client, server).unwrap();
    client.peer().call::<()>("give", ()).await.unwrap();
    (take.recv().await.unwrap(), client, peer)
}

#[tokio::test]
async fn a_connection_keeps_one_value_per_type() {
    let (ctx, _client, _) = context().await;
    assert_eq!(ctx.set(User("ada".to_owned())), None);
    assert_eq!(ctx.set(1u8), None);
    assert_eq!(ctx.set(2u16), None);
    assert_eq!(ctx.set(3u8).as_deref(), Some(&1));
    assert_eq!((ctx.get::<u8>().as_deref(), ctx.get::<u16>().as_deref()), (Some(&3), Some(&2)));
    assert_eq!(ctx.get::<u32>(), None);
    assert_eq!(ctx.remove::<u8>().as_deref(), Some(&3));
    assert_eq!((ctx.remove::<u8>(), ctx.get::<u8>()), (None, None));
    assert_eq!(*ctx.require::<User>().unwrap(), User("ada".to_owned()));
    assert_eq!(ctx.require::<u8>().unwrap_err().code().0, -32001);
}

#[tokio::test]
async fn a_cloned_context_works_after_the_call() {
    let (ctx, client, peer) = context().await;
    let clone = ctx.clone();
    ctx.set(7u8);
    assert_eq!(clone.get::<u8>().as_deref(), Some(&7));
    assert_eq!(clone.peer().call::<i64>("double", (21,)).await.unwrap(), 42);
    assert!(clone.peer().is_same(&peer) && !clone.peer().is_same(&client.peer()));

    client.close().await;
    assert!(matches!(clone.closed().await, CloseReason::Remote { code: 1000, .. }));
    assert!(matches!(clone.peer().call::<i64>("double", (1,)).await, Err(Error::Closed(_))));
    assert_eq!(clone.get::<u8>().as_deref(), Some(&7));
    assert_eq!(clone.handshake().target, "/");
}

#[tokio::test]
async fn a_context_does_not_keep_the_connection_open() {
    let (ctx, client, peer) = context().await;
    assert!(!peer.is_closed());
    drop(client);
    assert!(matches!(ctx.closed().await, CloseReason::Remote { code: 1000, .. }));
}

/// Reports when it is dropped.
struct Tell(mpsc::UnboundedSender<&'static str>);

impl Drop for Tell {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

#[tokio::test]
async fn values_are_dropped_when_the_connection_ends() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = Server::builder().method("leave", move |ctx: Context, ()| {
        ctx.set(Tell(tell.clone()));
        async { Ok(()) }
    });
    let (url, _) = listen(server).await;
    let client = Client::connect(&url).await.unwrap();
    client.peer().call::<()>("leave", ()).await.unwrap();
    assert!(told.try_recv().is_err());
    client.close().await;
    assert_eq!(told.recv().await, Some("dropped"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn values_set_concurrently_are_replaced_whole() {
    const TASKS: usize = 8;
    let (ctx, _client, _) = context().await;
    let (barrier, replaced) = (Arc::new(Barrier::new(TASKS)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (ctx, barrier, replaced) = (ctx.clone(), barrier.clone(), replaced.clone());
        tasks.spawn(async move {
            barrier.wait().await;
            for round in 0..1000 {
                let old = ctx.set((task, round, task * 1000 + round));
                replaced.fetch_add(usize::from(old.is_some()), Ordering::Relaxed);
                let (task, round, both) = *ctx.get::<(usize, usize, usize)>().unwrap();
                assert_eq!(task * 1000 + round, both);
            }
        });
    }
    while let Some(joined) = tasks.join_next().await {
        joined.unwrap();
    }
    // Each `set` returned the value that it replaced, so all values but the last were returned.
    assert_eq!(replaced.load(Ordering::Relaxed), TASKS * 1000 - 1);
}

/// Waits for the end of its connection, then reports why it ended.
fn watcher(tell: &mpsc::UnboundedSender<String>) -> Methods {
    let tell = tell.clone();
    Methods::new().method("ping", |_, ()| async { Ok(()) }).method(
        "watch",
        move |ctx: Context, ()| {
            let tell = tell.clone();
            async move {
                tell.send("watching".to_owned())?;
                let reason = ctx.closed().await;
                tell.send(reason.to_string())?;
                Ok(())
            }
        },
    )
}

#[tokio::test]
async fn a_handler_learns_that_its_connection_has_ended() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = || Server::builder().service(watcher(&tell));
    for (client, _) in both_ways(Client::builder, server).await {
        client.peer().notify("watch", ()).await.unwrap();
        assert_eq!(told.recv().await.unwrap(), "watching");
        client.peer().call::<()>("ping", ()).await.unwrap();
        assert!(told.try_recv().is_err(), "the connection has not ended");
        client.close().await;
        assert_eq!(told.recv().await.unwrap(), "connection closed by the peer with code 1000");
    }
}

#[tokio::test]
async fn with_cancel_on_close_a_handler_is_dropped_instead() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let cancel = Config { cancel_on_close: true, ..Config::default() };
    let server = Server::builder().config(cancel).method("hold", move |_, ()| {
        let tell = Tell(tell.clone());
        async move {
            tell.0.send("holding")?;
            std::future::pending::<()>().await;
            drop(tell);
            Ok(())
        }
    });
    let (client, _) = memory::pair(Client::builder(), server).unwrap();
    client.peer().notify("hold", ()).await.unwrap();
    assert_eq!(told.recv().await, Some("holding"));
    client.close().await;
    assert_eq!(told.recv().await, Some("dropped"));
}

#[rpc]
trait Bell {
    async fn ring(&self, ctx: &Context, times: u32) -> Result<String>;
}

struct Loud;

impl Bell for Loud {
    async fn ring(&self, _: &Context, times: u32) -> Result<String> {
        Ok("ding ".repeat(times as usize))
    }
}

#[tokio::test]
async fn a_handler_calls_its_caller_with_a_typed_client() {
    let (url, _) =
        listen(Server::builder().method("visit", |ctx: Context, (times,): (u32,)| async move {
            Ok(ctx.client::<BellClient>().ring(times).await?)
        }))
        .await;
    let with_bell = Client::builder().service(Loud.into_service()).connect(&url).await.unwrap();
    let without = Client::connect(&url).await.unwrap();
    let rung: String = with_bell.peer().call("visit", (2,)).await.unwrap();
    assert_eq!(rung, "ding ding ");
    let Err(Error::Call(error)) = without.peer().call::<String>("visit", (2,)).await else {
        panic!("there is no bell")
    };
    assert_eq!(error.code(), ErrorCode::INTERNAL_ERROR);
}
