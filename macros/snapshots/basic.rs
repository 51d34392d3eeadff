//! A plain trait: a method with aliases, and one that returns nothing.

#[rpc]
pub trait Math {
    /// Adds two numbers.
    #[method(name = "math.sum", aliases = ["add"])]
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;

    async fn reset(&self, ctx: &Context);
}
