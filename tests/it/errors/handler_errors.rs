//! Errors of handlers as the caller sees them: typed errors arrive typed, foreign errors reveal
//! nothing, recognized errors keep their code. Also the text of everything that can go wrong.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wsjsonrpc::error::{BindError, CloseReason, ConnectError, Timeout};
use wsjsonrpc::http::HttpPeer;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{
    Client, Context, Error, ErrorCode, ErrorObject, Result, RpcError, Server, memory, rpc,
};
use wsjsonrpc_tests::{Raw, both_ways, error, request};

#[derive(Debug, PartialEq)]
enum BankError {
    Insufficient { missing: u64 },
    NoSuchAccount(String),
    Closed,
}

impl RpcError for BankError {
    fn to_object(&self) -> ErrorObject {
        match self {
            BankError::Insufficient { missing } => {
                ErrorObject::new(1001, "insufficient funds").with_data(json!({"missing": missing}))
            }
            BankError::NoSuchAccount(name) => {
                ErrorObject::new(1002, "no such account").with_data(name)
            }
            BankError::Closed => ErrorObject::new(1003, "closed"),
        }
    }

    fn from_object(object: ErrorObject) -> Result<Self, ErrorObject> {
        let missing = || object.data_as::<serde_json::Value>()?["missing"].as_u64();
        match object.code().0 {
            1001 => missing().map(|missing| BankError::Insufficient { missing }).ok_or(object),
            1002 => object.data_as().map(BankError::NoSuchAccount).ok_or(object),
            1003 => Ok(BankError::Closed),
            _ => Err(object),
        }
    }
}

impl fmt::Display for BankError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_object().message())
    }
}

impl std::error::Error for BankError {}

/// Another error, with a code that `BankError` uses too.
#[derive(Debug, PartialEq)]
struct Taken;

impl RpcError for Taken {
    fn to_object(&self) -> ErrorObject {
        ErrorObject::new(1003, "taken")
    }

    fn from_object(object: ErrorObject) -> Result<Self, ErrorObject> {
        if object.code().0 == 1003 { Ok(Taken) } else { Err(object) }
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("taken")
    }
}

impl std::error::Error for Taken {}

#[rpc]
trait Bank {
    async fn withdraw(&self, ctx: &Context, account: &str, amount: u64) -> Result<u64, BankError>;
    async fn open(&self, ctx: &Context, account: &str) -> Result<(), Taken>;
    /// Returns both errors with `?`, and one that must not reach the peer.
    async fn transfer(&self, ctx: &Context, kind: &str) -> Result<()>;
}

struct Vault;

impl Bank for Vault {
    async fn withdraw(&self, _: &Context, account: &str, amount: u64) -> Result<u64, BankError> {
        match account {
            "ada" => 100u64
                .checked_sub(amount)
                .ok_or_else(|| BankError::Insufficient { missing: amount - 100 }),
            "closed" => Err(BankError::Closed),
            other => Err(BankError::NoSuchAccount(other.to_owned())),
        }
    }

    async fn open(&self, _: &Context, account: &str) -> Result<(), Taken> {
        if account == "ada" { Err(Taken) } else { Ok(()) }
    }

    async fn transfer(&self, ctx: &Context, kind: &str) -> Result<()> {
        match kind {
            "bank" => drop(self.withdraw(ctx, "ada", 101).await?),
            "taken" => self.open(ctx, "ada").await?,
            "foreign" => Err(io::Error::other("the password is swordfish"))?,
            "object" => Err(ErrorObject::new(7, "seven").with_data([1, 2]))?,
            _ => Err(ErrorObject::invalid_params("no such kind"))?,
        }
        Ok(())
    }
}

fn server() -> ServerBuilder {
    Server::builder().expose_errors(false).service(Vault.into_service())
}

fn bank(server: ServerBuilder) -> BankClient {
    let (client, _) = memory::pair(Client::builder(), server).unwrap();
    BankClient::new(client)
}

