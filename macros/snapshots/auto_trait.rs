//! The output after an error that can only occur in unstable Rust.

#[rpc]
pub auto trait Marker {
    fn sum(&self, ctx: &Context, x: i64) -> Result<i64>;
}
