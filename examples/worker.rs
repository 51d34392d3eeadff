//! A hub that sends jobs to workers. The workers are behind NAT, so each of them connects to the hub and
//! reconnects when the connection is lost. The hub calls them over these connections. If a worker disconnects
//! or does not answer in time, the hub gives the job to the next one.
//!
//! Here all of them run in one program. Run it with `cargo run -p examples --example worker`. It ends by itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use wsjsonrpc::client::{ClientBuilder, ConnectionState, Reconnect};
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Context, Error, Peer, Result, Server, rpc};

/// What a worker calls on the hub.
#[rpc(namespace = "hub")]
pub(crate) trait Registry {
    /// Offers the caller's work. A worker calls it once for each connection.
    async fn register(&self, ctx: &Context, name: String) -> Result<()>;
}

/// What the hub calls on a worker.
#[rpc(namespace = "worker")]
pub(crate) trait Worker {
    /// Makes a thumbnail. With `cancel = "drop"` the worker stops when the hub does not wait any more.
    ///
    /// A job can run on two workers, because the hub cannot know whether a lost worker finished it. Jobs must
    /// allow that.
    #[method(cancel = "drop")]
    async fn thumbnail(&self, ctx: &Context, picture: &str) -> Result<String>;
}

/// How long one worker may take for a job.
const JOB: Duration = Duration::from_secs(10);
/// How long a job may wait for a worker when none is left.
const NO_WORKER: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
struct Registered {
    name: String,
    peer: Peer,
}

/// The hub's side. Clones share one list of workers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hub {
    workers: Arc<Mutex<VecDeque<Registered>>>,
    registered: Arc<Notify>,
}

impl Registry for Hub {
    async fn register(&self, ctx: &Context, name: String) -> Result<()> {
        println!("Hub: {name} has registered");
        // The peer does not keep the connection open. It fails calls once the connection has ended.
        self.workers().push_front(Registered { name, peer: ctx.peer() });
        self.registered.notify_waiters();
        Ok(())
    }
}

impl Hub {
    pub(crate) fn server(&self) -> ServerBuilder {
        Server::builder().service(self.clone().into_service())
    }

    /// The workers that are still connected.
    fn workers(&self) -> MutexGuard<'_, VecDeque<Registered>> {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.retain(|worker| !worker.peer.is_closed());
        workers
    }

    /// Chooses the worker with the fewest jobs in flight; among equals, the one that was chosen longest ago.
    fn choose(&self) -> Option<Registered> {
        let mut workers = self.workers();
        let (index, _) =
            workers.iter().enumerate().min_by_key(|(_, worker)| worker.peer.pending_calls())?;
        let chosen = workers.remove(index)?;
        workers.push_back(chosen.clone());
        Some(chosen)
    }

    /// Removes a worker whose connection is ending.
    fn remove(&self, peer: &Peer) {
        self.workers().retain(|worker| !worker.peer.is_same(peer));
    }

    /// Waits for a worker if there is none.
    async fn worker(&self) -> anyhow::Result<Registered> {
        timeout(NO_WORKER, async {
            loop {
                // Create the future before the check, so that no registration in between is missed.
                let registered = self.registered.notified();
                if let Some(worker) = self.choose() {
                    return worker;
                }
                registered.await;
            }
        })
        .await
        .map_err(|_| anyhow::anyhow!("no worker is connected"))
    }

    /// Runs a job on one worker after the other until one of them answers.
    pub(crate) async fn thumbnail(&self, picture: &str) -> anyhow::Result<String> {
        loop {
            let Registered { name, peer } = self.worker().await?;
            match WorkerClient::new(&peer).thumbnail(picture).timeout(JOB).await {
                Ok(thumbnail) => return Ok(thumbnail),
                // The worker ran the job, and the job failed. Another worker would fail as well.
                Err(Error::Call(error) | Error::Other(error)) => {
                    anyhow::bail!("{name} failed: {error}")
                }
                Err(Error::Timeout(_)) => {
                    println!(
                        "Hub: {name} did not finish {picture} in time, trying the next worker"
                    );
                    // Disconnect the worker. If it still runs, it reconnects and registers again.
                    peer.close(1013, "job timed out");
                    self.remove(&peer);
                }
                Err(Error::Closed(reason)) => {
                    println!(
                        "Hub: lost {name} during {picture} ({reason}), trying the next worker"
                    );
                    self.remove(&peer);
                }
                Err(error) => return Err(error.into()),
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
    async fn thumbnail(&self, _: &Context, picture: &str) -> Result<String> {
        sleep(self.pace).await;
        Ok(format!("{picture}.thumbnail by {}", self.name))
    }
}

/// A worker's client. It registers on each new connection, so the hub knows the worker after a reconnect.
pub(crate) fn worker(name: &'static str, pace: Duration) -> ClientBuilder {
    Client::builder()
        .service(Painter { name, pace }.into_service())
        // With `retry_first`, workers may start before the hub.
        .reconnect(Reconnect { retry_first: true, ..Reconnect::default() })
        .on_connect(move |peer| async move {
            RegistryClient::new(peer).register(name.to_owned()).await?;
            Ok(())
        })
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

    println!("The job waits until worker 3 connects:");
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
