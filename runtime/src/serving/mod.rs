//! Calls that come in: what handlers are given, how they are found and started, and where their answers
//! go.
//!
//! Knows nothing of sockets: text comes in, and text goes to an outlet.

pub(crate) mod admit;
pub(crate) mod answer;
pub(crate) mod attached;
pub(crate) mod blocked;
pub(crate) mod context;
pub(crate) mod dispatch;
pub(crate) mod dropped;
pub(crate) mod gather;
pub(crate) mod handler;
pub(crate) mod methods;
pub(crate) mod notices;
pub(crate) mod order;
pub(crate) mod outlet;
pub(crate) mod recognize;
pub(crate) mod router;
pub(crate) mod service;
pub(crate) mod signals;
pub(crate) mod signature;
pub(crate) mod started;
pub(crate) mod state;
pub(crate) mod stray;
pub(crate) mod values;
