//! Subscriptions: the messages on the wire, and what a consumer gets from them.

use futures_util::{StreamExt, stream};
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::subscription::Topic;
use wsjsonrpc::{Client, Error, ErrorObject, Methods, Result, memory};
use wsjsonrpc_tests::{Raw, end, item, request, result};

/// Two subscriptions with the same unsubscribe method `stop`, one of them with another name for its
/// notifications.
fn server() -> ServerBuilder {
    let methods =
        Methods::new()
            .subscription(Topic::new("quiet").unsubscribe("stop"), |_, ()| async move {
                Ok(stream::pending::<Result<()>>())
            })
            .subscription(
                Topic::new("broken").unsubscribe("stop").notification("pieces").tell_end(false),
                |_, ()| async move {
                    Ok(stream::iter([Ok(1), Err(ErrorObject::new(8, "broken")), Ok(2)]))
                },
            );
    wsjsonrpc_tests::server().service(methods)
}

#[tokio::test]
async fn the_response_comes_first_then_the_items_then_the_end() {
    let mut raw = Raw::client(server()).await;
    let response = raw.ask(request("count", "[3]", "1")).await;
    assert_eq!(response, result(r#""0x1""#, "1"));
    for number in 1..=3 {
        assert_eq!(raw.receive().await, item("count", r#""0x1""#, &number.to_string()));
    }
    assert_eq!(raw.receive().await, end("count", r#""0x1""#, "null"));
    assert_eq!(raw.ask(request("count", "[0]", "2")).await, result(r#""0x2""#, "2"));
    assert_eq!(raw.receive().await, end("count", r#""0x2""#, "null"));
}

#[tokio::test]
async fn a_subscription_is_refused_with_an_error() {
    let mut raw = Raw::client(server()).await;
    let refused = r#"{"jsonrpc":"2.0","error":{"code":7,"message":"no"},"id":1}"#;
    raw.check(&request("refused", "[]", "1"), &[refused]).await;
    // A notification cannot subscribe, because the caller would not learn the id.
    raw.check(r#"{"jsonrpc":"2.0","method":"count","params":[3]}"#, &[]).await;
}

#[tokio::test]
async fn an_error_of_the_stream_is_its_last_message() {
    let mut raw = Raw::client(server()).await;
    assert_eq!(raw.ask(request("broken", "[]", "1")).await, result(r#""0x1""#, "1"));
    assert_eq!(raw.receive().await, item("pieces", r#""0x1""#, "1"));
    let error = r#"{"code":8,"message":"broken"}"#;
    assert_eq!(raw.receive().await, end("pieces", r#""0x1""#, error));
    raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
}

#[tokio::test]
async fn unsubscribing_ends_a_subscription_without_a_last_message() {
    let mut raw = Raw::client(server()).await;
    assert_eq!(raw.ask(request("quiet", "[]", "1")).await, result(r#""0x1""#, "1"));
    raw.check(&request("stop", r#"["0x2"]"#, "2"), &[&result("false", "2")]).await;
    raw.check(&request("stop", r#"["0x1"]"#, "3"), &[&result("true", "3")]).await;
    raw.check(&request("stop", r#"["0x1"]"#, "4"), &[&result("false", "4")]).await;
}

#[tokio::test]
async fn an_unsubscribe_method_ends_its_own_subscriptions() {
    let mut raw = Raw::client(server()).await;
    assert_eq!(raw.ask(request("quiet", "[]", "1")).await, result(r#""0x1""#, "1"));
    raw.check(&request("unsubscribe_count", r#"["0x1"]"#, "2"), &[&result("false", "2")]).await;
    raw.check(&request("stop", r#"["0x1"]"#, "3"), &[&result("true", "3")]).await;
}

#[tokio::test]
async fn a_consumer_gets_the_items_and_then_none() {
    let (client, _) = memory::pair(Client::builder(), server()).unwrap();
    let mut numbers = client.peer().subscribe::<u64>("count", (5,)).await.unwrap();
    assert_eq!(numbers.id(), r#""0x1""#);
    for number in 1..=5 {
        assert_eq!(numbers.next().await.unwrap().unwrap(), number);
    }
    assert!(numbers.next().await.is_none());
    assert!(numbers.next().await.is_none());
    let refused = client.peer().subscribe::<()>("refused", ()).await;
    assert!(matches!(refused, Err(Error::Call(error)) if error.code().0 == 7));
}

#[tokio::test]
async fn many_items_arrive_whole_and_in_order() {
    let (client, _) = memory::pair(Client::builder(), server()).unwrap();
    let numbers = client.peer().subscribe::<u64>("count", (100_000,)).await.unwrap();
    let numbers: Vec<u64> = numbers.map(|number| number.unwrap()).collect().await;
    assert!(numbers.into_iter().eq(1..=100_000));
}
