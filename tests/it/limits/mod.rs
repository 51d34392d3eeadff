//! Whatever a peer does, memory and work are bounded, and other connections are served.

mod admission;
mod backpressure;
mod each_limit;
mod fairness;
pub(crate) mod hostile;
mod in_flight;
mod memory_cost;
