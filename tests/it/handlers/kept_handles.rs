//! Handles that a handler keeps: they inherit its deadline while its call is handled, and are
//! ordinary handles afterwards. Tests each way to keep one. The clock is paused, so times are
//! exact.

use std::future::IntoFuture;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::middleware::{Middleware, Next};
use wsjsonrpc::server::{Fallback, ServerBuilder};
use wsjsonrpc::service::{Params, Request, Response};
use wsjsonrpc::subscription::Topic;
use wsjsonrpc::{
    Client, Config, Context, Error, ErrorObject, Methods, Peer, Result, SendTo, Server,
    async_trait, memory, rpc,
};
use wsjsonrpc_tests::{Gate, Raw, SECOND, begin, in_flight, listen, request, result};

use wsjsonrpc_tests::post::{address, ask};

/// The methods that are called through kept handles.
#[rpc]
trait Page {
    /// Takes that many seconds.
    async fn show(&self, ctx: &Context, seconds: u32) -> Result<u32>;
}

struct Screen;

impl Page for Screen {
    async fn show(&self, _: &Context, seconds: u32) -> Result<u32> {
        sleep(seconds * SECOND).await;
        Ok(seconds)
    }
}

#[rpc]
trait Room {
    async fn handle(&self, ctx: &Context) -> Result<()>;
    async fn stub(&self, ctx: &Context) -> Result<()>;
    async fn cloned(&self, ctx: &Context) -> Result<()>;
    async fn within(&self, ctx: &Context) -> Result<()>;
    async fn both(&self, ctx: &Context) -> Result<()>;
    async fn spawned(&self, ctx: &Context) -> Result<()>;
    fn plain(&self, ctx: &Context) -> Result<()>;
    #[method(blocking)]
    fn blocking(&self, ctx: &Context) -> Result<()>;
    #[method(ordered, cancel = "drop")]
    async fn ordered(&self, ctx: &Context) -> Result<()>;
    /// Keeps a handle from before the stream, and one from inside the stream.
    #[subscription]
    fn items(&self, ctx: &Context) -> impl Stream<Item = u32>;
}

/// Sends the handles that it keeps to the test.
#[derive(Clone)]
struct Lobby {
    keep: mpsc::UnboundedSender<Kept>,
    /// A handle to a third side.
    other: Peer,
}

enum Kept {
    Peer(Peer),
    Context(Context),
    /// Makes the handle when it is asked to.
    Later(oneshot::Sender<()>, oneshot::Receiver<Peer>),
}

impl Kept {
    async fn peer(self) -> Peer {
        match self {
            Kept::Peer(peer) => peer,
            Kept::Context(context) => context.peer(),
            Kept::Later(now, peer) => {
                now.send(()).unwrap();
                peer.await.unwrap()
            }
        }
    }
}

impl Lobby {
    fn keep(&self, peer: Peer) {
        self.keep.send(Kept::Peer(peer)).unwrap();
    }
}

impl Room for Lobby {
    async fn handle(&self, ctx: &Context) -> Result<()> {
        self.keep(ctx.peer());
        Ok(())
    }

    async fn stub(&self, ctx: &Context) -> Result<()> {
        let page = ctx.client::<PageClient>();
        page.show(0).await?;
        self.keep(page.peer().clone());
        Ok(())
    }

    async fn cloned(&self, ctx: &Context) -> Result<()> {
        self.keep.send(Kept::Context(ctx.clone()))?;
        Ok(())
    }

    async fn within(&self, ctx: &Context) -> Result<()> {
        self.keep(ctx.with_deadline(&self.other));
        Ok(())
    }

    async fn both(&self, ctx: &Context) -> Result<()> {
        let (keep, peer) = (self.keep.clone(), ctx.peer());
        // The same deadline twice, combined with that of another call.
        let within = move |ctx: Context, ()| {
            keep.send(Kept::Peer(ctx.with_deadline(&ctx.with_deadline(&peer)))).unwrap();
            async { Ok(()) }
        };
        let server = Server::builder().method("m", within);
        let (client, _) = memory::pair(Client::builder(), server)?;
        Ok(client.peer().call::<()>("m", ()).await?)
    }

