//! Property tests: the decoder, the reference decoder and serde_json alone read back everything
//! that was written. The messages have all forms, with random ids, names and values.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::decode::{
    Entry, IncomingCall, IncomingResponse, Limits, Payload, ResponseOutcome, payload,
};
use super::encode::{Form, OutgoingMessage, array, begin_result, end_response, error_response};
use super::error::ErrorObject;
use super::id::Id;
use super::item::Position;
use super::properties::{number, run, string};
use super::reference::check_message;
use super::request_extensions::{ReceivedExtensions, Resume, SentExtensions, Trace};

/// Parameter names, some of which must be escaped.
const NAMES: &[&str] = &["a", "", "b\"c", "d\\", "é\n", "id", "method"];

/// Any text, including control characters.
fn text() -> impl Strategy<Value = String> {
    const ODD: &[&str] = &["", "rpc.on", "a.b", "\"", "\\", "\u{0}", "\u{1f}\n", "é", "\u{1f600}"];
    let mixed = vec(prop_oneof![select(ODD).prop_map(str::to_owned), any::<String>()], 0..3);
    prop_oneof![2 => "[a-z_.]{1,12}", 1 => mixed.prop_map(|parts| parts.concat())]
}

/// Any value that serializes.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((text(), inner), 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Any id, in the form in which its sender has written it.
fn id() -> impl Strategy<Value = Id> {
    let written = prop_oneof![
        2 => number(),
        2 => string(),
        1 => Just("null".to_owned()),
        // In the forms that clients and servers of this crate write.
        2 => (1..u64::MAX).prop_map(|number| number.to_string()),
        1 => (1..u64::MAX).prop_map(|number| format!("\"s{number}\"")),
    ];
    written.prop_filter_map("not an id", |json| {
        serde_json::from_str::<&RawValue>(&json).ok()?;
        let id = Id::from_json(&json)?;
        assert_eq!(id.to_string(), json, "not returned verbatim");
        Some(id)
    })
}

/// A message, and its meaning.
#[derive(Clone, Debug)]
struct Written {
    text: Vec<u8>,
    id: Option<Id>,
    says: Says,
}

#[derive(Clone, Debug)]
enum Says {
    Call { method: String, params: Option<String>, extensions: SentExtensions<'static> },
    Result(String),
    Error(ErrorObject),
}

/// How the arguments of a call are passed.
#[derive(Clone, Copy, Debug)]
enum Passed {
    ByPosition,
    ByName,
    /// Written by position, then converted to names.
    NamedAfterwards,
    Whole,
}

fn extensions() -> impl Strategy<Value = SentExtensions<'static>> {
    let some = || proptest::option::of(any::<u64>());
    static AFTER: Resume = Resume::After(Position { epoch: String::new(), offset: 7 });
    let resume = select(vec![None, Some(&Resume::FromNow), Some(&AFTER)]);
    (some(), any::<bool>(), some(), resume).prop_map(|(timeout, progress, window, resume)| {
        SentExtensions { timeout: timeout.map(Duration::from_millis), progress, window, resume }
    })
}

fn call() -> impl Strategy<Value = Written> {
    let passed =
        select(vec![Passed::ByPosition, Passed::ByName, Passed::NamedAfterwards, Passed::Whole]);
    let args = vec(value(), 0..NAMES.len());
    let id = proptest::option::of(id());
    (text(), passed, args, id, extensions()).prop_map(|(method, passed, args, id, extensions)| {
        let (form, names) = match passed {
            Passed::ByPosition => (Form::Positional, &[][..]),
            Passed::ByName => (Form::Named, NAMES),
            Passed::NamedAfterwards => (Form::Positional, &NAMES[..args.len()]),
            Passed::Whole => (Form::Whole, &[][..]),
        };
        let mut outgoing = OutgoingMessage::new(method.clone().into(), form, names);
        let params = match passed {
            _ if args.is_empty() => None,
            Passed::Whole => {
                // A list, an object, or null: none.
                let whole = match args.len() {
                    1 => args.into_iter().next().filter(|first| first.is_object()),
                    2 => None,
                    _ => Some(Value::from(args)),
                };
                outgoing.arg(&whole).unwrap();
                whole.map(|whole| whole.to_string())
            }
            _ => {
                args.iter().for_each(|arg| outgoing.arg(arg).unwrap());
                outgoing.end_args();
                let named = |(name, arg)| format!("{}:{arg}", json!(name));
                Some(match passed {
                    Passed::ByPosition => Value::from(args).to_string(),
                    _ => {
                        outgoing.name_args().unwrap();
                        let members: Vec<_> = NAMES.iter().zip(&args).map(named).collect();
                        format!("{{{}}}", members.join(","))
                    }
                })
            }
        };
        let text = match &id {
            Some(id) => outgoing.into_request(&extensions, |_| {}, |out| id.write(out)),
            None => outgoing.into_notification(),
        };
        Written { text, id, says: Says::Call { method, params, extensions } }
    })
}

