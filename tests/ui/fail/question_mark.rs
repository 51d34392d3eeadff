//! `?` on what is not an error type.

use wsjsonrpc::Result;

#[derive(Debug)]
pub struct Broken;

pub fn own() -> Result<()> {
    Err(Broken)?
}

/// Without `Send + Sync`, the error could not leave its thread.
pub fn of_one_thread() -> Result<()> {
    Err::<(), Box<dyn std::error::Error>>("broken".into())?;
    Ok(())
}

fn main() {}
