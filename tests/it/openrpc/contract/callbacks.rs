//! Methods that the client implements and the server calls.

use futures_util::stream;
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Context, Result, Stream, rpc};

use super::check::Contract;
use super::errors::Closed;
use super::structs::{Sparse, sparse};

#[rpc(schema, namespace = "callbacks")]
pub(super) trait Callbacks {
    async fn confirm(
        &self,
        ctx: &Context,
        what: Sparse,
        twice: Option<bool>,
    ) -> Result<Sparse, Closed>;
    async fn happened(&self, ctx: &Context, what: &str);
    #[subscription]
    fn clicks(&self, ctx: &Context) -> impl Stream<Item = (u16, u16)>;
}

struct User;

impl Callbacks for User {
    async fn confirm(
        &self,
        _: &Context,
        what: Sparse,
        twice: Option<bool>,
    ) -> Result<Sparse, Closed> {
        if twice == Some(true) { Err(Closed) } else { Ok(what) }
    }
    async fn happened(&self, _: &Context, _: &str) {}
    fn clicks(&self, _: &Context) -> impl Stream<Item = (u16, u16)> {
        stream::iter([(0, u16::MAX)])
    }
}

pub(super) fn serve(client: ClientBuilder) -> ClientBuilder {
    client.service(User.into_service())
}

pub(super) fn call(server: ServerBuilder) -> ServerBuilder {
    server.calls::<CallbacksClient>()
}

pub(super) async fn run(contract: &mut Contract) {
    let client = CallbacksClient::new(&contract.peer);
    for what in sparse() {
        client.confirm(what, None).await.unwrap();
    }
    let [what, _] = sparse();
    client.confirm(what, Some(true)).await.unwrap_err();
    client.happened("x").notify().await.unwrap();
    client.happened("y").await.unwrap();
    let mut clicks = client.clicks().await.unwrap();
    while clicks.next().await.is_some() {}
    contract.check();
}
