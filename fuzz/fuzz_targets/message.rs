//! Any text as an incoming message: the decoder must agree with the reference.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| wsjsonrpc::__fuzzing::check_message(text));
