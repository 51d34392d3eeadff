//! Supertraits, `where` clauses and generic parameters stay.

use std::fmt::{Debug, Display};

use serde::Serialize;
use serde::de::DeserializeOwned;
use wsjsonrpc::{Context, Result, rpc};
use wsjsonrpc::service::Service;

pub trait Key: Serialize + DeserializeOwned + Display + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Display + Send + Sync + 'static> Key for T {}

#[rpc]
pub trait Store<K: Key, V = String, const N: usize = 4>: Debug + Send
where
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    Self: Clone,
{
    async fn get(&self, ctx: &Context, key: &K) -> Result<Option<V>>;
    async fn key(&self, _ctx: &Context, key: K) -> Result<String> {
        let twin = self.clone();
        Ok(format!("{key} of {twin:?}"))
    }
}

#[derive(Clone, Debug)]
struct Memory;

impl Store<u8> for Memory {
    async fn get(&self, _ctx: &Context, _key: &u8) -> Result<Option<String>> {
        Ok(None)
    }
}

fn main() {
    fn assert_service(service: impl Service + Clone + Debug) {
        assert_eq!(service.methods().len(), 2);
    }
    assert_service(Store::<u8>::into_service(Memory));

    // No bounds are needed to keep a client.
    struct Keeps<K, V> {
        _client: StoreClient<K, V>,
    }
    _ = |client: StoreClient<u8>| Keeps { _client: client };
}
