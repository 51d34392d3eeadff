//! This package has one example: `cargo run -p examples-middleware --example middleware`.
