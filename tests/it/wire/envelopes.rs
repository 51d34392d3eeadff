//! Raw text in, raw text out: envelopes, ids, batches, and text that is not a message. `params`
//! tests params, `failures` tests handlers that fail.

use futures_util::SinkExt;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use wsjsonrpc::Config;
use wsjsonrpc_tests::{
    Gate, Raw, busy, cancel, error, invalid_request, method_not_found, notification, request,
    result, server, too_large,
};

fn parse_error() -> String {
    error(-32700, "Parse error", "null")
}

fn not_found(id: &str) -> String {
    method_not_found("no.such.method", id)
}

#[tokio::test]
async fn an_id_comes_back_verbatim() {
    let mut raw = Raw::client(server()).await;
    for id in [
        "0",
        "-1",
        "-0",
        "1.5",
        "1.50",
        "1e3",
        "1E+3",
        "9007199254740993",
        "18446744073709551615",
        "18446744073709551616",
        "1180591620717411303424",
        "1e999999",
        "null",
        r#""""#,
        r#""1""#,
        r#""null""#,
        r#""a\"b\\c\/d\n\u0000\u00e4\ud83d\ude00""#,
        r#""ä😀""#,
    ] {
        let table = [
            (request("sum", "[1,2]", id), result("3", id)),
            (request("no.such.method", "[]", id), not_found(id)),
            (request("fail", "[1]", id), error(1, "no", id)),
            (format!("[{}]", request("sum", "[1,2]", id)), format!("[{}]", result("3", id))),
        ];
        for (incoming, expected) in table {
            assert_eq!(raw.ask(&incoming).await, expected, "for {incoming}");
        }
    }
    for long in [format!("\"{}\"", "x".repeat(100_000)), "1".repeat(100_000)] {
        assert_eq!(raw.ask(request("sum", "[1,2]", &long)).await, result("3", &long));
        assert_eq!(raw.ask(request("no.such.method", "[]", &long)).await, not_found(&long));
        let batch = format!("[{}]", request("sum", "[1,2]", &long));
        assert_eq!(raw.ask(batch).await, format!("[{}]", result("3", &long)));
    }
}

