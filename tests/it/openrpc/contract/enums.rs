//! Enums in all of serde's representations.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cases::{ALIASES, LISTS, OTHER_MEMBERS, case, echoes};

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Color {
    Red,
    DarkGreen,
    #[serde(rename = "BLUE")]
    Blue,
}

/// With a doc comment on each variant, the schema has one alternative for each.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Level {
    /// Nobody needs to read it.
    DebugOnly,
    /// Somebody should read it.
    Warning,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Point {
    x: i32,
    y: i32,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) enum External {
    Nothing,
    EmptyTuple(),
    EmptyStruct {},
    Number(u32),
    Maybe(Option<bool>),
    Pair(u8, String),
    Point(Point),
    Fields { a: Option<u8>, b: bool },
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
pub(super) enum Internal {
    Nothing,
    Point(Point),
    Fields { a: Option<u8>, b: bool },
    Other(BTreeMap<String, u8>),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "t", content = "c", rename_all = "snake_case")]
pub(super) enum Adjacent {
    Nothing,
    ANumber(u32),
    APair(u8, String),
    SomeFields { a: Option<u8>, b: bool },
    Maybe(Option<u8>),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Untagged {
    Flag(bool),
    Number(u64),
    Text(String),
    Pair(i8, i8),
    Point(Point),
    Named { name: String },
    Null,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "UPPERCASE")]
pub(super) enum Renamed {
    FirstOne {
        some_field: u8,
    },
    #[serde(rename = "2nd", rename_all = "kebab-case")]
    SecondOne {
        other_field: u8,
    },
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op")]
pub(super) enum WithOther {
    Add {
        n: u8,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) enum WithAlias {
    #[serde(alias = "old", alias = "older")]
    New,
    Plain,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) enum PartlyUntagged {
    Tagged(u8),
    #[serde(untagged)]
    Text(String),
    #[serde(untagged)]
    Point(Point),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields)]
pub(super) enum Strict {
    A { a: u8 },
    B { b: Option<u8> },
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) enum Skipping {
    Kept,
    #[serde(skip)]
    #[allow(dead_code)]
    Internal(u8),
    Fields {
        kept: u8,
        #[serde(skip)]
        skipped: u8,
    },
}

/// Travels as its number.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(into = "u8", try_from = "u8")]
pub(super) enum Numbered {
    One = 1,
    Two = 2,
}

impl From<Numbered> for u8 {
    fn from(value: Numbered) -> u8 {
        value as u8
    }
}

impl TryFrom<u8> for Numbered {
    type Error = String;

    fn try_from(value: u8) -> Result<Self, String> {
        match value {
            1 => Ok(Numbered::One),
            2 => Ok(Numbered::Two),
            other => Err(format!("{other} is not 1 or 2")),
        }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) enum Either<A, B> {
    Left(A),
    Right(B),
}

pub(super) fn untagged() -> [Untagged; 7] {
    [
        Untagged::Flag(true),
        Untagged::Number(7),
        Untagged::Text("x".into()),
        Untagged::Pair(-1, 1),
        Untagged::Point(Point { x: 1, y: -1 }),
        Untagged::Named { name: "x".into() },
        Untagged::Null,
    ]
}

echoes! {
    Enums, EnumsClient;
    color(Color): [Color::Red, Color::DarkGreen, Color::Blue], case().refuses(&["\"Red\"", "\"blue\"", "0"]);
    level(Level): [Level::DebugOnly, Level::Warning], case().refuses(&["\"Warning\""]);
    external(External): [
        External::Nothing,
        External::EmptyTuple(),
        External::EmptyStruct {},
        External::Number(7),
        External::Maybe(None),
        External::Maybe(Some(true)),
        External::Pair(1, "x".into()),
        External::Point(Point { x: 1, y: -1 }),
        External::Fields { a: Some(1), b: true },
        External::Fields { a: None, b: false },
    ], case()
        .accepts(&[r#"{"Fields":{"b":true}}"#])
        .narrow(LISTS, &[r#"{"EmptyStruct":[]}"#, r#"{"Point":[1,2]}"#])
        .refuses(&[r#""Number""#, r#"{"Number":1,"Nothing":null}"#, r#"{"Fields":{"a":1}}"#]);
    internal(Internal): [
        Internal::Nothing,
        Internal::Point(Point { x: 1, y: -1 }),
        Internal::Fields { a: Some(1), b: true },
        Internal::Fields { a: None, b: false },
        Internal::Other([("m".to_owned(), 7)].into()),
    ], case()
        .accepts(&[r#"{"kind":"Nothing"}"#, r#"{"b":true,"kind":"Fields"}"#])
        .refuses(&[r#"{"x":1,"y":1}"#, r#""Nothing""#, r#"{"kind":"Point","x":1}"#]);
    adjacent(Adjacent): [
        Adjacent::Nothing,
        Adjacent::ANumber(7),
        Adjacent::APair(1, "x".into()),
        Adjacent::SomeFields { a: Some(1), b: true },
        Adjacent::Maybe(None),
        Adjacent::Maybe(Some(1)),
    ], case()
        .accepts(&[r#"{"t":"nothing"}"#, r#"{"c":{"b":true},"t":"some_fields"}"#])
        .narrow("serde reads a missing `content` as `None`", &[r#"{"t":"maybe"}"#])
        .refuses(&[r#"{"t":"a_number"}"#, r#"{"c":1}"#, r#"{"t":"ANumber","c":1}"#]);
    untagged(Untagged): untagged(), case().refuses(&["-1", "[1]", "[1,2,3]", "{}"]).narrow(LISTS, &["[1,200]"]);
    renamed(Renamed): [Renamed::FirstOne { some_field: 1 }, Renamed::SecondOne { other_field: 2 }],
        case().refuses(&[r#"{"type":"firstOne","some_field":1}"#, r#"{"type":"SecondOne","other-field":1}"#]);
    with_other(WithOther): [WithOther::Add { n: 1 }, WithOther::Unknown],
        case().narrow("the schema does not say that `other` takes every tag", &[r#"{"op":"?"}"#]);
    with_alias(WithAlias): [WithAlias::New, WithAlias::Plain], case().narrow(ALIASES, &["\"old\"", "\"older\""]);
    partly_untagged(PartlyUntagged): [
        PartlyUntagged::Tagged(1),
        PartlyUntagged::Text("x".into()),
        PartlyUntagged::Point(Point { x: 1, y: 2 }),
    ], case();
    strict(Strict): [Strict::A { a: 1 }, Strict::B { b: Some(1) }, Strict::B { b: None }],
        case().accepts(&[r#"{"kind":"B"}"#]).refuses(&[r#"{"kind":"B","a":1}"#]);
    skipping(Skipping): [Skipping::Kept, Skipping::Fields { kept: 1, skipped: 2 }],
        case().refuses(&[r#""Internal""#, r#"{"Internal":1}"#]);
    numbered(Numbered): [Numbered::One, Numbered::Two], case().loose("`try_from` is code", &["3"]);
    either(Either<Color, Point>): [Either::Left(Color::Red), Either::Right(Point { x: 1, y: 2 })], case();
    either_swapped(Either<Point, Color>): [Either::Right(Color::Red), Either::Left(Point { x: 1, y: 2 })], case();
    fallible(Result<u8, String>): [Ok(1), Err("x".into())], case().loose(OTHER_MEMBERS, &[r#"{"Ok":1,"unknown":1}"#]);
}
