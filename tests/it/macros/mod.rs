//! `#[rpc]`: what it accepts, what it generates, and what it says about mistakes.

mod arguments;
mod behaviour;
mod hygiene;
mod macro_ui;
