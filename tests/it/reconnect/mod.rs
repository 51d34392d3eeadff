//! Clients that reconnect: when they do, what becomes of calls meanwhile, and what is not retried.

mod attempts;
mod breaks;
mod calls;
mod hook_and_end;
mod permanent;
mod retry_after;
