//! How handlers run: their context, their order, the thread they run on, and that a handler which panics or
//! blocks harms nobody else.

mod blocking;
mod context;
mod faults;
mod kept_handles;
mod order;
mod ordered;
mod panics_in_drop;
mod runtime;
