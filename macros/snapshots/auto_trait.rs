//! After an error that only unstable Rust can have.

#[rpc]
pub auto trait Marker {
    fn sum(&self, ctx: &Context, x: i64) -> Result<i64>;
}
