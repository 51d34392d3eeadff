//! A spare buffer for each thread, for messages that are written, copied and dropped.

use std::cell::Cell;

/// Larger buffers are not kept.
const MAX_SIZE: usize = 4 * 1024;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An empty buffer, with space for a usual message.
pub(crate) fn take() -> Vec<u8> {
    // None in a thread that is ending.
    let spare = SPARE.try_with(Cell::take).unwrap_or_default();
    if spare.capacity() == 0 { Vec::with_capacity(128) } else { spare }
}

/// Keeps a buffer for the next message.
pub(crate) fn give_back(mut buffer: Vec<u8>) {
    if buffer.capacity() <= MAX_SIZE {
        buffer.clear();
        // In a thread that is ending, the buffer is dropped.
        let _ = SPARE.try_with(|spare| spare.set(buffer));
    }
}

/// Frees what a large text has grown for in vain, as only its length is counted: it grew by doubling.
#[inline(never)]
pub(crate) fn trim(text: &mut Vec<u8>) {
    if text.capacity() - text.len() > text.len() / 4 {
        text.shrink_to_fit();
    }
}
