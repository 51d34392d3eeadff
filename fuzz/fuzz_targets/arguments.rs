//! Any JSON value as an argument of many types: the decoder must agree with serde_json.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| wsjsonrpc::__fuzzing::check_arguments(text));
