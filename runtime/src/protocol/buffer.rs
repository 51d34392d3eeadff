//! A spare buffer for each thread, for messages that are written, copied and done with.
//!
//! Must not know what is in it.

use std::cell::Cell;

/// No larger one is kept.
const MAX_SIZE: usize = 4 * 1024;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An empty buffer, with room for a usual message.
pub(crate) fn take() -> Vec<u8> {
    // A thread that ends has none left.
    let spare = SPARE.try_with(Cell::take).unwrap_or_default();
    if spare.capacity() == 0 { Vec::with_capacity(128) } else { spare }
}

/// Keeps a buffer for the next message.
pub(crate) fn give_back(mut buffer: Vec<u8>) {
    if buffer.capacity() <= MAX_SIZE {
        buffer.clear();
        // Without it, the buffer is just dropped.
        let _ = SPARE.try_with(|spare| spare.set(buffer));
    }
}
