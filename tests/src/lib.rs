//! Helpers for the integration tests. They use only public items of the crate.
//!
//! | module | what |
//! |---|---|
//! | [`raw`] | WebSocket peers that send and receive text |
//! | [`messages`] | JSON-RPC messages as text |
//! | [`frames`] | WebSocket frames as bytes |
//! | [`http`], [`scripted`] | raw opening handshakes and HTTP responses |
//! | [`post`], [`mounted`] | HTTP POST, and endpoints mounted in HTTP servers |
//! | [`servers`], [`gate`] | servers with common methods, and handlers that wait for the test |
//! | [`reconnect`] | reconnecting clients, with each attempt controlled by the test |
//! | [`breaker`] | a proxy that breaks connections at random moments |
//! | [`tls`] | certificates, and servers and clients that use them |
//! | [`log`], [`record`] | the log, and the calls that middleware saw |
//! | [`poll`], [`child`] | futures polled by hand; tests that need a separate process |
#![allow(missing_docs, reason = "the names of fields and methods of test helpers describe them")]

pub mod breaker;
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