#[tokio::test]
async fn a_methods_own_error_comes_back_typed() {
    for (client, _) in both_ways(Client::builder, server).await {
        let bank = BankClient::new(&client);
        assert_eq!(bank.withdraw("ada", 60).await.unwrap(), 40);
        let Err(Error::Call(error)) = bank.withdraw("ada", 150).await else { panic!() };
        assert_eq!(error, BankError::Insufficient { missing: 50 });
        let Err(Error::Call(error)) = bank.withdraw("\"eve\"", 1).await else { panic!() };
        assert_eq!(error, BankError::NoSuchAccount("\"eve\"".to_owned()));
    }
}

#[tokio::test]
async fn two_methods_may_have_two_error_types_with_the_same_code() {
    let bank = bank(server());
    assert!(matches!(bank.withdraw("closed", 1).await, Err(Error::Call(BankError::Closed))));
    assert!(matches!(bank.open("ada").await, Err(Error::Call(Taken))));
    bank.open("bob").await.unwrap();
}

#[tokio::test]
async fn an_undeclared_error_is_error_other() {
    #[rpc]
    trait NotThere {
        async fn nobody(&self, ctx: &Context) -> Result<(), BankError>;
        /// The parameters differ from the server's.
        async fn withdraw(&self, ctx: &Context) -> Result<(), BankError>;
    }
    let bank = bank(server());
    let other = NotThereClient::new(bank.peer());
    let Err(Error::Other(error)) = other.nobody().await else { panic!() };
    assert_eq!(error.code(), ErrorCode::METHOD_NOT_FOUND);
    let Err(Error::Other(error)) = other.withdraw().await else { panic!() };
    assert_eq!(error.code(), ErrorCode::INVALID_PARAMS);
    assert!(error.message().contains("`account`"), "{error}");
}

#[tokio::test]
async fn an_error_with_unfitting_data_is_error_other() {
    let server = Server::builder().method("withdraw", |_, _: (String, u64)| async {
        Err::<(), _>(ErrorObject::new(1001, "insufficient funds").with_data("a lot"))
    });
    let Err(Error::Other(error)) = bank(server).withdraw("ada", 1).await else { panic!() };
    assert_eq!((error.code().0, error.data_as::<String>()), (1001, Some("a lot".to_owned())));
}

