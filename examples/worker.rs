//! A hub that sends jobs to workers. The workers are behind NAT, so each of them connects to the hub and
//! reconnects when the connection is lost. The hub calls them over these connections: each job goes to the worker
//! with the fewest jobs, and to the next one if that worker disconnects.
//!
//! Here all of them run in one program. Run it with `cargo run -p examples --example worker`. It ends by itself.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use wsjsonrpc::client::{ClientBuilder, ConnectionState, Reconnect};
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Config, Context, Error, Group, Result, Server, rpc};

/// What a worker calls on the hub.
#[rpc(namespace = "hub")]
pub(crate) trait Registry {
    /// Offers the caller's work. A worker calls it once for each connection.
    async fn register(&self, ctx: &Context, name: &str) -> Result<()>;
}

/// What the hub calls on a worker.
#[rpc(namespace = "worker")]
pub(crate) trait Worker {
    /// Makes a thumbnail. Reports in percent how far it is.
    ///
    /// With `cancel = "drop"` the worker stops when the hub does not wait any more. With `idempotent` the job moves
    /// to the next worker if the connection is lost. The first worker may have finished it, so a job may run twice.
    #[method(cancel = "drop", idempotent)]
    async fn thumbnail(&self, ctx: &Context, picture: &str) -> Result<String>;
}

/// How long workers may take for a job.
const JOB: Duration = Duration::from_secs(10);
/// How long a job may wait for a worker when there is none, or when workers are too slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// The hub's side. Clones share the workers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hub {
    /// A worker leaves the group when its connection ends.
    workers: Group,
    registered: Arc<Notify>,
}

impl Registry for Hub {
    async fn register(&self, ctx: &Context, name: &str) -> Result<()> {
        println!("Hub: {name} has registered");
        self.workers.insert(&ctx.peer());
        self.registered.notify_waiters();
        Ok(())
    }
}

impl Hub {
    pub(crate) fn server(&self) -> ServerBuilder {
        // A worker that disappears loses its connection after 4.5 s, and its jobs move to other workers.
        let config = Config { ping_interval: Some(Duration::from_secs(3)), ..Config::default() };
        Server::builder().service(self.clone().into_service()).config(config)
    }

    /// Runs a job on a worker.
    pub(crate) async fn thumbnail(&self, picture: &str) -> anyhow::Result<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            // Create the future before the call, so that no registration in between is missed.
            let registered = self.registered.notified();
            let worker: WorkerClient = self.workers.client();
            let name = picture.to_owned();
            let progress = move |percent: u8| println!("Hub: {name} is {percent} % done");
            match worker.thumbnail(picture).timeout(JOB).on_progress(progress).await {
                // There was no worker, or the only one has disconnected.
                Err(Error::NoMember | Error::Closed(_)) => tokio::select! {
                    () = registered => {}
                    () = sleep_until(until) => anyhow::bail!("no worker is connected"),
                },
                // The worker has stopped: the hub has cancelled the job. Workers take turns, so the next one tries.
                Err(Error::Timeout(_)) if Instant::now() < until => {
                    println!("Hub: {picture} was not done in time, trying again");
                }
                // The worker's own error would also happen on another worker.
                outcome => return Ok(outcome?),
            }
        }
    }
}

/// The worker's side.
struct Painter {
    name: &'static str,
    /// How long it takes for a job.
    pace: Duration,
}

impl Worker for Painter {
    async fn thumbnail(&self, ctx: &Context, picture: &str) -> Result<String> {
        let mut job = Job { worker: self.name, picture, is_done: false };
        for percent in [50_u8, 100] {
            sleep(self.pace / 2).await;
            // It fails if the connection is closing. That must not be the result of the job, because another worker
            // can still do it.
            let _ = ctx.progress(percent).await;
        }
        job.is_done = true;
        Ok(format!("{picture}.thumbnail by {}", self.name))
    }
}

/// Reports when a job is cancelled: then the handler is dropped before the job is done.
struct Job<'a> {
    worker: &'static str,
    picture: &'a str,
    is_done: bool,
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            println!("{}: stops making the thumbnail of {}", self.worker, self.picture);
        }
    }
}

/// A worker's client. It registers on each new connection, so the hub knows the worker after a reconnect.
pub(crate) fn worker(name: &'static str, pace: Duration) -> ClientBuilder {
    Client::builder()
        .service(Painter { name, pace }.into_service())
        // With `retry_first`, workers may start before the hub.
        .reconnect(Reconnect { retry_first: true, ..Reconnect::default() })
        .on_connect(move |peer| async move { Ok(RegistryClient::new(peer).register(name).await?) })
        .on_state(move |state| {
            if let ConnectionState::Down { reason, retry_in, .. } = state {
                println!("{name}: connection lost ({reason}), reconnecting in {retry_in:?}");
            }
        })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let hub = Hub::default();
    let server = hub.server().bind("127.0.0.1:0").await?;
    let (url, endpoint) = (server.url(), server.endpoint().clone());
    println!("The hub listens on {url}");
    tokio::spawn(server.run());

    let pace = Duration::from_millis(200);
    let first = worker("worker 1", pace).connect(&url).await?;
    let second = worker("worker 2", pace).connect(&url).await?;

    println!("Two jobs run on two workers:");
    for result in join_all(["cat.png", "dog.png"].map(|picture| hub.thumbnail(picture))).await {
        println!("  {}", result?);
    }

    println!("Worker 2 stops during its job:");
    let jobs = join_all(["owl.png", "fox.png"].map(|picture| hub.thumbnail(picture)));
    let (results, ()) = tokio::join!(jobs, async {
        sleep(pace / 2).await;
        second.close().await;
    });
    for result in results {
        println!("  {}", result?);
    }

    println!("The hub cancels a job:");
    let cancelled = timeout(pace * 3 / 4, hub.thumbnail("cow.png")).await;
    println!("  {}", if cancelled.is_err() { "cancelled" } else { "Unexpected: it is done" });

    println!("The hub closes the connections, and a job waits until the worker has reconnected:");
    endpoint.connections().iter().for_each(|worker| worker.close(1012, "restart"));
    println!("  {}", hub.thumbnail("elk.png").await?);

    println!("A job waits until worker 3 connects:");
    first.close().await;
    let (result, third) = tokio::join!(hub.thumbnail("bee.png"), async {
        sleep(pace / 2).await;
        worker("worker 3", pace).connect(&url).await
    });
    println!("  {}", result?);

    third?.close().await;
    let aborted = endpoint.shutdown().await;
    println!("The hub has shut down; {aborted} handlers were aborted");
    Ok(())
}
