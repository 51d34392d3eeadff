//! Subscriptions with unusual or broken peers: ids, names, batches, limits.

use futures_util::{StreamExt, stream};
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::subscription::Topic;
use wsjsonrpc::{
    Client, Config, Context, Error, ErrorObject, Methods, Result, Server, Subscription,
};
use wsjsonrpc_tests::{
    Gate, Raw, assert_same_json, empty_batch, error, id_of, item, notification, request, result,
    too_large,
};

/// Subscribes; the raw server responds with this.
async fn ask(raw: &mut Raw, client: &Client, answer: &str) -> Result<Subscription<u64>, Error> {
    let peer = client.peer();
    let asked = tokio::spawn(async move { peer.subscribe::<u64>("feed", ()).await });
    let id = id_of(&raw.receive().await);
    raw.send(result(answer, &id)).await;
    asked.await.unwrap()
}

#[tokio::test]
async fn items_of_unknown_subscriptions_are_ignored() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let peer = client.peer();
    raw.send(item("feed", r#""a""#, "0")).await;
    let asked = tokio::spawn(async move { peer.subscribe::<u64>("feed", ()).await });
    raw.receive().await;
    raw.send(result(r#""a""#, "1")).await;
    for nobodys in [
        item("feed", r#""b""#, "2"),
        item("feed", "1", "3"),
        item("other", r#""a""#, "4"),
        notification("feed", r#"{"subscription":"a"}"#),
        notification("feed", r#"{"result":5}"#),
        notification("feed", r#"["a",6]"#),
        notification("feed", r#"{"subscription":["a"],"result":7}"#),
        r#"{"jsonrpc":"2.0","method":"feed"}"#.to_owned(),
    ] {
        raw.send(nobodys).await;
    }
    raw.send(item("feed", r#""a""#, "8")).await;
    let mut feed = asked.await.unwrap().unwrap();
    assert_eq!(feed.next().await.unwrap().unwrap(), 8);
    raw.check("[]", &[&empty_batch()]).await;
}

#[tokio::test]
async fn an_id_may_be_a_string_or_a_number() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    for id in [r#""0x9""#, "7", "-1", "1.5", r#""""#, r#""é\n\u0041""#] {
        let mut feed = ask(&mut raw, &client, id).await.unwrap();
        assert_eq!(feed.id(), id);
        raw.send(item("feed", id, "3")).await;
        assert_eq!(feed.next().await.unwrap().unwrap(), 3);
        drop(feed);
        let unsubscribe: serde_json::Value = serde_json::from_str(&raw.receive().await).unwrap();
        assert_same_json(&unsubscribe["params"].to_string(), &format!("[{id}]"), id);
    }
    for none in ["null", "true", "{}", "[1]"] {
        let refused = ask(&mut raw, &client, none).await;
        assert!(matches!(refused, Err(Error::InvalidResponse(_))), "{none}");
    }
}

#[tokio::test]
async fn a_reused_id_belongs_to_the_later_subscription() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let mut first = ask(&mut raw, &client, "1").await.unwrap();
    let mut second = ask(&mut raw, &client, "1").await.unwrap();
    assert!(matches!(first.next().await, Some(Err(Error::Call(_)))));
    assert!(first.next().await.is_none());
    // Dropping it does not end the other one.
    drop(first);
    raw.send(item("feed", "1", "5")).await;
    assert_eq!(second.next().await.unwrap().unwrap(), 5);
    raw.check("[]", &[&empty_batch()]).await;
    drop(second);
    assert_eq!(raw.receive().await, request("unsubscribe_feed", "[1]", "3"));
}

#[tokio::test]
async fn an_end_may_carry_any_error_value() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    for (last, words) in [
        (r#"{"code":5,"message":"m","data":[1]}"#, "m"),
        (r#""no more \u0041""#, "no more A"),
        (r#"{"reason":1}"#, r#"{"reason":1}"#),
    ] {
        let mut feed = ask(&mut raw, &client, "1").await.unwrap();
        raw.send(item("feed", "1", "5")).await;
        let params = format!(r#"{{"error":{last},"subscription":1}}"#);
        raw.send(notification("feed", &params)).await;
        // Items after the end are ignored.
        raw.send(item("feed", "1", "6")).await;
        assert_eq!(feed.next().await.unwrap().unwrap(), 5);
        match feed.next().await {
            Some(Err(Error::Call(error))) => assert_eq!(error.message(), words),
            other => panic!("{other:?}"),
        }
        assert!(feed.next().await.is_none());
    }
    raw.check("[]", &[&empty_batch()]).await;
}

#[tokio::test]
async fn an_item_of_another_type_does_not_end_the_stream() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let mut feed = ask(&mut raw, &client, "1").await.unwrap();
    for value in ["1", r#""two""#, "3"] {
        raw.send(item("feed", "1", value)).await;
    }
    assert_eq!(feed.next().await.unwrap().unwrap(), 1);
    assert!(matches!(feed.next().await, Some(Err(Error::Decode(_)))));
    assert_eq!(feed.next().await.unwrap().unwrap(), 3);
}

#[tokio::test]
async fn items_may_come_in_a_batch_and_beside_other_members() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let mut feed = ask(&mut raw, &client, "1").await.unwrap();
    raw.send(format!("[{},{}]", item("feed", "1", "1"), item("feed", "1", "2"))).await;
    let padding = "x".repeat(10_000);
    let long = format!(r#"{{"more":"{padding}","result": 3 ,"subscription":1}}"#);
    raw.send(notification("feed", &long)).await;
    for number in 1..=3 {
        assert_eq!(feed.next().await.unwrap().unwrap(), number);
    }
}

#[tokio::test]
async fn a_method_may_have_the_name_of_the_notifications() {
    let (seen, mut notes) = tokio::sync::mpsc::unbounded_channel();
    let client = Client::builder().method("feed", move |_: Context, note: serde_json::Value| {
        let _ = seen.send(note);
        async { Ok(()) }
    });
    let (mut raw, client) = Raw::server(client).await;
    let mut feed = ask(&mut raw, &client, "1").await.unwrap();
    raw.send(item("feed", "1", "5")).await;
    raw.send(notification("feed", r#"["a note"]"#)).await;
    raw.check(&request("feed", "[7]", "9"), &[&result("null", "9")]).await;
    assert_eq!(feed.next().await.unwrap().unwrap(), 5);
    assert_eq!(notes.try_recv().unwrap(), serde_json::json!(["a note"]));
    assert_eq!(notes.try_recv().unwrap(), serde_json::json!([7]));
    assert!(notes.try_recv().is_err());
}

/// Subscriptions with shared names for their notifications and their unsubscribe method.
fn server(gate: &Gate) -> ServerBuilder {
    let topic = |name| Topic::new(name).notification("news").unsubscribe("stop");
    let silence = |first: u8| {
        move |_: Context, ()| async move {
            Ok(stream::iter([Ok(first)]).chain(stream::pending::<Result<u8>>()))
        }
    };
    let methods = Methods::new()
        .subscription(topic("a"), silence(1))
        .subscription(topic("b"), silence(2))
        .method("slow", gate.handler("done"));
    Server::builder().service(methods).config(Config { max_subscriptions: 3, ..Config::default() })
}

#[tokio::test]
async fn many_subscriptions_may_share_one_name() {
    let (client, _peer) =
        wsjsonrpc_tests::over_socket(Client::builder(), server(&Gate::default())).await;
    let ask = |name| {
        let asked = client.peer().subscribe::<u8>(name, ());
        asked.notification("news").unsubscribe("stop").into_future()
    };
    let (a, b, again) = tokio::join!(ask("a"), ask("b"), ask("a"));
    let (mut a, mut b, mut again) = (a.unwrap(), b.unwrap(), again.unwrap());
    assert_eq!(a.next().await.unwrap().unwrap(), 1);
    assert_eq!(b.next().await.unwrap().unwrap(), 2);
    assert_eq!(again.next().await.unwrap().unwrap(), 1);
    assert!(a.id() != b.id() && a.id() != again.id() && b.id() != again.id());
    // The limit is reached. When one subscription ends, another one can start.
    let busy = ask("b").await;
    assert!(matches!(busy, Err(Error::Call(error)) if error.code().0 == -32000));
    drop(a);
    let mut more = loop {
        match ask("b").await {
            Ok(more) => break more,
            Err(Error::Call(busy)) => assert_eq!(busy.code().0, -32000),
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(more.next().await.unwrap().unwrap(), 2);
}

#[tokio::test]
async fn no_item_comes_before_the_response_of_its_batch() {
    let gate = Gate::default();
    let mut raw = Raw::client(server(&gate)).await;
    let batch = [request("a", "[]", "1"), request("slow", "[]", "2"), request("b", "[]", "3")];
    raw.send(format!("[{}]", batch.join(","))).await;
    gate.arrived(1).await;
    // A peer cannot end it by guessing its id.
    raw.check(&request("stop", r#"["0x1"]"#, "4"), &[&result("false", "4")]).await;
    for _ in 0..10 {
        raw.check("[]", &[&empty_batch()]).await;
    }
    gate.open(1);
    let answers = [result(r#""0x1""#, "1"), result(r#""done""#, "2"), result(r#""0x2""#, "3")];
    assert_eq!(raw.receive().await, format!("[{}]", answers.join(",")));
    let mut items = [raw.receive().await, raw.receive().await];
    items.sort();
    assert_eq!(items, [item("news", r#""0x1""#, "1"), item("news", r#""0x2""#, "2")]);
}

#[tokio::test]
async fn unsubscribing_takes_the_id_in_every_form() {
    let gate = Gate::default();
    let (mut raw, mut other) = Raw::two_clients(server(&gate)).await;
    for id in ["0x1", "0x2"] {
        let id = format!("\"{id}\"");
        assert_eq!(raw.ask(request("a", "[]", "1")).await, result(&id, "1"));
        assert_eq!(raw.receive().await, item("news", &id, "1"));
    }
    let stop = |params: &str| request("stop", params, "2");
    for (params, ended) in [
        (r#"["0x3"]"#, "false"),
        (r#"["0X1"]"#, "false"),
        (r#"["0x01"]"#, "false"),
        (r#"["1"]"#, "false"),
        (r#"[""]"#, "false"),
        (r#"["0xffffffffffffffffffff"]"#, "false"),
    ] {
        raw.check(&stop(params), &[&result(ended, "2")]).await;
    }
    // The subscription of another connection.
    other.check(&stop(r#"["0x1"]"#), &[&result("false", "2")]).await;
    let named = r#"{"subscription":"0\u00782"}"#;
    let both = [stop(r#"["0x1"]"#), stop(r#"["0x1"]"#), stop(named)];
    let answers = ["true", "false", "true"].map(|ended| result(ended, "2"));
    raw.check(&format!("[{}]", both.join(",")), &[&format!("[{}]", answers.join(","))]).await;
    assert_eq!(raw.ask(request("a", "[]", "1")).await, result(r#""0x3""#, "1"));
    assert_eq!(raw.receive().await, item("news", r#""0x3""#, "1"));
    for (params, why) in [
        ("[]", "missing parameter `subscription` (position 1)"),
        ("{}", "missing parameter `subscription`"),
        (r#"{"id":"0x3"}"#, "unknown parameter `id`, expected `subscription`"),
        (r#"["0x3","0x3"]"#, "2 parameters given, expected at most 1 (`subscription`)"),
        (r#"{"subscription":"0x3","subscription":"0x3"}"#, "duplicate parameter `subscription`"),
        ("[3]", "`subscription`: invalid type: integer `3`, expected a string"),
        ("[null]", "`subscription`: invalid type: null, expected a string"),
        (r#"[["0x3"]]"#, "`subscription`: invalid type: sequence, expected a string"),
    ] {
        let invalid = error(-32602, &format!("Invalid params: {why}"), "2");
        raw.check(&stop(params), &[&invalid]).await;
    }
    // A notification ends a subscription too, without a response.
    raw.check(&notification("stop", r#"["0x3"]"#), &[]).await;
    raw.check(&stop(r#"["0x3"]"#), &[&result("false", "2")]).await;
}

#[tokio::test]
async fn an_unsubscribe_method_ends_only_its_own_kind() {
    let silence = |_: Context, ()| async move { Ok(stream::pending::<Result<u8>>()) };
    let methods = Methods::new()
        .subscription(Topic::new("blocks"), silence)
        .subscription(Topic::new("prices").unsubscribe("stop"), silence)
        .subscription(Topic::new("trades").unsubscribe("stop"), silence);
    let mut raw = Raw::client(Server::builder().service(methods)).await;
    for (name, id) in [("blocks", "0x1"), ("prices", "0x2"), ("trades", "0x3")] {
        assert_eq!(raw.ask(request(name, "[]", "1")).await, result(&format!("\"{id}\""), "1"));
    }
    for (method, id, ended) in [
        ("stop", "0x1", "false"),
        ("unsubscribe_blocks", "0x2", "false"),
        ("unsubscribe_blocks", "0x3", "false"),
        ("unsubscribe_blocks", "0x1", "true"),
        ("stop", "0x2", "true"),
        // Several subscriptions may share an unsubscribe method.
        ("stop", "0x3", "true"),
    ] {
        let params = format!("[\"{id}\"]");
        raw.check(&request(method, &params, "2"), &[&result(ended, "2")]).await;
    }
}

#[tokio::test]
async fn a_subscription_whose_response_does_not_fit_never_starts() {
    let gate = Gate::default();
    let config = Config { max_outgoing_message: 200, max_subscriptions: 3, ..Config::default() };
    let mut raw = Raw::client(server(&gate).config(config)).await;
    let id = format!("\"{}\"", "i".repeat(200));
    // The id does not fit into the response either.
    let large = too_large("null");
    assert_eq!(raw.ask(request("a", "[]", &id)).await, large);
    raw.check(&request("stop", r#"["0x1"]"#, "2"), &[&result("false", "2")]).await;
    let batch = format!("[{},{}]", request("a", "[]", "1"), request("b", "[]", &id));
    let answers = format!("[{},{}]", result(r#""0x2""#, "1"), large);
    assert_same_json(&raw.ask(&batch).await, &answers, &batch);
    assert_eq!(raw.receive().await, item("news", r#""0x2""#, "1"));
    for _ in 0..5 {
        raw.check("[]", &[&empty_batch()]).await;
    }
}

#[tokio::test]
async fn a_subscription_may_be_refused_late() {
    let gate = Gate::default();
    let pass = gate.clone();
    let methods = Methods::new().subscription(Topic::new("feed"), move |_, ()| {
        let gate = pass.clone();
        async move {
            gate.pass().await;
            Err::<stream::Empty<Result<()>>, _>(ErrorObject::new(7, "no"))
        }
    });
    let mut raw = Raw::client(Server::builder().service(methods)).await;
    raw.send(request("feed", "[]", "1")).await;
    gate.arrived(1).await;
    gate.open(1);
    assert_eq!(raw.receive().await, error(7, "no", "1"));
}
