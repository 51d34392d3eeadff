//! Values that layers around an endpoint leave on a request, as its handlers and its hook see them,
//! together with values that handlers set.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Barrier, mpsc};
use tokio::task::JoinSet;
use wsjsonrpc::server::Handshake;
use wsjsonrpc::service::Extension;
use wsjsonrpc::{Context, Server};
use wsjsonrpc_tests::{Raw, request};

#[derive(Clone, Debug, PartialEq)]
struct User(&'static str);

/// Implements only what a value has to implement.
#[derive(Clone)]
struct Plain;

/// The context of a call on a connection with these extensions.
async fn context(fill: impl FnOnce(&mut Handshake)) -> (Context, Raw) {
    let (give, mut take) = mpsc::unbounded_channel();
    let server = Server::builder().method("give", move |ctx: Context, ()| {
        let _ = give.send(ctx);
        async { Ok(()) }
    });
    let mut handshake = Handshake::new("/");
    fill(&mut handshake);
    let (mut raw, _) = Raw::client_with(&server.build().unwrap(), handshake).await;
    raw.ask(request("give", "[]", "1")).await;
    (take.recv().await.unwrap(), raw)
}

#[tokio::test]
async fn request_extensions_are_found_until_shadowed_or_removed() {
    let (ctx, _raw) = context(|handshake| {
        handshake.extensions.insert(User("ada"));
        handshake.extensions.insert(7_u8);
        handshake.extensions.insert(Plain);
    })
    .await;
    assert_eq!(ctx.handshake().extensions.get(), Some(&User("ada")));
    let ada = ctx.require::<User>().unwrap();
    assert_eq!((&*ada, ada.as_ref(), ada.0), (&User("ada"), &User("ada"), "ada"));
    assert_eq!(format!("{ada:?}"), r#"User("ada")"#);
    assert!(ctx.get::<Plain>().is_some() && ctx.get::<u16>().is_none());

    // A value that was set hides the layer's, and `set` returns the previous value.
    assert_eq!(ctx.set(User("bob")).as_deref(), Some(&User("ada")));
    assert_eq!(ctx.get::<User>().as_deref(), Some(&User("bob")));
    assert_eq!(ctx.set(User("eve")).as_deref(), Some(&User("bob")));
    // After a logout, the layer's value stays hidden.
    assert_eq!(ctx.remove::<User>().as_deref(), Some(&User("eve")));
    assert_eq!((ctx.get::<User>(), ctx.remove::<User>()), (None, None));
    assert_eq!(ctx.require::<User>().unwrap_err().code().0, -32001);
    // A value that is held stays valid.
    assert_eq!(*ada.clone(), User("ada"));
    assert_eq!(ctx.set(User("joe")), None);
    assert_eq!(ctx.get::<User>().as_deref(), Some(&User("joe")));

    assert_eq!(ctx.remove::<u8>().as_deref(), Some(&7));
    assert_eq!((ctx.remove::<u8>(), ctx.get::<u8>()), (None, None));
}

#[tokio::test]
async fn get_or_set_sets_only_what_is_missing() {
    let (ctx, raw) = context(|handshake| {
        handshake.extensions.insert(1_u8);
    })
    .await;
    assert_eq!((*ctx.get_or_set(2_u8), *ctx.get_or_set(2_u16), *ctx.get_or_set(3_u16)), (1, 2, 2));
    ctx.remove::<u8>();
    assert_eq!((*ctx.get_or_set(4_u8), *ctx.get_or_set(5_u8)), (4, 4));
    ctx.remove::<u16>();
    assert_eq!(*ctx.get_or_set(6_u16), 6);
    let held: Extension<u16> = ctx.get_or_set(7);
    // The value outlives the connection and its context.
    raw.hang_up();
    ctx.closed().await;
    drop(ctx);
    assert_eq!(*held, 6);
}

/// Like the state of a login, with the user that a layer has found.
struct Session {
    _user: Extension<User>,
    _alive: Arc<()>,
}

#[tokio::test]
async fn a_layers_value_may_become_part_of_a_connection_value() {
    let (ctx, raw) = context(|handshake| {
        handshake.extensions.insert(User("ada"));
    })
    .await;
    let alive = Arc::new(());
    ctx.set(Session { _user: ctx.require().unwrap(), _alive: Arc::clone(&alive) });
    raw.hang_up();
    ctx.closed().await;
    drop(ctx);
    // A value on a connection is dropped as soon as the connection's task has ended.
    for _ in 0..1000 {
        if Arc::strong_count(&alive) == 1 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the value on the connection was not dropped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_concurrent_get_or_sets_one_wins() {
    const TASKS: usize = 8;
    let (ctx, _raw) = context(|_| {}).await;
    for round in 0..50 {
        let (start, made) = (Arc::new(Barrier::new(TASKS)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let (ctx, start, made) = (ctx.clone(), Arc::clone(&start), Arc::clone(&made));
            tasks.spawn(async move {
                start.wait().await;
                let value = *ctx.get_or_set((round, task));
                made.fetch_add(usize::from(value == (round, task)), Ordering::Relaxed);
                value
            });
        }
        let values = tasks.join_all().await;
        assert!(values.iter().all(|value| *value == values[0] && value.0 == round));
        assert_eq!(made.load(Ordering::Relaxed), 1);
        ctx.remove::<(i32, usize)>();
    }
}