/// The response has the id if it fits `max_outgoing_message`.
#[tokio::test]
async fn an_id_too_large_for_a_response_comes_back_as_null() {
    let config = Config { max_outgoing_message: 1000, ..Config::default() };
    let mut raw = Raw::client(server().config(config)).await;
    let (fits, long) = ("1".repeat(800), "1".repeat(1000));
    assert_eq!(raw.ask(request("sum", "[1,2]", &fits)).await, result("3", &fits));
    assert_eq!(raw.ask(request("sum", "[1,2]", &long)).await, too_large("null"));
    let no_method = invalid_request(r#""method" is missing"#, "null");
    assert_eq!(raw.ask(format!(r#"{{"id":{}}}"#, "1".repeat(1001))).await, no_method);
    for (ids, answers) in [
        ([&*fits, "1"], [result("3", &fits), result("3", "1")]),
        ([&fits, &fits], [result("3", &fits), too_large("null")]),
        (["1", &long], [result("3", "1"), too_large("null")]),
    ] {
        let batch = ids.map(|id| request("sum", "[1,2]", id)).join(",");
        let answer = raw.ask(format!("[{batch}]")).await;
        assert_eq!(answer, format!("[{}]", answers.join(",")));
        assert!(answer.len() <= 1000);
    }
}

/// Calls with long ids take no more than `max_in_flight_bytes`.
#[tokio::test]
async fn ids_of_calls_in_flight_count_as_bytes_in_flight() {
    let config = Config { max_in_flight_bytes: 10_000, ..Config::default() };
    for in_batch in [false, true] {
        let (gate, config) = (Gate::default(), config.clone());
        let gated = gate.handler(());
        let mut raw = Raw::client(server().config(config).method("gated", gated)).await;
        // Each id counts twice: once in the message and once as a copy.
        let id = |number: u32| format!("\"{number}{}\"", "x".repeat(3000));
        let wrap = |text: String| if in_batch { format!("[{text}]") } else { text };
        for number in [1, 2] {
            raw.send(wrap(request("gated", "[]", &id(number)))).await;
        }
        gate.arrived(2).await;
        let refused = raw.ask(request("gated", "[]", "3")).await;
        assert_eq!(refused, busy("3"));
        gate.open(2);
        let mut answers = [raw.receive().await, raw.receive().await];
        answers.sort();
        assert_eq!(answers, [1, 2].map(|number| wrap(result("null", &id(number)))));
    }
}

#[tokio::test]
async fn an_invalid_id_is_an_invalid_request() {
    let mut raw = Raw::client(server()).await;
    for (id, kind) in [
        ("true", "a boolean"),
        ("false", "a boolean"),
        ("[]", "an array"),
        ("[1]", "an array"),
        ("{}", "an object"),
        (r#"{"a":1}"#, "an object"),
        (r#""\ud800""#, ""),
    ] {
        let mut why = format!(r#""id" must be a string, a number or null, got {kind}"#);
        if kind.is_empty() {
            r#""id" has an invalid escape"#.clone_into(&mut why);
        }
        let refused = invalid_request(&why, "null");
        raw.check(&request("sum", "[1,2]", id), &[&refused]).await;
        let batch = format!("[{}]", request("sum", "[1,2]", id));
        raw.check(&batch, &[&format!("[{refused}]")]).await;
    }
}

/// A notification never gets a response, whatever its outcome is.
#[tokio::test]
async fn a_notification_is_handled_and_never_answered() {
    let (send, mut handled) = mpsc::unbounded_channel();
    let server = server().method("note", move |_, (number,): (i64,)| {
        let sent = send.send(number).is_ok();
        async move { Ok(sent) }
    });
    let mut raw = Raw::client(server).await;
    for silent in [
        notification("note", "[1]"),
        notification("note", r#"["not a number"]"#),
        notification("note", "[2,3]"),
        notification("note", "[]"),
        notification("fail", "[1]"),
        notification("panic", "[]"),
        notification("no.such.method", "[]"),
        cancel("1"),
        r#"{"jsonrpc":"2.0","method":"note","params":[2]}"#.to_owned(),
        format!("[{},{}]", notification("note", "[3]"), notification("fail", "[1]")),
    ] {
        raw.check(&silent, &[]).await;
    }
    for number in 1..=3 {
        assert_eq!(handled.recv().await, Some(number));
    }
    assert!(handled.try_recv().is_err(), "nothing is handled twice");
}

#[tokio::test]
async fn an_empty_result_is_null() {
    let mut raw = Raw::client(server()).await;
    raw.check_verbatim(&[(&request("quick", "[]", "1"), &result("null", "1"))]).await;
}

#[tokio::test]
async fn a_response_has_only_the_specified_members() {
    let mut raw = Raw::client(server()).await;
    raw.check_verbatim(&[
        (
            r#"{"jsonrpc":"2.0","method":"sum","params":[1,2],"id":1}"#,
            r#"{"jsonrpc":"2.0","result":3,"id":1}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"no","id":1}"#,
            r#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found: \"no\""},"id":1}"#,
        ),
        ("{", r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}"#),
        (
            "{}",
            r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request: \"method\" is missing"},"id":null}"#,
        ),
    ])
    .await;
}

#[tokio::test]
async fn member_order_white_space_and_unknown_members_do_not_matter() {
    let mut raw = Raw::client(server()).await;
    let answer = result("3", "1");
    for text in [
        r#"{"id":1,"params":[1,2],"method":"sum","jsonrpc":"2.0"}"#,
        "\t{ \"jsonrpc\" :\r\n\"2.0\" , \"method\":\"sum\",\"params\" : [ 1 , 2 ] ,\"id\":1 } \n",
        r#"{"jsonrpc":"2.0","method":"sum","params":[1,2],"id":1,"meta":{"a":[{}]},"":null}"#,
        r#"{"json\u0072pc":"\u0032.0","m\u0065thod":"s\u0075m","params":[1,2],"\u0069d":1}"#,
        r#"{"jsonrpc":"2.0","method":"sum","params":[1,2],"id":1,"result":5,"error":null}"#,
    ] {
        raw.check(text, &[&answer]).await;
    }
}

#[tokio::test]
async fn a_request_without_version_2_0_is_invalid() {
    let mut raw = Raw::client(server()).await;
    for version in [
        "",
        r#""jsonrpc":"1.0","#,
        r#""jsonrpc":"2","#,
        r#""jsonrpc":"2.00","#,
        r#""jsonrpc":2.0,"#,
        r#""jsonrpc":2,"#,
        r#""jsonrpc":null,"#,
        r#""jsonrpc":"","#,
        r#""jsonrpc":["2.0"],"#,
        r#""JSONRPC":"2.0","#,
    ] {
        let text = format!(r#"{{{version}"method":"sum","params":[1,2],"id":7}}"#);
        let why = match version.contains("jsonrpc") {
            true => r#""jsonrpc" must be "2.0""#,
            false => r#""jsonrpc" is missing, expected "2.0""#,
        };
        raw.check(&text, &[&invalid_request(why, "7")]).await;
    }
}

/// The error has the request's id if it could be read, otherwise null.
#[tokio::test]
async fn json_that_is_no_request_is_an_invalid_request() {
    let mut raw = Raw::client(server()).await;
    for (text, why, id) in [
        ("{}", r#""method" is missing"#, "null"),
        ("1", "expected an object, got a number", "null"),
        ("-1.5e3", "expected an object, got a number", "null"),
        (r#""text""#, "expected an object, got a string", "null"),
        ("true", "expected an object, got a boolean", "null"),
        ("null", "expected an object, got null", "null"),
        ("[]", "the batch is empty", "null"),
        ("[ \n]", "the batch is empty", "null"),
        (r#"{"id":5}"#, r#""method" is missing"#, "5"),
        (r#"{"id":{}}"#, r#""method" is missing"#, "null"),
        (r#"{"jsonrpc":"2.0","id":"a"}"#, r#""method" is missing"#, r#""a""#),
        (r#"{"jsonrpc":"2.0","params":[1,2],"id":6}"#, r#""method" is missing"#, "6"),
        (
            r#"{"jsonrpc":"2.0","method":null,"id":7}"#,
            r#""method" must be a string, got null"#,
            "7",
        ),
        (
            r#"{"jsonrpc":"2.0","method":1,"id":8}"#,
            r#""method" must be a string, got a number"#,
            "8",
        ),
        (
            r#"{"jsonrpc":"2.0","method":["sum"],"id":8}"#,
            r#""method" must be a string, got an array"#,
            "8",
        ),
        (r#"{"jsonrpc":"2.0","method":"\udead","id":9}"#, r#""method" has an invalid escape"#, "9"),
        (r#"{"jsonrpc":"2.0","method":1}"#, r#""method" must be a string, got a number"#, "null"),
        (
            r#"{"notification":"rpc-websockets event","params":[]}"#,
            r#""method" is missing"#,
            "null",
        ),
        (
            r#"{"jsonrpc":"2.0","Method":"sum","params":[1,2],"id":10}"#,
            r#""method" is missing"#,
            "10",
        ),
    ] {
        let refused = invalid_request(why, id);
        raw.check(text, &[&refused]).await;
        if !text.starts_with('[') {
            raw.check(&format!("[{text}]"), &[&format!("[{refused}]")]).await;
        }
    }
}

/// It is undefined which of the two members would count.
#[tokio::test]
async fn a_duplicate_member_is_an_invalid_request() {
    let mut raw = Raw::client(server()).await;
    for (text, member) in [
        (r#"{"jsonrpc":"2.0","jsonrpc":"2.0","method":"sum","params":[1,2],"id":1}"#, "jsonrpc"),
        (r#"{"jsonrpc":"2.0","method":"sum","method":"quick","params":[1,2],"id":1}"#, "method"),
        (r#"{"jsonrpc":"2.0","method":"sum","params":[1,2],"params":[1,3],"id":1}"#, "params"),
        (r#"{"jsonrpc":"2.0","method":"sum","params":[1,2],"id":1,"id":2}"#, "id"),
        (r#"{"jsonrpc":"2.0","method":"sum","params":[1,2],"id":1,"\u0069d":1}"#, "id"),
        (r#"{"jsonrpc":"2.0","method":"sum","result":1,"id":1, "result" :1}"#, "result"),
    ] {
        let refused = invalid_request(&format!("duplicate member \"{member}\""), "null");
        raw.check(text, &[&refused]).await;
        raw.check(&format!("[ {text}]"), &[&format!("[{refused}]")]).await;
    }
    let other = r#"{"jsonrpc":"2.0","method":"sum","params":[1,2],"id":1,"x":1,"x":2}"#;
    raw.check(other, &[&result("3", "1")]).await;
}

#[tokio::test]
async fn text_that_is_not_json_is_a_parse_error() {
    let mut raw = Raw::client(server()).await;
    let request = request("sum", "[1,2]", "1");
    let bom = format!("\u{feff}{request}");
    let behind = format!("{request}{request}");
    let comma = format!("[{request},]");
    for text in [
        "",
        " ",
        "\n",
        "{",
        "}",
        "[",
        "]",
        "[1,",
        "[1 2]",
        "nul",
        "NaN",
        "01",
        "'a'",
        "hello",
        "{\"a\":}",
        "{a:1}",
        "// comment\n{}",
        r#"{"jsonrpc":"2.0","method":"sum","params":[1,2],"id":1"#,
        r#"{"jsonrpc":"2.0","method":"sum","params":[1,2],"id":1}}"#,
        r#"{"jsonrpc":"2.0","method":"sum","params":[1,2],"id":01}"#,
        "{\"jsonrpc\":\"2.0\",\"method\":\"su\nm\",\"id\":1}",
        r#"{"jsonrpc":"2.0","method":"\x","id":1}"#,
        &bom,
        &behind,
        &comma,
    ] {
        raw.check(text, &[&parse_error()]).await;
    }
}

#[tokio::test]
async fn deep_nesting_is_one_clean_error() {
    const DEEP: usize = 100_000;
    let (open, close) = ("[".repeat(DEEP), "]".repeat(DEEP));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(DEEP), "}".repeat(DEEP));
    let whole = format!("{open}{close}");
    let mut raw =
        Raw::client(server().method("any", |_, value: serde_json::Value| async move { Ok(value) }))
            .await;
    let invalid = invalid_request("expected an object, got an array", "null");
    raw.check(&open, &[&parse_error()]).await;
    raw.check(&whole, &[&format!("[{invalid}]")]).await;
    let no_method = invalid_request(r#""method" is missing"#, "null");
    raw.check(&objects, &[&no_method]).await;
    raw.check(&request("no.such.method", &whole, "1"), &[&not_found("1")]).await;
    let why = r#""id" must be a string, a number or null, got an array"#;
    raw.check(&request("sum", "[1,2]", &whole), &[&invalid_request(why, "null")]).await;
    for (method, params) in [("any", &whole), ("any", &objects), ("sum", &whole)] {
        let answer = raw.ask(request(method, params, "1")).await;
        assert!(answer.starts_with(r#"{"jsonrpc":"2.0","error":{"code":-32602,"#), "{answer:.300}");
        assert!(answer.ends_with(r#"},"id":1}"#) && answer.len() < 500, "{answer:.300}");
    }
}

#[tokio::test]
async fn a_response_without_a_pending_call_is_dropped() {
    let mut raw = Raw::client(server()).await;
    for text in [
        r#"{"jsonrpc":"2.0","result":1,"id":1}"#,
        r#"{"jsonrpc":"2.0","result":1,"id":"s1"}"#,
        r#"{"jsonrpc":"2.0","result":null,"id":null}"#,
        r#"{"jsonrpc":"2.0","result":1}"#,
        r#"{"result":1}"#,
        r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request"},"id":null}"#,
        r#"{"jsonrpc":"2.0","error":{"code":1,"message":""},"id":[]}"#,
        r#"{"jsonrpc":"2.0","error":"not even an object","id":"s1"}"#,
        r#"{"jsonrpc":"2.0","result":1,"error":{"code":1,"message":""},"id":"s1"}"#,
        r#"[{"jsonrpc":"2.0","result":1,"id":1},{"jsonrpc":"2.0","result":2,"id":2}]"#,
    ] {
        raw.check(text, &[]).await;
    }
}

#[tokio::test]
async fn a_batch_is_answered_with_one_array_in_its_order() {
    let mut raw = Raw::client(server()).await;
    let (one, two) = (request("sum", "[1,2]", "1"), request("sum", "[2,2]", "\"b\""));
    let silent = notification("sum", "[1,2]");
    let (is_one, is_two) = (result("3", "1"), result("4", "\"b\""));
    let invalid = |kind| invalid_request(&format!("expected an object, got {kind}"), "null");
    let no_method = |id| invalid_request(r#""method" is missing"#, id);
    let (number, null, array) = (invalid("a number"), invalid("null"), invalid("an array"));
    let text = invalid("a string");
    for (batch, expected) in [
        (vec![&*one], vec![&*is_one]),
        (vec![&one, &two], vec![&is_one, &is_two]),
        (vec![&two, &silent, &one, &silent], vec![&is_two, &is_one]),
        (vec![&one, &one], vec![&is_one, &is_one]),
        (vec!["1", &one, "null", "\"x\""], vec![&number, &is_one, &null, &text]),
        (vec!["[]", "{}", &one], vec![&array, &no_method("null"), &is_one]),
        (vec!["[[]]", &format!("[{one}]"), &two], vec![&array, &array, &is_two]),
        (vec![&one, r#"{"jsonrpc":"2.0","result":1,"id":1}"#], vec![&is_one]),
        (vec![r#"{"id":9}"#, &one], vec![&no_method("9"), &is_one]),
    ] {
        let expected = format!("[{}]", expected.join(","));
        raw.check(&format!("[{}]", batch.join(",")), &[&expected]).await;
        raw.check(&format!(" [ {} ]\n", batch.join(" ,\t")), &[&expected]).await;
    }
    raw.check(&format!("[{silent},{silent}]"), &[]).await;
}

#[tokio::test]
async fn the_entries_of_a_batch_run_concurrently() {
    let gate = Gate::default();
    let at_gate = gate.clone();
    let mut raw = Raw::client(server().method("gated", move |_, (number,): (i64,)| {
        let gate = at_gate.clone();
        async move {
            gate.pass().await;
            Ok(number)
        }
    }))
    .await;
    let entries = [
        request("gated", "[1]", "1"),
        request("sum", "[1,2]", "2"),
        request("gated", "[3]", "3"),
        notification("gated", "[4]"),
    ];
    raw.send(format!("[{}]", entries.join(","))).await;
    gate.arrived(3).await;
    raw.check(&request("sum", "[2,2]", "9"), &[&result("4", "9")]).await;
    gate.open(3);
    let expected = [result("1", "1"), result("3", "2"), result("3", "3")].join(",");
    assert_eq!(raw.receive().await, format!("[{expected}]"));
}

#[tokio::test]
async fn a_batch_over_the_limit_is_answered_with_one_error() {
    let config = Config { max_batch: 3, ..Config::default() };
    let mut raw = Raw::client(server().config(config)).await;
    let entries =
        |count: usize| format!("[{}]", vec![request("sum", "[1,2]", "1"); count].join(","));
    let answers = format!("[{}]", vec![result("3", "1"); 3].join(","));
    raw.check(&entries(3), &[&answers]).await;
    let too_many = error(-32600, "Invalid Request: a batch may have at most 3 entries", "null");
    raw.check(&entries(4), &[&too_many]).await;
    raw.check(&format!("[{}]", vec!["1"; 100_000].join(",")), &[&too_many]).await;
    // The rest is not looked at, even if it is not JSON, however large it is.
    raw.check(&format!("[{}", vec!["1"; 100].join(",")), &[&too_many]).await;
    raw.check(&format!("[{}", vec!["1"; 100_000].join(",")), &[&too_many]).await;
    raw.check("[1,1,1,", &[&parse_error()]).await;
    let silent = format!("[{}]", vec![notification("sum", "[1,2]"); 4].join(","));
    raw.check(&silent, &[&too_many]).await;
}

#[tokio::test]
async fn many_messages_at_once_are_answered_one_by_one() {
    let mut raw = Raw::client(server()).await;
    for id in 0..500 {
        let text = request("sum", &format!("[{id},1]"), &id.to_string());
        raw.socket.feed(Message::text(text)).await.unwrap();
    }
    raw.socket.flush().await.unwrap();
    for id in 0..500 {
        assert_eq!(raw.receive().await, result(&(id + 1).to_string(), &id.to_string()));
    }
}
