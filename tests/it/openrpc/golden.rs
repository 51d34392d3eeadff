//! `testing::assert_openrpc` and `testing::assert_examples`.

use std::panic::catch_unwind;
use std::{env, fs};

use futures_util::FutureExt;
use serde_json::json;
use wsjsonrpc::openrpc::{Example, Info, Method};
use wsjsonrpc::testing::{assert_examples, assert_openrpc};
use wsjsonrpc::{Context, ErrorObject, Methods, Result, RpcError, Server, rpc};
use wsjsonrpc_tests::child;
use wsjsonrpc_tests::test_name;

/// The traits of the README.
mod readme {
    use super::*;

    #[rpc(schema)]
    pub(super) trait Store {
        async fn order(&self, ctx: &Context, article: &str, count: u32) -> Result<u64>;
    }

    #[rpc(schema)]
    pub(super) trait Customer {
        async fn confirm(&self, ctx: &Context, question: &str) -> Result<bool>;
    }

    pub(super) struct Shop;

    impl Store for Shop {
        async fn order(&self, _: &Context, _: &str, count: u32) -> Result<u64> {
            Ok(u64::from(count))
        }
    }

    pub(super) struct Ada;

    impl Customer for Ada {
        async fn confirm(&self, _: &Context, _: &str) -> Result<bool> {
            Ok(true)
        }
    }
}

#[test]
fn the_document_of_the_readme() {
    use readme::{CustomerClient, Shop, Store};
    let endpoint =
        Server::builder().service(Shop.into_service()).calls::<CustomerClient>().build().unwrap();
    assert_openrpc(
        &endpoint.openrpc(&Info::new("Shop", "1.0.0")),
        "it/openrpc/readme.openrpc.json",
    );
    // The other direction can be served as well.
    let _ = readme::Customer::into_service(readme::Ada);
}

fn message(panic: Box<dyn std::any::Any + Send>) -> String {
    panic.downcast_ref::<String>().expect("a panic with a message").clone()
}

fn document(result: Method) -> wsjsonrpc::openrpc::Document {
    let methods = Methods::new()
        .method("sum", |_: Context, (): ()| async { Ok(()) })
        .describe(result.param::<i64>("x"));
    let endpoint = Server::builder().service(methods).build().unwrap();
    endpoint.openrpc(&Info::new("Math", "1.0.0"))
}

#[test]
fn a_file_is_compared_and_written_on_request() {
    const FILE: &str = "WSJSONRPC_TEST_GOLDEN";
    let old = document(Method::new("sum").result::<i64>());
    if let Some(path) = env::var_os(FILE) {
        // The process that runs with `UPDATE_OPENRPC=1`.
        return assert_openrpc(&old, path);
    }
    if env::var_os("UPDATE_OPENRPC").is_some() {
        // The files of the other tests are being written.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("openrpc.json");
    let missing = message(catch_unwind(|| assert_openrpc(&old, &path)).unwrap_err());
    assert!(missing.contains("cannot read") && missing.contains("UPDATE_OPENRPC=1"), "{missing}");

    let test = test_name!(a_file_is_compared_and_written_on_request);
    let written =
        child::command(&[], test).env(FILE, &path).env("UPDATE_OPENRPC", "1").output().unwrap();
    assert!(written.status.success(), "{written:?}");
    let text = format!("{old}\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert_openrpc(&old, &path);
    // A checkout on Windows may have other line ends.
    fs::write(&path, text.replace('\n', "\r\n")).unwrap();
    assert_openrpc(&old, &path);

    let new = document(Method::new("sum").result::<Option<i64>>());
    let changed = message(catch_unwind(|| assert_openrpc(&new, &path)).unwrap_err());
    for part in [
        "sum: result: returns more: ",
        "; breaks callers\n",
        "-          \"type\": \"integer\",\n",
        "UPDATE_OPENRPC=1",
    ] {
        assert!(changed.contains(part), "{part:?} in:\n{changed}");
    }

    fs::write(&path, format!("{new}\n\n")).unwrap();
    let alike = message(catch_unwind(|| assert_openrpc(&new, &path)).unwrap_err());
    assert!(alike.contains("callers and implementers see no change"), "{alike}");

    fs::write(&path, "no document").unwrap();
    let broken = message(catch_unwind(|| assert_openrpc(&new, &path)).unwrap_err());
    assert!(broken.contains("not an OpenRPC document: "), "{broken}");
}

#[derive(Debug, RpcError)]
#[rpc_error(schema)]
enum MathError {
    #[rpc_error(code = 1001, message = "overflow by {by}")]
    Overflow { by: u32 },
}

#[rpc(schema)]
trait Math {
    #[example(params = (1, 2), result = 3)]
    #[example(name = "too large", params = (250, 10), error = MathError::Overflow { by: 5 })]
    #[method(params = "named")]
    async fn sum(&self, ctx: &Context, x: u8, y: u8) -> Result<u8, MathError>;
    #[example(params = (&[1.0, 2.0],), result = 1.5)]
    #[method(params = "whole")]
    async fn mean(&self, ctx: &Context, numbers: &[f64]) -> Result<f64>;
    #[example]
    async fn reset(&self, ctx: &Context);
}

/// Adds with this error.
struct Off(u8);

impl Math for Off {
    async fn sum(&self, _: &Context, x: u8, y: u8) -> Result<u8, MathError> {
        let sum = u32::from(x) + u32::from(y) + u32::from(self.0);
        u8::try_from(sum).map_err(|_| MathError::Overflow { by: sum - 255 })
    }

    async fn mean(&self, _: &Context, numbers: &[f64]) -> Result<f64> {
        Ok(numbers.iter().sum::<f64>() / numbers.len() as f64)
    }

    async fn reset(&self, _: &Context) {}
}

#[tokio::test]
async fn examples_are_called_and_compared() {
    assert_examples(Off(0).into_service()).await;

    let checked = std::panic::AssertUnwindSafe(assert_examples(Off(1).into_service()));
    let wrong = message(checked.catch_unwind().await.unwrap_err());
    for part in [
        "sum (example 1) with params [1,2]:",
        "expected 3\n    got      4",
        "sum (too large)",
        r#"data {"by":5}"#,
        r#"data {"by":6}"#,
    ] {
        assert!(wrong.contains(part), "{part:?} in:\n{wrong}");
    }
    assert!(!wrong.contains("mean") && !wrong.contains("reset"), "{wrong}");
}

#[tokio::test]
async fn closures_have_examples_too() {
    let methods = |sold_out: bool| {
        let answer = move |_: Context, (x,): (i64,)| async move {
            match sold_out {
                true => Err(ErrorObject::new(1, "sold out")),
                false => Ok(json!([x])),
            }
        };
        let example = Example::new("e").param(&7).result(&[7]);
        Methods::new()
            .method("m", answer)
            .describe(Method::new("m").list_only().param::<i64>("x").example(example))
    };
    assert_examples(methods(false)).await;
    let failing = std::panic::AssertUnwindSafe(assert_examples(methods(true)));
    let wrong = message(failing.catch_unwind().await.unwrap_err());
    assert!(wrong.contains("the error sold out (1)"), "{wrong}");
}

#[tokio::test]
async fn a_service_without_examples_fails() {
    let nothing = std::panic::AssertUnwindSafe(assert_examples(Methods::new()));
    let panic = nothing.catch_unwind().await.unwrap_err();
    let text = panic.downcast_ref::<&str>().copied().map_or_else(|| message(panic), str::to_owned);
    assert!(text.contains("no method of the service has an example"), "{text}");
}
