//! All integration tests, in one binary.

mod batches;
mod bidirectional;
mod builders;
mod calls;
mod context;
mod errors;
mod handshakes;
mod lifecycle;
mod spec_examples;
mod untyped;
mod wire;