#[tokio::test]
async fn an_unrecognized_error_is_internal_without_details() {
    let mut raw = Raw::client(server()).await;
    for kind in ["bank", "taken", "foreign"] {
        let request =
            format!(r#"{{"jsonrpc":"2.0","method":"transfer","params":["{kind}"],"id":1}}"#);
        let expected =
            r#"{"jsonrpc":"2.0","error":{"code":-32603,"message":"Internal error"},"id":1}"#;
        raw.check(&request, &[expected]).await;
    }
}

#[tokio::test]
async fn a_recognized_error_keeps_its_code_through_question_mark() {
    let bank = bank(server().map_error::<Taken>().map_error::<BankError>());
    let Err(Error::Call(error)) = bank.transfer("bank").await else { panic!() };
    assert_eq!(BankError::from_object(error).unwrap(), BankError::Insufficient { missing: 1 });
    let Err(Error::Call(error)) = bank.transfer("taken").await else { panic!() };
    assert_eq!((error.code().0, error.message()), (1003, "taken"));
    let Err(Error::Call(error)) = bank.transfer("foreign").await else { panic!() };
    assert_eq!(error, ErrorObject::internal());
}

#[tokio::test]
async fn recognizing_one_type_leaves_the_others_internal() {
    let bank = bank(server().map_error::<Taken>());
    let Err(Error::Call(error)) = bank.transfer("bank").await else { panic!() };
    assert_eq!(error.code(), ErrorCode::INTERNAL_ERROR);
    let Err(Error::Call(error)) = bank.transfer("taken").await else { panic!() };
    assert_eq!(error.code().0, 1003);
}

#[tokio::test]
async fn a_client_recognizes_errors_of_its_own_services() {
    let client = || Client::builder().service(Vault.into_service()).map_error::<Taken>();
    for (_client, caller) in both_ways(client, Server::builder).await {
        let bank = BankClient::new(caller);
        assert!(matches!(bank.open("ada").await, Err(Error::Call(Taken))));
        let Err(Error::Call(error)) = bank.transfer("taken").await else { panic!() };
        assert_eq!(error.code().0, 1003);
    }
}

#[tokio::test]
async fn an_error_object_passes_through_the_question_mark_as_it_is() {
    let bank = bank(server());
    let Err(Error::Call(error)) = bank.transfer("object").await else { panic!() };
    assert_eq!(error, ErrorObject::new(7, "seven").with_data([1, 2]));
    let Err(Error::Call(error)) = bank.transfer("?").await else { panic!() };
    assert_eq!(error, ErrorObject::invalid_params("no such kind"));
}

/// A handler that calls another server reports that it failed, but not the other server's error.
#[tokio::test]
async fn an_error_of_a_nested_call_is_internal_to_the_caller() {
    let back = bank(server());
    let front = Server::builder().expose_errors(false).method("relay", move |_, ()| {
        let back = back.clone();
        async move { Ok(back.withdraw("nobody", 1).await?) }
    });
    let (client, _) = memory::pair(Client::builder(), front).unwrap();
    let Err(Error::Call(error)) = client.peer().call::<u64>("relay", ()).await else { panic!() };
    assert_eq!(error, ErrorObject::internal());
}

#[test]
fn every_error_message_says_what_went_wrong() {
    let encode = || io::Error::new(io::ErrorKind::InvalidInput, "no such key");
    let decode = || serde_json::from_str::<u8>("-1").unwrap_err();
    let lost = || Error::Closed(CloseReason::Lost(Arc::new(io::Error::other("cable cut"))));
    let remote =
        |code, reason: &str| Error::Closed(CloseReason::Remote { code, reason: reason.into() });
    let cases: Vec<(Error<BankError>, &str)> = vec![
        (Error::Call(BankError::Closed), "closed (1003)"),
        (Error::Other(ErrorObject::method_not_found()), "Method not found (-32601)"),
        (
            Error::Timeout(Timeout::new("math.\n", Duration::from_secs(30))),
            "no response to \"math.\\n\" within 30 s",
        ),
        (
            Error::Timeout(Timeout::new("m", Duration::from_millis(1540))),
            "no response to \"m\" within 1.5 s",
        ),
        (
            Error::Timeout(Timeout::new("m", Duration::from_micros(20_020))),
            "no response to \"m\" within 20 ms",
        ),
        (Error::Closed(CloseReason::Local), "connection closed by this side"),
        (remote(1000, ""), "connection closed by the peer with code 1000"),
        (remote(4000, "bye"), "connection closed by the peer with code 4000: bye"),
        (lost(), "connection lost: cable cut"),
        (
            Error::Closed(CloseReason::Stalled),
            "write timed out: the peer stopped reading (Config::write_timeout)",
        ),
        (
            Error::Closed(CloseReason::Aborted),
            "the connection's task was dropped; the tokio runtime may have shut down",
        ),
        (
            Error::Closed(CloseReason::NoSocket),
            "cannot call back: only WebSocket callers can be called back",
        ),
        (
            Error::Closed(CloseReason::Protocol("a reserved bit".into())),
            "the peer violated the protocol: a reserved bit",
        ),
        (Error::Encode(encode()), "cannot serialize the arguments: no such key"),
        (
            Error::TooLarge { size: 11, limit: 10 },
            "call of 11 bytes is larger than Config::max_outgoing_message (10 bytes); nothing was sent",
        ),
        (
            Error::Decode(decode()),
            "cannot deserialize the result: invalid value: integer `-1`, expected u8 at line 1 column 2",
        ),
        (
            Error::InvalidResponse("it has neither a result nor an error"),
            "invalid response: it has neither a result nor an error",
        ),
        (Error::EmptyBatch, "cannot send an empty batch; add at least one call"),
        (Error::NotSent, "batch was dropped before it was sent"),
    ];
    for (error, expected) in cases {
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn a_call_over_the_size_limit_is_not_sent() {
    let small = wsjsonrpc::Config { max_outgoing_message: 200, ..Default::default() };
    let (client, _) = memory::pair(Client::builder().config(small), server()).unwrap();
    let bank = BankClient::new(&client);
    let error = bank.withdraw(&"x".repeat(200), 1).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { size: 200.., limit: 200 }), "{error:?}");
    let error = bank.open(&"x".repeat(200)).notify().await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { size: 200.., limit: 200 }), "{error:?}");
    assert_eq!(client.peer().pending_calls(), 0);
    assert_eq!(bank.withdraw("ada", 1).await.unwrap(), 99);
}

