//! What becomes of errors: those of handlers and of `#[derive(RpcError)]` on their way to the caller, and
//! those of the peer about a whole message.

mod derive;
mod derive_wire;
mod handler_errors;
mod question_mark;
mod whole_message;
