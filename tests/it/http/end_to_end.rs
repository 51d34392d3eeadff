//! Typed calls over HTTP POST from end to end: the generated client over [`HttpPeer`], the endpoint
//! as a route of an axum application.

use std::future::IntoFuture;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream;
use http::StatusCode;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::http::HttpPeer;
use wsjsonrpc::middleware::{
    BatchNext, OutgoingBatch, OutgoingMiddleware, OutgoingNext, OutgoingRequest, Reply,
};
use wsjsonrpc::server::{Grant, Refusal, ServerBuilder};
use wsjsonrpc::{
    Config, Context, Endpoint, Error, ErrorCode, Peer, Result, RpcError, Server, async_trait,
    reqwest, rpc,
};
use wsjsonrpc_tests::mounted::in_axum;
use wsjsonrpc_tests::scripted::http_error;
use wsjsonrpc_tests::{Gate, begin};

#[derive(Debug, PartialEq, RpcError)]
enum ShopError {
    #[rpc_error(code = 1001)]
    SoldOut { left: u32 },
}

#[rpc]
trait Shop {
    async fn price(&self, ctx: &Context, article: &str, count: u32) -> Result<u32, ShopError>;
    async fn note(&self, ctx: &Context, text: String) -> Result<()>;
    async fn echo(&self, ctx: &Context, text: String) -> Result<String>;
    async fn broken(&self, ctx: &Context) -> Result<u8>;
    async fn sure(&self, ctx: &Context) -> Result<bool>;
    /// Reports each step, and waits at the gate.
    async fn pack(&self, ctx: &Context, steps: u32) -> Result<u32>;
    #[subscription]
    fn prices(&self, ctx: &Context) -> impl wsjsonrpc::Stream<Item = u32>;
}

#[derive(Clone, Default)]
struct Corner {
    notes: Arc<Mutex<Vec<String>>>,
    gate: Gate,
}

impl Shop for Corner {
    async fn price(&self, _: &Context, article: &str, count: u32) -> Result<u32, ShopError> {
        tokio::task::yield_now().await;
        if article == "pear" {
            return Err(ShopError::SoldOut { left: 2 });
        }
        Ok(3 * count)
    }

    async fn note(&self, _: &Context, text: String) -> Result<()> {
        self.notes.lock().unwrap().push(text);
        Ok(())
    }

    async fn echo(&self, _: &Context, text: String) -> Result<String> {
        Ok(text)
    }

    async fn broken(&self, _: &Context) -> Result<u8> {
        Ok("secret".parse::<u8>()?)
    }

    async fn sure(&self, ctx: &Context) -> Result<bool> {
        Ok(ctx.peer().call("sure", ()).await?)
    }

    async fn pack(&self, ctx: &Context, steps: u32) -> Result<u32> {
        for step in 0..steps {
            ctx.progress(step).await?;
        }
        self.gate.pass().await;
        Ok(steps)
    }

    fn prices(&self, _: &Context) -> impl wsjsonrpc::Stream<Item = u32> {
        stream::iter(0..10)
    }
}

fn server(corner: &Corner) -> ServerBuilder {
    Server::builder().service(corner.clone().into_service())
}

async fn url_of(endpoint: &Endpoint) -> String {
    format!("http://{}/rpc", in_axum(endpoint.http_service()).await)
}

async fn serve(server: ServerBuilder) -> String {
    url_of(&server.build().unwrap()).await
}

async fn shop(server: ServerBuilder) -> (ShopClient, Peer) {
    let peer = HttpPeer::new(&serve(server).await).unwrap().peer();
    (ShopClient::new(&peer), peer)
}

