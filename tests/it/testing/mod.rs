//! The crate's tools for its users' tests: mocks, a recorder, and networks with faults.

mod mock;
mod network;
mod recorder;
