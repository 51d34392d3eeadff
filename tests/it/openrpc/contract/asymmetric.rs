//! Types that are read in another form than they are written in. No typed client can send them as
//! params, so the values are JSON texts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cases::{case, echoes};

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all(serialize = "camelCase", deserialize = "SCREAMING-KEBAB-CASE"))]
pub(super) struct TwoCases {
    first_field: u8,
    #[serde(rename(serialize = "out", deserialize = "in"))]
    second_field: Option<u8>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all(serialize = "lowercase", deserialize = "UPPERCASE"))]
pub(super) enum TwoNames {
    One,
    Two(u8),
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct OneWay {
    /// Only in params.
    #[serde(skip_serializing)]
    #[allow(dead_code)]
    password: String,
    /// Only in results.
    #[serde(skip_deserializing)]
    rank: u8,
    both: u8,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) enum OneWayVariants {
    Both,
    #[serde(skip_deserializing)]
    #[allow(dead_code)]
    Written,
    #[serde(skip_serializing)]
    Read,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Exact {
    a: u8,
    b: Option<u8>,
}

/// Is read from another struct than it is written as.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Exact")]
pub(super) struct FromExact {
    a: u8,
    b: Option<u8>,
    #[serde(skip_deserializing)]
    sum: u16,
}

impl From<Exact> for FromExact {
    fn from(exact: Exact) -> Self {
        let sum = u16::from(exact.a) + u16::from(exact.b.unwrap_or_default());
        FromExact { a: exact.a, b: exact.b, sum }
    }
}

/// Is written as another struct than it is read as.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(into = "Total")]
pub(super) struct Parts {
    parts: Vec<u8>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Total {
    total: u64,
}

impl From<Parts> for Total {
    fn from(parts: Parts) -> Self {
        Total { total: parts.parts.into_iter().map(u64::from).sum() }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Holder<T> {
    held: Vec<T>,
    more: Option<Box<Holder<T>>>,
}

echoes! {
    Asymmetric, AsymmetricClient;
    two_cases(TwoCases): [], case().accepts(&[r#"{"FIRST-FIELD":1,"in":2}"#, r#"{"FIRST-FIELD":1}"#])
        .refuses(&[r#"{"firstField":1,"in":2}"#]);
    two_names(TwoNames): [], case().accepts(&["\"ONE\"", r#"{"TWO":1}"#]).refuses(&["\"one\"", r#"{"two":1}"#]);
    one_way(OneWay): [], case().accepts(&[r#"{"password":"x","both":1}"#]).refuses(&[r#"{"rank":1,"both":1}"#]);
    read_from(FromExact): [], case().accepts(&[r#"{"a":1}"#, r#"{"a":1,"b":2}"#]).refuses(&[r#"{"a":1,"sum":1}"#]);
    parts(Parts): [], case().accepts(&[r#"{"parts":[1,2]}"#]).refuses(&[r#"{"total":1}"#]);
    holder(Holder<Parts>): [], case().accepts(&[r#"{"held":[{"parts":[1]}]}"#, r#"{"held":[],"more":{"held":[]}}"#])
        .refuses(&[r#"{"held":[{"total":1}]}"#]);
}
