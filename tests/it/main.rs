//! All integration tests, in one binary.

mod spec_examples;
mod wire;