/// An error with causes, and a text that would disturb a terminal.
#[derive(Debug)]
struct Chained(usize);

impl fmt::Display for Chained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "level {}\u{1b}[31m", self.0)
    }
}

impl std::error::Error for Chained {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        static CAUSES: [Chained; 20] = {
            let mut causes = [const { Chained(0) }; 20];
            let mut level = 0;
            while level < 20 {
                causes[level] = Chained(level);
                level += 1;
            }
            causes
        };
        CAUSES.get(self.0 + 1).map(|cause| cause as _)
    }
}

fn failing(server: ServerBuilder) -> ServerBuilder {
    server
        .method("chain", |_, (level,): (usize,)| async move { Err::<(), _>(Chained(level).into()) })
        .method("long", |_, ()| async { Err::<(), _>(io::Error::other("é".repeat(1000)).into()) })
        .method("own", |_, ()| async {
            Err::<(), _>(ErrorObject::from(Chained(1)).with_data("its own"))
        })
        .method("plain", |_, ()| async { Err::<(), _>(ErrorObject::internal()) })
        .method("panic", |_, ()| async { if true { panic!("swordfish") } else { Ok(()) } })
}

#[tokio::test]
async fn exposed_errors_travel_in_data() {
    let internal = |data: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","error":{{"code":-32603,"message":"Internal error"{data}}},"id":1}}"#
        )
    };
    let chain: Vec<String> = (12..20).map(|level| format!("level {level}\\u{{1b}}[31m")).collect();
    let chain = serde_json::to_string(&chain).unwrap();
    let long = format!("{}…", "é".repeat(250));
    let cases = [
        ("chain", "[19]", internal(r#","data":["level 19\\u{1b}[31m"]"#)),
        ("chain", "[12]", internal(&format!(r#","data":{chain}"#))),
        // At most eight texts.
        ("chain", "[3]", internal(&format!(r#","data":{}"#, chain_from(3)))),
        ("long", "[]", internal(&format!(r#","data":["{long}"]"#))),
        ("own", "[]", internal(r#","data":"its own""#)),
        ("plain", "[]", internal("")),
        ("panic", "[]", internal(r#","data":["the handler panicked"]"#)),
    ];
    let mut raw = Raw::client(failing(Server::builder()).expose_errors(true)).await;
    for (method, params, expected) in &cases {
        assert_eq!(raw.ask(request(method, params, "1")).await, *expected, "{method}{params}");
    }
    // A client's handlers have the same option.
    let client = Client::builder()
        .expose_errors(true)
        .method("panic", |_, ()| async { if true { panic!("swordfish") } else { Ok(()) } });
    let (mut raw, _client) = Raw::server(client).await;
    assert_eq!(raw.ask(request("panic", "[]", "1")).await, cases[6].2);
    // Without the option, none of it is sent.
    let mut raw = Raw::client(failing(Server::builder()).expose_errors(false)).await;
    for (method, params, _) in &cases {
        let expected = internal(if *method == "own" { r#","data":"its own""# } else { "" });
        assert_eq!(raw.ask(request(method, params, "1")).await, expected, "{method}{params}");
    }
}

/// An error with a cause.
#[derive(Debug)]
struct Outer(fmt::Error);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("outer")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Like a report that prints the whole chain, for example `{:#}` of anyhow.
#[track_caller]
fn check_chain(error: impl std::error::Error + Send + Sync + 'static, causes: &[&str]) {
    let (alone, error) = (error.to_string(), anyhow::Error::from(error));
    let texts: Vec<String> = error.chain().map(ToString::to_string).collect();
    for (place, text) in texts.iter().enumerate() {
        let said = &texts[..place];
        assert!(!said.iter().any(|said| said.contains(text)), "{text} appears twice: {error:#}");
    }
    let whole = format!("{error:#}");
    for cause in causes {
        assert_eq!(whole.matches(cause).count(), 1, "{cause} in {whole}");
    }
    assert!(causes.first().is_none_or(|cause| alone.contains(cause)), "{alone}");
}

#[tokio::test]
async fn an_error_chain_repeats_no_text_and_has_its_cause() {
    let io = || io::Error::other(Outer(fmt::Error));
    let root = fmt::Error.to_string();
    let both = &["outer", &*root][..];
    let connect = || Arc::new(ConnectError::Io(io()));
    let hook = || ConnectError::Hook(Outer(fmt::Error).into());
    check_chain(<Error>::Closed(CloseReason::Lost(Arc::new(io()))), both);
    check_chain(<Error>::Closed(CloseReason::Reconnect(connect())), both);
    check_chain(<Error>::Closed(CloseReason::Reconnect(Arc::new(hook()))), both);
    check_chain(<Error>::Closed(CloseReason::NoSocket), &["WebSocket", "HTTP POST"]);
    check_chain(<Error>::Encode(io()), both);
    check_chain(<Error>::Decode(serde_json::Error::io(io())), both);
    check_chain(<Error>::Decode(serde_json::from_str::<u8>("-1").unwrap_err()), &["-1"]);
    check_chain(<Error>::Timeout(Timeout::new("m", Duration::ZERO)), &["no response"]);
    check_chain(CloseReason::Lost(Arc::new(io())), both);
    check_chain(CloseReason::Reconnect(connect()), both);
    check_chain(ConnectError::Io(io()), both);
    check_chain(ConnectError::Tls(io()), both);
    check_chain(hook(), both);
    check_chain(BindError::Io { address: "localhost".into(), error: io() }, both);

    // Errors that only this crate can make.
    let twice = || Server::builder().method("m", |_, ()| async { Ok(1) });
    let services = || wsjsonrpc::Methods::new().method("m", |_, ()| async { Ok(2) });
    let bound = twice().service(services()).bind("127.0.0.1:0").await;
    check_chain(bound.unwrap_err(), &["registered twice"]);
    let client = Client::builder().service(services()).service(services());
    check_chain(client.connect("ws://localhost/").await.unwrap_err(), &["registered twice"]);
    check_chain(twice().service(services()).build().unwrap_err(), &["registered twice"]);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let refused = Client::connect(&format!("ws://{address}/")).await.unwrap_err();
    check_chain(refused, &["refused"]);
    let peer = HttpPeer::new(&format!("http://{address}/")).unwrap().peer();
    let Error::Http(error) = peer.call::<()>("m", ()).await.unwrap_err() else { panic!() };
    check_chain(error.clone(), &["Connection refused"]);
    check_chain(<Error>::Http(error), &["Connection refused"]);
}

fn chain_from(level: usize) -> String {
    let texts: Vec<String> =
        (level..level + 8).map(|level| format!("level {level}\\u{{1b}}[31m")).collect();
    serde_json::to_string(&texts).unwrap()
}

/// Plain peers get no texts, because the Python package wsjsonrpc drops its connection when an
/// error object has a third member.
#[tokio::test]
async fn debug_builds_expose_errors_to_peers_of_this_crate() {
    let panics = || failing(Server::builder()).middleware(wsjsonrpc::middleware::LogCalls::new());
    for server in [|| failing(Server::builder()), panics] {
        let (mut knowing, _peer) = Raw::knowing_client(server()).await;
        let mut other = Raw::client(server()).await;
        for (method, params, told) in
            [("chain", "[19]", "level 19"), ("panic", "[]", "the handler panicked")]
        {
            let answer = knowing.ask(request(method, params, "1")).await;
            assert_eq!(answer.contains(told), cfg!(debug_assertions), "{answer}");
            let answer = other.ask(request(method, params, "1")).await;
            assert_eq!(answer, error(-32603, "Internal error", "1"));
        }
    }
}

/// A recognized error is meant for the caller. It has its own data or none.
#[tokio::test]
async fn exposing_does_not_change_a_recognized_error() {
    let bank = bank(server().map_error::<Taken>().map_error::<BankError>().expose_errors(true));
    let Err(Error::Call(error)) = bank.transfer("taken").await else { panic!() };
    assert_eq!(error, ErrorObject::new(1003, "taken"));
    let Err(Error::Call(error)) = bank.transfer("foreign").await else { panic!() };
    assert_eq!(error.data_as(), Some(["the password is swordfish".to_owned()]));
}
