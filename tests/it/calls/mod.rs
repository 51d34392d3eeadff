//! Calls in both directions, typed and untyped, alone and in batches: cancellation, timeouts and
//! progress.

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
