//! The interface of our two interop programs.
//!
//! - [`contract`]: the methods of our server, and those that our client serves to a server
//! - [`node`]: the methods for clients of Ethereum nodes
//! - [`outcome`]: outcomes of calls as JSON, to be compared and printed
//! - [`usual`]: scenarios that every JSON-RPC server should support with our client
//! - [`odd`]: scenarios with a server that responds in unusual ways
#![forbid(unsafe_code)]

pub mod contract;
pub mod node;
pub mod odd;
pub mod outcome;
pub mod usual;
