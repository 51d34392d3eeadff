//! Tests of an API's description: the document in a file, and the examples.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::Value;
use similar::TextDiff;

use crate::client::Client;
use crate::error::Error;
use crate::memory;
use crate::openrpc::{Document, compare};
use crate::protocol::error::ErrorObject;
use crate::server::Server;
use crate::service::Service;

/// The environment variable that lets [`assert_openrpc`] write the file.
const UPDATE: &str = "UPDATE_OPENRPC";

/// Compares a document with a file in the repository, so that each change of the API is visible in
/// a review. Needs the feature `schema`.
///
/// A relative path starts at the folder of the package's `Cargo.toml`, where `cargo test` runs
/// tests. With the environment variable `UPDATE_OPENRPC=1`, the function writes the file, and does
/// not compare:
///
/// ```text
/// UPDATE_OPENRPC=1 cargo test
/// ```
///
/// The document leaves out methods without a description. Check
/// [`Document::undescribed`](crate::openrpc::Document::undescribed) in the same test.
///
/// ```no_run
/// use wsjsonrpc::openrpc::Info;
/// use wsjsonrpc::{Server, testing};
///
/// # fn endpoint() -> wsjsonrpc::Endpoint { Server::builder().build().unwrap() }
/// // #[test]
/// fn the_api_is_that_of_the_file() {
///     let document = endpoint().openrpc(&Info::new("Shop", "1.0.0"));
///     testing::assert_openrpc(&document, "openrpc.json");
///     assert!(document.undescribed().is_empty(), "{:?}", document.undescribed());
/// }
/// ```
///
/// # Panics
///
/// Panics if the file does not exist or has another text. The message lists the changes, whether
/// they break callers or implementers ([`compare`]), and the lines that differ.
#[track_caller]
pub fn assert_openrpc(document: &Document, path: impl AsRef<Path>) {
    let path = path.as_ref();
    let new = format!("{document}\n");
    let update = env::var_os(UPDATE).is_some_and(|value| !value.is_empty() && value != "0");
    let old = fs::read_to_string(path).map(|text| text.replace("\r\n", "\n"));
    if matches!(&old, Ok(old) if *old == new) {
        return;
    }
    let shown = path.display();
    if update {
        if let Err(error) = fs::write(path, new) {
            panic!("cannot write {shown}: {error}");
        }
        return;
    }
    let old = match old {
        Ok(old) => old,
        Err(error) => panic!(
            "cannot read the OpenRPC document {shown}: {error}; run the test with {UPDATE}=1 to write it"
        ),
    };
    let mut message = format!("the API is not that of {shown}:\n\n");
    match old.parse::<Document>() {
        Ok(old) => {
            let changes = compare(&old, document);
            for change in &changes {
                let _ = writeln!(message, "  {change}");
            }
            if changes.is_empty() {
                let what = "names of types, the order of methods, or white space";
                let _ = writeln!(message, "  callers and implementers see no change, only {what}");
            }
        }
        Err(error) => {
            let _ = writeln!(message, "  {error}");
        }
    }
    let diff = TextDiff::from_lines(&old, &new);
    let _ = writeln!(message, "\n{}", diff.unified_diff().header(&shown.to_string(), "this build"));
    panic!("{message}\nif this is intended, run the test with {UPDATE}=1 to write the file");
}

/// Calls each method of a service with the params of its examples, and compares the results. An
/// example stands in `#[example(…)]` on a method of a trait with `#[rpc(schema)]`, or in
/// [`Method::example`](crate::openrpc::Method::example). Needs the feature `schema`.
///
/// The calls run one after another over one connection, in the order of the methods and their
/// examples, so an example may depend on those before it.
///
/// ```
/// use wsjsonrpc::{Context, Result, rpc, testing};
///
/// #[rpc(schema)]
/// trait Math {
///     #[example(params = (1, 2), result = 3)]
///     async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
/// }
///
/// struct Calculator;
///
/// impl Math for Calculator {
///     async fn sum(&self, _ctx: &Context, x: i64, y: i64) -> Result<i64> {
///         Ok(x + y)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// testing::assert_examples(Calculator.into_service()).await;
/// # }
/// ```
///
/// # Panics
///
/// Panics if a call has another result or another error than its example says, and if no method has
/// an example.
pub async fn assert_examples(service: impl Service) {
    let methods = service.describe();
    let server = Server::builder().service(service);
    let (client, _connection) = match memory::pair(Client::builder(), server) {
        Ok(pair) => pair,
        Err(error) => panic!("the service cannot be served: {error}"),
    };
    let mut checked = 0;
    let mut failed = String::new();
    for method in &methods {
        for example in method.examples() {
            checked += 1;
            if example.is_broken() {
                let (name, method) = (example.name(), method.name());
                let _ = writeln!(failed, "  {method} ({name}): a value cannot be serialized");
                continue;
            }
            let params = method.params_of(example);
            let called = client.peer().call::<Value>(method.name(), &params).await;
            let (shown, same) = outcome(&called, &example.expected());
            if !same {
                let (name, method) = (example.name(), method.name());
                let expected = match example.expected() {
                    Ok(value) => value.to_string(),
                    Err(error) => describe(&error),
                };
                let _ = writeln!(
                    failed,
                    "  {method} ({name}) with params {params}:\n    expected {expected}\n    got      {shown}"
                );
            }
        }
    }
    assert!(checked > 0, "no method of the service has an example: add `#[example(…)]` to one");
    assert!(failed.is_empty(), "the service does not do what its examples say:\n{failed}");
}

/// What a call returned, for a message, and whether it is what was expected.
fn outcome(
    called: &Result<Value, Error<ErrorObject>>,
    expected: &Result<Value, ErrorObject>,
) -> (String, bool) {
    match (called, expected) {
        (Ok(value), expected) => (value.to_string(), expected.as_ref().is_ok_and(|e| e == value)),
        (Err(Error::Call(error)), expected) => {
            let same = expected.as_ref().is_err_and(|expected| {
                (expected.code(), expected.message(), data(expected))
                    == (error.code(), error.message(), data(error))
            });
            (describe(error), same)
        }
        (Err(error), _) => (error.to_string(), false),
    }
}

fn data(error: &ErrorObject) -> Option<Value> {
    error.data().and_then(|data| serde_json::from_str(data.get()).ok())
}

fn describe(error: &ErrorObject) -> String {
    match data(error) {
        Some(data) => format!("the error {error}, data {data}"),
        None => format!("the error {error}"),
    }
}
