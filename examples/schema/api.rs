//! The contract of a public library. Both programs compile this file.
//!
//! With `schema`, a trait describes its methods in OpenRPC: their docs, params, results, errors and examples. The
//! types need `JsonSchema`, which they derive next to `Serialize` and `Deserialize`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wsjsonrpc::subscription::Positioned;
use wsjsonrpc::{Context, Result, RpcError, Stream, rpc};

/// A book that the library has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Book {
    pub(crate) isbn: String,
    pub(crate) title: String,
    pub(crate) formats: Vec<Format>,
    /// `null` if the year of publication is unknown.
    pub(crate) year: Option<u16>,
}

/// How a book can be read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    Paper,
    Audio,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
// In the document `Page<Book>` is `BookPage`. Without this line it is `Page`, and the next one `Page2`.
#[schemars(rename = "{T}Page")]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// The length of the whole list.
    pub(crate) total: u64,
}

/// A book that a reader has borrowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Loan {
    pub(crate) isbn: String,
    /// The number of days until the reader must return the book.
    pub(crate) days: u32,
}

/// What happens in the library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Activity {
    Lent { loan: Loan },
    Returned { isbn: String },
}

/// With `schema`, the document lists the codes, the messages, and the types of the fields that are sent as `data`.
#[derive(Debug, RpcError)]
#[rpc_error(schema)]
pub(crate) enum LibraryError {
    #[rpc_error(code = 1001, message = "no such book")]
    NoSuchBook,
    #[rpc_error(code = 1002, message = "the book is lent for {days} days")]
    Lent { days: u32 },
    #[rpc_error(code = 1003, message = "the book is not lent to you")]
    NotYours,
}

/// What clients call on the server. Generated clients have a function for each method, so the names on the wire
/// (`library_search`) have an underscore, not a dot.
#[rpc(schema, namespace = "library", separator = "_")]
pub(crate) trait Library {
    /// Finds books by a part of their title.
    ///
    /// Ignores case. The result has at most 10 books, sorted by title, after the first `skip` ones.
    // An example is checked twice: by the compiler against the types, and by `assert_examples` against the server.
    #[method(idempotent)]
    #[example(
        name = "an audio book",
        params = ("rust", Some(Format::Audio), 0),
        result = Page {
            items: vec![Book {
                isbn: "9781718503106".to_owned(),
                title: "The Rust Programming Language".to_owned(),
                formats: vec![Format::Paper, Format::Audio],
                year: Some(2023),
            }],
            total: 1,
        }
    )]
    async fn search(
        &self,
        ctx: &Context,
        title: &str,
        format: Option<Format>,
        #[param(default)] skip: u32,
    ) -> Result<Page<Book>>;

    /// Lends a book to the caller.
    ///
    /// If another reader has the book, the server asks that reader to return it.
    #[example(name = "lent", params = ("9781718503106", 14), result = Loan { isbn: "9781718503106".to_owned(), days: 14 })]
    #[example(name = "already lent", params = ("9781718503106", 1), error = LibraryError::Lent { days: 14 })]
    #[example(name = "unknown", params = ("0", 1), error = LibraryError::NoSuchBook)]
    async fn lend(&self, ctx: &Context, isbn: &str, days: u32) -> Result<Loan, LibraryError>;

    /// Takes a book back from the caller.
    #[method(aliases = ["library_return"])]
    #[example(name = "returned", params = ("9781718503106",), result = ())]
    async fn give_back(&self, ctx: &Context, isbn: &str) -> Result<(), LibraryError>;

    /// What happens from now on.
    #[subscription]
    fn activity(&self, ctx: &Context) -> impl Stream<Item = Positioned<Activity>>;
}

/// What the server calls on a client.
#[rpc(schema, namespace = "reader", separator = "_")]
pub(crate) trait Reader {
    /// Asks for a book that another reader is waiting for. The server sends it as a notification.
    async fn recall(&self, ctx: &Context, loan: Loan) -> Result<()>;
}
