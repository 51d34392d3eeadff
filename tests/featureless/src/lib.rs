//! What the compiler says where a feature of the crate is off; see `tests/messages.rs`.
