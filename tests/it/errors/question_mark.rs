//! Which errors `?` accepts in a handler, and what the caller gets for them.

use std::error::Error as StdError;
use std::{fmt, io};

use wsjsonrpc::error::ConnectError;
use wsjsonrpc::server::Grant;
use wsjsonrpc::{
    Client, Context, Error, ErrorCode, ErrorObject, Result, RpcError, Server, memory, rpc,
};
use wsjsonrpc_tests::{Raw, listen};

type Boxed = Box<dyn StdError + Send + Sync>;

#[derive(Debug, thiserror::Error, RpcError)]
#[error("sold out")]
#[rpc_error(code = 2001)]
struct SoldOut;

fn anyhow_error() -> anyhow::Result<()> {
    anyhow::bail!("secret")
}

fn anyhow_of_sold_out() -> anyhow::Result<()> {
    Err(SoldOut)?
}

/// Fails with the error of this name.
fn fail(kind: &str) -> Result<()> {
    match kind {
        "anyhow" => anyhow_error()?,
        "anyhow of a known type" => anyhow_of_sold_out()?,
        "known type taken out of anyhow" => anyhow_of_sold_out().map_err(|error| {
            error.downcast::<SoldOut>().map_or_else(ErrorObject::from, |known| known.to_object())
        })?,
        "boxed" => Err::<(), Boxed>(io::Error::other("secret").into())?,
        "boxed known type" => Err::<(), Boxed>(SoldOut.into())?,
        "known type" => Err(SoldOut)?,
        "string" => Err("secret".to_owned())?,
        "str" => Err("secret")?,
        _ => {}
    }
    Ok(())
}

