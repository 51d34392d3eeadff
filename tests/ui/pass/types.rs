//! What arguments and results may be.

use std::borrow::Cow;
use std::collections::HashMap;

use wsjsonrpc::{Context, ErrorObject, Result, rpc};

type Maybe<T> = Option<T>;
type Answer = Result<u8>;
type Name<'a> = &'a str;

pub mod shop {
    /// A type of the same name, which is sent.
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct Context;
}

#[rpc]
pub trait Types {
    async fn borrowed(&self, ctx: &Context, a: &str, b: &[u8], c: &HashMap<String, u8>, d: &'_ str) -> Result<()>;
    async fn optional(&self, ctx: &Context, a: Option<&str>, b: Maybe<&[u8]>, c: Option<Option<u8>>) -> Result<()>;
    async fn cow(&self, ctx: &Context, a: Cow<'_, str>, b: Cow<'static, str>) -> Result<()>;
    async fn other_context(&self, ctx: &Context, context: shop::Context) -> Result<shop::Context>;
    async fn alias(&self, ctx: &Context, a: Name<'_>) -> Answer;
    async fn explicit(&self, ctx: &Context, a: std::result::Result<u8, String>) -> std::result::Result<u8, ErrorObject>;
    async fn paths(&self, ctx: &Context, a: ::std::vec::Vec<u8>, b: [[u8; 2]; 2]) -> Result<(u8, [u8; 3])>;
    async fn unit(&self, ctx: &Context, a: ()) -> ();
    fn never_fails(&self, ctx: &Context) -> std::result::Result<u8, std::convert::Infallible>;
}

fn main() {}