#[tokio::test]
async fn calls_notifications_and_batches_work_as_on_any_peer() {
    let corner = Corner::default();
    let (shop, peer) = shop(server(&corner)).await;
    assert_eq!(shop.price("apple", 2).await.unwrap(), 6);
    assert_eq!(shop.price("plum", 3).by_name().await.unwrap(), 9);
    assert_eq!(shop.echo("é\n\"".to_owned()).await.unwrap(), "é\n\"");
    shop.note("one".to_owned()).notify().await.unwrap();

    let (price, noted, sold_out, echo) = peer
        .batch((
            shop.price("apple", 1),
            shop.note("two".to_owned()).notify(),
            shop.price("pear", 1),
            shop.echo("x".to_owned()),
        ))
        .await
        .unwrap();
    assert_eq!((price.unwrap(), echo.unwrap()), (3, "x".to_owned()));
    noted.unwrap();
    let left = ShopError::SoldOut { left: 2 };
    assert!(matches!(sold_out, Err(Error::Call(error)) if error == left));

    let news = ["three", "four"].map(|text| shop.note(text.to_owned()).notify());
    for noted in peer.batch(news).await.unwrap() {
        noted.unwrap();
    }
    assert_eq!(*corner.notes.lock().unwrap(), ["one", "two", "three", "four"]);
    assert_eq!(peer.pending_calls(), 0);
}

#[tokio::test]
async fn errors_keep_their_types_and_hide_internals() {
    let (shop, peer) = shop(server(&Corner::default())).await;
    match shop.price("pear", 1).await {
        Err(Error::Call(error)) => assert_eq!(error, ShopError::SoldOut { left: 2 }),
        other => panic!("{other:?}"),
    }
    match shop.broken().await {
        Err(Error::Call(object)) => {
            assert_eq!(object.code(), ErrorCode::INTERNAL_ERROR);
            assert!(!object.to_string().contains("digit"), "{object}");
        }
        other => panic!("{other:?}"),
    }
    let missing = peer.call::<u8>("missing", ()).await;
    let unknown = ErrorCode::METHOD_NOT_FOUND;
    assert!(matches!(missing, Err(Error::Call(object)) if object.code() == unknown));
    let invalid = peer.call::<u8>("price", ("apple",)).await;
    let params = ErrorCode::INVALID_PARAMS;
    assert!(matches!(invalid, Err(Error::Call(object)) if object.code() == params));
    let mistyped = peer.call::<u8>("echo", ("x",)).await;
    assert!(matches!(mistyped, Err(Error::Decode(_))), "{mistyped:?}");
}

#[tokio::test]
async fn what_needs_a_socket_fails_with_an_explanation() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&asked);
    let server = server(&Corner::default()).authorize_fn(move |_| {
        counts.fetch_add(1, Ordering::Relaxed);
        async { Ok(Grant::new()) }
    });
    let (shop, peer) = shop(server).await;
    match shop.sure().await {
        Err(Error::Call(object)) => assert_eq!(object.code(), ErrorCode::NEEDS_WEBSOCKET),
        other => panic!("{other:?}"),
    }
    // The server refuses a subscription that is called like an ordinary method.
    match peer.call::<String>("prices", ()).await {
        Err(Error::Call(object)) => assert_eq!(object.code(), ErrorCode::NEEDS_WEBSOCKET),
        other => panic!("{other:?}"),
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let error = http_error(shop.prices().await.unwrap_err());
    assert!(error.status().is_none() && error.to_string().contains("needs a WebSocket"), "{error}");
    assert_eq!(asked.load(Ordering::Relaxed), 2, "it was not sent");
}

