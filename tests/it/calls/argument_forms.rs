//! The forms of params that a program can choose: closures with one value, lists only, tuples with
//! optional elements at the end, `None` left out, one side of a contract, and the same services for
//! both kinds of builder.

use std::future::IntoFuture;

use wsjsonrpc::subscription::Topic;
use wsjsonrpc::{
    Client, Context, Error, ErrorObject, Methods, Result, Server, Services, Stream, Subscription,
    memory, rpc,
};
use wsjsonrpc_tests::{Raw, begin, both_ways, error, request, result};

async fn answers(raw: &mut Raw, method: &str, params: &str, expected: &str) {
    raw.check(&request(method, params, "1"), &[expected]).await;
}

fn invalid(detail: &str) -> String {
    error(-32602, &format!("Invalid params: {detail}"), "1")
}

#[derive(serde::Deserialize)]
struct Meters(f64);

#[derive(serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Shape {
    Point,
    Circle { radius: u32 },
}

#[tokio::test]
async fn a_closure_of_one_plain_value_accepts_a_list_of_one() {
    let methods = Methods::new()
        .method("double", |_, x: i64| async move { Ok(2 * x) })
        .method("upper", |_, text: String| async move { Ok(text.to_uppercase()) })
        .method("metres", |_, Meters(x): Meters| async move { Ok(x) })
        .method("maybe", |_, x: Option<bool>| async move { Ok(x) })
        .method("shape", |_, shape: Shape| async move { Ok(shape) })
        .method("list", |_, list: Vec<i64>| async move { Ok(list) })
        .method("lists", |_, lists: Vec<Vec<i64>>| async move { Ok(lists) })
        .method("any", |_, any: serde_json::Value| async move { Ok(any) });
    let mut raw = Raw::client(Server::builder().service(methods)).await;
    for (method, params, expected) in [
        ("double", "[5]", "10"),
        ("upper", "[\"\\u0061\"]", "\"A\""),
        ("metres", "[1.5]", "1.5"),
        ("maybe", "[true]", "true"),
        ("maybe", "[]", "null"),
        ("shape", r#"["point"]"#, r#""point""#),
        ("shape", r#"[{"circle":{"radius":2}}]"#, r#"{"circle":{"radius":2}}"#),
        ("shape", r#"{"circle":{"radius":2}}"#, r#"{"circle":{"radius":2}}"#),
        ("list", "[5]", "[5]"),
        ("lists", "[[1,2]]", "[[1,2]]"),
        ("any", "[5]", "[5]"),
    ] {
        answers(&mut raw, method, params, &result(expected, "1")).await;
    }
    for (method, params, why) in [
        ("double", "[]", "missing parameter `value` (position 1)"),
        ("double", "[[5]]", "`value`: invalid type: sequence, expected i64"),
        ("double", "[5,6]", "2 parameters given, expected at most 1 (`value`)"),
        ("double", "{\"x\":5}", "expected a list, found an object"),
        ("shape", "[]", "missing parameter `value` (position 1)"),
    ] {
        answers(&mut raw, method, params, &invalid(why)).await;
    }
}

#[tokio::test]
async fn builder_closures_and_subscriptions_accept_one_plain_value() {
    let count = Methods::new().subscription(Topic::new("count"), |_, upto: u32| async move {
        Ok(futures_util::stream::iter((0..upto).map(Ok::<u32, ErrorObject>)))
    });
    let server =
        Server::builder().service(count).method("double", |_, x: i64| async move { Ok(2 * x) });
    let (client, _server) = memory::pair(Client::builder(), server).unwrap();
    let peer = client.peer();
    assert_eq!(peer.call::<i64>("double", (5,)).await.unwrap(), 10);
    let mut items: Subscription<u32> = peer.subscribe("count", (1,)).await.unwrap();
    assert!(matches!(items.next().await, Some(Ok(0))));
    assert!(items.next().await.is_none());
}

#[rpc]
trait Forms {
    #[method(params = "list")]
    async fn list(&self, ctx: &Context, x: i64, text: Option<&str>) -> Result<String>;
    #[method(params = "whole")]
    async fn whole(&self, ctx: &Context, both: (i64, Option<String>)) -> Result<String>;
    #[method(params = "list")]
    async fn none(&self, ctx: &Context) -> Result<String>;
}

struct Shown;

impl Forms for Shown {
    async fn list(&self, _: &Context, x: i64, text: Option<&str>) -> Result<String> {
        Ok(format!("{x} {text:?}"))
    }

    async fn whole(&self, _: &Context, (x, text): (i64, Option<String>)) -> Result<String> {
        Ok(format!("{x} {text:?}"))
    }

    async fn none(&self, _: &Context) -> Result<String> {
        Ok(String::new())
    }
}

#[tokio::test]
async fn positional_params_may_end_with_optional_ones() {
    let tuple =
        |_: Context, (x, text): (i64, Option<String>)| async move { Ok(format!("{x} {text:?}")) };
    let server = Server::builder().service(Shown.into_service()).method("tuple", tuple);
    let mut raw = Raw::client(server).await;
    for method in ["list", "whole", "tuple"] {
        for (params, shown) in
            [("[1]", "1 None"), ("[1,null]", "1 None"), ("[1,\"a\"]", "1 Some(\\\"a\\\")")]
        {
            answers(&mut raw, method, params, &result(&format!("\"{shown}\""), "1")).await;
        }
    }
    answers(&mut raw, "none", "{}", &result("\"\"", "1")).await;
    for (method, params, why) in [
        ("list", "{\"x\":1}", "expected a list, found an object"),
        ("list", "[]", "missing parameter `x` (position 1)"),
        ("list", "[1,\"a\",2]", "3 parameters given, expected at most 2 (`x`, `text`)"),
        ("whole", "[]", "no parameters given: invalid length 0, expected a tuple of size 2"),
        ("whole", "{\"x\":1}", "invalid type: map, expected a tuple of size 2"),
        ("none", "{\"x\":1}", "expected a list, found an object"),
    ] {
        answers(&mut raw, method, params, &invalid(why)).await;
    }
}

#[tokio::test]
async fn a_client_of_a_list_only_method_sends_no_object() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let forms = FormsClient::new(client.peer());
    raw.expect_call(forms.list(1, None), r#""method":"list","params":[1,null]"#, 1).await;
    assert!(matches!(forms.list(1, None).by_name().await, Err(Error::Encode(_))));
}

#[rpc(omit_none)]
trait Short {
    async fn list(&self, ctx: &Context, a: Option<u8>, b: Option<u8>, c: Option<u8>) -> Result<()>;
    #[method(params = "named")]
    async fn object(&self, ctx: &Context, a: Option<u8>, b: Option<u8>, c: u8) -> Result<()>;
    #[method(params = "whole")]
    async fn whole(&self, ctx: &Context, all: (Option<u8>,)) -> Result<()>;
    #[subscription]
    async fn items(&self, ctx: &Context, a: u8, b: Option<u8>) -> impl Stream<Item = u8>;
}

#[rpc]
trait Long {
    #[method(omit_none)]
    async fn short(&self, ctx: &Context, a: Option<u8>) -> Result<()>;
    async fn long(&self, ctx: &Context, a: Option<u8>) -> Result<()>;
}

#[tokio::test]
async fn omit_none_drops_list_tails_and_object_members() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let short = ShortClient::new(client.peer());
    let list = r#""method":"list","params":"#;
    raw.expect_call(short.list(Some(1), None, None), &format!("{list}[1]"), 1).await;
    raw.expect_call(short.list(None, None, Some(3)), &format!("{list}[null,null,3]"), 2).await;
    raw.expect_call(short.list(None, None, None), r#""method":"list""#, 3).await;
    let by_name = short.list(None, None, Some(3)).by_name();
    raw.expect_call(by_name, &format!(r#"{list}{{"c":3}}"#), 4).await;
    let object = r#""method":"object","params":{"b":2,"c":3}"#;
    raw.expect_call(short.object(None, Some(2), 3), object, 5).await;
    let whole = r#""method":"whole","params":[null]"#;
    raw.expect_call(short.whole((None,)), whole, 6).await;
    let items = begin(short.items(1, None).into_future()).await;
    let text = r#"{"jsonrpc":"2.0","method":"items","params":[1],"id":7}"#;
    assert_eq!(raw.receive().await, text);
    drop(items);
    let long = LongClient::new(client.peer());
    raw.expect_call(long.short(None), r#""method":"short""#, 8).await;
    raw.expect_call(long.long(None), r#""method":"long","params":[null]"#, 9).await;
}

#[derive(serde::Serialize)]
struct OneWay(u8);

#[derive(serde::Deserialize)]
struct OtherWay(u8);

mod served {
    use super::{Context, OneWay, OtherWay, Result, Stream};

    #[wsjsonrpc::rpc(server)]
    pub(super) trait Echo {
        async fn echo(&self, ctx: &Context, x: OtherWay) -> Result<OneWay>;
        #[subscription]
        fn items(&self, ctx: &Context, x: OtherWay) -> impl Stream<Item = OneWay> + Send;
    }
}

mod called {
    use super::{Context, OneWay, OtherWay, Result, Stream};

    #[wsjsonrpc::rpc(client)]
    pub(super) trait Echo {
        async fn echo(&self, ctx: &Context, x: OneWay) -> Result<OtherWay>;
        #[subscription]
        fn items(&self, ctx: &Context, x: OneWay) -> impl Stream<Item = OtherWay>;
    }
}

struct Echoing;

impl served::Echo for Echoing {
    async fn echo(&self, _: &Context, x: OtherWay) -> Result<OneWay> {
        Ok(OneWay(x.0))
    }

    fn items(&self, _: &Context, x: OtherWay) -> impl Stream<Item = OneWay> + Send {
        futures_util::stream::iter([OneWay(x.0)])
    }
}

#[tokio::test]
async fn a_one_sided_contract_needs_one_direction_of_its_types() {
    use served::Echo;
    let server = Server::builder().service(Echoing.into_service());
    let (client, _server) = memory::pair(Client::builder(), server).unwrap();
    let echo = called::EchoClient::new(client.peer());
    assert_eq!(echo.echo(OneWay(7)).await.unwrap().0, 7);
    let mut items = echo.items(OneWay(8)).await.unwrap();
    assert!(matches!(items.next().await, Some(Ok(OtherWay(8)))));
}

#[derive(Debug, thiserror::Error, wsjsonrpc::RpcError)]
#[error("known")]
#[rpc_error(code = 5)]
struct Known;

struct Anything;

#[wsjsonrpc::async_trait]
impl wsjsonrpc::server::Fallback for Anything {
    async fn call(
        &self,
        _: &Context,
        method: &str,
        _: wsjsonrpc::service::Params<'_>,
    ) -> Result<Box<serde_json::value::RawValue>> {
        Ok(serde_json::value::to_raw_value(method)?)
    }
}

/// The services of this program, whichever side has opened the connection.
fn services() -> Services {
    Services::new()
        .service(Shown.into_service())
        .method("fail", |_, (): ()| async { Err::<(), _>(Known.into()) })
        .map_error::<Known>()
        .fallback(Anything)
}

#[tokio::test]
async fn both_builders_accept_the_same_services() {
    let client = || Client::builder().method("own", |_, x: u8| async move { Ok(x) });
    let server = || Server::builder().method("own", |_, x: u8| async move { Ok(x) });
    let pairs = both_ways(|| client().services(services()), || server().services(services()));
    for (_connection, peer) in pairs.await {
        assert_eq!(FormsClient::new(peer.clone()).list(1, None).await.unwrap(), "1 None");
        assert_eq!(peer.call::<u8>("own", (3,)).await.unwrap(), 3);
        assert_eq!(peer.call::<String>("other", ()).await.unwrap(), "other");
        let Err(Error::Call(error)) = peer.call::<()>("fail", ()).await else { panic!() };
        assert_eq!(error.code().0, 5);
    }
}

#[test]
fn a_method_name_that_the_builder_has_already_is_an_error() {
    let server = Server::builder().method("fail", |_, (): ()| async { Ok(()) });
    let error = server.services(services()).build().unwrap_err();
    assert!(error.to_string().contains("`fail`"), "{error}");
}
