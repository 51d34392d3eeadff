//! Nothing is here: each example beside this file is a program of its own. Start with
//! `cargo run --example quickstart`.
