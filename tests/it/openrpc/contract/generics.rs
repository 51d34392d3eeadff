//! Generic types, recursive types, and types with the same name.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cases::{case, echoes};
use super::enums::Color;

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Page<T> {
    items: Vec<T>,
    next: Option<u32>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Entry<K, V = u8> {
    key: K,
    value: V,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Matrix<const N: usize>
where
    [f64; N]: Serialize + for<'a> Deserialize<'a> + JsonSchema,
{
    diagonal: [f64; N],
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Tree {
    value: u8,
    #[serde(default)]
    children: Vec<Tree>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ChainOf{T}")]
pub(super) struct Chain<T> {
    value: T,
    next: Option<Box<Chain<T>>>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Folder {
    name: String,
    entries: Vec<Node>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "lowercase")]
pub(super) enum Node {
    File { size: u64 },
    Folder(Folder),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) enum Expression {
    Number(i64),
    Sum(Box<Expression>, Box<Expression>),
    Call { name: String, arguments: Vec<Page<Expression>> },
}

mod first {
    use super::*;

    #[derive(Serialize, Deserialize, JsonSchema)]
    pub(in super::super) struct Status {
        pub(super) ok: bool,
    }
}

mod second {
    use super::*;

    #[derive(Serialize, Deserialize, JsonSchema)]
    pub(in super::super) struct Status {
        pub(super) code: u16,
        #[serde(default)]
        pub(super) more: Vec<Status>,
    }
}

pub(super) fn page<T>(items: impl Into<Vec<T>>) -> Page<T> {
    Page { items: items.into(), next: Some(1) }
}

pub(super) fn folder() -> Folder {
    let inside = Folder { name: "b".into(), entries: vec![Node::File { size: u64::MAX }] };
    Folder { name: "a".into(), entries: vec![Node::Folder(inside), Node::File { size: 0 }] }
}

fn tree() -> Tree {
    Tree { value: 1, children: vec![Tree { value: 2, children: vec![] }] }
}

echoes! {
    Generics, GenericsClient;
    page_of_numbers(Page<u8>): [page([1]), Page { items: vec![], next: None }], case().accepts(&[r#"{"items":[]}"#]);
    page_of_colors(Page<Color>): [page([Color::Red, Color::DarkGreen, Color::Blue])], case();
    page_of_pages(Page<Page<Option<String>>>): [page([page([None, Some("x".to_owned())])])], case();
    page_of_entries(Page<Entry<String>>): [page([Entry { key: "x".to_owned(), value: 1 }])], case();
    entry(Entry<Color, Vec<Tree>>): [Entry { key: Color::Red, value: vec![] }], case();
    matrix_2(Matrix<2>): [Matrix { diagonal: [0.5, 1.0] }], case();
    matrix_3(Matrix<3>): [Matrix { diagonal: [0.5, 1.0, 2.0] }], case();
    tree(Tree): [
        Tree { value: 1, children: vec![Tree { value: 2, children: vec![Tree { value: 3, children: vec![] }] }] },
    ], case().accepts(&[r#"{"value":1}"#, r#"{"value":1,"children":[{"value":2}]}"#])
        .refuses(&[r#"{"value":1,"children":[{}]}"#]);
    chain(Chain<u8>): [Chain { value: 1, next: Some(Box::new(Chain { value: 2, next: None })) }], case();
    chain_of_trees(Chain<Tree>): [Chain { value: tree(), next: Some(Box::new(Chain { value: tree(), next: None })) }], case();
    folder(Folder): [folder()], case().refuses(&[r#"{"name":"a","entries":[{"is":"folder","name":"b"}]}"#]);
    node(Node): [Node::File { size: 1 }, Node::Folder(folder())], case();
    json(Json): [
        Json::Null,
        Json::List(vec![Json::Bool(true), Json::Number(0.5), Json::Text("x".into())]),
        Json::Object([("a".into(), Json::Object(BTreeMap::new()))].into()),
    ], case();
    expression(Expression): [
        Expression::Sum(Box::new(Expression::Number(1)), Box::new(Expression::Number(2))),
        Expression::Call { name: "f".into(), arguments: vec![page([Expression::Number(1)])] },
    ], case();
    first_status(first::Status): [first::Status { ok: true }], case().refuses(&[r#"{"code":1}"#]);
    second_status(second::Status): [
        second::Status { code: 1, more: vec![second::Status { code: 2, more: vec![] }] },
    ], case().refuses(&[r#"{"ok":true}"#]);
}
