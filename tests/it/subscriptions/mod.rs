//! Subscriptions: their messages, backpressure, ends, and peers that break the rules.

mod backpressure;
mod channel;
mod early_items;
mod end;
mod messages;
mod odd_peers;
mod refused;
mod typed;
