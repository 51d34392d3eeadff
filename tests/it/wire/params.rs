//! The forms of a request's `params`, and the errors about those that do not fit: exact, by
//! position and by name, without quoting long input.

use serde::{Deserialize, Serialize};
use wsjsonrpc::{Context, Methods, Result, Server, Stream, rpc};
use wsjsonrpc_tests::{
    Raw, assert_same_json, error, invalid_request, method_not_found, notification, request, result,
};

#[derive(Debug, Default, Deserialize, Serialize)]
struct Point {
    x: i64,
    #[serde(default)]
    y: i64,
}

type Maybe<T> = Option<T>;

#[rpc]
trait Shapes {
    async fn none(&self, ctx: &Context) -> Result<()>;
    async fn two(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    async fn optional(
        &self,
        ctx: &Context,
        x: i64,
        name: Option<&str>,
        flag: Maybe<bool>,
    ) -> Result<(i64, Option<String>, Option<bool>)>;
    async fn optional_first(
        &self,
        ctx: &Context,
        x: Option<i64>,
        y: i64,
    ) -> Result<(Option<i64>, i64)>;
    async fn defaulted(&self, ctx: &Context, x: i64, #[param(default)] y: i64) -> Result<i64>;
    async fn renamed(
        &self,
        ctx: &Context,
        #[param(rename = "type")] kind: String,
    ) -> Result<String>;
    async fn text(&self, ctx: &Context, text: &str) -> Result<usize>;
    async fn float(&self, ctx: &Context, x: f64) -> Result<f64>;
    async fn small(&self, ctx: &Context, x: u8) -> Result<u8>;
    async fn point(&self, ctx: &Context, point: Point) -> Result<i64>;
    #[method(params = "whole")]
    async fn numbers(&self, ctx: &Context, numbers: Vec<f64>) -> Result<usize>;
    #[method(params = "whole")]
    async fn whole_point(&self, ctx: &Context, point: Point) -> Result<i64>;
    #[method(params = "whole")]
    async fn any(&self, ctx: &Context, any: Option<serde_json::Value>) -> Result<String>;
}

struct Service;

impl Shapes for Service {
    async fn none(&self, _: &Context) -> Result<()> {
        Ok(())
    }
    async fn two(&self, _: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(10 * x + y)
    }
    async fn optional(
        &self,
        _: &Context,
        x: i64,
        name: Option<&str>,
        flag: Maybe<bool>,
    ) -> Result<(i64, Option<String>, Option<bool>)> {
        Ok((x, name.map(str::to_owned), flag))
    }
    async fn optional_first(
        &self,
        _: &Context,
        x: Option<i64>,
        y: i64,
    ) -> Result<(Option<i64>, i64)> {
        Ok((x, y))
    }
    async fn defaulted(&self, _: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(10 * x + y)
    }
    async fn renamed(&self, _: &Context, kind: String) -> Result<String> {
        Ok(kind)
    }
    async fn text(&self, _: &Context, text: &str) -> Result<usize> {
        Ok(text.len())
    }
    async fn float(&self, _: &Context, x: f64) -> Result<f64> {
        Ok(x)
    }
    async fn small(&self, _: &Context, x: u8) -> Result<u8> {
        Ok(x)
    }
    async fn point(&self, _: &Context, point: Point) -> Result<i64> {
        Ok(10 * point.x + point.y)
    }
    async fn numbers(&self, _: &Context, numbers: Vec<f64>) -> Result<usize> {
        Ok(numbers.len())
    }
    async fn whole_point(&self, _: &Context, point: Point) -> Result<i64> {
        Ok(10 * point.x + point.y)
    }
    async fn any(&self, _: &Context, any: Option<serde_json::Value>) -> Result<String> {
        Ok(any.map_or_else(|| "none".to_owned(), |any| any.to_string()))
    }
}

async fn client() -> Raw {
    Raw::client(Server::builder().service(Service.into_service())).await
}

/// Params that fit: method, params and result. An empty text leaves the member out.
#[tokio::test]
async fn params_may_be_positional_or_named() {
    let mut raw = client().await;
    for (method, params, answer) in [
        ("none", "", "null"),
        ("none", "[]", "null"),
        ("none", "{}", "null"),
        ("none", "null", "null"),
        ("none", "[ \n]", "null"),
        ("two", "[1,2]", "12"),
        ("two", "[ 1 ,\t2\r\n]", "12"),
        ("two", r#"{"x":1,"y":2}"#, "12"),
        ("two", r#"{ "y" : 2 , "\u0078" : 1 }"#, "12"),
        ("optional", r#"[1,"a",true]"#, r#"[1,"a",true]"#),
        ("optional", r#"[1,"a"]"#, r#"[1,"a",null]"#),
        ("optional", "[1]", "[1,null,null]"),
        ("optional", "[1,null,false]", "[1,null,false]"),
        ("optional", "[1,null,null]", "[1,null,null]"),
        ("optional", r#"{"x":1}"#, "[1,null,null]"),
        ("optional", r#"{"flag":true,"x":1}"#, "[1,null,true]"),
        ("optional", r#"{"name":null,"x":1,"flag":null}"#, "[1,null,null]"),
        ("optional_first", "[null,2]", "[null,2]"),
        ("optional_first", r#"{"y":2}"#, "[null,2]"),
        ("defaulted", "[1]", "10"),
        ("defaulted", r#"{"x":1}"#, "10"),
        ("defaulted", "[1,5]", "15"),
        ("renamed", r#"["a"]"#, r#""a""#),
        ("renamed", r#"{"type":"a"}"#, r#""a""#),
        ("text", r#"["plain"]"#, "5"),
        ("text", r#"["\u00e4\n"]"#, "3"),
        ("float", "[1]", "1.0"),
        ("float", "[-1.5e3]", "-1500.0"),
        ("float", "[1e-999]", "0.0"),
        ("small", "[255]", "255"),
        ("point", r#"[{"x":1,"y":2}]"#, "12"),
        ("point", r#"{"point":{"x":1}}"#, "10"),
        ("point", r#"{"point":[3,4]}"#, "34"),
        ("numbers", "", "0"),
        ("numbers", "[]", "0"),
        ("numbers", "{}", "0"),
        ("numbers", "[1,2.5,3]", "3"),
        ("whole_point", r#"{"x":1,"y":2}"#, "12"),
        ("whole_point", "[1,2]", "12"),
        ("any", "", r#""none""#),
        ("any", r#"{"a":[1]}"#, r#""{\"a\":[1]}""#),
    ] {
        let text = match params {
            "" => format!(r#"{{"jsonrpc":"2.0","method":"{method}","id":1}}"#),
            params => request(method, params, "1"),
        };
        assert_eq!(raw.ask(&text).await, result(answer, "1"), "for {text}");
    }
}

/// Params that do not fit: method, params and the text of the error.
#[tokio::test]
async fn params_must_fit_and_the_error_says_what_does_not() {
    let mut raw = client().await;
    for (method, params, message) in [
        ("none", "[1]", "1 parameters given, expected none"),
        ("none", r#"{"x":1}"#, "unknown parameter `x`, expected no parameters"),
        ("two", "", "missing parameter `x` (position 1)"),
        ("two", "[]", "missing parameter `x` (position 1)"),
        ("two", "{}", "missing parameter `x`"),
        ("two", "[1]", "missing parameter `y` (position 2)"),
        ("two", r#"{"y":1}"#, "missing parameter `x`"),
        ("two", "[1,2,3]", "3 parameters given, expected at most 2 (`x`, `y`)"),
        ("two", "[1,2,null]", "3 parameters given, expected at most 2 (`x`, `y`)"),
        ("two", r#"{"x":1,"y":2,"z":3}"#, "unknown parameter `z`, expected `x`, `y`"),
        ("two", r#"{"x":1,"y":2,"X":3}"#, "unknown parameter `X`, expected `x`, `y`"),
        ("two", r#"{"x":1,"y":2,"x":3}"#, "duplicate parameter `x`"),
        ("two", "[null,2]", "`x`: invalid type: null, expected i64"),
        ("two", "[1,null]", "`y`: invalid type: null, expected i64"),
        ("two", "[1,2.5]", "`y`: invalid type: floating point `2.5`, expected i64"),
        ("two", "[1,2.0]", "`y`: invalid type: floating point `2.0`, expected i64"),
        ("two", r#"[1,{}]"#, "`y`: invalid type: map, expected i64"),
        ("two", r#"{"x":"1","y":2}"#, r#"`x`: invalid type: string \"1\", expected i64"#),
        ("optional", r#"[1,2]"#, "`name`: invalid type: integer `2`, expected a string"),
        ("optional", r#"{"name":"a"}"#, "missing parameter `x`"),
        ("optional_first", "[1]", "missing parameter `y` (position 2)"),
        ("defaulted", "[1,null]", "`y`: invalid type: null, expected i64"),
        ("renamed", r#"{"kind":"a"}"#, "unknown parameter `kind`, expected `type`"),
        ("text", "[[]]", "`text`: invalid type: sequence, expected a string"),
        ("small", "[256]", "`x`: invalid value: integer `256`, expected u8"),
        ("small", "[-1]", "`x`: invalid value: integer `-1`, expected u8"),
        ("float", "[1e999]", "`x`: number out of range"),
        ("point", r#"[{"y":1}]"#, "`point`: missing field `x`"),
        ("numbers", r#"{"a":1}"#, "invalid type: map, expected a sequence"),
        ("numbers", r#"[1,"2"]"#, r#"invalid type: string \"2\", expected f64"#),
    ] {
        let text = match params {
            "" => format!(r#"{{"jsonrpc":"2.0","method":"{method}","id":1}}"#),
            params => request(method, params, "1"),
        };
        let expected = error(-32602, &format!("Invalid params: {message}"), "1");
        assert_eq!(raw.ask(&text).await, expected, "for {text}");
    }
}

#[tokio::test]
async fn params_that_are_no_list_or_object_are_an_invalid_request() {
    let mut raw = client().await;
    for (params, kind) in [
        ("1", "a number"),
        ("-1.5", "a number"),
        (r#""x""#, "a string"),
        (r#""[]""#, "a string"),
        ("true", "a boolean"),
        ("false", "a boolean"),
    ] {
        let why = format!("\"params\" must be an array or an object, got {kind}");
        raw.check(&request("none", params, "7"), &[&invalid_request(&why, "7")]).await;
        raw.check(&notification("none", params), &[&invalid_request(&why, "null")]).await;
        let batch = format!("[{}]", request("none", params, "7"));
        raw.check(&batch, &[&format!("[{}]", invalid_request(&why, "7"))]).await;
    }
}

/// Half of a surrogate pair is not a character, so it is refused, and does no harm.
#[tokio::test]
async fn a_lone_surrogate_is_an_invalid_param() {
    let mut raw = client().await;
    for params in
        [r#"["\ud800"]"#, r#"["\udc00\ud800"]"#, r#"{"text":"a\udbff"}"#, r#"{"\ud800":1}"#]
    {
        let answer = raw.ask(request("text", params, "1")).await;
        assert!(answer.contains(r#""code":-32602,"#), "{params}: {answer}");
        assert!(answer.ends_with(r#""id":1}"#), "{params}: {answer}");
    }
    let pair = request("text", r#"["\ud83d\ude00"]"#, "1");
    raw.check(&pair, &[&result("4", "1")]).await;
}

#[tokio::test]
async fn errors_do_not_echo_a_long_input() {
    let mut raw = client().await;
    let long = "ä".repeat(100_000);
    for (method, params) in [
        ("two", format!(r#"["{long}",1]"#)),
        ("two", format!(r#"{{"x":1,"y":2,"{long}":3}}"#)),
        ("two", format!(r#"{{"{long}":1,"{long}":2}}"#)),
        ("small", format!("[{}]", "9".repeat(100_000))),
        ("numbers", format!(r#"["{long}"]"#)),
    ] {
        let answer = raw.ask(request(method, &params, "1")).await;
        assert!(answer.contains(r#""code":-32602,"#), "{answer:.500}");
        assert!(answer.len() < 600, "{answer:.500}");
    }
    let answer = raw.ask(request(&long, "[]", "1")).await;
    assert_eq!(answer, method_not_found(&format!("{}…", "ä".repeat(64)), "1"));
}

#[rpc]
trait Limited {
    #[method(max_params = "10 B")]
    async fn later(&self, ctx: &Context, text: &str) -> Result<usize>;
    #[method(max_params = "10 B")]
    fn at_once(&self, ctx: &Context, text: &str) -> Result<usize>;
    #[method(max_params = "10 B", blocking)]
    fn blocking(&self, ctx: &Context, text: &str) -> Result<usize>;
    #[method(max_params = "10 B", ordered, cancel = "drop")]
    async fn ordered(&self, ctx: &Context, text: &str) -> Result<usize>;
    #[method(max_params = "10 B", params = "whole")]
    async fn whole(&self, ctx: &Context, all: Vec<String>) -> Result<usize>;
    #[subscription(max_params = "10 B")]
    fn items(&self, ctx: &Context, text: &str) -> impl Stream<Item = u64>;
    #[method(max_params = "1 KiB")]
    async fn larger(&self, ctx: &Context, text: &str) -> Result<usize>;
}

struct Lengths;

impl Limited for Lengths {
    async fn later(&self, _: &Context, text: &str) -> Result<usize> {
        Ok(text.len())
    }
    fn at_once(&self, _: &Context, text: &str) -> Result<usize> {
        Ok(text.len())
    }
    fn blocking(&self, _: &Context, text: &str) -> Result<usize> {
        Ok(text.len())
    }
    async fn ordered(&self, _: &Context, text: &str) -> Result<usize> {
        Ok(text.len())
    }
    async fn whole(&self, _: &Context, all: Vec<String>) -> Result<usize> {
        Ok(all.iter().map(String::len).sum())
    }
    fn items(&self, _: &Context, _text: &str) -> impl Stream<Item = u64> {
        futures_util::stream::pending()
    }
    async fn larger(&self, _: &Context, text: &str) -> Result<usize> {
        Ok(text.len())
    }
}

/// White space counts, because it was sent. The method's name does not count.
#[tokio::test]
async fn params_over_a_methods_limit_are_refused() {
    let closures = Methods::new()
        .method("closure", |_, (text,): (String,)| async move { Ok(text.len()) })
        .max_params(10)
        .method("unlimited", |_, (text,): (String,)| async move { Ok(text.len()) });
    let server = Server::builder().service(Lengths.into_service()).service(closures);
    let mut raw = Raw::client(server).await;
    let (fits, large) = (r#"["123456"]"#, r#"["1234567"]"#);
    let refusal = |method: &str, size: usize, limit: usize| {
        let words =
            format!("Invalid params: {size} bytes; method `{method}` accepts at most {limit}");
        error(-32602, &words, "1")
    };
    for method in ["later", "at_once", "blocking", "ordered", "whole", "closure"] {
        for (params, answer) in [
            (fits, result("6", "1")),
            (large, refusal(method, 11, 10)),
            (r#"["12345" ]"#, result("5", "1")),
            (r#"["123456" ]"#, refusal(method, 11, 10)),
        ] {
            assert_same_json(&raw.ask(request(method, params, "1")).await, &answer, method);
        }
        raw.check(&notification(method, large), &[]).await;
    }
    let named = r#"{"text":"1"}"#;
    raw.check(&request("later", named, "1"), &[&refusal("later", 12, 10)]).await;
    assert_eq!(raw.ask(request("items", fits, "1")).await, result(r#""0x1""#, "1"));
    raw.check(&request("items", large, "1"), &[&refusal("items", 11, 10)]).await;
    raw.check(&request("unlimited", large, "1"), &[&result("7", "1")]).await;
    let long = format!(r#"["{}"]"#, "x".repeat(1021));
    raw.check(&request("larger", &long, "1"), &[&refusal("larger", 1025, 1024)]).await;
    let batch = format!("[{},{}]", request("later", large, "1"), request("later", fits, "2"));
    let answers = format!("[{},{}]", refusal("later", 11, 10), result("6", "2"));
    raw.check(&batch, &[&answers]).await;
}
