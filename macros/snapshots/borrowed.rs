//! Borrowed arguments.

#[rpc]
pub(crate) trait Hello {
    async fn greet(&self, ctx: &Context, name: &str, greeting: Option<&str>, scores: &[f64]) -> Result<String>;
}
