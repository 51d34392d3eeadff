//! Errors: those of handlers and of `#[derive(RpcError)]` as the caller gets them, and the peer's
//! errors about a whole message.

mod derive;
mod derive_wire;
mod handler_errors;
mod question_mark;
mod whole_message;
