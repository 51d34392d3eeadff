//! Types without a JSON Schema. One message for each, at the type.

use serde::{Deserialize, Serialize};
use wsjsonrpc::{Context, Result, RpcError, Stream, rpc};

#[derive(Serialize, Deserialize)]
pub struct Argument;

#[derive(Serialize, Deserialize)]
pub struct Inside;

#[derive(Serialize, Deserialize)]
pub struct Whole(u8, u8);

#[derive(Serialize, Deserialize)]
pub struct Reply;

#[derive(Serialize, Deserialize)]
pub struct Item;

#[derive(Serialize, Deserialize)]
pub struct Progress;

#[derive(Debug, Serialize, Deserialize)]
pub struct Only;

#[derive(Debug, Serialize, Deserialize)]
pub struct Named;

#[derive(Debug, RpcError)]
#[rpc_error(schema)]
pub enum Described {
    #[rpc_error(code = 1)]
    One(Only),
    #[rpc_error(code = 2)]
    Two { named: Named, count: u8 },
    #[rpc_error(transparent)]
    Other(Undescribed),
}

#[derive(Debug, RpcError)]
#[rpc_error(code = 3)]
pub struct Undescribed;

#[derive(Debug, RpcError)]
#[rpc_error(code = 4)]
pub struct Refusal;

#[rpc(schema)]
trait Contract {
    async fn argument(&self, ctx: &Context, x: Argument) -> Result<u8>;
    async fn inside(&self, ctx: &Context, x: Option<Vec<Inside>>) -> Result<u8>;
    #[method(params = "whole")]
    async fn whole(&self, ctx: &Context, x: Whole) -> Result<u8>;
    async fn result(&self, ctx: &Context) -> Result<Reply>;
    #[method(progress = Progress)]
    async fn progress(&self, ctx: &Context) -> Result<u8>;
    #[subscription]
    fn items(&self, ctx: &Context) -> impl Stream<Item = Item> + Send;
    async fn error(&self, ctx: &Context) -> Result<u8, Undescribed>;
    #[subscription]
    async fn refused(&self, ctx: &Context) -> Result<impl Stream<Item = u8> + Send, Refusal>;
}

fn main() {}
