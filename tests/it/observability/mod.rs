//! The content of logs and traces, and what they never contain.

mod log_lines;
mod secrets_of_calls;
mod secrets_of_handshakes;
mod traces;
