//! The server's implementation of the contract.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wsjsonrpc::openrpc::{Info, License};
use wsjsonrpc::server::ConnectionId;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::subscription::Positioned;
use wsjsonrpc::{Channel, Context, Result, Server, Stream};

use crate::api::{Activity, Book, Format, Library, LibraryError, Loan, Page, ReaderClient};

/// The most books of one answer.
const PAGE: usize = 10;

pub(crate) struct Branch {
    /// Sorted by title.
    books: Vec<Book>,
    /// The books that are lent, by ISBN.
    lent: Mutex<HashMap<String, Lent>>,
    activity: Channel<Activity>,
}

#[derive(Clone)]
struct Lent {
    loan: Loan,
    reader: ReaderClient,
    connection: ConnectionId,
}

impl Branch {
    pub(crate) fn new() -> Self {
        let book = |isbn: &str, title: &str, formats: &[Format], year| Book {
            isbn: isbn.to_owned(),
            title: title.to_owned(),
            formats: formats.to_vec(),
            year: Some(year),
        };
        let (paper, both) = ([Format::Paper], [Format::Paper, Format::Audio]);
        Branch {
            books: vec![
                book("9781788399975", "Hands-On Microservices with Rust", &paper, 2019),
                book("9781617294556", "Rust in Action", &paper, 2021),
                book("9781718503106", "The Rust Programming Language", &both, 2023),
            ],
            lent: Mutex::default(),
            activity: Channel::builder().replay(100).build(),
        }
    }

    fn lent(&self) -> MutexGuard<'_, HashMap<String, Lent>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends a book that is not lent. Otherwise returns the loan.
    fn borrow(&self, ctx: &Context, loan: &Loan) -> Result<(), Lent> {
        let mut lent = self.lent();
        if let Some(lent) = lent.get(&loan.isbn) {
            return Err(lent.clone());
        }
        let (reader, connection) = (ctx.client(), ctx.connection_id());
        lent.insert(loan.isbn.clone(), Lent { loan: loan.clone(), reader, connection });
        Ok(())
    }

    fn publish(&self, activity: &Activity) {
        if let Err(error) = self.activity.publish(activity) {
            println!("The subscribers do not get {activity:?}: {error}");
        }
    }
}

impl Library for Branch {
    async fn search(
        &self,
        _: &Context,
        title: &str,
        format: Option<Format>,
        skip: u32,
    ) -> Result<Page<Book>> {
        let title = title.to_lowercase();
        let found = self.books.iter().filter(|book| {
            book.title.to_lowercase().contains(&title)
                && format.is_none_or(|format| book.formats.contains(&format))
        });
        let found: Vec<&Book> = found.collect();
        let items = found.iter().skip(skip as usize).take(PAGE).copied().cloned().collect();
        Ok(Page { items, total: found.len() as u64 })
    }

    async fn lend(&self, ctx: &Context, isbn: &str, days: u32) -> Result<Loan, LibraryError> {
        if !self.books.iter().any(|book| book.isbn == isbn) {
            return Err(LibraryError::NoSuchBook);
        }
        let loan = Loan { isbn: isbn.to_owned(), days };
        if let Err(Lent { loan, reader, .. }) = self.borrow(ctx, &loan) {
            let days = loan.days;
            // A disconnected reader does not get the notification.
            let _ = reader.recall(loan).notify().await;
            return Err(LibraryError::Lent { days });
        }
        self.publish(&Activity::Lent { loan: loan.clone() });
        Ok(loan)
    }

    async fn give_back(&self, ctx: &Context, isbn: &str) -> Result<(), LibraryError> {
        match self.lent().entry(isbn.to_owned()) {
            Entry::Occupied(lent) if lent.get().connection == ctx.connection_id() => {
                lent.remove();
            }
            _ => return Err(LibraryError::NotYours),
        }
        self.publish(&Activity::Returned { isbn: isbn.to_owned() });
        Ok(())
    }

    fn activity(&self, ctx: &Context) -> impl Stream<Item = Positioned<Activity>> {
        self.activity.subscribe(ctx)
    }
}

/// The head of the document. The version is that of the API.
pub(crate) fn info() -> Info {
    Info {
        description: Some("Lends books.".to_owned()),
        license: Some(License { name: "MIT OR Apache-2.0".to_owned(), url: None }),
        ..Info::new("Library", "1.0.0")
    }
}

pub(crate) fn server() -> ServerBuilder {
    Server::builder()
        .service(Branch::new().into_service())
        // Adds the methods to the document that the server calls on its clients.
        .calls::<ReaderClient>()
}
