//! Items of subscriptions.

use std::net::SocketAddrV4;

use futures_util::{StreamExt, stream};
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::subscription::{Position, Positioned};
use wsjsonrpc::{Channel, Context, Result, Stream, Subscription, rpc};

use super::check::Contract;
use super::enums::{Color, Untagged, untagged};
use super::errors::{self, Closed, Rejected};
use super::generics::{Node, Page, folder, page};
use super::structs::{Limits, limits};

#[rpc(schema, namespace = "items")]
pub(super) trait Items {
    #[subscription]
    fn colors(&self, ctx: &Context) -> impl Stream<Item = Color>;
    #[subscription(name = "pages", notification = "a_page", unsubscribe = "no_pages")]
    fn pages(
        &self,
        ctx: &Context,
        size: u8,
        next: Option<u8>,
    ) -> impl Stream<Item = Page<Option<u8>>>;
    #[subscription]
    async fn nodes(
        &self,
        ctx: &Context,
        size: u64,
    ) -> Result<impl Stream<Item = Node> + Send, Closed>;
    #[subscription]
    fn untagged(
        &self,
        ctx: &Context,
        one: bool,
    ) -> impl Stream<Item = Result<Untagged, Rejected<Color>>>;
    #[subscription]
    fn stored(&self, ctx: &Context) -> impl Stream<Item = Positioned<Limits>>;
    #[subscription]
    fn published(&self, ctx: &Context) -> impl Stream<Item = Positioned<u64>>;
    #[subscription(item_schema = String)]
    fn addresses(&self, ctx: &Context) -> impl Stream<Item = SocketAddrV4>;
}

struct Source(Channel<u64>);

impl Items for Source {
    fn colors(&self, _: &Context) -> impl Stream<Item = Color> {
        stream::iter([Color::Red, Color::DarkGreen, Color::Blue])
    }
    fn pages(&self, _: &Context, size: u8, _: Option<u8>) -> impl Stream<Item = Page<Option<u8>>> {
        let items: Vec<Option<u8>> = (0..size).map(|n| (n > 0).then_some(n)).collect();
        stream::iter([page(items)])
    }
    async fn nodes(
        &self,
        _: &Context,
        size: u64,
    ) -> Result<impl Stream<Item = Node> + Send, Closed> {
        match size {
            0 => Err(Closed),
            _ => Ok(stream::iter([Node::File { size }, Node::Folder(folder())])),
        }
    }
    fn untagged(
        &self,
        _: &Context,
        one: bool,
    ) -> impl Stream<Item = Result<Untagged, Rejected<Color>>> {
        let items = untagged().into_iter().map(Ok);
        stream::iter(items.chain([Err(errors::rejected(one))]))
    }
    fn stored(&self, ctx: &Context) -> impl Stream<Item = Positioned<Limits>> {
        ctx.starts_after(Position { epoch: "e".to_owned(), offset: 5 });
        stream::iter([Positioned::new(6, limits())])
    }
    fn published(&self, ctx: &Context) -> impl Stream<Item = Positioned<u64>> {
        self.0.subscribe(ctx).last(2)
    }
    fn addresses(&self, _: &Context) -> impl Stream<Item = SocketAddrV4> {
        stream::iter("127.0.0.1:80".parse())
    }
}

pub(super) fn serve(server: ServerBuilder) -> ServerBuilder {
    let channel = Channel::builder().replay(2).build();
    for number in [0, u64::MAX] {
        channel.publish(&number).unwrap();
    }
    channel.close();
    server.service(Source(channel).into_service())
}

async fn all<T, E>(subscription: Result<Subscription<T, E>, impl std::fmt::Debug>)
where
    Subscription<T, E>: Stream + Unpin,
{
    let mut subscription = subscription.unwrap();
    while StreamExt::next(&mut subscription).await.is_some() {}
}

pub(super) async fn run(contract: &mut Contract) {
    let client = ItemsClient::new(&contract.client);
    all(client.colors().await).await;
    all(client.pages(2, None).await).await;
    all(client.nodes(1).await).await;
    client.nodes(0).await.unwrap_err();
    all(client.untagged(true).await).await;
    all(client.untagged(false).await).await;
    all(client.stored().await).await;
    all(client.published().await).await;
    // The typed client asks for positions only if it reconnects.
    for (method, items) in [("items.stored", 1), ("items.published", 2)] {
        let request = format!(
            r#"{{"jsonrpc":"2.0","method":"{method}","id":"raw","wsjsonrpc":{{"resume":true}}}}"#
        );
        // The response, the position at the start, and the items.
        contract.exchange(&request, 2 + items).await;
    }
    all(client.addresses().await).await;
    contract.check();
}
