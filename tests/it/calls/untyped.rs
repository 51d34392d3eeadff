//! Calls and handlers without a trait: `peer.call` and `peer.notify` with params of every shape,
//! closures as methods, and the fallback for unknown methods.

use std::collections::{BTreeMap, HashMap};

use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use wsjsonrpc::server::Fallback;
use wsjsonrpc::service::Params;
use wsjsonrpc::{
    Client, Context, Error, ErrorCode, ErrorObject, Methods, Peer, Result, Server, async_trait,
    memory,
};
use wsjsonrpc_tests::{Raw, assert_same_json, both_ways, poll_once};

#[derive(Serialize, Deserialize)]
struct Point {
    x: i64,
    y: Option<i64>,
}

/// A type that serde cannot serialize.
struct Unserializable;

impl Serialize for Unserializable {
    fn serialize<S: Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
        Err(S::Error::custom("not today"))
    }
}

#[tokio::test]
async fn params_are_sent_as_they_serialize() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let peer = client.peer();
    let map = BTreeMap::from([("x", json!(1)), ("y", Value::Null)]);
    let raw_json = RawValue::from_string("[1, {\"a\":2}]".to_owned()).unwrap();
    let sent = [
        (peer.notify("m", (1, "two", None::<u8>)), Some(json!([1, "two", null]))),
        (peer.notify("m", ("alone",)), Some(json!(["alone"]))),
        (peer.notify("m", [1, 2, 3]), Some(json!([1, 2, 3]))),
        (peer.notify("m", vec!["a"; 2]), Some(json!(["a", "a"]))),
        (peer.notify("m", &[0.5][..]), Some(json!([0.5]))),
        (peer.notify("m", Vec::<u8>::new()), Some(json!([]))),
        (peer.notify("m", Point { x: 1, y: None }), Some(json!({"x": 1, "y": null}))),
        (peer.notify("m", &map), Some(json!({"x": 1, "y": null}))),
        (peer.notify("m", raw_json), Some(json!([1, {"a": 2}]))),
        (peer.notify("m", ()), None),
        (peer.notify("m", None::<[u8; 1]>), None),
        (peer.notify("m", Some((1,))), Some(json!([1]))),
    ];
    for (notification, params) in sent {
        notification.await.unwrap();
        let mut expected = json!({"jsonrpc": "2.0", "method": "m"});
        if let Some(params) = params {
            expected["params"] = params;
        }
        assert_same_json(&raw.receive().await, &expected.to_string(), "a shape of params");
    }
}

#[tokio::test]
async fn a_method_name_may_be_any_string() {
    let server = || Server::builder().method("a \"b\"\n/é", |_, (x,): (i64,)| async move { Ok(x) });
    for (client, _) in both_ways(Client::builder, server).await {
        assert_eq!(client.peer().call::<i64>("a \"b\"\n/é", (1,)).await.unwrap(), 1);
    }
}

/// Checks that these params fail with an [`Error::Encode`] that has these words, and that nothing
/// is sent: the next message is a later call.
async fn refused_before_sending(
    peer: &Peer,
    raw: &mut Raw,
    params: impl Serialize + Copy,
    words: &str,
) {
    let error = peer.call::<()>("bad", params).await.unwrap_err();
    assert!(matches!(error, Error::Encode(_)), "{error:?}");
    assert!(error.to_string().contains(words), "{error}");
    let error = peer.notify("bad", params).await.unwrap_err();
    assert!(matches!(error, Error::Encode(_)), "{error:?}");
    assert_eq!(peer.pending_calls(), 0);

    let mut good = Box::pin(async { peer.call::<i64>("good", (1,)).await });
    assert!(poll_once(&mut good).await.is_pending());
    let request: Value = serde_json::from_str(&raw.receive().await).unwrap();
    assert_eq!(request["method"], "good");
    raw.send(json!({"jsonrpc": "2.0", "result": 7, "id": request["id"]}).to_string()).await;
    assert_eq!(good.await.unwrap(), 7);
}

#[tokio::test]
async fn params_that_are_no_list_or_object_are_not_sent() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let (peer, raw) = (&client.peer(), &mut raw);
    let words = "params must serialize to a list or an object; wrap a single value as `(value,)`";
    refused_before_sending(peer, raw, 1, words).await;
    refused_before_sending(peer, raw, -0.5, words).await;
    refused_before_sending(peer, raw, "text", words).await;
    refused_before_sending(peer, raw, true, words).await;
    refused_before_sending(peer, raw, false, words).await;
    refused_before_sending(peer, raw, Some('c'), words).await;
}

