//! Messages that were read and wait to be handled.
//!
//! Must not know why.

use std::collections::VecDeque;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::config::Config;
use crate::socket::chunk::detach;

/// What a message costs beside its text, or a million messages of one byte would count as a
/// megabyte.
const OVERHEAD: usize = 128;

/// What a peer asks while it does not take its answers. It gets nothing more to wait for until it
/// does; but its responses are taken in all the while, or two sides that wait for each other to
/// read would wait for ever.
#[derive(Default)]
pub(crate) struct Held {
    messages: VecDeque<Utf8Bytes>,
    bytes: usize,
}

impl Held {
    /// Whether there is as much as may wait: what may wait to be sent, and the overhead of as many
    /// small ones as may be in flight.
    pub(crate) fn is_full(&self, config: &Config) -> bool {
        let overhead = config.max_in_flight.saturating_mul(OVERHEAD);
        self.bytes >= config.max_outbox.saturating_add(overhead)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(crate) fn hold(&mut self, message: Utf8Bytes) {
        self.bytes += message.len() + OVERHEAD;
        self.messages.push_back(detach(message));
    }

    pub(crate) fn release(&mut self) -> Option<Utf8Bytes> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.len() + OVERHEAD;
        Some(message)
    }
}
