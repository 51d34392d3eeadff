//! Code that the benchmark's programs share. `bench` runs the others, one process for each
//! measurement, and acts as the other side with `load` and `responder`, which cost very little.
//!
//! From the lowest layer to the highest: `wire` is WebSocket on blocking sockets, `load` and
//! `responder` act as a client and a server, `audience` acts as the clients of a broadcast, `hostile` acts as a hostile client, `options` is the
//! command line of the programs under test, `client` is shared by the typed clients, `process`
//! starts the programs and reads their cost, `experiments` lists the measurements, `measure` runs
//! them, `stats` summarizes the numbers, `report` writes the results.

pub mod audience;
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
