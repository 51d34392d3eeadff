//! Checks the compile errors if a feature of the crate is off; see `tests/messages.rs`.
