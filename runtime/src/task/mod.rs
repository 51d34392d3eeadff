//! The task that owns one connection: reads, has messages dispatched, writes, watches the clock, closes.
//!
//! Knows nothing of who opened the connection.

pub(crate) mod alarm;
pub(crate) mod connection;
pub(crate) mod held;
pub(crate) mod phase;
pub(crate) mod reader;
pub(crate) mod watch;
