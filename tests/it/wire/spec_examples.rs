//! The examples of the specification's section 7
//! (<https://www.jsonrpc.org/specification#examples>), unchanged: `-->` is sent to us, `<--` is our
//! response. Our error messages may continue after a colon. Once with us as the server, and once as
//! a client that serves methods.

use serde_json::Value;
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Context, Result, Server, rpc};
use wsjsonrpc_tests::{Raw, empty_batch};

/// The methods of the examples.
#[rpc]
trait Examples {
    async fn subtract(&self, ctx: &Context, minuend: i64, subtrahend: i64) -> Result<i64>;
    #[method(params = "whole")]
    async fn sum(&self, ctx: &Context, numbers: Vec<i64>) -> Result<i64>;
    #[method(params = "whole")]
    async fn update(&self, ctx: &Context, numbers: Vec<i64>) -> Result<()>;
    #[method(params = "whole")]
    async fn notify_sum(&self, ctx: &Context, numbers: Vec<i64>) -> Result<()>;
    async fn notify_hello(&self, ctx: &Context, number: i64) -> Result<()>;
    async fn get_data(&self, ctx: &Context) -> Result<(String, i64)>;
}

struct Service;

impl Examples for Service {
    async fn subtract(&self, _: &Context, minuend: i64, subtrahend: i64) -> Result<i64> {
        Ok(minuend - subtrahend)
    }
    async fn sum(&self, _: &Context, numbers: Vec<i64>) -> Result<i64> {
        Ok(numbers.iter().sum())
    }
    async fn update(&self, _: &Context, _: Vec<i64>) -> Result<()> {
        Ok(())
    }
    async fn notify_sum(&self, _: &Context, _: Vec<i64>) -> Result<()> {
        Ok(())
    }
    async fn notify_hello(&self, _: &Context, _: i64) -> Result<()> {
        Ok(())
    }
    async fn get_data(&self, _: &Context) -> Result<(String, i64)> {
        Ok(("hello".to_owned(), 5))
    }
}

fn server() -> ServerBuilder {
    Server::builder().service(Service.into_service())
}

fn client() -> ClientBuilder {
    Client::builder().service(Service.into_service())
}

/// Runs a dialogue with a server, then with a client.
async fn play(dialogue: &str) {
    let mut to_server = Raw::client(server()).await;
    let (mut to_client, _client) = Raw::server(client()).await;
    for raw in [&mut to_server, &mut to_client] {
        let mut turns = turns(dialogue).peekable();
        while let Some((arrow, text)) = turns.next() {
            assert_eq!(arrow, "-->");
            let mut answers = Vec::new();
            while let Some((_, answer)) = turns.next_if(|(arrow, _)| *arrow == "<--") {
                answers.push(answer);
            }
            raw.send(&text).await;
            for expected in answers {
                let mut got = serde_json::from_str(&raw.receive().await).unwrap();
                shorten(&mut got);
                assert_eq!(got, serde_json::from_str::<Value>(&expected).unwrap(), "for {text}");
            }
            raw.check("[]", &[&empty_batch()]).await;
        }
    }
}

/// Cuts error messages at their first colon.
fn shorten(response: &mut Value) {
    match response {
        Value::Array(responses) => responses.iter_mut().for_each(shorten),
        _ => {
            if let Some(message) = response.pointer_mut("/error/message") {
                let words = message.as_str().unwrap();
                *message = words.split(':').next().unwrap_or_default().into();
            }
        }
    }
}

/// The turns of a dialogue: lines that begin with an arrow, each with the lines that continue it.
fn turns(dialogue: &str) -> impl Iterator<Item = (&str, String)> {
    let mut turns: Vec<(&str, String)> = Vec::new();
    for line in dialogue.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_at_checked(3) {
            Some((arrow @ ("-->" | "<--"), text)) => turns.push((arrow, text.to_owned())),
            _ => turns.last_mut().expect("an arrow first").1.push_str(line),
        }
    }
    turns.into_iter()
}

macro_rules! examples {
    ($($name:ident: $dialogue:literal;)+) => {
        $(#[tokio::test]
        async fn $name() {
            play($dialogue).await;
        })+
    };
}

examples! {
    rpc_call_with_positional_parameters: r#"
        --> {"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}
        <-- {"jsonrpc": "2.0", "result": 19, "id": 1}

        --> {"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}
        <-- {"jsonrpc": "2.0", "result": -19, "id": 2}
    "#;

    rpc_call_with_named_parameters: r#"
        --> {"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}
        <-- {"jsonrpc": "2.0", "result": 19, "id": 3}

        --> {"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}
        <-- {"jsonrpc": "2.0", "result": 19, "id": 4}
    "#;

    a_notification: r#"
        --> {"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}
        --> {"jsonrpc": "2.0", "method": "foobar"}
    "#;

    rpc_call_of_non_existent_method: r#"
        --> {"jsonrpc": "2.0", "method": "foobar", "id": "1"}
        <-- {"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "1"}
    "#;

    rpc_call_with_invalid_json: r#"
        --> {"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]
        <-- {"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}
    "#;

    rpc_call_with_invalid_request_object: r#"
        --> {"jsonrpc": "2.0", "method": 1, "params": "bar"}
        <-- {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}
    "#;

    rpc_call_batch_invalid_json: r#"
        --> [
          {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
          {"jsonrpc": "2.0", "method"
        ]
        <-- {"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}
    "#;

    rpc_call_with_an_empty_array: r#"
        --> []
        <-- {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}
    "#;

    rpc_call_with_an_invalid_batch_but_not_empty: r#"
        --> [1]
        <-- [
          {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}
        ]
    "#;

    rpc_call_with_invalid_batch: r#"
        --> [1,2,3]
        <-- [
          {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
          {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
          {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}
        ]
    "#;

    rpc_call_batch: r#"
        --> [
            {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
            {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
            {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
            {"foo": "boo"},
            {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
            {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
        ]
        <-- [
            {"jsonrpc": "2.0", "result": 7, "id": "1"},
            {"jsonrpc": "2.0", "result": 19, "id": "2"},
            {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
            {"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "5"},
            {"jsonrpc": "2.0", "result": ["hello", 5], "id": "9"}
        ]
    "#;

    rpc_call_batch_all_notifications: r#"
        --> [
            {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
            {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
        ]
    "#;
}
