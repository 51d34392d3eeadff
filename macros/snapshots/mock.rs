//! A mock of a trait with generics, borrowed arguments, a `cfg`, a plain method, a method without a
//! result, and subscriptions.

#[rpc(mock)]
pub trait Store<K: Key>: Debug {
    async fn get(&self, ctx: &Context, key: &K, part: Option<&str>) -> Result<String, Missing>;

    #[cfg(unix)]
    #[method(blocking)]
    fn r#move(&self, ctx: &Context, from: K, to: K) -> Result<()>;

    async fn touch(&self, ctx: &Context) {}

    #[subscription]
    fn changes(&self, ctx: &Context, since: u64) -> impl Stream<Item = Change>;

    #[subscription]
    async fn keys(&self, ctx: &Context) -> Result<impl Stream<Item = Result<K>>, Refused>;
}

#[rpc(mock = "Nobody")]
trait Empty {}
