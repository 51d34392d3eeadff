//! Every argument of every attribute; plain and blocking methods.

#[rpc(namespace = "shop", separator = "/", rename_all = "camelCase", crate = crate::wire)]
trait Shop {
    #[method(params = "named")]
    fn place_order(&self, ctx: &Context, article_id: u64, #[param(rename = "n", default)] how_many: u32) -> Result<u64>;

    #[method(params = "whole", blocking, idempotent, max_params = "64 KiB")]
    fn sum_up(&self, ctx: &Context, prices: Vec<f64>) -> Result<f64>;

    #[method(cancel = "drop", ordered)]
    async fn pack(&self, ctx: &Context);

    #[method(cancel = "signal", ordered)]
    fn count(&self, ctx: &Context) -> Result<u64>;
}
