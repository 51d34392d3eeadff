//! What a server is apart from its listener: it serves streams, knows its live connections, and
//! shuts them down.
//!
//! Must not know where streams come from.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::accept::{AcceptError, Rules, accept};
use crate::answer::Tracker;
use crate::config::{Config, deadline};
use crate::connection::{Connection, Setup};
use crate::error::CloseReason;
use crate::handshake::Handshake;
use crate::outbox::Command;
use crate::peer::{Link, Peer};
use crate::pending::Side;
use crate::router::Router;
use crate::stream::Stream;
use crate::transport::Transport;

/// Services ready to be served over any stream: a server without a listener. Made by
/// [`ServerBuilder::build`](crate::ServerBuilder::build). Cheap to clone.
///
/// ```
/// # use wsjsonrpc::{Client, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = Server::builder()
///     .method("double", |_, (x,): (i64,)| async move { Ok(2 * x) })
///     .build()?;
/// let (ours, theirs) = tokio::io::duplex(4096); // whatever carries bytes in both directions
/// tokio::spawn(async move { endpoint.serve(ours, None).await });
///
/// let client = Client::builder().connect_over("ws://localhost/", theirs).await?;
/// assert_eq!(client.peer().call::<i64>("double", (21,)).await?, 42);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
}

struct Shared {
    router: Arc<Router>,
    config: Arc<Config>,
    rules: Rules,
    live: Mutex<Live>,
    /// A connection has ended.
    left: Notify,
    /// Sees the last of the trackers go.
    trackers: watch::Sender<()>,
}

struct Live {
    links: HashMap<u64, Arc<Link>>,
    /// Connections that have ended before their handlers.
    left_behind: Vec<Arc<Link>>,
    next: u64,
    /// Every connection has a clone of it, as long as it or one of its handlers is there. `None`
    /// once shutting down has begun.
    tracker: Option<Tracker>,
    /// Connections that come late are drained at once.
    drain: Option<Instant>,
}

impl Endpoint {
    pub(crate) fn new(router: Router, config: Config, rules: Rules) -> Self {
        let (trackers, tracker) = watch::channel(());
        let live = Live {
            links: HashMap::new(),
            left_behind: Vec::new(),
            next: 0,
            tracker: Some(tracker),
            drain: None,
        };
        Endpoint {
            shared: Arc::new(Shared {
                router: Arc::new(router),
                config: Arc::new(config),
                rules,
                live: Mutex::new(live),
                left: Notify::new(),
                trackers,
            }),
        }
    }

