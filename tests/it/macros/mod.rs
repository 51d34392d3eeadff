//! `#[rpc]`: what it accepts, what it generates, and its compile errors.

mod arguments;
mod behaviour;
mod hygiene;
mod macro_ui;
mod schema;
