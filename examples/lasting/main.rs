//! The examples after a minute, with a slow peer and with one that has gone. Connections are in memory, and the
//! clock is paused: it advances when all tasks wait.

use std::time::Duration;

use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Error, ErrorCode, Subscription};

use guests::{Connect, Names, stoppable};
use ticker::Price;

#[path = "../bidirectional.rs"]
#[allow(dead_code, reason = "the test does not run its main function")]
mod bidirectional;
mod guests;
#[path = "../ticker.rs"]
#[allow(dead_code, reason = "the test does not run its main function")]
mod ticker;
#[path = "../token.rs"]
#[allow(dead_code, reason = "the test does not run its main function")]
mod token;
#[path = "../two_way/server.rs"]
#[allow(dead_code, reason = "the test does not run its main function")]
mod two_way;
#[path = "../worker.rs"]
#[allow(dead_code, reason = "the test does not run its main function")]
mod worker;

const MINUTE: Duration = Duration::from_secs(61);
const URL: &str = "ws://localhost/";

/// A server in memory.
fn serve(server: ServerBuilder) -> Connect {
    let endpoint = server.build().unwrap();
    Box::new(move || {
        let (client, server) = duplex(64 * 1024);
        let endpoint = endpoint.clone();
        tokio::spawn(async move { endpoint.serve(server, None).await });
        client
    })
}

async fn open(client: ClientBuilder, stream: DuplexStream) -> Client {
    client.connect_over(URL, stream).await.unwrap()
}

