//! Any bytes as the input of a client.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| wsjsonrpc_fuzz::server::run(input));
