//! Params in all forms: borrowed, optional, with defaults, renamed, by position, by name, and as
//! one value; and methods whose params and results differ.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Context, Result, rpc};

use super::asymmetric::OneWayVariants;
use super::cases;
use super::check::Contract;
use super::enums::{Color, Level};
use super::structs::{Limits, Shape, limits};

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct Owner<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    tags: Vec<Cow<'a, str>>,
}

/// A type without a schema, which travels as a text.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Address(SocketAddrV4);

#[rpc(schema, namespace = "arguments")]
pub(super) trait Arguments {
    async fn text(&self, ctx: &Context, text: &str) -> Result<String>;
    async fn optional_text(&self, ctx: &Context, text: Option<&str>) -> Result<Option<String>>;
    async fn numbers(&self, ctx: &Context, numbers: &[u64]) -> Result<Vec<u64>>;
    async fn structs(&self, ctx: &Context, list: &[Limits]) -> Result<usize>;
    async fn cow(&self, ctx: &Context, text: Cow<'_, str>) -> Result<String>;
    async fn map(&self, ctx: &Context, map: &BTreeMap<String, Color>) -> Result<usize>;
    async fn owner(&self, ctx: &Context, owner: Owner<'_>) -> Result<usize>;
    async fn many(
        &self,
        ctx: &Context,
        first: u8,
        #[param(rename = "2nd")] second: Option<Color>,
        #[param(default)] third: Vec<u8>,
        #[param(default)] fourth: u64,
    ) -> Result<u64>;
    async fn options(&self, ctx: &Context, a: Option<u8>, b: u8, c: Option<u8>) -> Result<u8>;
    #[method(params = "positional")]
    async fn by_position(&self, ctx: &Context, x: i64, y: Option<i64>) -> Result<i64>;
    #[method(params = "named")]
    async fn by_name(&self, ctx: &Context, x: i64, #[param(default)] y: i64) -> Result<i64>;
    #[method(params = "whole")]
    async fn whole_struct(&self, ctx: &Context, limits: Limits) -> Result<u32>;
    #[method(params = "whole")]
    async fn whole_tuple(&self, ctx: &Context, pair: (u8, Option<String>)) -> Result<u8>;
    #[method(params = "whole")]
    async fn whole_list(&self, ctx: &Context, numbers: Vec<u8>) -> Result<usize>;
    #[method(params = "whole")]
    async fn whole_map(&self, ctx: &Context, map: BTreeMap<String, u8>) -> Result<usize>;
    #[method(params = "whole")]
    async fn whole_enum(&self, ctx: &Context, shape: Shape) -> Result<()>;
    async fn nothing(&self, ctx: &Context) -> Result<()>;
    #[method(name = "arguments/new", aliases = ["arguments/old"])]
    async fn renamed(&self, ctx: &Context, n: u8) -> Result<u8>;
    /// A type without a schema.
    #[method(result_schema = String)]
    async fn address(
        &self,
        ctx: &Context,
        #[param(schema = String)] address: Address,
    ) -> Result<Address>;
    #[method(progress = Level)]
    async fn works(&self, ctx: &Context) -> Result<()>;
    async fn written(&self, ctx: &Context, both: bool) -> Result<OneWayVariants>;
    async fn read(&self, ctx: &Context, variant: OneWayVariants) -> Result<()>;
}

struct Echo;

impl Arguments for Echo {
    async fn text(&self, _: &Context, text: &str) -> Result<String> {
        Ok(text.to_owned())
    }
    async fn optional_text(&self, _: &Context, text: Option<&str>) -> Result<Option<String>> {
        Ok(text.map(str::to_owned))
    }
    async fn numbers(&self, _: &Context, numbers: &[u64]) -> Result<Vec<u64>> {
        Ok(numbers.to_vec())
    }
    async fn structs(&self, _: &Context, list: &[Limits]) -> Result<usize> {
        Ok(list.len())
    }
    async fn cow(&self, _: &Context, text: Cow<'_, str>) -> Result<String> {
        Ok(text.into_owned())
    }
    async fn map(&self, _: &Context, map: &BTreeMap<String, Color>) -> Result<usize> {
        Ok(map.len())
    }
    async fn owner(&self, _: &Context, owner: Owner<'_>) -> Result<usize> {
        Ok(owner.name.len() + owner.tags.len())
    }
    async fn many(
        &self,
        _: &Context,
        first: u8,
        second: Option<Color>,
        third: Vec<u8>,
        fourth: u64,
    ) -> Result<u64> {
        let second = second.map_or(0, |color| color as u64);
        Ok(u64::from(first) + second + third.len() as u64 + fourth)
    }
    async fn options(&self, _: &Context, _: Option<u8>, b: u8, _: Option<u8>) -> Result<u8> {
        Ok(b)
    }
    async fn by_position(&self, _: &Context, x: i64, y: Option<i64>) -> Result<i64> {
        Ok(x.wrapping_add(y.unwrap_or_default()))
    }
    async fn by_name(&self, _: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x.wrapping_add(y))
    }
    async fn whole_struct(&self, _: &Context, limits: Limits) -> Result<u32> {
        Ok(limits.burst)
    }
    async fn whole_tuple(&self, _: &Context, pair: (u8, Option<String>)) -> Result<u8> {
        Ok(pair.0)
    }
    async fn whole_list(&self, _: &Context, numbers: Vec<u8>) -> Result<usize> {
        Ok(numbers.len())
    }
    async fn whole_map(&self, _: &Context, map: BTreeMap<String, u8>) -> Result<usize> {
        Ok(map.len())
    }
    async fn whole_enum(&self, _: &Context, _: Shape) -> Result<()> {
        Ok(())
    }
    async fn nothing(&self, _: &Context) -> Result<()> {
        Ok(())
    }
    async fn renamed(&self, _: &Context, n: u8) -> Result<u8> {
        Ok(n)
    }
    async fn address(&self, _: &Context, address: Address) -> Result<Address> {
        Ok(address)
    }
    async fn works(&self, ctx: &Context) -> Result<()> {
        ctx.progress(Level::DebugOnly).await?;
        ctx.progress(Level::Warning).await?;
        Ok(())
    }
    async fn written(&self, _: &Context, both: bool) -> Result<OneWayVariants> {
        Ok(if both { OneWayVariants::Both } else { OneWayVariants::Written })
    }
    async fn read(&self, _: &Context, _: OneWayVariants) -> Result<()> {
        Ok(())
    }
}

pub(super) fn serve(server: ServerBuilder) -> ServerBuilder {
    server.service(Echo.into_service())
}

pub(super) async fn run(contract: &mut Contract) {
    calls(&ArgumentsClient::new(&contract.client)).await.unwrap();
    // The client cannot send a variant that is only read.
    for variant in ["Both", "Read"] {
        contract.client.peer().call::<()>("arguments.read", (variant,)).await.unwrap();
    }
    contract.client.peer().call::<u8>("arguments/old", (1,)).await.unwrap();
    contract.check();
    for method in cases::described(contract, |name| name.starts_with("arguments")) {
        // No address is a text without a dot, but its schema is that of a text.
        cases::vary(contract, &method, method == "arguments.address").await;
    }
}

async fn calls(client: &ArgumentsClient) -> std::result::Result<(), wsjsonrpc::Error> {
    client.text("line\nand \"quotes\"").await?;
    client.optional_text(Some("x")).await?;
    client.optional_text(None).await?;
    client.numbers(&[0, u64::MAX]).await?;
    client.structs(&[limits(), limits()]).await?;
    client.cow("\\".into()).await?;
    let colors = [Color::Red, Color::DarkGreen, Color::Blue];
    client.map(&colors.map(|color| (format!("{color:?}"), color)).into()).await?;
    client.owner(Owner { name: "a\"b".into(), tags: vec!["c".into()] }).await?;
    for color in colors {
        client.many(1, Some(color), vec![2], u64::from(u32::MAX)).await?;
    }
    client.many(1, None, Vec::new(), 0).await?;
    client.options(None, 1, None).await?;
    client.options(Some(1), 2, Some(3)).await?;
    client.by_position(i64::MAX, Some(1)).await?;
    client.by_position(1, None).await?;
    client.by_name(1, 2).await?;
    client.whole_struct(limits()).await?;
    client.whole_tuple((1, None)).await?;
    client.whole_tuple((1, Some("x".into()))).await?;
    client.whole_list(vec![1, 2]).await?;
    client.whole_map([("a".to_owned(), 1)].into()).await?;
    client.whole_enum(Shape::Circle { radius: 0.5 }).await?;
    client.whole_enum(Shape::Square { side: 1.0 }).await?;
    client.whole_enum(Shape::Dot).await?;
    client.nothing().await?;
    client.renamed(1).await?;
    client.address(Address(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80))).await?;
    client.works().on_progress(|_: Level| {}).await?;
    client.written(true).await?;
    // The client cannot read a variant that is only written.
    assert!(matches!(client.written(false).await, Err(wsjsonrpc::Error::Decode(_))));
    Ok(())
}