    async fn spawned(&self, ctx: &Context) -> Result<()> {
        let (ctx, (now, later), (send, peer)) =
            (ctx.clone(), oneshot::channel(), oneshot::channel());
        tokio::spawn(async move {
            later.await.unwrap();
            send.send(ctx.client::<PageClient>().peer().clone()).unwrap();
        });
        self.keep.send(Kept::Later(now, peer))?;
        Ok(())
    }

    fn plain(&self, ctx: &Context) -> Result<()> {
        self.keep(ctx.peer());
        Ok(())
    }

    fn blocking(&self, ctx: &Context) -> Result<()> {
        self.keep(ctx.peer());
        Ok(())
    }

    async fn ordered(&self, ctx: &Context) -> Result<()> {
        tokio::task::yield_now().await;
        self.keep(ctx.peer());
        Ok(())
    }

    fn items(&self, ctx: &Context) -> impl Stream<Item = u32> {
        self.keep(ctx.peer());
        let (room, ctx) = (self.clone(), ctx.clone());
        let first = stream::once(async move {
            room.keep(ctx.peer());
            room.keep.send(Kept::Context(ctx)).unwrap();
            1
        });
        first.chain(stream::pending())
    }
}

#[async_trait]
impl Fallback for Lobby {
    async fn call(&self, ctx: &Context, _: &str, _: Params<'_>) -> Result<Box<RawValue>> {
        self.keep(ctx.peer());
        Ok(to_raw_value(&())?)
    }
}

/// Keeps a handle before and after the handler, for the method `around`.
#[async_trait]
impl Middleware for Lobby {
    async fn call(&self, ctx: &Context, request: Request, next: Next<'_>) -> Response {
        let mine = next.method() == Some("around");
        if mine {
            self.keep(ctx.peer());
        }
        let response = next.run(request).await;
        if mine {
            self.keep.send(Kept::Context(ctx.clone())).unwrap();
            let late = ctx.client::<PageClient>().show(3).timeout(100 * SECOND);
            assert!(
                matches!(late.await, Err(Error::Timeout(_))),
                "the middleware's call must time out"
            );
        }
        response
    }
}

fn client() -> ClientBuilder {
    Client::builder().service(Screen.into_service())
}

/// A server, the handles that its handlers keep, and the client that keeps the third side
/// connected.
async fn lobby() -> (Lobby, ServerBuilder, mpsc::UnboundedReceiver<Kept>, Client) {
    let third = Server::builder().service(Screen.into_service());
    let (other, _) = memory::pair(Client::builder(), third).unwrap();
    let (keep, kept) = mpsc::unbounded_channel();
    let lobby = Lobby { keep, other: other.peer() };
    let (closure, streaming) = (lobby.clone(), lobby.clone());
    let methods = Methods::new()
        .method("closure", move |ctx: Context, ()| {
            let closure = closure.clone();
            async move {
                closure.keep(ctx.peer());
                closure.keep.send(Kept::Context(ctx))?;
                Ok(())
            }
        })
        .method("around", |_, ()| async { Ok(()) })
        .subscription(Topic::new("stream"), move |ctx: Context, ()| {
            let streaming = streaming.clone();
            async move {
                streaming.keep(ctx.peer());
                let next = move |()| {
                    streaming.keep(ctx.peer());
                    async { Some((Ok::<_, ErrorObject>(1), ())) }
                };
                Ok(stream::unfold((), next).take(1).chain(stream::pending()))
            }
        });
    let server = Server::builder()
        .service(lobby.clone().into_service())
        .service(methods)
        .fallback(lobby.clone());
    (lobby, server, kept, other)
}

/// Checks that a handle is ordinary: its calls have their own timeouts only.
async fn check(peer: &Peer, way: &str) {
    let page = PageClient::new(peer);
    let begun = Instant::now();
    assert_eq!(page.show(40).timeout(50 * SECOND).await.unwrap(), 40, "{way}");
    assert_eq!(page.show(40).without_timeout().await.unwrap(), 40, "{way}");
    let batch = page.batch((page.show(40).timeout(50 * SECOND), page.show(1))).await.unwrap();
    assert!(matches!(batch, (Ok(40), Err(Error::Timeout(_)))), "{way}: {batch:?}");
    assert!(matches!(page.show(40).await, Err(Error::Timeout(_))), "{way}: the configured time");
    assert_eq!(begun.elapsed(), (3 * 40 + 30) * SECOND, "{way}");
}

