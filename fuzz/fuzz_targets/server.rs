//! Any bytes as what a client sends.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| wsjsonrpc_fuzz::server::run(input));
