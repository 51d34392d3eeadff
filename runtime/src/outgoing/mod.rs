//! Outgoing calls: from a [`Peer`](peer::Peer) and a [`Call`](call::Call) to the decoded reply.
//!
//! In reading order: `peer` is the handle to a peer, `call` is a single call and its encoder, and
//! `exchange` is the state machine that sends a request and waits for its response. `batch` sends
//! several calls in one message, and `fan_out` sends one message to several peers. `subscription`
//! consumes a subscription, which `resume` continues on the next connection of a reconnecting
//! client. `deadline` limits a call to the deadline of the handler that makes it.

pub(crate) mod batch;
mod batch_shapes;
pub(crate) mod call;
pub(crate) mod deadline;
pub(crate) mod exchange;
pub(crate) mod fan_out;
pub(crate) mod peer;
mod progress;
mod resume;
pub(crate) mod subscription;
