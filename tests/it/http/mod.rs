//! Endpoints mounted in an HTTP server, and calls over HTTP POST in both directions.

mod attached;
mod batches;
mod end_to_end;
mod mount;
mod mount_life;
mod peer;
mod post;
mod post_handlers;
