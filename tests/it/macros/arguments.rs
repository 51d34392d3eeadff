//! Arguments of every type, in every form: as a list, as an object, and as a single value.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wsjsonrpc::{Client, Context, Result, Server, rpc};
use wsjsonrpc_tests::{Raw, error, notification, request};

use super::behaviour::{check_results, connect, shown};

type Maybe<T> = Option<T>;
type Answer<T> = Result<T>;

/// Returns the arguments as text.
#[rpc]
trait Arguments {
    async fn text(&self, ctx: &Context, text: &str) -> Result<String>;
    async fn optional_text(&self, ctx: &Context, text: Option<&str>) -> Result<String>;
    async fn slice(&self, ctx: &Context, numbers: &[u8]) -> Result<String>;
    async fn reference(&self, ctx: &Context, map: &BTreeMap<String, u8>) -> Result<String>;
    async fn cow(&self, ctx: &Context, text: Cow<'_, str>) -> Result<String>;
    async fn alias(&self, ctx: &Context, number: Maybe<u8>, text: Maybe<&str>) -> Answer<String>;
    async fn options(&self, ctx: &Context, a: Option<u8>, b: u8, c: Option<u8>) -> Result<String>;
    async fn owned(&self, ctx: &Context, text: String, pair: (u8, bool)) -> Result<String>;
}

struct Shows;

impl Arguments for Shows {
    async fn text(&self, _: &Context, text: &str) -> Result<String> {
        shown(text)
    }
    async fn optional_text(&self, _: &Context, text: Option<&str>) -> Result<String> {
        shown(text)
    }
    async fn slice(&self, _: &Context, numbers: &[u8]) -> Result<String> {
        shown(numbers)
    }
    async fn reference(&self, _: &Context, map: &BTreeMap<String, u8>) -> Result<String> {
        shown(map)
    }
    async fn cow(&self, _: &Context, text: Cow<'_, str>) -> Result<String> {
        shown(text)
    }
    async fn alias(&self, _: &Context, number: Maybe<u8>, text: Maybe<&str>) -> Answer<String> {
        shown((number, text))
    }
    async fn options(&self, _: &Context, a: Option<u8>, b: u8, c: Option<u8>) -> Result<String> {
        shown((a, b, c))
    }
    async fn owned(&self, _: &Context, text: String, pair: (u8, bool)) -> Result<String> {
        shown((text, pair))
    }
}

#[tokio::test]
async fn arguments_of_every_kind_arrive() -> Result<()> {
    let (_client, shows) = connect::<ArgumentsClient>(Shows.into_service());
    let text = "line\nand \"quotes\" é 𝄞";
    assert_eq!(shows.text(text).await?, format!("{text:?}"));
    assert_eq!(shows.text("").await?, "\"\"");
    assert_eq!(shows.optional_text(Some("a\tb")).await?, r#"Some("a\tb")"#);
    assert_eq!(shows.optional_text(None).await?, "None");
    assert_eq!(shows.slice(&[1, 2]).await?, "[1, 2]");
    let map = BTreeMap::from([("a\"b".to_owned(), 1)]);
    assert_eq!(shows.reference(&map).await?, r#"{"a\"b": 1}"#);
    assert_eq!(shows.cow("a\\b".into()).await?, r#""a\\b""#);
    assert_eq!(shows.alias(None, Some("x")).await?, r#"(None, Some("x"))"#);
    assert_eq!(shows.options(None, 2, Some(3)).await?, "(None, 2, Some(3))");
    assert_eq!(shows.owned("a".into(), (1, true)).await?, r#"("a", (1, true))"#);
    Ok(())
}

#[tokio::test]
async fn strings_are_borrowed_with_and_without_escapes() {
    check_results(
        Shows.into_service(),
        &[
            ("text", r#"["plain"]"#, r#""\"plain\"""#),
            ("text", r#"["\u0061\n\"\ud834\udd1e"]"#, r#""\"a\\n\\\"𝄞\"""#),
            ("text", r#"{"text":"\u0061"}"#, r#""\"a\"""#),
            ("optional_text", r#"["\u0061"]"#, r#""Some(\"a\")""#),
            ("cow", r#"["\u0061"]"#, r#""\"a\"""#),
        ],
    )
    .await;
}

#[tokio::test]
async fn options_behind_type_aliases_may_be_left_out() {
    check_results(
        Shows.into_service(),
        &[
            ("optional_text", "[]", r#""None""#),
            ("optional_text", "[null]", r#""None""#),
            ("alias", "[]", r#""(None, None)""#),
            ("alias", "[1]", r#""(Some(1), None)""#),
            ("alias", r#"{"text":"x"}"#, r#""(None, Some(\"x\"))""#),
            ("options", "[null,2]", r#""(None, 2, None)""#),
            ("options", r#"{"b":2}"#, r#""(None, 2, None)""#),
        ],
    )
    .await;
    let mut raw = Raw::client(Server::builder().service(Shows.into_service())).await;
    let missing = error(-32602, "Invalid params: missing parameter `b` (position 2)", "1");
    raw.check(&request("options", "[null]", "1"), &[&missing]).await;
}

#[derive(Serialize, Deserialize)]
struct Point {
    x: i32,
    y: i32,
}

#[rpc]
trait Forms {
    async fn by_position(&self, ctx: &Context, x: i32, y: i32) -> Result<i32>;
    #[method(params = "positional")]
    async fn by_position_too(&self, ctx: &Context, x: i32, y: i32) -> Result<i32>;
    #[method(params = "named")]
    async fn by_name(&self, ctx: &Context, x: i32, #[param(rename = "why")] y: i32) -> Result<i32>;
    #[method(params = "whole")]
    async fn whole_list(&self, ctx: &Context, numbers: &[i32]) -> Result<i32>;
    #[method(params = "whole")]
    async fn whole_object(&self, ctx: &Context, point: Point) -> Result<i32>;
    async fn nothing(&self, ctx: &Context) -> Result<i32>;
}

struct Sums;

impl Forms for Sums {
    async fn by_position(&self, _: &Context, x: i32, y: i32) -> Result<i32> {
        Ok(x + y)
    }
    async fn by_position_too(&self, _: &Context, x: i32, y: i32) -> Result<i32> {
        Ok(x + y)
    }
    async fn by_name(&self, _: &Context, x: i32, y: i32) -> Result<i32> {
        Ok(x + y)
    }
    async fn whole_list(&self, _: &Context, numbers: &[i32]) -> Result<i32> {
        Ok(numbers.iter().sum())
    }
    async fn whole_object(&self, _: &Context, point: Point) -> Result<i32> {
        Ok(point.x + point.y)
    }
    async fn nothing(&self, _: &Context) -> Result<i32> {
        Ok(0)
    }
}

#[tokio::test]
async fn clients_send_params_in_the_form_of_the_method() -> Result<()> {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let forms = FormsClient::new(client.peer());
    forms.by_position(1, 2).notify().await?;
    assert_eq!(raw.receive().await, notification("by_position", "[1,2]"));
    forms.by_position_too(1, 2).notify().await?;
    assert_eq!(raw.receive().await, notification("by_position_too", "[1,2]"));
    forms.by_position(1, 2).by_name().notify().await?;
    assert_eq!(raw.receive().await, notification("by_position", r#"{"x":1,"y":2}"#));
    forms.by_name(1, 2).notify().await?;
    assert_eq!(raw.receive().await, notification("by_name", r#"{"x":1,"why":2}"#));
    forms.whole_list(&[1, 2, 3]).notify().await?;
    assert_eq!(raw.receive().await, notification("whole_list", "[1,2,3]"));
    forms.whole_object(Point { x: 1, y: 2 }).notify().await?;
    assert_eq!(raw.receive().await, notification("whole_object", r#"{"x":1,"y":2}"#));
    Ok(())
}

#[tokio::test]
async fn servers_accept_both_lists_and_objects() -> Result<()> {
    let (_client, forms) = connect::<FormsClient>(Sums.into_service());
    assert_eq!(forms.by_position(1, 2).await?, 3);
    assert_eq!(forms.by_position_too(1, 2).await?, 3);
    assert_eq!(forms.by_name(1, 2).await?, 3);
    assert_eq!(forms.whole_list(&[1, 2, 3]).await?, 6);
    assert_eq!(forms.whole_object(Point { x: 1, y: 2 }).await?, 3);
    assert_eq!(forms.nothing().await?, 0);
    check_results(
        Sums.into_service(),
        &[
            ("by_position", r#"{"y":2,"x":1}"#, "3"),
            ("by_name", "[1,2]", "3"),
            ("by_name", r#"{"why":2,"x":1}"#, "3"),
            ("whole_list", "[]", "0"),
            ("nothing", "{}", "0"),
            ("nothing", "[]", "0"),
        ],
    )
    .await;
    Ok(())
}