/// Calls each method with the default timeout of 30 s and checks the handles that it keeps, either
/// at once or after that time.
async fn check_all(ways: &[(&str, usize)], with_middleware: bool) {
    for late in [false, true] {
        let (lobby, server, mut kept, _third) = lobby().await;
        let server = if with_middleware { server.middleware(lobby) } else { server };
        let (client, _) = memory::pair(client(), server).unwrap();
        let peer = client.peer();
        for (way, count) in ways {
            let mut subscription = None;
            match *way {
                "items" | "stream" => {
                    let mut items = peer.subscribe::<u32>(way, ()).await.unwrap();
                    assert_eq!(items.next().await.unwrap().unwrap(), 1, "{way}");
                    subscription = Some(items);
                }
                "around" => {
                    // The middleware still waits for its own call.
                    let called = peer.call::<()>(way, ()).timeout(2 * SECOND).await;
                    assert!(matches!(called, Err(Error::Timeout(_))), "{called:?}");
                }
                _ => peer.call::<()>(way, ()).await.unwrap(),
            }
            if late {
                sleep(31 * SECOND).await;
            }
            for _ in 0..*count {
                check(&kept.recv().await.unwrap().peer().await, way).await;
            }
            assert!(kept.try_recv().is_err(), "{way}");
            drop(subscription);
        }
    }
}

const WAYS: [(&str, usize); 13] = [
    ("handle", 1),
    ("stub", 1),
    ("cloned", 1),
    ("within", 1),
    ("both", 1),
    ("spawned", 1),
    ("plain", 1),
    ("blocking", 1),
    ("ordered", 1),
    ("items", 3),
    ("closure", 2),
    ("stream", 2),
    ("nobody.has.it", 1),
];

