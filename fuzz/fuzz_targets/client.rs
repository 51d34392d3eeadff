//! Any bytes as the input of a server.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| wsjsonrpc_fuzz::client::run(input));
