//! Streams over the wire, from both ends: items that come in for this side's subscriptions, and handlers'
//! streams that go out to the peer's.
//!
//! Knows nothing of how the calls are carried that begin and end them.

pub(crate) mod asked;
pub(crate) mod early;
pub(crate) mod feed;
pub(crate) mod feeds;
pub(crate) mod flows;
pub(crate) mod items;
pub(crate) mod producer;
pub(crate) mod subscription;
pub(crate) mod topic;