#[tokio::test(start_paused = true)]
async fn a_kept_handle_is_ordinary_after_the_call() {
    check_all(&WAYS, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_handle_kept_behind_middleware_is_ordinary() {
    check_all(&WAYS, true).await;
    check_all(&[("around", 2)], true).await;
}

/// A request with a timeout of zero, so the test does not depend on the clock.
fn hurried(method: &str) -> String {
    request(method, "[]", "1").replacen('{', r#"{"wsjsonrpc":{"timeout":0},"#, 1)
}

/// Checks a handle while its call is handled.
async fn bounded(peer: Peer) -> Result<()> {
    let page = PageClient::new(&peer);
    let single = page.show(0).timeout(60 * SECOND).await;
    assert!(matches!(single, Err(Error::DeadlinePassed)), "{single:?}");
    let words = "the deadline of the call being handled has passed; nothing was sent";
    assert_eq!(single.unwrap_err().to_string(), words);
    let (batched,) = page.batch((page.show(0).without_timeout(),)).await?;
    assert!(matches!(batched, Err(Error::DeadlinePassed)), "{batched:?}");
    let subscribed = peer.subscribe::<u32>("items", ()).await;
    assert!(matches!(subscribed, Err(Error::DeadlinePassed)), "{subscribed:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_passed_deadline_differs_from_an_unanswered_call() {
    let third = Server::builder().service(Screen.into_service());
    let (other, _) = memory::pair(Client::builder(), third).unwrap();
    let (keep, mut kept) = mpsc::unbounded_channel();
    let server = Server::builder().method("m", move |ctx: Context, ()| {
        let (keep, within) = (keep.clone(), ctx.with_deadline(&other.peer()));
        async move {
            bounded(ctx.peer()).await?;
            bounded(ctx.clone().peer()).await?;
            bounded(within.clone()).await?;
            bounded(ctx.with_deadline(&within)).await?;
            // Notifications are sent, because nobody waits for a response.
            within.notify("m", ()).await?;
            keep.send(within)?;
            Ok(())
        }
    });
    let (mut raw, _) = Raw::knowing_client(server).await;
    // Lets time pass: with a paused clock, a new connection starts at time zero.
    sleep(SECOND).await;
    raw.send(hurried("m")).await;
    // Nothing else was sent.
    assert_eq!(raw.receive().await, result("null", "1"));
    check(&kept.recv().await.unwrap(), "within").await;
}

#[tokio::test]
async fn a_handle_kept_by_an_http_handler_is_ordinary() {
    let third = Server::builder().service(Screen.into_service());
    let (other, _) = memory::pair(Client::builder(), third).unwrap();
    let (keep, mut kept) = mpsc::unbounded_channel();
    let address = address(Server::builder().method("m", move |ctx: Context, ()| {
        let (keep, within) = (keep.clone(), ctx.with_deadline(&other.peer()));
        async move {
            bounded(within.clone()).await?;
            keep.send(within)?;
            Ok(())
        }
    }))
    .await;
    assert_eq!(ask(address, &hurried("m")).await, result("null", "1"));
    let within = kept.recv().await.unwrap();
    assert_eq!(PageClient::new(within).show(0).await.unwrap(), 0);
}

/// A handler that continues after its call was cancelled may still make calls, for example to clean
/// up.
#[tokio::test(start_paused = true)]
async fn a_kept_handle_is_ordinary_after_a_cancellation() {
    let (gate, (keep, mut kept)) = (Gate::default(), mpsc::unbounded_channel());
    let held = gate.clone();
    let server = Server::builder().method("m", move |ctx: Context, ()| {
        let (keep, gate) = (keep.clone(), held.clone());
        async move {
            keep.send(ctx.peer())?;
            ctx.cancelled().await;
            ctx.client::<PageClient>().show(40).timeout(50 * SECOND).await?;
            keep.send(ctx.peer())?;
            gate.pass().await;
            Ok(())
        }
    });
    let (client, caller) = memory::pair(client(), server).unwrap();
    let call = begin(client.peer().call::<()>("m", ()).into_future()).await;
    let first = kept.recv().await.unwrap();
    drop(call);
    check(&kept.recv().await.unwrap(), "after").await;
    check(&first, "before").await;
    assert_eq!(in_flight(&caller), 1, "its handler is still in flight");
    gate.open(1);
}

/// The deadline also ends calls that were sent, with a timeout. Calls that wait for a connection
/// were not sent.
#[tokio::test(start_paused = true)]
async fn a_call_sent_before_the_deadline_times_out() {
    let (told, mut outcomes) = mpsc::unbounded_channel();
    let config = Config { send_cancel: SendTo::Nobody, ping_interval: None, ..Config::default() };
    let (third, raw, mut attempts) =
        wsjsonrpc_tests::reconnect::connected(wsjsonrpc_tests::reconnect::client()).await;
    raw.hang_up();
    let _attempt = attempts.next().await;
    let server = Server::builder().method("m", move |ctx: Context, ()| {
        let (told, third) = (told.clone(), ctx.with_deadline(&third.peer()));
        async move {
            let begun = Instant::now();
            let page = ctx.client::<PageClient>();
            let waits = PageClient::new(&third);
            let (sent, waited, batch) = tokio::join!(
                page.show(40).timeout(50 * SECOND).into_future(),
                waits.show(0).timeout(50 * SECOND).into_future(),
                waits.batch([waits.show(0).without_timeout()]).into_future(),
            );
            assert_eq!(begun.elapsed(), 10 * SECOND);
            let late = page.show(0).await;
            let outcomes = [sent, waited, batch.map(|_| 0), late];
            told.send(outcomes.map(|outcome| outcome.unwrap_err().to_string()))?;
            Ok(())
        }
    });
    let (client, _) = memory::pair(client().config(config), server).unwrap();
    let called = client.peer().call::<()>("m", ()).timeout(10 * SECOND).await;
    assert!(matches!(called, Err(Error::Timeout(_))), "{called:?}");
    let passed = <Error>::DeadlinePassed.to_string();
    let late = "no response to \"show\" within 10 s".to_owned();
    let expected = [late, passed.clone(), passed.clone(), passed];
    assert_eq!(outcomes.recv().await.unwrap(), expected);
}

#[tokio::test]
async fn a_handle_kept_over_a_socket_is_ordinary() {
    let (_, server, mut kept, _third) = lobby().await;
    let (url, _) = listen(server).await;
    let client = client().connect(&url).await.unwrap();
    client.peer().call::<()>("handle", ()).timeout(Duration::from_millis(200)).await.unwrap();
    let page = PageClient::new(kept.recv().await.unwrap().peer().await);
    // Longer than the rest of the deadline.
    assert_eq!(page.show(1).await.unwrap(), 1);
}