fn response() -> impl Strategy<Value = Written> {
    let result = (id(), value()).prop_map(|(id, value)| {
        let mut text = begin_result(&value).unwrap();
        end_response(&mut text, &id);
        Written { text, id: Some(id), says: Says::Result(value.to_string()) }
    });
    // `"data": null` is read as no data.
    let data = proptest::option::of(value().prop_filter("null", |value| !value.is_null()));
    let error = (id(), any::<i64>(), text(), data).prop_map(|(id, code, message, data)| {
        let mut object = ErrorObject::new(code, message);
        if let Some(data) = data {
            object = object.with_data(data);
        }
        let mut text = Vec::new();
        error_response(&mut text, &object, &id);
        Written { text, id: Some(id), says: Says::Error(object) }
    });
    prop_oneof![result, error]
}

fn decoded(text: &str) -> Payload<'_> {
    payload(text, Limits { max_calls: 100, max_responses: &|| 100 })
}

/// Checks that the decoder has read what was written.
#[track_caller]
fn check_entry(entry: &Entry<'_>, written: &Written) {
    let id = written.id.as_ref().map(ToString::to_string);
    match (&written.says, entry) {
        (Says::Call { method, params, extensions }, Entry::Call(call)) => {
            let (id, trace) = (written.id.clone(), Trace::default());
            let (params, extra) = (params.as_deref(), call.extra);
            assert_eq!(*call, IncomingCall { id, method: method.into(), params, extra, trace });
            // A notification has no progress.
            let progress = written.id.as_ref().filter(|id| extensions.progress && **id != Id::NULL);
            let expected = match written.id {
                Some(_) => ReceivedExtensions {
                    timeout: extensions.timeout,
                    progress: progress.map(|id| id.to_string().into()),
                    window: extensions.window,
                    resume: extensions.resume.cloned().map(Box::new),
                },
                None => ReceivedExtensions::default(),
            };
            assert_eq!(extra.map(ReceivedExtensions::read).unwrap_or_default(), expected);
        }
        (Says::Result(json), Entry::Response(response)) => {
            let outcome = ResponseOutcome::Result(json);
            assert_eq!(*response, IncomingResponse { id: id.as_deref(), outcome });
        }
        (Says::Error(object), Entry::Response(response)) => {
            assert_eq!(response.id, id.as_deref());
            let ResponseOutcome::Error(json) = response.outcome else { panic!("{response:?}") };
            assert_eq!(serde_json::from_str::<ErrorObject>(json).unwrap(), *object);
        }
        (says, entry) => panic!("{says:?} was read as {entry:?}"),
    }
}

