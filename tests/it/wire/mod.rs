//! Raw text in and raw text out: which message gets which response, on the serving and on the
//! calling side.

mod client;
mod document;
mod envelopes;
mod extensions;
mod failures;
mod params;
mod seeds;
mod spec_examples;
