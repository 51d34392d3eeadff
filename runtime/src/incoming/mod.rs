//! Incoming calls: from the text of a message to the text of its response.
//!
//! In reading order: `dispatch` decodes a message and decides which calls are handled, `router`
//! finds the service, `service` and `context` define what a handler gets, `in_flight` runs the
//! handler, and `responder` writes the response. `producer` sends the items of a subscription, and
//! `channel` is a source of items for many subscriptions.
//! `one_shot` handles a message without a connection.

pub(crate) mod channel;
pub(crate) mod connection_id;
pub(crate) mod context;
mod control_notifications;
#[cfg(feature = "schema")]
pub(crate) mod discover;
pub(crate) mod dispatch;
pub(crate) mod error_map;
pub(crate) mod extension;
mod in_flight;
mod item_router;
pub(crate) mod large_message;
mod message_errors;
pub(crate) mod methods;
#[cfg(feature = "tower")]
pub(crate) mod one_shot;
mod order;
pub(crate) mod producer;
pub(crate) mod responder;
pub(crate) mod router;
pub(crate) mod service;
pub(crate) mod signature;
pub(crate) mod topic;
