//! The output after errors: the methods that could be understood, and a service without methods.

#[rpc(namespaec = "math")]
pub trait Broken {
    async fn no_context(&self, x: i64) -> Result<i64>;
    async fn fine(&self, ctx: &Context, x: i64) -> Result<i64>;
    async fn generic<T>(&self, ctx: &Context, x: T) -> Result<T>;
}
