//! The methods of our server, and those that our client serves to a server. Does not depend on the
//! caller: the same methods serve Python, Node and jsonrpsee.

use std::collections::HashMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use wsjsonrpc::openrpc::{DescribeError, Errors};
use wsjsonrpc::{Context, ErrorObject, Result, RpcError, rpc};

/// The errors of [`Interop::fail`] and [`Interop::fail_plain`].
#[derive(Debug)]
pub enum BankError {
    Insufficient { missing: u64 },
    NoSuchAccount,
}

impl RpcError for BankError {
    fn to_object(&self) -> ErrorObject {
        match self {
            BankError::Insufficient { missing } => {
                ErrorObject::new(1001, "insufficient funds").with_data(json!({"missing": missing}))
            }
            BankError::NoSuchAccount => ErrorObject::new(1002, "no such account"),
        }
    }

    fn from_object(object: ErrorObject) -> Result<Self, ErrorObject> {
        let missing = object.data_as::<Value>().and_then(|data| data["missing"].as_u64());
        match (object.code().0, missing) {
            (1001, Some(missing)) => Ok(BankError::Insufficient { missing }),
            (1002, _) => Ok(BankError::NoSuchAccount),
            _ => Err(object),
        }
    }
}

impl DescribeError for BankError {
    fn describe(errors: &mut Errors) {
        errors.add(1001, "insufficient funds").field::<u64>("missing");
        errors.add(1002, "no such account");
    }
}

/// Served by `interop-server`.
#[rpc(schema)]
pub trait Interop {
    #[method(name = "math.sum")]
    async fn math_sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    async fn echo(&self, ctx: &Context, s: &str) -> Result<String>;
    /// Returns any JSON value unchanged.
    async fn value(&self, ctx: &Context, v: Box<RawValue>) -> Result<Box<RawValue>>;
    async fn nothing(&self, ctx: &Context) -> Result<()>;
    async fn greet(&self, ctx: &Context, name: &str, greeting: Option<&str>) -> Result<String>;
    async fn slow(&self, ctx: &Context, ms: u64) -> Result<u64>;

    // The methods of the examples in the specification's section 7.
    async fn subtract(&self, ctx: &Context, minuend: i64, subtrahend: i64) -> Result<i64>;
    #[method(params = "whole")]
    async fn sum(&self, ctx: &Context, numbers: Vec<i64>) -> Result<i64>;
    async fn get_data(&self, ctx: &Context) -> Result<(String, u8)>;
    #[method(params = "whole", aliases = ["notify_sum", "notify_hello"])]
    async fn update(&self, ctx: &Context, values: Vec<i64>);

    // Failures of all kinds.
    async fn fail(&self, ctx: &Context) -> Result<(), BankError>;
    async fn fail_plain(&self, ctx: &Context) -> Result<(), BankError>;
    async fn broken(&self, ctx: &Context) -> Result<()>;
    async fn panic(&self, ctx: &Context) -> Result<()>;
    /// JSON objects allow only strings as keys.
    async fn unserializable(&self, ctx: &Context) -> Result<HashMap<Vec<u8>, u8>>;

    // State of the connection.
    async fn log(&self, ctx: &Context, text: String);
    async fn logged(&self, ctx: &Context) -> Result<Vec<String>>;
    async fn login(&self, ctx: &Context, user: String) -> Result<()>;
    async fn whoami(&self, ctx: &Context) -> Result<String>;

    // Calls back to the caller.
    async fn call_me(
        &self,
        ctx: &Context,
        method: &str,
        params: Box<RawValue>,
    ) -> Result<Box<RawValue>>;
    async fn notify_me(&self, ctx: &Context, method: &str, params: Box<RawValue>) -> Result<()>;
    async fn batch_me(
        &self,
        ctx: &Context,
        method: &str,
        arguments: Vec<Box<RawValue>>,
    ) -> Result<Vec<Box<RawValue>>>;
}

/// Served by `interop-client` to a server that calls back.
#[rpc(schema, namespace = "client")]
pub trait ClientSide {
    async fn add(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    async fn double(&self, ctx: &Context, x: i64) -> Result<i64>;
    async fn fail(&self, ctx: &Context) -> Result<(), BankError>;
    async fn fail_plain(&self, ctx: &Context) -> Result<(), BankError>;
    async fn log(&self, ctx: &Context, text: String);
    /// Calls the server, which calls this method again, until `depth` is 0.
    async fn ask_back(&self, ctx: &Context, depth: u32) -> Result<String>;
}
