//! JSON-RPC messages as text.

use serde_json::Value;

/// Checks that two texts are the same JSON, whatever their white space and the order of members.
#[track_caller]
pub fn assert_same_json(got: &str, expected: &str, context: &str) {
    let parse = |text: &str| -> Value {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
    };
    assert_eq!(parse(got), parse(expected), "for {context}");
}

/// A request, as text. `params` and `id` are JSON.
pub fn request(method: &str, params: &str, id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params},"id":{id}}}"#)
}

/// A notification, as text. `params` is JSON.
pub fn notification(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#)
}

/// A successful response, as text.
pub fn result(result: &str, id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","result":{result},"id":{id}}}"#)
}

/// An error response without data, as text.
pub fn error(code: i64, message: &str, id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","error":{{"code":{code},"message":"{message}"}},"id":{id}}}"#)
}

/// The error about JSON that is not a request. `why` follows "Invalid Request: ".
pub fn invalid_request(why: &str, id: &str) -> String {
    error(-32600, &format!("Invalid Request: {why}").replace('"', "\\\""), id)
}

/// The response to `[]`, which tests send to check that everything before was read.
pub fn empty_batch() -> String {
    invalid_request("the batch is empty", "null")
}

/// The response to a number, which tests send for the same reason.
pub fn not_an_object() -> String {
    invalid_request("expected an object, got a number", "null")
}

/// The error about an unknown method.
pub fn method_not_found(method: &str, id: &str) -> String {
    error(-32601, &format!("Method not found: \\\"{method}\\\""), id)
}

/// A notification that cancels a request.
pub fn cancel(id: &str) -> String {
    notification("$/cancelRequest", &format!(r#"{{"id":{id}}}"#))
}

/// The response to a request that was cancelled.
pub fn cancelled(id: &str) -> String {
    error(-32800, "Request cancelled", id)
}

/// The response to a request over an in-flight limit.
pub fn busy(id: &str) -> String {
    error(-32000, "Server busy", id)
}

/// The response that replaces a result over `max_outgoing_message`.
pub fn too_large(id: &str) -> String {
    error(-32003, "Result too large", id)
}

/// An item of a subscription, in a notification of this name. `id` and `item` are JSON.
pub fn item(name: &str, id: &str, item: &str) -> String {
    notification(name, &format!(r#"{{"subscription":{id},"result":{item}}}"#))
}

/// The end of a subscription. `id` and `error` are JSON.
pub fn end(name: &str, id: &str, error: &str) -> String {
    notification(name, &format!(r#"{{"subscription":{id},"error":{error}}}"#))
}

/// The id of a request, as JSON.
pub fn id_of(request: &str) -> String {
    let request: Value = serde_json::from_str(request).expect("a request is JSON");
    request["id"].to_string()
}
