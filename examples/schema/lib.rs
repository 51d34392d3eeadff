//! An API that describes itself. Start `cargo run -p examples-schema --example library_server`, then
//! `cargo run -p examples-schema --example library_client`. `library_server openrpc` prints the API as an OpenRPC
//! document, from which tools generate clients in other languages.
