//! What the caller sees when a handler fails: one error response with the right id and no internal
//! details, on a connection that stays open.

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;
use serde::ser::{Error as _, Serializer};
use tokio::sync::mpsc;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Config, Context, ErrorObject, Result, RpcError, Server, rpc};
use wsjsonrpc_tests::{Raw, error, notification, request, result, too_large};

/// A result that cannot be serialized.
enum Unwritable {
    Fails,
    FailsLate,
    Panics,
}

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Unwritable::Fails => Err(S::Error::custom("a secret of the inside")),
            Unwritable::FailsLate => serializer.collect_seq([Ok("written"), Err(())].map(Item)),
            Unwritable::Panics => panic!("as the test wants it"),
        }
    }
}

struct Item(std::result::Result<&'static str, ()>);

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self.0 {
            Ok(text) => serializer.serialize_str(text),
            Err(()) => Err(S::Error::custom("a secret of the inside")),
        }
    }
}

#[rpc]
trait Fails {
    async fn panic(&self, ctx: &Context) -> Result<()>;
    async fn panic_later(&self, ctx: &Context) -> Result<()>;
    #[method(blocking)]
    fn panic_blocking(&self, ctx: &Context) -> Result<()>;
    fn panic_plain(&self, ctx: &Context) -> Result<()>;
    async fn odd_keys(&self, ctx: &Context) -> Result<HashMap<Vec<u8>, u8>>;
    async fn inside(&self, ctx: &Context) -> Result<()>;
    async fn inside_later(&self, ctx: &Context) -> Result<()>;
    async fn typed(&self, ctx: &Context, known: bool) -> Result<()>;
    async fn own(&self, ctx: &Context) -> Result<(), Stock>;
}

struct Service;

async fn later() {
    tokio::task::yield_now().await;
}

impl Fails for Service {
    async fn panic(&self, _: &Context) -> Result<()> {
        panic!("a secret of the inside")
    }
    async fn panic_later(&self, _: &Context) -> Result<()> {
        later().await;
        panic!("a secret of the inside")
    }
    fn panic_blocking(&self, _: &Context) -> Result<()> {
        panic!("a secret of the inside")
    }
    fn panic_plain(&self, _: &Context) -> Result<()> {
        panic!("a secret of the inside")
    }
    async fn odd_keys(&self, _: &Context) -> Result<HashMap<Vec<u8>, u8>> {
        Ok(HashMap::from([(vec![1], 2)]))
    }
    async fn inside(&self, _: &Context) -> Result<()> {
        std::fs::read("/no/such/secret/file")?;
        Ok(())
    }
    async fn inside_later(&self, _: &Context) -> Result<()> {
        later().await;
        "a secret of the inside".parse::<u16>()?;
        Ok(())
    }
    async fn typed(&self, _: &Context, known: bool) -> Result<()> {
        if known {
            Err(Stock(3))?;
        }
        Err(Unknown)?;
        Ok(())
    }
    async fn own(&self, _: &Context) -> Result<(), Stock> {
        Err(Stock(4))
    }
}

/// An error that the server recognizes.
#[derive(Debug)]
struct Stock(u32);

impl fmt::Display for Stock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "only {} left", self.0)
    }
}

impl std::error::Error for Stock {}

impl RpcError for Stock {
    fn to_object(&self) -> ErrorObject {
        ErrorObject::new(1001, self.to_string()).with_data(self.0)
    }
    fn from_object(object: ErrorObject) -> std::result::Result<Self, ErrorObject> {
        object.data_as().map(Stock).ok_or(object)
    }
}

/// An error that the server does not recognize, because no `map_error` names it.
#[derive(Debug)]
struct Unknown;

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret of the inside")
    }
}

impl std::error::Error for Unknown {}

fn server() -> ServerBuilder {
    Server::builder()
        .expose_errors(false)
        .service(Service.into_service())
        .method("unwritable", |_, ()| async { Ok(Unwritable::Fails) })
        .method("unwritable_late", |_, ()| async { Ok(Unwritable::FailsLate) })
        .method("unwritable_panics", |_, ()| async { Ok(Unwritable::Panics) })
        .method("panic_at_once", |_, ()| {
            assert!("".len() > 1, "a secret of the inside");
            async { Ok(()) }
        })
}

#[tokio::test]
async fn internal_failures_are_internal_errors_without_details() {
    let mut raw = Raw::client(server()).await;
    for method in [
        "panic",
        "panic_later",
        "panic_blocking",
        "panic_plain",
        "panic_at_once",
        "odd_keys",
        "unwritable",
        "unwritable_late",
        "unwritable_panics",
        "inside",
        "inside_later",
    ] {
        let internal = error(-32603, "Internal error", "\"x\"");
        assert_eq!(raw.ask(request(method, "[]", "\"x\"")).await, internal, "{method}");

        let batch =
            [request(method, "[]", "1"), notification(method, "[]"), request(method, "{}", "2")];
        let answers = ["1", "2"].map(|id| error(-32603, "Internal error", id));
        let answer = raw.ask(format!("[{}]", batch.join(","))).await;
        assert_eq!(answer, format!("[{}]", answers.join(",")), "{method}");
        raw.check("1", &[&wsjsonrpc_tests::not_an_object()]).await;
    }
}