/// A client that opens a new stream for each connection.
async fn open_again(client: ClientBuilder, connect: Connect) -> Client {
    let connect = move || {
        let stream = connect();
        async move { Ok(stream) }
    };
    client.connect_with(URL, connect).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_chat_does_not_wait_for_slow_guests() {
    let connect = serve(bidirectional::server());
    let names = Names { hear: "guest.heard", enter: "room.guests", say: "room.say", path: "/" };
    // Enough bytes to fill the send queue of the silent guest's connection.
    let large = "x".repeat(400 * 1024);
    guests::check(names, connect, [const { String::new() }; 4], &large, 8).await;
}

/// An operator that answers after a delay.
fn operator(delay: Duration) -> ClientBuilder {
    Client::builder()
        .method("operator.confirm", move |_, (_question,): (String,)| async move {
            sleep(delay).await;
            Ok(true)
        })
        .method("operator.report", |_, (_line,): (String,)| async move { Ok(()) })
}

async fn deploy(client: &Client) -> Result<u64, Error> {
    client.peer().call("deployment.deploy", ["1.0"]).timeout(2 * MINUTE).await
}

#[tokio::test(start_paused = true)]
async fn an_operator_has_a_minute_to_confirm() {
    let connect = serve(two_way::server());
    let slow = open(operator(two_way::CONFIRMATION - Duration::from_secs(1)), connect()).await;
    let absent = open(operator(2 * two_way::CONFIRMATION), connect()).await;
    assert_eq!(deploy(&slow).await.unwrap(), 1);
    let Err(Error::Call(error)) = deploy(&absent).await else { panic!("deployed unconfirmed") };
    assert_eq!(error.code(), ErrorCode(1002));
    assert_eq!(deploy(&slow).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn operators_do_not_wait_for_each_other() {
    let connect = serve(two_way::server());
    let prompt = open(operator(Duration::ZERO), connect()).await;
    let (stream, stop) = stoppable(connect());
    let silent = open(operator(Duration::ZERO), stream).await;
    stop.send(()).unwrap();
    let gone = open(operator(MINUTE), connect()).await;
    let waiting = tokio::spawn(async move {
        let _ = timeout(Duration::from_secs(1), deploy(&gone)).await;
        drop(gone);
        deploy(&silent).await
    });
    sleep(MINUTE).await;
    let start = Instant::now();
    assert_eq!(deploy(&prompt).await.unwrap(), 1);
    assert_eq!(start.elapsed(), Duration::ZERO, "the clock advances only when a task waits");
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn jobs_go_to_the_next_worker() {
    let hub = worker::Hub::default();
    let connect = serve(hub.server());
    let second = Duration::from_secs(1);
    let _good = open(worker::worker("good", second), connect()).await;
    let (stream, stop) = stoppable(connect());
    let _silent = open(worker::worker("silent", second), stream).await;
    let gone = open(worker::worker("gone", second), connect()).await;
    // Too slow for its first job. The hub disconnects it, and it reconnects.
    let slow = worker::worker("slow", 60 * second);
    let _slow = open_again(slow, serve(hub.server())).await;
    sleep(MINUTE).await;
    stop.send(()).unwrap();
    let jobs: Vec<_> = (0..8)
        .map(|number| {
            let hub = hub.clone();
            tokio::spawn(async move { hub.thumbnail(&format!("{number}.png")).await })
        })
        .collect();
    sleep(second / 2).await;
    drop(gone);
    for (number, job) in jobs.into_iter().enumerate() {
        let thumbnail = timeout(MINUTE, job).await.unwrap().unwrap().unwrap();
        assert_eq!(thumbnail, format!("{number}.png.thumbnail by good"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_waits_for_a_worker() {
    let hub = worker::Hub::default();
    let error = hub.thumbnail("early.png").await.unwrap_err();
    assert_eq!(error.to_string(), "no worker is connected");

    let connect = serve(hub.server());
    let waiting = {
        let hub = hub.clone();
        tokio::spawn(async move { hub.thumbnail("late.png").await })
    };
    sleep(Duration::from_secs(50)).await;
    let _late = open(worker::worker("late", Duration::from_secs(1)), connect()).await;
    assert_eq!(waiting.await.unwrap().unwrap(), "late.png.thumbnail by late");
}

#[tokio::test(start_paused = true)]
async fn a_client_renews_its_token() {
    let tokens = token::Tokens::default();
    let connect = serve(token::server(tokens.clone()));
    let client = open_again(token::client(tokens, MINUTE / 2), connect).await;
    let whoami = || client.peer().call::<String>("account.whoami", ()).idempotent();
    for _ in 0..3 {
        assert_eq!(whoami().await.unwrap(), "Ada");
        sleep(MINUTE).await;
        let Err(Error::Call(error)) = whoami().await else { panic!("the token has not expired") };
        assert_eq!(error.code(), ErrorCode::UNAUTHORIZED);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fast_consumer_does_not_wait_for_slow_ones() {
    let prices = ticker::channel();
    let connect = serve(ticker::server(&prices));
    async fn subscribe(client: &Client) -> Subscription<Price> {
        client.peer().subscribe("market.prices", ()).await.unwrap()
    }
    let client = open(Client::builder(), connect()).await;
    let mut fast = subscribe(&client).await;
    // This one is not read until the market has closed.
    let mut slow = subscribe(&client).await;
    let (stream, stop) = stoppable(connect());
    let silent = open(Client::builder(), stream).await;
    let _silent = subscribe(&silent).await;
    let gone = open(Client::builder(), connect()).await;
    drop((subscribe(&gone).await, gone));

    let (sender, mut received) = mpsc::unbounded_channel();
    let consumer = tokio::spawn(async move {
        while let Some(price) = fast.next().await {
            sender.send(price.unwrap().cents).unwrap();
        }
        fast.dropped()
    });
    stop.send(()).unwrap();
    let send = |cents| prices.publish(&Price { cents }).unwrap();
    for cents in 1..=120 {
        send(cents);
        assert_eq!(received.recv().await, Some(cents));
        sleep(Duration::from_secs(1)).await;
    }
    // A burst that fills the windows.
    for cents in 121..=20_000 {
        send(cents);
        if cents % 8 == 0 {
            tokio::task::yield_now().await;
        }
    }
    prices.close();
    consumer.await.unwrap();
    let (mut count, mut last) = (0, 0);
    while let Some(price) = slow.next().await {
        (count, last) = (count + 1, price.unwrap().cents);
    }
    assert_eq!(last, 20_000, "the newest price is kept");
    assert!(count < 20_000 && slow.dropped() > 0, "{count} received, {} dropped", slow.dropped());
}
