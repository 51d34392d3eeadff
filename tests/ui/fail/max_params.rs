//! Values that are not sizes.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Notes {
    #[method(max_params)]
    async fn nothing(&self, ctx: &Context, text: String) -> Result<()>;

    #[method(max_params = 65536)]
    async fn number(&self, ctx: &Context, text: String) -> Result<()>;

    #[method(max_params = "65536")]
    async fn no_unit(&self, ctx: &Context, text: String) -> Result<()>;

    #[method(max_params = "64KiB")]
    async fn no_space(&self, ctx: &Context, text: String) -> Result<()>;

    #[method(max_params = "64 kB")]
    async fn other_unit(&self, ctx: &Context, text: String) -> Result<()>;

    #[method(max_params = "0 B")]
    async fn zero(&self, ctx: &Context, text: String) -> Result<()>;

    #[method(max_params = "-1 B")]
    async fn negative(&self, ctx: &Context, text: String) -> Result<()>;

    #[method(max_params = "4096 MiB")]
    async fn too_large(&self, ctx: &Context, text: String) -> Result<()>;
}

fn main() {}
