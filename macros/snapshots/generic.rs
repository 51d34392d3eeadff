//! Type and const parameters with defaults, bounds and supertraits.

#[rpc]
pub trait Store<K, V = String, const N: usize = 4>: Debug
where
    K: Serialize + DeserializeOwned + Send + Sync + 'static,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    Self: Clone,
{
    async fn get(&self, ctx: &Context, key: &K) -> Result<Option<V>>;
    async fn put(&self, ctx: &Context, key: K, values: [V; N]) -> Result<()>;
}
