//! What the integration tests share. Only public items of the crate are used here.
//!
//! | module | what |
//! |---|---|
//! | [`raw`] | WebSocket peers that speak text |
//! | [`messages`] | JSON-RPC messages as text |
//! | [`frames`] | WebSocket frames as bytes |
//! | [`http`], [`scripted`] | the opening handshake and HTTP responses by hand |
//! | [`post`], [`mounted`] | HTTP POST, and endpoints in somebody's HTTP server |
//! | [`servers`], [`gate`] | servers with the usual methods, some of which wait for the test |
//! | [`reconnect`] | clients that reconnect, with each attempt in the test's hand |
//! | [`tls`] | certificates, and servers and clients that use them |
//! | [`log`], [`record`] | the log and the calls that middleware saw |
//! | [`poll`], [`child`] | futures polled by hand; tests that need a process of their own |
#![allow(missing_docs, reason = "fields and methods of test helpers say it by their names")]

pub mod child;
pub mod frames;
pub mod gate;
pub mod http;
pub mod log;
pub mod messages;
pub mod mounted;
pub mod poll;
pub mod post;
pub mod raw;
pub mod reconnect;
pub mod record;
pub mod scripted;
pub mod servers;
pub mod tls;

use std::time::Duration;

pub use frames::frame;
pub use gate::Gate;
pub use messages::*;
pub use poll::{begin, poll_once};
pub use raw::{EXTENSIONS, Raw};
pub use servers::*;

pub const SECOND: Duration = Duration::from_secs(1);
pub const MILLISECOND: Duration = Duration::from_millis(1);