#[tokio::test]
async fn no_progress_arrives_but_the_result_does() {
    let corner = Corner::default();
    let (shop, _) = shop(server(&corner)).await;
    corner.gate.open(1);
    let steps = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&steps);
    let packed = shop.pack(5).on_progress(move |_: u32| {
        counts.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!((packed.await.unwrap(), steps.load(Ordering::Relaxed)), (5, 0));
}

#[tokio::test]
async fn dropping_a_call_cancels_its_handler() {
    let corner = Corner::default();
    let (tell, mut told) = mpsc::unbounded_channel();
    let gate = corner.gate.clone();
    gate.open(3);
    let server = server(&corner).method("waits", move |ctx: Context, ()| {
        let (gate, tell) = (gate.clone(), tell.clone());
        async move {
            gate.pass().await;
            ctx.cancelled().await;
            let _ = tell.send(());
            Ok(())
        }
    });
    let (shop, peer) = shop(server).await;
    // A timeout, a dropped call, and a closed handle.
    let late = peer.call::<()>("waits", ()).timeout(Duration::from_millis(50)).await;
    assert!(matches!(late, Err(Error::Timeout(_))), "{late:?}");
    told.recv().await.unwrap();
    corner.gate.arrived(1).await;
    let calling = begin(peer.call::<()>("waits", ()).into_future()).await;
    tokio::select! {
        outcome = calling => panic!("{outcome:?}"),
        () = corner.gate.arrived(1) => {}
    }
    told.recv().await.unwrap();
    assert_eq!(peer.pending_calls(), 0);
    assert_eq!(shop.price("apple", 1).await.unwrap(), 3);
    let mut calling = begin(peer.call::<()>("waits", ()).into_future()).await;
    tokio::select! {
        outcome = &mut calling => panic!("{outcome:?}"),
        () = corner.gate.arrived(1) => {}
    }
    peer.close(1000, "");
    assert!(matches!(calling.await, Err(Error::Closed(CloseReason::Local))));
    told.recv().await.unwrap();
}

#[tokio::test]
async fn limits_of_client_and_server_give_distinct_errors() {
    let corner = Corner::default();
    let limits = Config {
        max_incoming_message: 300,
        max_outgoing_message: 200,
        max_batch: 2,
        ..Config::default()
    };
    let (theirs, peer) = shop(server(&corner).config(limits.clone())).await;
    let text = |size| "x".repeat(size);
    let error = http_error(theirs.echo(text(300)).await.unwrap_err());
    assert_eq!(error.status(), Some(StatusCode::PAYLOAD_TOO_LARGE));
    assert_eq!(error.body(), "the message is larger than the server's limit");
    match theirs.echo(text(200)).await {
        Err(Error::Call(object)) => assert_eq!(object.code(), ErrorCode::RESULT_TOO_LARGE),
        other => panic!("{other:?}"),
    }
    let three = ["a", "b", "c"].map(|name| theirs.price(name, 1));
    for price in peer.batch(three).await.unwrap() {
        match price {
            Err(Error::Other(object)) => assert_eq!(object.code(), ErrorCode::INVALID_REQUEST),
            other => panic!("{other:?}"),
        }
    }

    let url = serve(server(&corner)).await;
    let ours = ShopClient::new(HttpPeer::new(&url).unwrap().config(limits));
    let too_large = ours.echo(text(200)).await;
    assert!(matches!(too_large, Err(Error::TooLarge { limit: 200, .. })), "{too_large:?}");
    let tight = Config { max_incoming_message: 100, ..Config::default() };
    let ours = ShopClient::new(HttpPeer::new(&url).unwrap().config(tight));
    let too_large = ours.echo(text(100)).await;
    assert!(matches!(too_large, Err(Error::InvalidResponse(_))), "{too_large:?}");
    assert_eq!(ours.echo(text(10)).await.unwrap(), text(10));
}

#[tokio::test]
async fn a_refused_caller_gets_a_status() {
    let corner = Corner::default();
    let config = Config { max_connections: 1, ..Config::default() };
    let server = server(&corner).config(config).authorize_fn(|handshake| async move {
        match handshake.header("authorization") {
            Some("Bearer s3cr3t") => Ok(Grant::new()),
            _ => Err(Refusal::unauthorized("log in first")),
        }
    });
    let url = serve(server).await;
    let stranger = ShopClient::new(HttpPeer::new(&url).unwrap());
    let error = http_error(stranger.price("apple", 1).await.unwrap_err());
    assert_eq!((error.status(), error.body()), (Some(StatusCode::UNAUTHORIZED), "log in first"));
    let error = http_error(stranger.note("x".to_owned()).notify().await.unwrap_err());
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));

    let mut headers = http::HeaderMap::new();
    headers.insert("authorization", http::HeaderValue::from_static("Bearer s3cr3t"));
    let client = reqwest::Client::builder().default_headers(headers).build().unwrap();
    let known = ShopClient::new(HttpPeer::with_client(client, &url).unwrap());
    let mut packing = begin(known.pack(0).into_future()).await;
    tokio::select! {
        outcome = &mut packing => panic!("{outcome:?}"),
        () = corner.gate.arrived(1) => {}
    }
    // The handler occupies the only connection while it runs.
    let error = http_error(known.price("apple", 1).await.unwrap_err());
    assert_eq!(error.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
    corner.gate.open(1);
    assert_eq!(packing.await.unwrap(), 0);
    assert!(corner.notes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_shutdown_answers_calls_in_flight_and_refuses_new_ones() {
    let corner = Corner::default();
    let endpoint = server(&corner).build().unwrap();
    let shop = ShopClient::new(HttpPeer::new(&url_of(&endpoint).await).unwrap());
    let mut packing = begin(shop.pack(7).into_future()).await;
    tokio::select! {
        outcome = &mut packing => panic!("{outcome:?}"),
        () = corner.gate.arrived(1) => {}
    }
    let shutdown = begin(endpoint.shutdown()).await;
    let error = http_error(shop.price("apple", 1).await.unwrap_err());
    assert_eq!(error.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
    corner.gate.open(1);
    assert_eq!((packing.await.unwrap(), shutdown.await), (7, 0));
}

/// Records the calls that pass, and asks for the price of ten apples each time.
#[derive(Clone, Default)]
struct Tenfold(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl OutgoingMiddleware for Tenfold {
    async fn call(
        &self,
        mut request: OutgoingRequest,
        next: OutgoingNext<'_>,
    ) -> Result<Reply, Error> {
        self.0.lock().unwrap().push(request.method().to_owned());
        if request.method() == "price" {
            request.set_params(("apple", 10))?;
        }
        next.run(request).await
    }

    async fn batch(&self, batch: &OutgoingBatch, next: BatchNext<'_>) -> Result<(), Error> {
        let methods: Vec<&str> = batch.requests().iter().map(OutgoingRequest::method).collect();
        self.0.lock().unwrap().push(methods.join("+"));
        next.run().await
    }
}

#[tokio::test]
async fn middleware_wraps_calls_by_http() {
    let corner = Corner::default();
    let (url, tenfold) = (serve(server(&corner)).await, Tenfold::default());
    let peer = HttpPeer::new(&url).unwrap().outgoing_middleware(tenfold.clone()).peer();
    let shop = ShopClient::new(&peer);
    assert_eq!(shop.price("pear", 1).await.unwrap(), 30);
    shop.note("x".to_owned()).notify().await.unwrap();
    let (price, _) =
        peer.batch((shop.price("plum", 1), shop.note("y".to_owned()).notify())).await.unwrap();
    assert_eq!(price.unwrap(), 3);
    assert_eq!(*tenfold.0.lock().unwrap(), ["price", "note", "price+note"]);
    assert_eq!(*corner.notes.lock().unwrap(), ["x", "y"]);
}

/// Handlers end on one thread while another thread starts to wait for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_calls_get_their_own_answers() {
    let (shop, peer) = shop(server(&Corner::default())).await;
    let mut callers = JoinSet::new();
    for caller in 0..8_u32 {
        let (shop, peer) = (shop.clone(), peer.clone());
        callers.spawn(async move {
            for round in 0..50 {
                let count = 100 * caller + round;
                assert_eq!(shop.price("apple", count).await.unwrap(), 3 * count);
                let both = (shop.price("plum", count), shop.price("pear", count));
                let (plum, pear) = peer.batch(both).await.unwrap();
                assert_eq!(plum.unwrap(), 3 * count);
                assert!(matches!(pear, Err(Error::Call(ShopError::SoldOut { .. }))));
            }
        });
    }
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
    assert_eq!(peer.pending_calls(), 0);
}
