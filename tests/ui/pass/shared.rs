//! `Arc<T>` implements a contract as `T` does: with supertraits, parameters, arguments of any name, both
//! kinds of functions, subscriptions and mocks. So does a type that is itself an `Arc`.

#![deny(warnings)]

use std::fmt::Debug;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use wsjsonrpc::{Context, Result, Stream, rpc};
use wsjsonrpc::service::Service;

#[rpc(mock)]
pub trait Store<K: Serialize + DeserializeOwned + Send + Sync + 'static, const N: usize = 4>:
    Debug + Send
where
    Self: Clone,
{
    async fn get(&self, ctx: &Context, key: &K, context: &str) -> Result<Option<String>>;
    async fn touch(&self, ctx: &Context);
    fn size(&self, _: &Context) -> Result<usize> {
        Ok(N)
    }
    #[deprecated]
    async fn old(&self, _ctx: &Context, _t: u8, _list: Option<&[u8]>) -> Result<()> {
        Ok(())
    }
    #[cfg(any())]
    async fn gone(&self, ctx: &Context, of: Unknown) -> Result<()>;
    #[subscription]
    fn keys(&self, ctx: &Context) -> impl Stream<Item = u8>;
    #[subscription]
    async fn values(&self, ctx: &Context, from: &K) -> Result<impl Stream<Item = u8>>;
}

fn serve<S: Store<u8> + Debug + Clone>(shared: &Arc<S>) -> impl Service + use<S> {
    Arc::clone(shared).into_service()
}

#[rpc]
trait Plain {
    fn one(&self, ctx: &Context) -> Result<u8>;
}

struct Hub;

impl Plain for Arc<Hub> {
    fn one(&self, _ctx: &Context) -> Result<u8> {
        Ok(1)
    }
}

fn main() {
    let mock = Arc::new(StoreMock::<u8>::new());
    assert!(!serve(&mock).methods().is_empty());
    assert_eq!(Arc::new(Hub).into_service().methods().len(), 1);
    // A contract of plain functions fits `dyn`.
    let _: Box<dyn Plain> = Box::new(Arc::new(Hub));
}