#[tokio::test]
async fn a_recognized_type_keeps_its_code_through_question_mark() {
    let stock = |left: u32| {
        format!(
            r#"{{"jsonrpc":"2.0","error":{{"code":1001,"message":"only {left} left","data":{left}}},"id":1}}"#
        )
    };
    let internal = error(-32603, "Internal error", "1");
    let mut raw = Raw::client(server().map_error::<Stock>()).await;
    raw.check_verbatim(&[
        (&request("typed", "[true]", "1"), &stock(3)),
        (&request("typed", "[false]", "1"), &internal),
        (&request("own", "[]", "1"), &stock(4)),
        (&format!("[{}]", request("typed", "[true]", "1")), &format!("[{}]", stock(3))),
    ])
    .await;
    let mut raw = Raw::client(server()).await;
    raw.check_verbatim(&[
        (&request("typed", "[true]", "1"), &internal),
        (&request("own", "[]", "1"), &stock(4)),
    ])
    .await;
}

#[tokio::test]
async fn an_error_object_is_sent_as_the_application_made_it() {
    let table: [(&str, ErrorObject, &str); 8] = [
        ("code", ErrorObject::new(7, "words"), r#"{"code":7,"message":"words"}"#),
        ("large", ErrorObject::new(i64::MIN, ""), r#"{"code":-9223372036854775808,"message":""}"#),
        ("words", ErrorObject::new(1, "\"ä\"\n"), r#"{"code":1,"message":"\"ä\"\n"}"#),
        (
            "data",
            ErrorObject::new(1, "d").with_data([1, 2]),
            r#"{"code":1,"message":"d","data":[1,2]}"#,
        ),
        ("null", ErrorObject::new(1, "d").with_data(()), r#"{"code":1,"message":"d","data":null}"#),
        (
            "unwritable data",
            ErrorObject::new(1, "d").with_data(Unwritable::Fails),
            r#"{"code":1,"message":"d"}"#,
        ),
        (
            "standard with data",
            ErrorObject::invalid_params("no").with_data("x"),
            r#"{"code":-32602,"message":"no","data":"x"}"#,
        ),
        ("who", ErrorObject::unauthorized("who?"), r#"{"code":-32001,"message":"who?"}"#),
    ];
    let mut server = Server::builder().expose_errors(false);
    for (name, object, _) in &table {
        let object = object.clone();
        server = server.method(*name, move |_, ()| {
            let object = object.clone();
            async move { Err::<(), _>(object) }
        });
    }
    let mut raw = Raw::client(server).await;
    for (name, _, expected) in &table {
        let expected = format!(r#"{{"jsonrpc":"2.0","error":{expected},"id":1}}"#);
        assert_eq!(raw.ask(request(name, "[]", "1")).await, expected, "{name}");
    }
}

/// The conversion to an error object is the application's code and may panic.
#[tokio::test]
async fn an_error_whose_conversion_panics_is_an_internal_error() {
    #[derive(Debug)]
    struct Trap;
    impl fmt::Display for Trap {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("trap")
        }
    }
    impl std::error::Error for Trap {}
    impl RpcError for Trap {
        fn to_object(&self) -> ErrorObject {
            panic!("as the test wants it")
        }
        fn from_object(object: ErrorObject) -> std::result::Result<Self, ErrorObject> {
            Err(object)
        }
    }
    let server = server()
        .map_error::<Trap>()
        .method("trap", |_, ()| async { Err::<(), ErrorObject>(Trap.into()) })
        .method("trap_later", |_, ()| async {
            later().await;
            Err::<(), ErrorObject>(Trap.into())
        });
    let mut raw = Raw::client(server).await;
    for method in ["trap", "trap_later"] {
        let internal = error(-32603, "Internal error", "1");
        assert_eq!(raw.ask(request(method, "[]", "1")).await, internal, "{method}");
    }
}

#[tokio::test]
async fn a_result_over_the_limit_becomes_an_error() {
    let config = Config { max_outgoing_message: 200, ..Config::default() };
    let long = |_: Context, (size,): (usize,)| async move { Ok("x".repeat(size)) };
    let mut raw = Raw::client(Server::builder().config(config).method("long", long)).await;
    let fits = 200 - result("\"\"", "1").len();
    let long = |size: usize| result(&format!("\"{}\"", "x".repeat(size)), "1");
    let too_large = too_large("1");
    raw.check_verbatim(&[
        (&request("long", &format!("[{fits}]"), "1"), &long(fits)),
        (&request("long", &format!("[{}]", fits + 1), "1"), &too_large),
        (&request("long", "[1000000]", "1"), &too_large),
        (&request("long", "[1]", "1"), &long(1)),
    ])
    .await;
}

#[tokio::test]
async fn the_result_of_a_notification_is_not_serialized() {
    struct Tells(mpsc::UnboundedSender<()>);
    impl Serialize for Tells {
        fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
            self.0.send(()).map_err(S::Error::custom)?;
            serializer.serialize_unit()
        }
    }
    let (send, mut written) = mpsc::unbounded_channel();
    let server = Server::builder().method("tell", move |_, ()| {
        let tells = Tells(send.clone());
        async move { Ok(tells) }
    });
    let mut raw = Raw::client(server).await;
    raw.check(&notification("tell", "[]"), &[]).await;
    assert!(written.try_recv().is_err());
    raw.check(&request("tell", "[]", "1"), &[&result("null", "1")]).await;
    assert!(written.try_recv().is_ok());
}
