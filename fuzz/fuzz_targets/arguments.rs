//! Any JSON value as an argument of many types: each must be what serde_json makes of it.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| wsjsonrpc::__fuzzing::check_arguments(text));
