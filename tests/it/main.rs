//! All integration tests, in one binary.

mod batches;
mod bidirectional;
mod broken_frames;
mod builders;
mod calls;
mod context;
mod deadlines;
mod errors;
mod floors;
mod handshakes;
mod lifecycle;
mod lifecycle_shutdown;
mod limits;
mod macro_behaviour;
mod macro_hygiene;
mod macro_ui;
mod order;
mod spec_examples;
mod untyped;
mod wire;
mod wire_client;
mod wire_failures;
mod wire_params;