    /// Does the opening handshake on a stream, then serves it until the connection ends.
    ///
    /// The connection lives in the returned future: spawn it, or the stream is not served.
    ///
    /// # Errors
    /// The handshake failed, or took longer than
    /// [`Config::handshake_timeout`](crate::Config::handshake_timeout). A client that was refused
    /// has been told why.
    ///
    /// # Cancel safety
    /// Dropping it drops the connection without a close frame; its pending calls fail.
    pub async fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        remote_addr: Option<SocketAddr>,
    ) -> io::Result<CloseReason> {
        self.serve_stream(Stream::other(stream), remote_addr).await
    }

    /// Serves a stream that has been upgraded to a WebSocket already, by a web framework for
    /// instance, until the connection ends.
    ///
    /// # Cancel safety
    /// As that of [`serve`](Self::serve).
    pub async fn serve_upgraded(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        handshake: Handshake,
    ) -> CloseReason {
        self.run(Stream::other(stream), Vec::new(), handshake).1.await
    }

    /// The clients that are connected now, to push something to all of them.
    pub fn peers(&self) -> Vec<Peer> {
        self.live().links.values().map(|link| Peer::new(Arc::clone(link))).collect()
    }

    /// Shuts down all connections: new requests are refused, handlers at work may finish within
    /// [`Config::shutdown_timeout`](crate::Config::shutdown_timeout), what they answer is sent,
    /// then each connection is closed with code 1001. Streams given to it later are closed, too.
    ///
    /// Returns how many handlers were still at work when the time was up. They go on by
    /// themselves, but nobody gets their answers. A handler that awaits this waits for itself, and
    /// so for the whole time.
    ///
    /// # Cancel safety
    /// The connections go on shutting down when the future is dropped; it may be called again.
    pub async fn shutdown(&self) -> usize {
        let config = &self.shared.config;
        let deadline = deadline(Instant::now(), config.shutdown_timeout);
        let tracker = {
            let mut live = self.live();
            live.drain = Some(deadline);
            for link in live.links.values() {
                link.outbox.command(Command::Drain { deadline });
            }
            live.tracker.take()
        };
        drop(tracker);
        let trackers = &self.shared.trackers;
        if tokio::time::timeout_at(deadline, trackers.closed()).await.is_ok() {
            return 0;
        }
        let cut_off = self.live().at_work();
        // The connections' own timers end them; this one is for a task that does not get to run.
        let closing = config.close_timeout.saturating_add(Duration::from_secs(1));
        let _ = tokio::time::timeout(closing, self.all_left()).await;
        cut_off
    }

    async fn all_left(&self) {
        loop {
            let left = self.shared.left.notified();
            if self.live().links.is_empty() {
                return;
            }
            left.await;
        }
    }

    pub(crate) async fn serve_stream(
        &self,
        mut stream: Stream,
        remote_addr: Option<SocketAddr>,
    ) -> io::Result<CloseReason> {
        // On the heap, as its state is larger than the connection's: else every connection's task
        // would have room for it as long as it lives.
        let handshake = Box::pin(accept(&mut stream, remote_addr, &self.shared.rules));
        match tokio::time::timeout(self.shared.config.handshake_timeout, handshake).await {
            Ok(Ok((handshake, part))) => Ok(self.run(stream, part, handshake).1.await),
            Ok(Err(AcceptError::Io(error))) => Err(error),
            Ok(Err(AcceptError::Refused(status))) => {
                Err(io::Error::other(format!("the client was refused with HTTP status {status}")))
            }
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client did not finish its handshake in time",
            )),
        }
    }

    /// Gives the client's handle, and the connection: registered by now, and served as long as
    /// the future is polled. Boxed, or a task that awaits it would have room for it several times
    /// over.
    pub(crate) fn run(
        &self,
        stream: Stream,
        part: Vec<u8>,
        handshake: Handshake,
    ) -> (Peer, Pin<Box<Serving>>) {
        let transport = Transport::new(stream, part, Role::Server, &self.shared.config);
        let setup = Setup {
            side: Side::Server,
            config: Arc::clone(&self.shared.config),
            router: Arc::clone(&self.shared.router),
            handshake,
            tracker: self.live().tracker.clone(),
        };
        let connection = Connection::new(transport, setup);
        let peer = Peer::new(Arc::clone(connection.link()));
        let entry = LiveEntry::new(self, connection.link());
        (peer, Box::pin(Serving { connection, _entry: entry }))
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.shared.rules
    }

    /// Only small moves happen under the lock, no user code, so a poisoned one is as good as any.
    fn live(&self) -> MutexGuard<'_, Live> {
        self.shared.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is in the list of the living as long as it is served.
pub(crate) struct Serving {
    connection: Connection,
    _entry: LiveEntry,
}

impl Future for Serving {
    type Output = CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        Pin::new(&mut self.connection).poll(cx)
    }
}

fn is_at_work(link: &Arc<Link>) -> bool {
    link.in_flight.load(Ordering::Acquire) > 0
}

impl Live {
    /// How many handlers are.
    fn at_work(&self) -> usize {
        let links = self.links.values().chain(&self.left_behind);
        links.map(|link| link.in_flight.load(Ordering::Acquire)).sum()
    }
}

/// A connection's place in the list of the living.
struct LiveEntry {
    endpoint: Endpoint,
    key: u64,
}

impl LiveEntry {
    fn new(endpoint: &Endpoint, link: &Arc<Link>) -> Self {
        let mut live = endpoint.live();
        live.next += 1;
        let key = live.next;
        live.links.insert(key, Arc::clone(link));
        // Seen under the lock under which shutting down looks for connections: it finds this one,
        // or this one finds it.
        let drain = live.drain;
        drop(live);
        if let Some(deadline) = drain {
            link.outbox.command(Command::Drain { deadline });
        }
        LiveEntry { endpoint: endpoint.clone(), key }
    }
}

impl Drop for LiveEntry {
    fn drop(&mut self) {
        let mut live = self.endpoint.live();
        let mut done: Vec<_> = live.links.remove(&self.key).into_iter().collect();
        if done.iter().any(is_at_work) {
            let behind = &mut live.left_behind;
            // Looked through only before it grows, so that many of them cost little each.
            if behind.len() == behind.capacity() {
                let (at_work, ended) = std::mem::take(behind).into_iter().partition(is_at_work);
                *behind = at_work;
                behind.append(&mut std::mem::replace(&mut done, ended));
            } else {
                behind.append(&mut done);
            }
        }
        drop(live);
        drop(done);
        self.endpoint.shared.left.notify_waiters();
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("router", &self.shared.router)
            .field("connections", &self.live().links.len())
            .finish_non_exhaustive()
    }
}