#[tokio::test]
async fn params_that_do_not_serialize_are_not_sent() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let (peer, raw) = (&client.peer(), &mut raw);
    refused_before_sending(peer, raw, &Unserializable, "not today").await;
    refused_before_sending(peer, raw, (1, &Unserializable), "not today").await;
    refused_before_sending(peer, raw, &HashMap::from([((1, 2), 3)]), "key must be a string").await;
}

#[tokio::test]
async fn by_name_leaves_a_struct_as_it_is() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let peer = client.peer();
    peer.call::<()>("m", Point { x: 1, y: Some(2) }).by_name().notify().await.unwrap();
    let expected = r#"{"jsonrpc":"2.0","method":"m","params":{"x":1,"y":2}}"#;
    assert_same_json(&raw.receive().await, expected, "a struct has its names");
}

#[tokio::test]
async fn a_result_is_decoded_as_the_requested_type() {
    let server = || {
        Server::builder()
            .method("pair", |_, ()| async { Ok(("one", 1)) })
            .method("point", |_, ()| async { Ok(Point { x: 3, y: None }) })
            .method("nothing", |_, ()| async { Ok(()) })
    };
    for (client, _) in both_ways(Client::builder, server).await {
        let peer = client.peer();
        assert_eq!(peer.call::<(String, u8)>("pair", ()).await.unwrap(), ("one".to_owned(), 1));
        assert_eq!(peer.call::<Value>("pair", ()).await.unwrap(), json!(["one", 1]));
        assert_eq!(peer.call::<Box<RawValue>>("pair", ()).await.unwrap().get(), r#"["one",1]"#);
        assert_eq!(peer.call::<Point>("point", ()).await.unwrap().x, 3);
        peer.call::<()>("nothing", ()).await.unwrap();
        assert_eq!(peer.call::<Option<u8>>("nothing", ()).await.unwrap(), None);
        assert!(matches!(peer.call::<()>("pair", ()).await, Err(Error::Decode(_))));
    }
}

fn closures() -> Methods {
    Methods::new()
        .method("tuple", |_, (x, y): (i64, i64)| async move { Ok(x - y) })
        .method("one", |_, (x,): (i64,)| async move { Ok(x) })
        .method("list", |_, numbers: Vec<i64>| async move { Ok(numbers.len()) })
        .method("struct", |_, point: Point| async move { Ok((point.x, point.y)) })
        .method("map", |_, map: BTreeMap<String, i64>| async move { Ok(map) })
        .method("none", |_, ()| async { Ok("none") })
        .method("optional", |_, params: Option<(i64,)>| async move { Ok(params) })
        .method("any", |_, params: Value| async move { Ok(params) })
}

async fn closure(peer: &Peer, method: &str, params: Value) -> Result<Value, String> {
    match peer.call::<Value>(method, params).await {
        Ok(result) => Ok(result),
        Err(Error::Call(object)) if object.code() == ErrorCode::INVALID_PARAMS => {
            Err(object.message().to_owned())
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_closure_gets_the_params_as_its_argument_type() {
    let (client, _) =
        memory::pair(Client::builder(), Server::builder().service(closures())).unwrap();
    let (none, peer) = (Value::Null, &client.peer());
    let cases = [
        ("tuple", json!([5, 3]), json!(2)),
        ("one", json!([5]), json!(5)),
        ("list", json!([5, 3]), json!(2)),
        ("list", json!([]), json!(0)),
        ("list", none.clone(), json!(0)),
        ("list", json!({}), json!(0)),
        ("struct", json!({"y": 2, "x": 1}), json!([1, 2])),
        ("struct", json!({"x": 1}), json!([1, null])),
        ("struct", json!([1, 2]), json!([1, 2])),
        ("map", json!({"a": 1}), json!({"a": 1})),
        ("map", none.clone(), json!({})),
        ("none", none.clone(), json!("none")),
        ("none", json!([]), json!("none")),
        ("none", json!({}), json!("none")),
        ("optional", none.clone(), json!(null)),
        ("optional", json!([7]), json!([7])),
        ("any", none, json!(null)),
        ("any", json!({"a": [1]}), json!({"a": [1]})),
    ];
    for (method, params, expected) in cases {
        let got = closure(peer, method, params.clone()).await;
        assert_eq!(got.as_ref(), Ok(&expected), "{method} {params}");
    }
}

#[tokio::test]
async fn a_closure_whose_params_are_missing_or_wrong_is_not_called() {
    let (client, _) =
        memory::pair(Client::builder(), Server::builder().service(closures())).unwrap();
    let peer = &client.peer();
    let cases = [
        ("tuple", json!([5]), "invalid length 1"),
        ("tuple", json!([5, 3, 1]), "3 parameters given, expected at most 2"),
        ("tuple", json!(["5", 3]), "invalid type: string"),
        ("tuple", json!({"x": 5, "y": 3}), "invalid type: map"),
        ("list", json!({"a": 1}), "invalid type: map"),
        ("struct", json!({"y": 1}), "missing field `x`"),
        ("map", json!([1]), "invalid type: sequence"),
        ("none", json!([1]), "invalid type: sequence"),
        ("none", json!({"a": 1}), "invalid type: map"),
    ];
    for (method, params, expected) in cases {
        let message = closure(peer, method, params.clone()).await.unwrap_err();
        let detail = message.strip_prefix("Invalid params: ").unwrap();
        assert!(detail.starts_with(expected), "{method} {params}: {message}");
    }
}

#[tokio::test]
async fn absent_params_do_not_become_null() {
    let (client, _) =
        memory::pair(Client::builder(), Server::builder().service(closures())).unwrap();
    for method in ["tuple", "one", "struct"] {
        let message = closure(&client.peer(), method, Value::Null).await.unwrap_err();
        assert!(message.starts_with("Invalid params: "), "{message}");
        assert!(!message.contains("null"), "{method}: {message}");
    }
}

#[tokio::test]
async fn a_closure_gets_the_context_of_its_connection() {
    let server = || {
        Server::builder().method("whoami", |ctx: Context, ()| async move {
            Ok(ctx.handshake().cookie("session").map(str::to_owned))
        })
    };
    let client = || Client::builder().header("cookie", "session=xyz");
    for (client, _) in both_ways(client, server).await {
        let session: Option<String> = client.peer().call("whoami", ()).await.unwrap();
        assert_eq!(session.as_deref(), Some("xyz"));
    }
}

/// Returns its params, refuses one name, and reports every call.
struct Catcher(mpsc::UnboundedSender<String>);

#[async_trait]
impl Fallback for Catcher {
    async fn call(&self, _: &Context, method: &str, params: Params<'_>) -> Result<Box<RawValue>> {
        self.0.send(method.to_owned())?;
        match method {
            "forbidden" => Err(ErrorObject::method_not_found()),
            "sum" => Ok(to_raw_value(&params.decode::<Vec<i64>>()?.iter().sum::<i64>())?),
            _ => Ok(to_raw_value(&(method, params.json()))?),
        }
    }
}

#[tokio::test]
async fn the_fallback_gets_unknown_methods() {
    let (told, mut calls) = mpsc::unbounded_channel();
    let server = || Server::builder().service(closures()).fallback(Catcher(told.clone()));
    for (client, _) in both_ways(Client::builder, server).await {
        while calls.try_recv().is_ok() {}
        let peer = client.peer();
        assert_eq!(peer.call::<i64>("tuple", (5, 3)).await.unwrap(), 2);
        assert!(calls.try_recv().is_err(), "the fallback must not get existing methods");

        let echo: (String, Option<String>) = peer.call("any.name", [1, 2]).await.unwrap();
        assert_eq!(echo, ("any.name".to_owned(), Some("[1,2]".to_owned())));
        let echo: (String, Option<String>) = peer.call("é\"", ()).await.unwrap();
        assert_eq!(echo, ("é\"".to_owned(), None));
        assert_eq!(peer.call::<i64>("sum", [1, 2, 3]).await.unwrap(), 6);
        assert_eq!(
            closure(&peer, "sum", json!(["x"])).await.unwrap_err().find("Invalid params"),
            Some(0)
        );

        let Err(Error::Call(refused)) = peer.call::<()>("forbidden", ()).await else { panic!() };
        assert_eq!(refused.code(), ErrorCode::METHOD_NOT_FOUND);
        for name in ["any.name", "é\"", "sum", "sum", "forbidden"] {
            assert_eq!(calls.recv().await.unwrap(), name);
        }
        peer.notify("told", ()).await.unwrap();
        assert_eq!(calls.recv().await.unwrap(), "told");
    }
}

#[tokio::test]
async fn without_a_fallback_an_unknown_method_is_not_found() {
    for (client, _) in both_ways(Client::builder, Server::builder).await {
        let Err(Error::Call(unknown)) = client.peer().call::<()>("nobody", ()).await else {
            panic!()
        };
        assert_eq!((unknown.code().0, unknown.message()), (-32601, "Method not found: \"nobody\""));
        assert!(unknown.data().is_none());
    }
}
