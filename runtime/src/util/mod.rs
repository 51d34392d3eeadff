//! Small tools that are independent of JSON-RPC: running user code, timers, racing two futures,
//! yielding, hashing, keys of any type.

use std::future::Future;
use std::pin::Pin;

pub(crate) mod catch_unwind;
pub(crate) mod drop_counter;
pub(crate) mod hasher;
pub(crate) mod identity;
pub(crate) mod race;
pub(crate) mod runtime;
pub(crate) mod type_map;
pub(crate) mod unordered;
pub(crate) mod yield_now;

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
