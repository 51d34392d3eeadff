//! How handlers run: their context, their order and their thread. A handler that panics or blocks
//! affects nobody else.

mod blocking;
mod context;
mod faults;
mod kept_handles;
mod order;
mod ordered;
mod panics_in_drop;
mod runtime;
