//! Reconnecting clients: when they connect, what happens to calls meanwhile, and what they do not
//! retry.

mod attempts;
mod breaks;
mod calls;
mod hook_and_end;
mod permanent;
mod resume;
mod retry_after;
