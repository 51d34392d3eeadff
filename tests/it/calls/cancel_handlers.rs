//! What happens to handlers whose call is cancelled: handlers that watch for it, handlers that are
//! dropped, and the calls that they have made. In both directions, in memory and over a socket.

use std::future::{IntoFuture, pending};
use std::time::Duration;

use tokio::sync::mpsc;
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Context, Error, Peer, Result, Server, memory, rpc};
use wsjsonrpc_tests::{
    Raw, begin, both_ways, cancel, cancelled, listen, notification, request, wait_for_in_flight,
};

#[rpc]
trait Work {
    /// Waits until it is cancelled.
    async fn told(&self, ctx: &Context, value: u64) -> Result<()>;
    /// Never returns.
    #[method(cancel = "drop")]
    async fn dropped(&self, ctx: &Context, value: u64) -> Result<()>;
    /// Calls a method on its caller that never returns.
    #[method(cancel = "drop")]
    async fn chain(&self, ctx: &Context, method: &str) -> Result<()>;
    #[method(cancel = "drop")]
    async fn at_once(&self, ctx: &Context, value: u64) -> Result<u64>;
    /// Panics when it is dropped.
    #[method(cancel = "drop")]
    async fn fragile(&self, ctx: &Context) -> Result<()>;
}

type Events = mpsc::UnboundedSender<String>;

struct Worker {
    events: Events,
    next: Option<Peer>,
}

/// Reports that its handler was dropped before it was ready.
struct Guard(Events, u64);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.send(format!("dropped {}", self.1)).unwrap();
    }
}

struct Fragile(Events);

impl Drop for Fragile {
    fn drop(&mut self) {
        self.0.send("fragile".to_owned()).unwrap();
        // `resume_unwind` skips the panic hook, whose output would fill the log of the test.
        std::panic::resume_unwind(Box::new("as it should"));
    }
}

impl Work for Worker {
    async fn told(&self, ctx: &Context, value: u64) -> Result<()> {
        self.events.send(format!("begun {value}"))?;
        ctx.cancelled().await;
        self.events.send(format!("told {value}"))?;
        Ok(())
    }

    async fn dropped(&self, _: &Context, value: u64) -> Result<()> {
        let _guard = Guard(self.events.clone(), value);
        self.events.send(format!("begun {value}"))?;
        pending().await
    }

    async fn chain(&self, _: &Context, method: &str) -> Result<()> {
        let Some(next) = &self.next else { return Ok(()) };
        Ok(next.call(method, [7]).without_timeout().await?)
    }

    async fn at_once(&self, _: &Context, value: u64) -> Result<u64> {
        Ok(value)
    }

    async fn fragile(&self, _: &Context) -> Result<()> {
        let _fragile = Fragile(self.events.clone());
        self.events.send("begun".to_owned())?;
        pending().await
    }
}

fn service(events: &Events) -> WorkService<Worker> {
    Worker { events: events.clone(), next: None }.into_service()
}

fn client(events: &Events) -> ClientBuilder {
    Client::builder().service(service(events))
}

fn server(events: &Events) -> ServerBuilder {
    Server::builder().service(service(events))
}