/// Checks that serde_json reads the same, without any code of this crate.
#[track_caller]
fn check_members(message: &RawValue, written: &Written) {
    let mut members: BTreeMap<&str, &RawValue> = serde_json::from_str(message.get()).unwrap();
    let mut take = |name: &str| members.remove(name).map(RawValue::get);
    assert_eq!(take("jsonrpc"), Some("\"2.0\""));
    let id = take("id");
    assert_eq!(id, written.id.as_ref().map(ToString::to_string).as_deref());
    match &written.says {
        Says::Call { method, params, extensions } => {
            let extra: BTreeMap<&str, &RawValue> =
                serde_json::from_str(take("wsjsonrpc").unwrap_or("{}")).unwrap();
            let extra: Vec<_> = extra.iter().map(|(name, json)| (*name, json.get())).collect();
            let timeout = extensions.timeout.map(|timeout| timeout.as_millis().to_string());
            let window = extensions.window.map(|window| window.to_string());
            let resume = extensions.resume.map(|resume| match resume {
                Resume::FromNow => "true".to_owned(),
                Resume::After(position) => serde_json::to_string(position).unwrap(),
            });
            let extensions = [
                ("progress", id.filter(|_| extensions.progress)),
                ("resume", resume.as_deref()),
                ("timeout", timeout.as_deref()),
                ("window", window.as_deref()),
            ];
            // A notification has no progress.
            let said = extensions.into_iter().filter(|_| id.is_some());
            let expected: Vec<_> = said.filter_map(|(name, json)| Some((name, json?))).collect();
            assert_eq!(extra, expected);
            assert_eq!(serde_json::from_str::<String>(take("method").unwrap()).unwrap(), *method);
            assert_eq!(take("params"), params.as_deref());
        }
        Says::Result(json) => assert_eq!(take("result"), Some(json.as_str())),
        Says::Error(object) => {
            let error: Value = serde_json::from_str(take("error").unwrap()).unwrap();
            let mut expected = json!({ "code": object.code().0, "message": object.message() });
            if let Some(data) = object.data_as::<Value>() {
                expected["data"] = data;
            }
            assert_eq!(error, expected);
        }
    }
    assert!(members.is_empty(), "unexpected members: {members:?}");
}

fn check_alone(written: &Written) {
    let text = std::str::from_utf8(&written.text).unwrap();
    let Payload::One(entry) = decoded(text) else { panic!("{text:?} is not one message") };
    check_entry(&entry, written);
    check_members(serde_json::from_str(text).unwrap(), written);
    check_message(text);
}

fn check_batch(all: &[Written]) {
    let bytes = array(all.iter().map(|written| written.text.as_slice()));
    let text = std::str::from_utf8(&bytes).unwrap();
    match decoded(text) {
        Payload::EmptyBatch => assert!(all.is_empty(), "{text:?}"),
        Payload::Batch(entries) => {
            assert_eq!(entries.len(), all.len(), "{text:?}");
            entries.iter().zip(all).for_each(|((_, entry), written)| check_entry(entry, written));
        }
        other => panic!("{text:?} was read as {other:?}"),
    }
    let messages: Vec<&RawValue> = serde_json::from_str(text).unwrap();
    assert_eq!(messages.len(), all.len());
    messages.iter().zip(all).for_each(|(message, written)| check_members(message, written));
    check_message(text);
}

#[test]
fn every_call_and_notification_is_read_as_it_was_written() {
    run(1_500, call(), |written| check_alone(&written));
}

#[test]
fn every_result_and_error_is_read_as_it_was_written() {
    run(1_500, response(), |written| check_alone(&written));
}

#[test]
fn every_batch_is_read_as_it_was_written() {
    run(300, vec(call(), 0..6), |all| check_batch(&all));
    run(300, vec(response(), 0..6), |all| check_batch(&all));
    run(300, vec(prop_oneof![call(), response()], 0..6), |all| check_batch(&all));
}

/// An id passes through a request and a response back to the caller.
#[test]
fn every_id_comes_back_verbatim() {
    run(3_000, id(), |id| {
        let json = id.to_string();
        let request = format!("{{\"id\": {json} ,\"jsonrpc\":\"2.0\",\"method\":\"m\"}}");
        let Payload::One(Entry::Call(call)) = decoded(&request) else { panic!("{request:?}") };
        let mut answer = begin_result(&()).unwrap();
        end_response(&mut answer, &call.id.unwrap());
        let expected = format!("{{\"jsonrpc\":\"2.0\",\"result\":null,\"id\":{json}}}");
        assert_eq!(String::from_utf8(answer).unwrap(), expected);
    });
}
