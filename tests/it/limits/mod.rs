//! Whatever a peer does, memory and work are bounded, and other connections are served.

mod admission;
mod backpressure;
mod each_limit;
mod fairness;
mod hostile;
mod in_flight;
mod memory_cost;
#[cfg(unix)]
mod served;
