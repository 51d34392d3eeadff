//! Examples: each file is a whole program to run and to copy from. Start with
//! `cargo run -p examples --example quickstart`.
//!
//! | example | shows |
//! |---|---|
//! | `quickstart` | a contract, a server and a client in 40 lines |
//! | `two_way_server`, `two_way_client` | two programs that call each other |
//! | `math_server`, `math_client` | a server for clients in any language, and graceful shutdown |
//! | `bidirectional` | a server that asks its clients, and broadcasts to them |
//! | `worker` | a hub that sends jobs to workers behind NAT: balancing, cancellation, progress, reconnecting |
//! | `token` | authentication with a bearer token that expires |
//! | `login` | authentication with a cookie, or with a method |
//! | `batch` | several calls in one message |
//! | `errors` | your own error types, and everything else that can go wrong |
//! | `cancel` | cancellation and deadlines |
//! | `progress` | progress reports during a call |
//! | `ticker` | a channel with a fast and a slow consumer, which resume after a reconnect |
//! | `reconnect` | a client that outlives its server |
//! | `unix_socket` | a server on a Unix socket |
//! | `without_macro` | methods whose names are known only at run time |
//!
//! Examples that need more dependencies are packages of their own:
//!
//! | example | shows | command |
//! |---|---|---|
//! | `tls` | `wss://` with a certificate that the program makes | `cargo run -p examples-tls --example tls` |
//! | `middleware` | logs, metrics, limits and your own middleware | `cargo run -p examples-middleware --example middleware` |
//! | `library_server`, `library_client` | an API that describes itself with OpenRPC, and the test of its document | `cargo run -p examples-schema --example library_server` |
//! | `axum_app` | a web application with pages, forms, sessions and metrics | `cargo run -p examples-web --example axum_app` |
//! | `chat_server`, `chat_client` | a chat with rooms, history and presence; a page and a terminal client that reconnect | `cargo run -p examples-web --example chat_server` |
//!
//! `examples/run-all` runs all of them.
