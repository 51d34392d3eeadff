//! What the log and traces say, and what they never say.

mod log_lines;
mod secrets_of_calls;
mod secrets_of_handshakes;
mod traces;
