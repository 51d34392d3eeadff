//! How connections end: closed by either side, cut off, timed out by keep-alive, or shut down with
//! their server.

mod close;
mod keepalive;
mod last_words;
mod network_cut;
mod no_runtime;
mod nothing_lost;
mod shutdown;
