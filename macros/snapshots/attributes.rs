//! Docs, lints, `cfg` and `deprecated`; a default body.

/// About the trait.
#[rpc]
#[allow(clippy::too_many_arguments)]
#[doc(hidden)]
pub trait Old {
    /// Use `new_way` instead.
    #[deprecated(note = "use `new_way`")]
    async fn old_way(&self, ctx: &Context) -> Result<()>;

    #[cfg(unix)]
    #[method(aliases = ["fork2"])]
    async fn fork(&self, ctx: &Context) -> Result<u32>;

    #[cfg_attr(feature = "x", cfg(unix), must_use, doc = "More.")]
    async fn with_body(&self, ctx: &Context, amount: u32) -> Result<u32> {
        Ok(amount + 1)
    }
}
