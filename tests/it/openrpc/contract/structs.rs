//! Structs, with serde's attributes on them and on their fields.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::cases::{ALIASES, LISTS, case, echoes};

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Account {
    account_id: u64,
    display_name: Option<String>,
    #[serde(rename = "E-Mail")]
    email_address: String,
    is_open: bool,
}

fn account() -> Account {
    Account { account_id: 7, display_name: None, email_address: "a@b".into(), is_open: true }
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Nothing;

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Empty {}

#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub(super) struct Meters(pub(super) u32);

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Rgb(u8, u8, u8);

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Name {
    value: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct MaybeName(Option<Name>);

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Settings {
    volume: u8,
    theme: String,
    limits: Option<Limits>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Limits {
    #[serde(default = "ten")]
    calls: u32,
    #[serde(default)]
    hosts: Vec<String>,
    pub(super) burst: u32,
}

fn ten() -> u32 {
    10
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Sparse {
    id: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Skipped {
    kept: u8,
    #[serde(skip)]
    #[allow(dead_code)]
    skipped: u8,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Exact {
    a: u8,
    b: Option<u8>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Aliased {
    #[serde(alias = "colour", alias = "farbe")]
    color: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Described {
    /// The first field.
    first: u8,
    /// Use `first`.
    #[deprecated = "use `first`"]
    second: Option<u8>,
    /// A definition with a text beside it.
    limits: Limits,
}

#[allow(deprecated)]
fn described() -> Described {
    Described {
        first: 1,
        second: Some(2),
        limits: Limits { calls: 1, hosts: Vec::new(), burst: 2 },
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Marked<T> {
    n: u8,
    mark: PhantomData<T>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Flat {
    id: u8,
    #[serde(flatten)]
    limits: Limits,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct FlatMap {
    id: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct FlatOption {
    id: u8,
    #[serde(flatten)]
    limits: Option<Limits>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct FlatEnum {
    id: u8,
    #[serde(flatten)]
    shape: Shape,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "shape")]
pub(super) enum Shape {
    Circle { radius: f64 },
    Square { side: f64 },
    Dot,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct FlatExternal {
    id: u8,
    #[serde(flatten)]
    action: Action,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    Move { by: i8 },
    Say(String),
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct FlatTwice {
    #[serde(flatten)]
    flat: Flat,
    #[serde(flatten)]
    shape: Shape,
}

/// Travels as a hexadecimal text.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Hash {
    #[serde(with = "hexadecimal")]
    #[schemars(with = "String")]
    value: u32,
}

mod hexadecimal {
    use super::*;

    pub(super) fn serialize<S: Serializer>(value: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:#x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.strip_prefix("0x").ok_or_else(|| serde::de::Error::custom("no 0x"))?;
        u32::from_str_radix(digits, 16).map_err(serde::de::Error::custom)
    }
}

/// A type of another crate, which implements neither of serde's traits.
pub(super) struct Foreign {
    secs: i64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Foreign")]
pub(super) struct ForeignDef {
    secs: i64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct HoldsForeign {
    #[serde(with = "ForeignDef")]
    foreign: Foreign,
}

/// Travels as a text such as `1.2`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
pub(super) struct Release {
    major: u8,
    minor: u8,
}

impl From<Release> for String {
    fn from(release: Release) -> String {
        format!("{}.{}", release.major, release.minor)
    }
}

impl TryFrom<String> for Release {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (major, minor) = text.split_once('.').ok_or("no dot")?;
        let number = |text: &str| text.parse().map_err(|_| format!("{text} is not a number"));
        Ok(Release { major: number(major)?, minor: number(minor)? })
    }
}

pub(super) fn limits() -> Limits {
    Limits { calls: 1, hosts: vec!["h".into()], burst: 2 }
}

pub(super) fn sparse() -> [Sparse; 2] {
    [
        Sparse { id: 1, note: None, tags: Vec::new() },
        Sparse { id: 1, note: Some("x".into()), tags: vec!["y".into()] },
    ]
}

echoes! {
    Structs, StructsClient;
    account(Account): [account(), Account { display_name: Some("x".into()), ..account() }], case()
        .accepts(&[r#"{"accountId":1,"E-Mail":"a","isOpen":false,"more":1}"#])
        .refuses(&[
            r#"{"account_id":1,"E-Mail":"a","isOpen":false}"#,
            r#"{"accountId":"1","E-Mail":"a","isOpen":false}"#,
            "[]",
        ])
        .narrow(LISTS, &[r#"[7,null,"a",true]"#]);
    nothing(Nothing): [Nothing], case();
    empty(Empty): [Empty {}], case().narrow(LISTS, &["[]"]);
    meters(Meters): [Meters(0), Meters(u32::MAX)], case();
    rgb(Rgb): [Rgb(0, 128, 255)], case().refuses(&["[1,2]", "[1,2,256]", "[1,2,3,4]"]);
    name(Name): [Name { value: "x".into() }], case();
    maybe_name(MaybeName): [MaybeName(None), MaybeName(Some(Name { value: "x".into() }))], case();
    settings(Settings): [
        Settings::default(),
        Settings { volume: 1, theme: "x".into(), limits: Some(Limits { calls: 1, hosts: vec!["h".into()], burst: 1 }) },
    ], case().accepts(&["{}", r#"{"limits":{"burst":1}}"#]).refuses(&[r#"{"limits":{}}"#]).narrow(LISTS, &["[]"]);
    limits(Limits): [Limits { calls: 1, hosts: Vec::new(), burst: 2 }],
        case().accepts(&[r#"{"burst":1}"#]).refuses(&[r#"{"calls":1,"hosts":[]}"#, r#"{"burst":1,"calls":null}"#]);
    sparse(Sparse): [
        Sparse { id: 1, note: None, tags: Vec::new() },
        Sparse { id: 1, note: Some("x".into()), tags: vec!["y".into()] },
    ], case().accepts(&[r#"{"id":1}"#, r#"{"id":1,"note":null}"#]).refuses(&["{}", r#"{"id":1,"tags":null}"#]);
    skipped(Skipped): [Skipped { kept: 1, skipped: 2 }], case();
    exact(Exact): [Exact { a: 1, b: None }, Exact { a: 1, b: Some(2) }],
        case().accepts(&[r#"{"a":1}"#]).refuses(&[r#"{"a":1,"c":1}"#]);
    aliased(Aliased): [Aliased { color: "x".into() }],
        case().narrow(ALIASES, &[r#"{"colour":"x"}"#]);
    described(Described): [described()], case();
    marked(Marked<String>): [Marked { n: 1, mark: PhantomData }], case();
    flat(Flat): [Flat { id: 1, limits: Limits { calls: 1, hosts: vec!["h".into()], burst: 2 } }],
        case().accepts(&[r#"{"id":1,"burst":1}"#]).refuses(&[r#"{"id":1,"limits":{"burst":1}}"#]);
    flat_map(FlatMap): [FlatMap { id: 1, rest: BTreeMap::new() }, FlatMap { id: 1, rest: [("a".into(), 2)].into() }],
        case().refuses(&[r#"{"id":1,"a":"x"}"#]);
    flat_option(FlatOption): [
        FlatOption { id: 1, limits: None },
        FlatOption { id: 1, limits: Some(Limits { calls: 1, hosts: Vec::new(), burst: 2 }) },
    ], case().narrow("serde reads members that don't fit as `None`", &[r#"{"id":1,"burst":"?"}"#]);
    flat_enum(FlatEnum): [
        FlatEnum { id: 1, shape: Shape::Circle { radius: 0.5 } },
        FlatEnum { id: 1, shape: Shape::Square { side: 2.0 } },
        FlatEnum { id: 1, shape: Shape::Dot },
    ], case().refuses(&[r#"{"id":1}"#, r#"{"id":1,"shape":"Circle"}"#]);
    flat_external(FlatExternal): [
        FlatExternal { id: 1, action: Action::Move { by: -1 } },
        FlatExternal { id: 1, action: Action::Say("x".into()) },
    ], case();
    flat_twice(FlatTwice): [Shape::Circle { radius: 0.5 }, Shape::Square { side: 1.0 }, Shape::Dot]
        .map(|shape| FlatTwice { flat: Flat { id: 1, limits: limits() }, shape }), case();
    shape(Shape): [Shape::Circle { radius: 0.5 }, Shape::Square { side: 1.0 }, Shape::Dot], case();
    hash(Hash): [Hash { value: 255 }], case().loose("`with` is code", &[r#"{"value":"255"}"#]);
    foreign(HoldsForeign): [HoldsForeign { foreign: Foreign { secs: 1 } }], case();
    release(Release): [Release { major: 1, minor: 2 }], case().loose("`try_from` is code", &[r#""1""#]);
}
