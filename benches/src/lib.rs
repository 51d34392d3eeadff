//! What the benchmark's programs share. `bench` runs the others, one process for each thing that is
//! measured, and plays the other side itself with `load` and `responder`, which cost next to nothing.
//!
//! From the ground up: `wire` is WebSocket on blocking sockets, `load` and `responder` play a client
//! and a server, `hostile` a client that is out to hurt, `options` is the command line of the programs under test, `client` what the typed
//! clients have in common, `process` starts the programs and reads their cost, `experiments` says
//! what is measured, `measure` measures it, `stats` condenses it, `report` writes it down.

pub mod client;
pub mod experiments;
pub mod hostile;
pub mod load;
pub mod measure;
pub mod options;
pub mod process;
pub mod report;
pub mod responder;
pub mod stats;
pub mod wire;
