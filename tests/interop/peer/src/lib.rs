//! The contract of our two interop programs, shared by both.
//!
//! - [`contract`]: what our server serves, and what our client serves to a server
//! - [`node`]: what our server serves to clients of Ethereum nodes
//! - [`outcome`]: results of calls as JSON, to be compared and printed
//! - [`usual`]: what every JSON-RPC server should be able to do with our client
//! - [`odd`]: what our client makes of a server that answers in odd ways
#![forbid(unsafe_code)]

pub mod contract;
pub mod node;
pub mod odd;
pub mod outcome;
pub mod usual;
