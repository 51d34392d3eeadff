//! Calls in both directions, typed and untyped, alone and in batches, and how a caller cancels them, bounds
//! them in time and follows their progress.

mod argument_forms;
mod batches;
mod bidirectional;
mod cancel;
mod cancel_handlers;
mod deadlines;
mod overdue;
mod progress;
mod progress_bounds;
mod timeouts;
mod typed;
mod untyped;
