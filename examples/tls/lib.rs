//! This package has one example: `cargo run -p examples-tls --example tls`.
