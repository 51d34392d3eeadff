//! [`Network`]: opens connections in memory with faults, and breaks them when the test asks for it.
//! It connects byte streams; `pair` adds a client and a server.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::watch;
use tokio::time::Instant;

use super::faults::{Cut, Direction, Faults};
use super::line::{Line, Orders};
use crate::util::runtime::deadline;

const BOTH: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

/// A network in memory with [`Faults`]. The test uses this handle to open connections and to break
/// them. Clones are the same network.
///
/// [`pair`](crate::testing::pair) creates one for a client and a server.
/// [`connector`](Self::connector) is for clients that reconnect.
///
/// ```
/// use wsjsonrpc::testing::{Cut, Direction, Faults, Network};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let network = Network::new(Faults::seeded(7).cut_after(Direction::ToServer, 3, Cut::Abrupt));
/// let (mut client, mut server) = network.open();
/// client.write_all(b"hello").await?;
/// let mut seen = String::new();
/// server.read_to_string(&mut seen).await?;
/// assert_eq!(seen, "hel");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Network {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    carried: [Arc<AtomicU64>; 2],
}

struct State {
    faults: Faults,
    opened: u64,
    /// Connections that may still be open, with the requests of the test for each direction.
    links: Vec<[watch::Sender<Orders>; 2]>,
}

impl Network {
    /// A network without connections.
    pub fn new(faults: Faults) -> Self {
        let state = Mutex::new(State { faults, opened: 0, links: Vec::new() });
        Network { shared: Arc::new(Shared { state, carried: Default::default() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a connection. Returns the client's end, then the server's. A task of the current tokio
    /// runtime carries the bytes until both ends are dropped.
    pub fn open(&self) -> (End, End) {
        let mut state = self.state();
        let (number, buffer) = (state.opened, state.faults.buffer);
        state.opened += 1;
        let orders = BOTH.map(|_| watch::Sender::default());
        let [there, back] = BOTH.map(|direction| Line {
            dice: state.faults.dice(number, direction),
            orders: orders[direction as usize].subscribe(),
            carried: Arc::clone(&self.shared.carried[direction as usize]),
            room: buffer,
        });
        state.links.retain(|orders| orders.iter().any(|orders| !orders.is_closed()));
        // The handle may be dropped long before the connection ends.
        let kept = orders.clone();
        state.links.push(orders);
        drop(state);

        let (client, near) = tokio::io::duplex(buffer);
        let (server, far) = tokio::io::duplex(buffer);
        let alive = watch::Sender::new(());
        let [client, server] =
            [client, server].map(|stream| End { stream, _alive: alive.subscribe() });
        tokio::spawn(async move {
            let (from_near, to_near) = tokio::io::split(near);
            let (from_far, to_far) = tokio::io::split(far);
            let carrying = async {
                tokio::try_join!(there.run(from_near, to_far), back.run(from_far, to_near))
            };
            tokio::select! {
                biased;
                _ = carrying => {}
                () = alive.closed() => {}
            }
            drop(kept);
        });
        (client, server)
    }

    /// Breaks all connections that are open now. Data in transit is lost. [`Cut::Abrupt`] also ends
    /// connections that were broken in another way before.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use tokio::io::AsyncReadExt;
    /// use wsjsonrpc::testing::{Cut, Faults, Network};
    ///
    /// let network = Network::new(Faults::seeded(7));
    /// let (_client, mut server) = network.open();
    /// network.cut(Cut::Abrupt);
    /// assert_eq!(server.read(&mut [0; 10]).await?, 0); // the end of the stream
    /// # Ok(())
    /// # }
    /// ```
    pub fn cut(&self, cut: Cut) {
        BOTH.into_iter().for_each(|direction| self.cut_direction(direction, cut));
    }

    /// Breaks one direction of all connections that are open now.
    pub fn cut_direction(&self, direction: Direction, cut: Cut) {
        self.order(direction, |orders| orders.cut = Some(cut));
    }

    /// Pauses all connections that are open now for this time. Then they continue, and no data is
    /// lost.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> std::io::Result<()> {
    /// use std::time::Duration;
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// use tokio::time::Instant;
    /// use wsjsonrpc::testing::{Faults, Network};
    ///
    /// let network = Network::new(Faults::seeded(7));
    /// let (mut client, mut server) = network.open();
    /// let begun = Instant::now();
    /// network.stall(Duration::from_secs(20));
    /// client.write_all(b"hello").await?;
    /// server.read_exact(&mut [0; 5]).await?;
    /// assert!(begun.elapsed() >= Duration::from_secs(20));
    /// # Ok(())
    /// # }
    /// ```
    pub fn stall(&self, time: Duration) {
        BOTH.into_iter().for_each(|direction| self.stall_direction(direction, time));
    }

    /// Like [`stall`](Self::stall), in one direction.
    pub fn stall_direction(&self, direction: Direction, time: Duration) {
        let until = deadline(Instant::now(), time);
        self.order(direction, |orders| orders.stalled_until = Some(until));
    }

    fn order(&self, direction: Direction, change: impl Fn(&mut Orders)) {
        // Sent outside the lock, because it wakes the connections.
        let links = self.state().links.clone();
        for orders in &links {
            orders[direction as usize].send_modify(&change);
        }
    }

    /// Sets the faults of connections that are opened from now on. The numbers of connections
    /// continue, so each new one has other random decisions.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wsjsonrpc::testing::{Faults, Network};
    ///
    /// let network = Network::new(Faults::seeded(7));
    /// // The first connection is fast. Those opened from now on are slow.
    /// let slow = Duration::from_millis(500)..=Duration::from_millis(900);
    /// network.set_faults(Faults::seeded(7).delay(slow));
    /// ```
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// How many connections were opened so far.
    pub fn opened(&self) -> u64 {
        self.state().opened
    }

    /// How many bytes have arrived in this direction on all connections together. Print it to find
    /// a value for [`Faults::cut_after`].
    pub fn carried(&self, direction: Direction) -> u64 {
        self.shared.carried[direction as usize].load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (opened, faults) = {
            let state = self.state();
            (state.opened, state.faults.clone())
        };
        f.debug_struct("Network").field("opened", &opened).field("faults", &faults).finish()
    }
}

/// One end of a connection over a [`Network`].
pub struct End {
    stream: DuplexStream,
    /// The network runs as long as one of the two ends exists.
    _alive: watch::Receiver<()>,
}

impl AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for End {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End").finish_non_exhaustive()
    }
}
