//! `#[rpc(schema)]` and `#[rpc_error(schema)]`: what the documents say about traits of each kind.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wsjsonrpc::openrpc::{Describe, Info};
use wsjsonrpc::service::Service;
use wsjsonrpc::subscription::Positioned;
use wsjsonrpc::{Context, Result, RpcError, Server, Stream, rpc, schemars, testing};

fn document(service: impl Service) -> Value {
    let endpoint = Server::builder().service(service).build().unwrap();
    endpoint.openrpc(&Info::new("API", "1")).as_value().clone()
}

fn methods(service: impl Service) -> Vec<Value> {
    document(service)["methods"].as_array().unwrap().clone()
}

/// The methods that a server declares for its clients.
fn called<C: Describe + 'static>() -> Vec<Value> {
    let endpoint = Server::builder().calls::<C>().build().unwrap();
    let document = endpoint.openrpc(&Info::new("API", "1"));
    document.as_value()["methods"].as_array().unwrap().clone()
}

fn names(methods: &[Value]) -> Vec<&str> {
    methods.iter().map(|method| method["name"].as_str().unwrap()).collect()
}

/// `name: type`, with a `?` for an optional param and the default, if there is one.
fn params(method: &Value) -> Vec<String> {
    let shown = |param: &Value| {
        let mark = if param["required"] == true { "" } else { "?" };
        let schema = &param["schema"];
        let ty = schema["$ref"].as_str().map_or_else(|| schema["type"].to_string(), str::to_owned);
        let default = schema.get("default").map_or_else(String::new, |value| format!(" = {value}"));
        format!("{}{mark}: {ty}{default}", param["name"].as_str().unwrap())
    };
    method["params"].as_array().unwrap().iter().map(shown).collect()
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Account {
    id: u64,
}

// Generics.

#[rpc(schema)]
trait Store<V: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static> {
    async fn get(&self, ctx: &Context, key: &str) -> Result<Option<V>, StoreError<V>>;
    async fn put(&self, ctx: &Context, key: &str, value: V) -> Result<()>;
}

#[derive(Debug, RpcError)]
#[rpc_error(schema)]
enum StoreError<V>
where
    V: Serialize + DeserializeOwned + JsonSchema + Send + 'static,
{
    #[rpc_error(code = 1001)]
    Outdated(V),
}

struct Always;

impl Store<Account> for Always {
    async fn get(&self, _: &Context, _: &str) -> Result<Option<Account>, StoreError<Account>> {
        Ok(None)
    }
    async fn put(&self, _: &Context, _: &str, _: Account) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_generic_trait_describes_its_type_arguments() {
    let account = json!({"$ref": "#/components/schemas/Account"});
    for methods in [methods(Always.into_service()), called::<StoreClient<Account>>()] {
        assert_eq!(
            params(&methods[1]),
            [r#"key: "string""#, "value: #/components/schemas/Account"]
        );
        assert_eq!(methods[1]["params"][1]["schema"], account);
        assert_eq!(methods[0]["errors"], json!([{"code": 1001, "message": "outdated"}]));
        assert_eq!(methods[0]["x-error-data"], json!({"1001": account}));
    }
}

// One side.

type Maybe<T> = Option<T>;

/// Only decoded and shown, so it needs no `Serialize`.
#[derive(Deserialize, JsonSchema)]
struct Query {
    #[allow(dead_code, reason = "part of the schema")]
    text: String,
}

#[rpc(server, schema)]
trait OnlyServer {
    #[example(params = ("x", None, &[1, 2]), result = "done".to_owned())]
    async fn find(
        &self,
        ctx: &Context,
        #[param(default)] text: &str,
        limit: Maybe<&str>,
        #[param(default)] numbers: &[u8],
    ) -> Result<String>;
    async fn query(&self, ctx: &Context, query: Query, #[param(default)] page: u32) -> Result<u8>;
}

struct Finder;

impl OnlyServer for Finder {
    async fn find(&self, _: &Context, _: &str, _: Maybe<&str>, _: &[u8]) -> Result<String> {
        Ok("done".to_owned())
    }
    async fn query(&self, _: &Context, _: Query, _: u32) -> Result<u8> {
        Ok(0)
    }
}

#[tokio::test]
async fn a_service_without_a_client_describes_itself() {
    let methods = methods(Finder.into_service());
    assert_eq!(
        params(&methods[0]),
        [r#"text?: "string" = """#, r#"limit?: ["string","null"]"#, r#"numbers?: "array" = []"#]
    );
    assert_eq!(
        params(&methods[1]),
        ["query: #/components/schemas/Query", r#"page?: "integer" = 0"#]
    );
    assert_eq!(
        methods[0]["examples"],
        json!([{
            "name": "example",
            "params": [
                {"name": "text", "value": "x"},
                {"name": "limit", "value": null},
                {"name": "numbers", "value": [1, 2]},
            ],
            "result": {"name": "result", "value": "done"},
        }])
    );
    testing::assert_examples(Finder.into_service()).await;
}

/// Only encoded.
#[derive(Serialize, JsonSchema)]
struct Report {
    text: &'static str,
}

#[rpc(client, schema)]
trait OnlyClient {
    #[example(params = (Report { text: "late" }, None, 1, "me"))]
    async fn report(
        &self,
        ctx: &Context,
        report: Report,
        note: Option<&str>,
        #[param(default)] level: u8,
        #[param(default)] author: &str,
    ) -> Result<()>;
}

#[test]
fn a_client_without_a_service_describes_itself() {
    let methods = called::<OnlyClientClient>();
    assert_eq!(
        params(&methods[0]),
        [
            "report: #/components/schemas/Report",
            r#"note?: ["string","null"]"#,
            r#"level?: "integer" = 0"#,
            r#"author?: "string" = """#,
        ]
    );
    assert_eq!(methods[0]["examples"][0]["result"]["value"], Value::Null);
}

// Names, docs and conditions.

#[rpc(schema, namespace = "shop", separator = "/", rename_all = "camelCase")]
trait Shop {
    /// Orders an
    /// article.
    ///
    /// - a list
    ///
    ///     indented
    #[method(params = "named", aliases = ["order"])]
    async fn place_order(
        &self,
        ctx: &Context,
        r#type: Maybe<u8>,
        article_id: u32,
        #[param(rename = "for_whom")] recipient: Maybe<&str>,
    ) -> Result<u8>;

    /** A block
    of text. */
    #[method(name = "status")]
    fn r#match(&self, ctx: &Context) -> Result<u8> {
        let _ = ctx;
        Ok(1)
    }

    #[doc = "An attribute."]
    // A macro does not see whether the condition holds.
    #[cfg_attr(all(), doc = "A condition.")]
    #[cfg(not(any()))]
    fn present(&self, ctx: &Context);

    /// Names a type that does not exist.
    #[cfg(any())]
    #[example(params = (Absent,), result = Absent)]
    fn absent(&self, ctx: &Context, x: Absent) -> Result<Absent>;

    #[subscription]
    fn stock_level(&self, ctx: &Context) -> impl Stream<Item = Positioned<u8>> + Send;
}

#[test]
fn names_and_docs_are_those_of_the_trait() {
    let methods = called::<ShopClient>();
    assert_eq!(names(&methods), ["shop/placeOrder", "status", "shop/present", "shop/stockLevel"]);
    let [order, status, present, level] = methods.as_slice() else { panic!("{methods:?}") };
    assert_eq!(
        params(order),
        [
            r#"type?: ["integer","null"]"#,
            r#"articleId: "integer""#,
            r#"for_whom?: ["string","null"]"#,
        ]
    );
    assert_eq!(order["x-aliases"], json!(["order"]));
    assert_eq!(order["summary"], "Orders an article.");
    assert_eq!(order["description"], "- a list\n\n    indented");
    assert_eq!(status["summary"], "A block of text.");
    assert_eq!(present["summary"], "An attribute.");
    assert_eq!(
        level["x-subscription"],
        json!({
            "notification": "shop/stockLevel",
            "unsubscribe": "shop/unsubscribeStockLevel",
            "item": {"type": "integer", "format": "uint8", "minimum": 0, "maximum": 255},
            "resume": true,
        })
    );
}

// Services of every kind.

#[rpc(schema, mock)]
trait Math {
    /// Adds.
    #[example(params = (1, 2), result = 3)]
    #[example(name = "zero", params = (0, 0), result = 0)]
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

struct Calculator;

impl Math for Calculator {
    async fn sum(&self, _: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }
}

#[test]
fn each_service_of_a_trait_has_the_same_description() {
    let expected = methods(Calculator.into_service());
    assert_eq!(expected[0]["summary"], "Adds.");
    assert_eq!(expected[0]["examples"][0]["name"], "example 1");
    assert_eq!(expected[0]["examples"][1]["name"], "zero");
    assert_eq!(methods(Arc::new(Calculator).into_service()), expected);
    assert_eq!(methods(MathMock::new().into_service()), expected);
    let boxed: Box<dyn Service> = Box::new(Calculator.into_service());
    assert_eq!(methods(boxed), expected);
    let shared: Arc<dyn Service> = Arc::new(Calculator.into_service());
    assert_eq!(methods(shared), expected);
}

#[tokio::test]
#[should_panic(expected = "zero")]
async fn a_wrong_result_fails_the_test_of_the_examples() {
    let mock = MathMock::new().sum(|_, x, y| Ok((x + y).max(1)));
    testing::assert_examples(mock.into_service()).await;
}

macro_rules! contract {
    ($name:ident, $ty:ty, $value:expr) => {
        #[rpc(schema)]
        trait $name {
            #[example(params = ($value, None), result = $value)]
            async fn echo(&self, ctx: &Context, value: $ty, other: Option<$ty>) -> Result<$ty>;
        }
    };
}

contract!(Generated, u8, 7);

#[test]
fn a_macro_can_contain_the_trait() {
    let methods = called::<GeneratedClient>();
    assert_eq!(params(&methods[0]), [r#"value: "integer""#, r#"other?: ["integer","null"]"#]);
    assert_eq!(methods[0]["examples"][0]["result"]["value"], 7);
}

// Types without a schema.

/// A type of another crate.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Date(String);

#[derive(Debug, RpcError)]
#[rpc_error(schema, rename_all = "camelCase")]
enum DateError {
    #[rpc_error(code = codes::TOO_EARLY)]
    TooEarly {
        #[rpc_error(schema = String)]
        not_before: Hidden,
    },
    #[rpc_error(code = 2002)]
    Both(u8, #[rpc_error(schema = bool)] Hidden),
    #[rpc_error(code = 2003)]
    One(#[rpc_error(schema = String)] Hidden),
}

mod codes {
    pub(super) const TOO_EARLY: i64 = 2001;
}

#[derive(Debug, Serialize, Deserialize)]
struct Hidden(String);

#[rpc(schema)]
trait Dates {
    #[method(result_schema = String, progress = f32)]
    async fn shift(
        &self,
        ctx: &Context,
        #[param(schema = String)] date: Date,
        #[param(schema = Option<String>)] until: Option<Date>,
        #[param(schema = String, default)] since: Date,
    ) -> Result<Date, DateError>;
    #[method(params = "whole")]
    async fn whole(
        &self,
        ctx: &Context,
        #[param(schema = Vec<String>)] dates: &[Date],
    ) -> Result<u8>;
    #[subscription(item_schema = String)]
    async fn dates(
        &self,
        ctx: &Context,
    ) -> Result<impl Stream<Item = Result<Date, DateError>> + Send>;
}

#[test]
fn other_types_give_the_schemas() {
    let methods = called::<DatesClient>();
    assert_eq!(
        params(&methods[0]),
        [r#"date: "string""#, r#"until?: ["string","null"]"#, r#"since?: "string" = """#,]
    );
    assert_eq!(methods[0]["result"]["schema"], json!({"type": "string"}));
    assert_eq!(methods[0]["x-progress"]["format"], "float");
    assert_eq!(methods[1]["x-params"]["items"], json!({"type": "string"}));
    assert_eq!(methods[2]["x-subscription"]["item"], json!({"type": "string"}));
    // The errors of the items.
    assert_eq!(methods[2]["errors"], methods[0]["errors"]);
    let data = &methods[0]["x-error-data"];
    assert_eq!(data["2001"]["properties"], json!({"notBefore": {"type": "string"}}));
    assert_eq!(data["2002"]["items"][1], json!({"type": "boolean"}));
    assert_eq!(data["2003"], json!({"type": "string"}));
}

// Errors.

#[derive(Debug, thiserror::Error, RpcError)]
#[rpc_error(schema)]
enum BankError {
    #[error("only {left} are left")]
    #[rpc_error(code = 1001)]
    Insufficient { left: u64 },
    #[error("closed")]
    #[rpc_error(code = 1002, message = "the account {0} is closed")]
    Closed(u64),
    #[error(transparent)]
    #[rpc_error(transparent)]
    Limit(#[from] LimitError),
}

#[derive(Debug, thiserror::Error, RpcError)]
#[error("over the limit")]
#[rpc_error(schema, code = 1003)]
struct LimitError;

#[rpc(schema)]
trait Bank {
    #[example(params = (5), error = BankError::Insufficient { left: 1 })]
    #[example(params = (9,), error = BankError::Limit(LimitError))]
    async fn withdraw(&self, ctx: &Context, amount: u64) -> Result<u64, BankError>;
    async fn never(&self, ctx: &Context) -> std::result::Result<u8, std::convert::Infallible>;
}

#[test]
fn errors_have_their_codes_messages_and_data() {
    let methods = called::<BankClient>();
    assert_eq!(
        methods[0]["errors"],
        json!([
            {"code": 1001, "message": "only {left} are left"},
            {"code": 1002, "message": "the account {0} is closed"},
            {"code": 1003, "message": "over the limit"},
        ])
    );
    assert_eq!(methods[0]["x-error-data"]["1001"]["required"], json!(["left"]));
    assert_eq!(methods[0]["x-error-data"]["1002"]["format"], "uint64");
    let examples = &methods[0]["examples"];
    assert_eq!(
        examples[0]["x-error"],
        json!({"code": 1001, "message": "only 1 are left", "data": {"left": 1}})
    );
    assert_eq!(examples[1]["x-error"], json!({"code": 1003, "message": "over the limit"}));
    assert_eq!(methods[1]["errors"], Value::Null);
}
