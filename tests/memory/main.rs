//! The memory that a peer can make a connection hold, with the worst input of each kind. There is
//! one test for each row of the table in SECURITY.md, over real sockets, on a multi-threaded
//! runtime. An allocator counts the bytes.
//!
//! The peer is a blocking socket in the same process. It allocates its messages before the
//! measurement begins, so what grows is the side under test.
#![allow(missing_docs)] // a test binary

mod channel;
mod group;
mod idle;
mod kept;
mod requests;
mod served;
mod subscriptions;

use std::alloc::System;

use cap::Cap;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);
