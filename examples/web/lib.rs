//! This package has one example: `cargo run -p examples-web --example axum_app`.
