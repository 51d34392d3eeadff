//! What a connection is about, from open to closed.
//!
//! Must not know what leads from one phase to the next.

use tokio::time::Instant;

/// What the connection is about.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Reads and writes. The timer watches a peer that does not read.
    Open,
    /// The server shuts down: handlers finish, responses come in, new requests are refused. The
    /// timer bounds it.
    Draining,
    /// Sends what is queued, then closes. The timer is that of `Open`, and bounds it as a whole.
    Flushing(Box<Goodbye>),
    /// The peer sends nothing more, but may still read: requests that wait for room are handled, answers
    /// that are queued go out, then the connection closes. The timer bounds it.
    Answering {
        /// Its direction of the stream has ended, without a close frame.
        half_closed: bool,
    },
    /// Nothing can be sent any more: a close frame went out or came in, or the stream does not
    /// take anything. What still comes in is read up to the end. The timer bounds it.
    Closing,
    /// The peer broke the protocol and was told so; what it still sends is thrown away. The timer
    /// bounds it.
    Lingering,
}

/// What the close frame says, and when it has to go out whatever still waits.
#[derive(Debug)]
pub(crate) struct Goodbye {
    pub(crate) code: u16,
    pub(crate) reason: String,
    pub(crate) deadline: Instant,
}
