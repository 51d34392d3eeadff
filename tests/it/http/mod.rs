//! Endpoints in somebody's HTTP server, and calls by HTTP POST in both directions.

mod attached;
mod batches;
mod end_to_end;
pub(crate) mod mount;
mod mount_life;
mod peer;
pub(crate) mod post;
mod post_handlers;
