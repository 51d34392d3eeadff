//! Middleware around calls in both directions, around connections and subscriptions, and the
//! ready-made middleware.

mod connections;
mod incoming;
mod method_kinds;
mod metrics;
mod outgoing;
mod ready_made;
mod subscriptions;
