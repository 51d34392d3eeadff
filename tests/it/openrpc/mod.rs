//! The description of an API as an OpenRPC document.

mod discover;
mod document;
mod golden;
