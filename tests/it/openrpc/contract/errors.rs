//! Errors with all forms of data.

use std::net::SocketAddrV4;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Context, ErrorObject, Result, RpcError, rpc};

use super::check::Contract;
use super::enums::{Color, Level};
use super::generics::{Node, folder};
use super::structs::{Limits, limits};

#[derive(Debug, RpcError)]
#[rpc_error(schema)]
pub(super) enum Failure {
    #[rpc_error(code = 1, message = "nothing more to say")]
    Unit,
    #[rpc_error(code = 2)]
    One(Color),
    #[rpc_error(code = 3)]
    Optional(Option<Level>),
    #[rpc_error(code = 4)]
    Named {
        most: u64,
        #[rpc_error(rename = "why")]
        reason: Option<String>,
        #[rpc_error(default)]
        limits: Option<Box<Limits>>,
    },
    #[rpc_error(code = 5, message = "{0} of {1:?}")]
    Several(u8, Vec<String>),
    #[rpc_error(code = 6)]
    Address(#[rpc_error(schema = String)] SocketAddrV4),
    #[rpc_error(code = 7)]
    Addresses {
        #[rpc_error(schema = Vec<String>)]
        list: Vec<SocketAddrV4>,
    },
    #[rpc_error(transparent)]
    Closed(Closed),
    #[rpc_error(transparent)]
    Nested(Nested),
}

#[derive(Debug, RpcError)]
#[rpc_error(schema, code = 10, message = "closed")]
pub(super) struct Closed;

#[derive(Debug, RpcError)]
#[rpc_error(schema)]
pub(super) enum Nested {
    #[rpc_error(code = 11)]
    Recursive(Node),
    /// Has the code of another type, whose data is another one.
    #[rpc_error(code = 2)]
    SameCode { n: u8 },
}

#[derive(Debug, RpcError)]
#[rpc_error(schema)]
pub(super) enum Rejected<T>
where
    T: std::fmt::Debug + Serialize + DeserializeOwned + JsonSchema + Send + 'static,
{
    #[rpc_error(code = 20)]
    Value(T),
    #[rpc_error(code = 21)]
    Values { list: Vec<T> },
}

#[rpc(schema, namespace = "errors")]
pub(super) trait Failing {
    async fn fail(&self, ctx: &Context, kind: u8) -> Result<(), Failure>;
    async fn reject_color(&self, ctx: &Context, one: bool) -> Result<u8, Rejected<Color>>;
    async fn reject_text(&self, ctx: &Context, one: bool) -> Result<u8, Rejected<String>>;
    async fn closed(&self, ctx: &Context) -> Result<(), Closed>;
}

struct Fails;

/// The error for each number up to `KINDS`.
pub(super) fn failure(kind: u8) -> Option<Failure> {
    Some(match kind {
        0 => Failure::Unit,
        1 => Failure::One(Color::Red),
        2 => Failure::One(Color::DarkGreen),
        3 => Failure::One(Color::Blue),
        4 => Failure::Optional(Some(Level::Warning)),
        5 => Failure::Optional(Some(Level::DebugOnly)),
        6 => Failure::Optional(None),
        7 => Failure::Named { most: u64::MAX, reason: None, limits: None },
        8 => Failure::Named { most: 0, reason: Some("x".into()), limits: Some(limits().into()) },
        9 => Failure::Several(1, vec!["x".into()]),
        10 => Failure::Address("127.0.0.1:80".parse().ok()?),
        11 => Failure::Addresses { list: vec!["127.0.0.1:80".parse().ok()?] },
        12 => Failure::Closed(Closed),
        13 => Failure::Nested(Nested::Recursive(Node::Folder(folder()))),
        14 => Failure::Nested(Nested::Recursive(Node::File { size: 1 })),
        15 => Failure::Nested(Nested::SameCode { n: 1 }),
        _ => return None,
    })
}

pub(super) fn rejected(one: bool) -> Rejected<Color> {
    let list = vec![Color::Red, Color::DarkGreen, Color::Blue];
    if one { Rejected::Value(Color::Red) } else { Rejected::Values { list } }
}

pub(super) const KINDS: u8 = 16;

impl Failing for Fails {
    async fn fail(&self, _: &Context, kind: u8) -> Result<(), Failure> {
        failure(kind).map_or(Ok(()), Err)
    }
    async fn reject_color(&self, _: &Context, one: bool) -> Result<u8, Rejected<Color>> {
        Err(rejected(one))
    }
    async fn reject_text(&self, _: &Context, one: bool) -> Result<u8, Rejected<String>> {
        Err(if one { Rejected::Value("x".into()) } else { Rejected::Values { list: vec![] } })
    }
    async fn closed(&self, _: &Context) -> Result<(), Closed> {
        Err(Closed)
    }
}

pub(super) fn serve(server: ServerBuilder) -> ServerBuilder {
    server.service(Fails.into_service())
}

pub(super) async fn run(contract: &mut Contract) {
    let client = FailingClient::new(&contract.client);
    for kind in 0..KINDS {
        let wsjsonrpc::Error::Call(error) = client.fail(kind).await.unwrap_err() else {
            panic!("{kind} does not arrive as its type");
        };
        let sent: Option<ErrorObject> = failure(kind).map(|failure| failure.to_object());
        assert_eq!(sent, Some(error.to_object()));
    }
    client.fail(KINDS).await.unwrap();
    for one in [true, false] {
        client.reject_color(one).await.unwrap_err();
        client.reject_text(one).await.unwrap_err();
    }
    client.closed().await.unwrap_err();
    contract.check();
}