#[tokio::test]
async fn cancelled_handlers_are_signalled_or_dropped() {
    let (events, mut seen) = mpsc::unbounded_channel();
    for (client, caller) in both_ways(|| client(&events), || server(&events)).await {
        for (near, far) in [(client.peer(), caller.clone()), (caller.clone(), client.peer())] {
            let work = WorkClient::new(near);
            assert_eq!(work.at_once(3).await.unwrap(), 3);
            for (call, end) in [(work.told(1), "told 1"), (work.dropped(2), "dropped 2")] {
                let call = begin(call.into_future()).await;
                assert!(seen.recv().await.unwrap().starts_with("begun"));
                drop(call);
                assert_eq!(seen.recv().await.unwrap(), end);
                wait_for_in_flight(&far, 0).await;
            }
            // The same in batches.
            let batch = work.batch((work.told(3), work.dropped(4), work.at_once(5)));
            let batch = begin(batch.into_future()).await;
            assert_eq!(seen.recv().await.unwrap(), "begun 3");
            assert_eq!(seen.recv().await.unwrap(), "begun 4");
            drop(batch);
            let mut ends = [seen.recv().await.unwrap(), seen.recv().await.unwrap()];
            ends.sort();
            assert_eq!(ends, ["dropped 4", "told 3"]);
            // The same when the timeout has passed.
            let outcome = work.dropped(6).timeout(Duration::from_millis(5)).await;
            assert!(matches!(outcome, Err(Error::Timeout(_))), "{outcome:?}");
            assert_eq!(seen.recv().await.unwrap(), "begun 6");
            assert_eq!(seen.recv().await.unwrap(), "dropped 6");
            wait_for_in_flight(&far, 0).await;
            assert_eq!(work.at_once(7).await.unwrap(), 7);
        }
    }
}

/// A calls B, whose handler calls C: cancelling the first call also cancels the second.
#[tokio::test]
async fn a_cancellation_propagates_to_nested_calls() {
    let (events, mut seen) = mpsc::unbounded_channel();
    let (url, far) = listen(server(&events)).await;
    let next = Client::connect(&url).await.unwrap();
    let middle = Worker { events: events.clone(), next: Some(next.peer()) };
    let middle = Server::builder().service(middle.into_service());
    let (client, caller) = memory::pair(Client::builder(), middle).unwrap();
    let work = WorkClient::new(&client);
    for (method, end) in [("dropped", "dropped 7"), ("told", "told 7")] {
        let call = begin(work.chain(method).into_future()).await;
        assert_eq!(seen.recv().await.unwrap(), "begun 7");
        drop(call);
        assert_eq!(seen.recv().await.unwrap(), end);
        wait_for_in_flight(&caller, 0).await;
        assert_eq!(next.peer().pending_calls(), 0);
        for connection in far.connections() {
            wait_for_in_flight(&connection.peer(), 0).await;
        }
    }
}

#[tokio::test]
async fn a_handler_that_panics_when_dropped_is_contained() {
    let (events, mut seen) = mpsc::unbounded_channel();
    let (mut raw, peer) = Raw::client_and_peer(server(&events)).await;
    raw.send(request("fragile", "[]", "1")).await;
    assert_eq!(seen.recv().await.unwrap(), "begun");
    let cancel = cancel("1");
    raw.check(&cancel, &[&cancelled("1")]).await;
    assert_eq!(seen.recv().await.unwrap(), "fragile");
    wait_for_in_flight(&peer, 0).await;
}

/// A peer disconnects: the handlers of its requests are dropped, because nobody gets the results.
/// Handlers of notifications run to completion, because nobody gets their results anyway.
#[tokio::test]
async fn a_closed_connection_drops_requests_but_not_notifications() {
    let (events, mut seen) = mpsc::unbounded_channel();
    let (mut raw, peer) = Raw::client_and_peer(server(&events)).await;
    raw.send(notification("dropped", "[1]")).await;
    raw.send(request("dropped", "[2]", "2")).await;
    raw.send(request("told", "[3]", "3")).await;
    raw.send(notification("told", "[4]")).await;
    for value in 1..=4 {
        assert_eq!(seen.recv().await.unwrap(), format!("begun {value}"));
    }
    raw.hang_up();
    let mut ends = Vec::new();
    for _ in 0..3 {
        ends.push(seen.recv().await.unwrap());
    }
    ends.sort();
    assert_eq!(ends, ["dropped 2", "told 3", "told 4"]);
    peer.closed().await;
    wait_for_in_flight(&peer, 1).await;
    assert!(seen.try_recv().is_err(), "the notification's handler keeps running");
}
