//! Calls to the other side: the handles that make them, the messages they become, and the table of those
//! that wait for a response.
//!
//! Knows nothing of handlers.

pub(crate) mod batch;
pub(crate) mod batch_shapes;
pub(crate) mod call;
pub(crate) mod deadlines;
pub(crate) mod deferred;
pub(crate) mod exchange;
pub(crate) mod inherited;
pub(crate) mod link;
pub(crate) mod part;
pub(crate) mod peer;
pub(crate) mod pending;
pub(crate) mod progress;
pub(crate) mod reply;
pub(crate) mod session;
pub(crate) mod slots;
pub(crate) mod table;
