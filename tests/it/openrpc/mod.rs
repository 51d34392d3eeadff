//! The description of an API as an OpenRPC document.

mod compare;
mod contract;
mod discover;
mod document;
mod golden;
