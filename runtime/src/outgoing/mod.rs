//! Calls to the peer: from a [`Peer`](peer::Peer) and a [`Call`](call::Call) to the decoded reply.
//!
//! In reading order: `peer` is the handle, `call` a single call and its encoder, `exchange` the state machine
//! that sends a request and waits for its reply, `batch` several calls in one message, `subscription` the
//! consumer of a subscription. `deadline` is what a call inherits from the handler that makes it.

pub(crate) mod batch;
mod batch_shapes;
pub(crate) mod call;
pub(crate) mod deadline;
pub(crate) mod exchange;
pub(crate) mod peer;
mod progress;
pub(crate) mod subscription;
