//! `#[derive(RpcError)]`: converting a value to an error object and back. `derive_wire` tests it
//! over a connection.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{self, Debug, Display};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use wsjsonrpc::{ErrorObject, RpcError};

#[derive(Debug, PartialEq, RpcError)]
enum BankError {
    #[rpc_error(code = 1001, message = "insufficient funds")]
    Insufficient { missing: u64 },
    #[rpc_error(code = 1002)]
    NoSuchAccount(String),
    #[rpc_error(code = -5, message = "{1}: over the limit of {0:.2} in {{{1}}}")]
    OverLimit(f64, String),
    #[rpc_error(code = 0x3EC)]
    Closed,
    #[rpc_error(code = 1005, message = "{{closed}}")]
    NoFields {},
    #[rpc_error(code = 1006, message = "{limit:>5}, not {type:?}{limit}")]
    Several {
        #[rpc_error(rename = "max", default)]
        limit: u8,
        r#type: Option<String>,
    },
}

/// An error object as received from a peer.
fn received(code: i64, data: Option<&str>) -> ErrorObject {
    let data = data.map(|data| format!(r#","data":{data}"#)).unwrap_or_default();
    serde_json::from_str(&format!(r#"{{"code":{code},"message":"m"{data}}}"#)).unwrap()
}

/// The parts of the error object for this value; checks that it decodes to the same value.
#[track_caller]
fn sent<E: RpcError + PartialEq + Debug>(error: E) -> (i64, String, Option<String>) {
    let object = error.to_object();
    let data = object.data().map(RawValue::get).map(str::to_owned);
    let sent = (object.code().0, object.message().to_owned(), data);
    assert_eq!(E::from_object(object).unwrap(), error);
    sent
}

fn parts(code: i64, message: &str, data: &str) -> (i64, String, Option<String>) {
    (code, message.to_owned(), (!data.is_empty()).then(|| data.to_owned()))
}

#[test]
fn each_shape_of_variant_has_its_own_data() {
    let insufficient = BankError::Insufficient { missing: 50 };
    assert_eq!(sent(insufficient), parts(1001, "insufficient funds", r#"{"missing":50}"#));
    let none = BankError::NoSuchAccount("\"eve\"".to_owned());
    assert_eq!(sent(none), parts(1002, "no such account", r#""\"eve\"""#));
    let over = BankError::OverLimit(0.5, "EUR".to_owned());
    assert_eq!(sent(over), parts(-5, "EUR: over the limit of 0.50 in {EUR}", r#"[0.5,"EUR"]"#));
    assert_eq!(sent(BankError::Closed), parts(1004, "closed", ""));
    assert_eq!(sent(BankError::NoFields {}), parts(1005, "{closed}", ""));
    let several = BankError::Several { limit: 7, r#type: None };
    assert_eq!(sent(several), parts(1006, "    7, not None7", r#"{"max":7,"type":null}"#));
}

#[test]
fn optional_data_may_be_absent_and_unknown_data_is_ignored() {
    let several = |limit| BankError::Several { limit, r#type: None };
    for (code, data, expected) in [
        (1006, None, several(0)),
        (1006, Some("{}"), several(0)),
        (1006, Some(r#"{"max":3,"limit":"unknown"}"#), several(3)),
        (
            1001,
            Some(r#"{"missing":1,"since":{"year":1999}}"#),
            BankError::Insufficient { missing: 1 },
        ),
        (-5, Some(r#"[1,"x",[]]"#), BankError::OverLimit(1.0, "x".to_owned())),
        (1004, Some("[1]"), BankError::Closed),
    ] {
        assert_eq!(BankError::from_object(received(code, data)).unwrap(), expected, "{data:?}");
    }
}

#[test]
fn an_error_object_that_does_not_fit_is_returned_unchanged() {
    for (code, data) in [
        (1, None),
        (-32601, None),
        (1000, Some(r#"{"missing":50}"#)),
        (1001, None),
        (1001, Some("50")),
        (1001, Some(r#"{"missing":-1}"#)),
        (1001, Some(r#"{"missing":null}"#)),
        (1001, Some(r#"[50]"#)),
        (1002, None),
        (1002, Some(r#"["ada"]"#)),
        (-5, Some("[1]")),
        (-5, Some(r#"{"0":1,"1":"x"}"#)),
        (1006, Some(r#"{"max":256}"#)),
    ] {
        let object = received(code, data);
        assert_eq!(BankError::from_object(object.clone()).unwrap_err(), object, "{data:?}");
    }
}

#[derive(Debug, PartialEq, RpcError, thiserror::Error)]
enum StoreError {
    #[error("only {left} left of {}", article.to_uppercase())]
    #[rpc_error(code = 2001)]
    SoldOut { article: String, left: u32 },
    #[error("for the log")]
    #[rpc_error(code = 2002, message = "for the caller")]
    Secret,
    #[error(transparent)]
    #[rpc_error(code = 2003)]
    Parse(#[from] Parse),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("not a number: {0}")]
#[serde(transparent)]
struct Parse(String);

#[test]
fn the_message_is_display_unless_the_attribute_sets_one() {
    let sold_out = StoreError::SoldOut { article: "pear".to_owned(), left: 0 };
    let data = r#"{"article":"pear","left":0}"#;
    assert_eq!(sent(sold_out), parts(2001, "only 0 left of PEAR", data));
    assert_eq!(sent(StoreError::Secret), parts(2002, "for the caller", ""));
    let parse = StoreError::from(Parse("x".to_owned()));
    assert_eq!(sent(parse), parts(2003, "not a number: x", r#""x""#));
}

#[derive(Debug, PartialEq, RpcError)]
#[rpc_error(display, rename_all = "camelCase")]
enum Spoken {
    #[rpc_error(code = 1)]
    First {
        how_many: u8,
        #[rpc_error(rename = "as_it_is")]
        other: u8,
    },
    #[rpc_error(code = 2, message = "its own")]
    Second,
}

impl Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("in {words}")
    }
}

#[test]
fn display_is_derived_from_the_message_on_request() {
    let first = Spoken::First { how_many: 1, other: 2 };
    assert_eq!(sent(first), parts(1, "in {words}", r#"{"howMany":1,"as_it_is":2}"#));
    assert_eq!(sent(Spoken::Second), parts(2, "its own", ""));
}

#[derive(Debug, PartialEq, RpcError)]
#[rpc_error(code = 3001, message = "try again in {seconds} s")]
struct RateLimited {
    seconds: u32,
}

#[derive(Debug, PartialEq, RpcError)]
#[rpc_error(code = 3002)]
struct OutOfStock;

#[derive(Debug, PartialEq, RpcError, thiserror::Error)]
#[rpc_error(code = 3003)]
#[error("{0} and {1:?}")]
struct Pair(u8, Option<u8>);

#[derive(Debug, PartialEq, RpcError)]
#[rpc_error(transparent)]
struct Wrapped(OutOfStock);

#[test]
fn a_struct_is_one_kind_of_error() {
    let limited = RateLimited { seconds: 9 };
    assert_eq!(sent(limited), parts(3001, "try again in 9 s", r#"{"seconds":9}"#));
    assert_eq!(sent(OutOfStock), parts(3002, "out of stock", ""));
    assert_eq!(sent(Pair(1, None)), parts(3003, "1 and None", "[1,null]"));
    assert_eq!(Pair::from_object(received(3003, Some("[1]"))).unwrap(), Pair(1, None));
    assert_eq!(sent(Wrapped(OutOfStock)), parts(3002, "out of stock", ""));
}

#[derive(Debug, PartialEq, RpcError)]
enum AppError {
    /// Has the same code as a variant of `BankError`, and takes precedence because it comes first.
    #[rpc_error(code = 1004)]
    Shut,
    #[rpc_error(transparent)]
    Bank(BankError),
    #[rpc_error(transparent)]
    Stock { inner: OutOfStock },
    #[rpc_error(transparent)]
    Other(ErrorObject),
}

#[test]
fn a_transparent_variant_travels_as_its_field_does() {
    assert_eq!(sent(AppError::Shut), parts(1004, "shut", ""));
    let bank = AppError::Bank(BankError::Insufficient { missing: 1 });
    assert_eq!(sent(bank), parts(1001, "insufficient funds", r#"{"missing":1}"#));
    let stock = AppError::Stock { inner: OutOfStock };
    assert_eq!(sent(stock), parts(3002, "out of stock", ""));
    let other = AppError::Other(ErrorObject::new(7, "seven").with_data([1]));
    assert_eq!(sent(other), parts(7, "seven", "[1]"));
    let wrong = received(1001, Some("50"));
    assert_eq!(AppError::from_object(wrong.clone()).unwrap(), AppError::Other(wrong));
}

mod codes {
    pub(super) const GONE: i64 = 4001;
    pub(super) const MOVED: i64 = GONE + 1;
}

#[derive(Debug, PartialEq, RpcError)]
enum Constant {
    #[rpc_error(code = codes::GONE)]
    Gone,
    #[rpc_error(code = codes::MOVED)]
    Moved { to: Cow<'static, str> },
    #[rpc_error(code = 4003)]
    Literal,
}

#[test]
fn a_code_may_be_a_constant() {
    assert_eq!(sent(Constant::Gone), parts(4001, "gone", ""));
    let moved = Constant::Moved { to: "x".into() };
    assert_eq!(sent(moved), parts(4002, "moved", r#"{"to":"x"}"#));
    assert_eq!(sent(Constant::Literal), parts(4003, "literal", ""));
}

#[derive(Debug, PartialEq, RpcError)]
enum Generic<T, const N: usize>
where
    T: Serialize + DeserializeOwned + Display + Send + 'static,
{
    #[rpc_error(code = 5001, message = "not {0}")]
    Not(T),
    #[rpc_error(code = 5002)]
    Either { first: T, others: Vec<T> },
}

#[test]
fn a_generic_error_is_decoded_as_the_callers_type() {
    assert_eq!(sent(Generic::<u8, 1>::Not(1)), parts(5001, "not 1", "1"));
    let either = Generic::<String, 2>::Either { first: "a".to_owned(), others: Vec::new() };
    assert_eq!(sent(either), parts(5002, "either", r#"{"first":"a","others":[]}"#));
    assert!(Generic::<u8, 1>::from_object(received(5001, Some("256"))).is_err());
}

#[derive(Debug, PartialEq, RpcError)]
enum Conditional {
    #[cfg(not(test))]
    #[rpc_error(code = 1)]
    Never(NoSuchType),
    #[cfg(test)]
    #[rpc_error(code = 1)]
    Always,
    #[cfg_attr(test, rpc_error(code = 2, message = "perhaps"))]
    Perhaps {
        #[cfg(not(test))]
        never: NoSuchType,
    },
}

#[test]
fn a_variant_removed_by_cfg_is_absent() {
    assert_eq!(sent(Conditional::Always), parts(1, "always", ""));
    assert_eq!(sent(Conditional::Perhaps {}), parts(2, "perhaps", ""));
}

#[derive(Debug, PartialEq, RpcError)]
enum Awkward {
    #[rpc_error(code = 1)]
    Map { by_list: HashMap<Vec<u8>, u8>, fine: u8 },
    #[rpc_error(code = 2)]
    One(HashMap<Vec<u8>, u8>),
    #[rpc_error(code = 3, message = "{0}")]
    Silent(Mute),
    #[rpc_error(code = 4)]
    Nothing(Option<u8>),
    #[rpc_error(code = 5)]
    Filled(#[rpc_error(default)] Vec<u8>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Mute;

impl Display for Mute {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Err(fmt::Error)
    }
}

#[test]
fn fields_that_do_not_serialize_are_left_out() {
    let map = || HashMap::from([(vec![1], 1)]);
    for error in [Awkward::Map { by_list: map(), fine: 1 }, Awkward::One(map())] {
        let object = error.to_object();
        assert!(object.data().is_none(), "{object:?}");
        assert_eq!(Awkward::from_object(object.clone()).unwrap_err(), object);
    }
    assert_eq!(sent(Awkward::Silent(Mute)), parts(3, "", "null"));
}

#[test]
fn the_only_field_may_be_null_or_left_out() {
    assert_eq!(sent(Awkward::Nothing(None)), parts(4, "nothing", "null"));
    assert_eq!(Awkward::from_object(received(4, None)).unwrap(), Awkward::Nothing(None));
    assert_eq!(Awkward::from_object(received(5, None)).unwrap(), Awkward::Filled(Vec::new()));
    assert!(Awkward::from_object(received(5, Some("1"))).is_err());
}

#[derive(Debug, PartialEq, RpcError)]
enum Never {}

#[test]
fn an_enum_without_variants_matches_nothing() {
    assert!(Never::from_object(received(1, None)).is_err());
}