#[tokio::test]
async fn any_error_is_internal_unless_its_type_is_recognized() {
    let server = Server::builder()
        .expose_errors(false)
        .map_error::<SoldOut>()
        .method("fail", |_, (kind,): (String,)| async move { fail(&kind) });
    let mut raw = Raw::client(server).await;
    let internal = r#"{"code":-32603,"message":"Internal error"}"#;
    let sold_out = r#"{"code":2001,"message":"sold out"}"#;
    for (kind, error) in [
        ("anyhow", internal),
        // anyhow hides the type.
        ("anyhow of a known type", internal),
        ("known type taken out of anyhow", sold_out),
        ("boxed", internal),
        ("boxed known type", sold_out),
        ("known type", sold_out),
        ("string", internal),
        ("str", internal),
    ] {
        let request = format!(r#"{{"jsonrpc":"2.0","method":"fail","params":["{kind}"],"id":1}}"#);
        let expected = format!(r#"{{"jsonrpc":"2.0","error":{error},"id":1}}"#);
        raw.check(&request, &[&expected]).await;
    }
}

#[test]
fn the_original_error_is_kept_as_the_source() {
    for kind in ["anyhow", "boxed", "string", "str"] {
        let object = fail(kind).unwrap_err();
        assert_eq!(object.source().unwrap().to_string(), "secret", "{kind}");
    }
    let object = fail("boxed known type").unwrap_err();
    assert!(object.source().unwrap().downcast_ref::<SoldOut>().is_some());
}

#[test]
fn a_type_that_is_no_error_may_have_its_own_conversion() {
    struct Refused;
    impl From<Refused> for ErrorObject {
        fn from(_: Refused) -> Self {
            ErrorObject::new(7, "refused")
        }
    }
    let refuse = || -> Result<()> { Err(Refused)? };
    assert_eq!(refuse().unwrap_err().code().0, 7);
}

/// The conversions of thiserror and of the derive do not conflict.
#[derive(Debug, thiserror::Error, RpcError)]
enum ShopError {
    #[error("sold out")]
    #[rpc_error(code = 2001)]
    SoldOut,
    #[error("number {0}")]
    #[rpc_error(code = 2002)]
    Number(#[from] Number),
    #[error("{0}")]
    #[rpc_error(transparent, from)]
    Other(ErrorObject),
}

#[derive(Debug, serde::Deserialize, serde::Serialize)]
struct Number(u8);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Number {}

struct Who;

#[rpc]
trait Backend {
    async fn stock(&self, ctx: &Context) -> Result<u8, ShopError>;
}

#[rpc]
trait Shop {
    async fn order(&self, ctx: &Context, kind: &str) -> Result<(), ShopError>;
}

struct Front;

impl Shop for Front {
    async fn order(&self, ctx: &Context, kind: &str) -> Result<(), ShopError> {
        match kind {
            "anonymous" => drop(ctx.require::<Who>()?),
            "typed call" => drop(ctx.client::<BackendClient>().stock().await?),
            "untyped call" => ctx.peer().call("stock", ()).await?,
            "number" => Err(Number(7))?,
            _ => Err(ShopError::SoldOut)?,
        }
        Ok(())
    }
}

struct Stock;

impl Backend for Stock {
    async fn stock(&self, _: &Context) -> Result<u8, ShopError> {
        Err(ShopError::SoldOut)
    }
}

#[tokio::test]
async fn the_derive_can_convert_objects_and_failed_calls() {
    let client = Client::builder().service(Stock.into_service());
    let server = Server::builder().service(Front.into_service());
    let (client, _server) = memory::pair(client, server).unwrap();
    let shop = ShopClient::new(client.peer());
    let error = async |kind| match shop.order(kind).await {
        Err(Error::Call(error)) => error,
        other => panic!("{other:?}"),
    };
    let code = |error| match error {
        ShopError::Other(object) => object.code(),
        other => panic!("{other:?}"),
    };
    assert_eq!(code(error("anonymous").await), ErrorCode::UNAUTHORIZED);
    // As in a handler that returns `Result<T>`, the peer's error is not passed on.
    assert_eq!(code(error("typed call").await), ErrorCode::INTERNAL_ERROR);
    assert_eq!(code(error("untyped call").await), ErrorCode::INTERNAL_ERROR);
    assert!(matches!(error("number").await, ShopError::Number(Number(7))));
    assert!(matches!(error("").await, ShopError::SoldOut));
}

#[test]
fn a_converted_error_has_the_failed_call_as_its_source() {
    let error = ShopError::from(Error::Call(ShopError::SoldOut));
    let ShopError::Other(object) = error else { panic!() };
    let source = object.source().unwrap();
    assert!(matches!(source.downcast_ref(), Some(Error::Call(ShopError::SoldOut))));
}

/// Structs and generic types have the conversions too.
#[derive(Debug, RpcError)]
enum Either<T: serde::Serialize + serde::de::DeserializeOwned + Send + 'static> {
    #[rpc_error(code = 1)]
    One(T),
    #[rpc_error(transparent, from)]
    Other { object: ErrorObject },
}

#[derive(Debug, RpcError)]
#[rpc_error(transparent, from)]
struct Any(ErrorObject);

#[test]
fn structs_named_fields_and_generics_get_the_conversions() {
    let object = || ErrorObject::new(9, "nine");
    assert_eq!(Any::from(object()).0, object());
    assert_eq!(Any::from(Error::<Any>::NotSent).0, ErrorObject::internal());
    let Either::<u8>::Other { object: kept } = Either::from(object()) else { panic!() };
    assert_eq!(kept, object());
    let Either::<u8>::Other { object } = Either::from(Error::Call(Either::One(3u16))) else {
        panic!()
    };
    assert_eq!(object, ErrorObject::internal());
}

#[tokio::test]
async fn a_hook_that_fails_with_any_error_refuses_with_500() {
    let server = Server::builder().authorize_fn(|handshake| async move {
        match handshake.path() {
            "/anyhow" => anyhow_error()?,
            "/boxed" => Err::<(), Boxed>(io::Error::other("secret").into())?,
            _ => Err("secret")?,
        }
        Ok(Grant::new())
    });
    let (url, _) = listen(server).await;
    for path in ["anyhow", "boxed", "text"] {
        let refused = Client::connect(&format!("{url}{path}")).await;
        let Err(ConnectError::Refused { status, body, .. }) = refused else { panic!("{path}") };
        assert_eq!(status, 500, "{path}");
        assert!(!body.contains("secret"), "{body}");
    }
}

#[tokio::test]
async fn an_exposed_error_is_shown_with_its_causes() {
    let server = Server::builder().expose_errors(true).method("fail", |_, ()| async {
        Err::<(), _>(anyhow_error().unwrap_err().context("reading\nthe file"))?;
        Ok(())
    });
    let (client, _) = memory::pair(Client::builder(), server).unwrap();
    let error = client.peer().call::<()>("fail", ()).await.unwrap_err();
    assert_eq!(error.to_string(), "Internal error (-32603): reading\\nthe file: secret");
}
