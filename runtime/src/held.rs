//! Messages that were read and wait to be handled.
//!
//! Must not know why.

use std::collections::VecDeque;

use tokio_tungstenite::tungstenite::Utf8Bytes;

/// What a peer asks while it does not take its answers. It gets nothing more to wait for until it
/// does; but its responses are taken in all the while, or two sides that wait for each other to
/// read would wait for ever.
#[derive(Default)]
pub(crate) struct Held {
    messages: VecDeque<Utf8Bytes>,
    bytes: usize,
}

impl Held {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn hold(&mut self, message: Utf8Bytes) {
        self.bytes += message.len();
        self.messages.push_back(message);
    }

    pub(crate) fn release(&mut self) -> Option<Utf8Bytes> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.len();
        Some(message)
    }
}
