//! Derived errors over a connection: the text on the wire, and the typed error that the caller
//! gets, for each way to call.

use std::future::IntoFuture;

use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{
    Batch, Client, Context, Error, ErrorCode, ErrorObject, Result, RpcError, Server, memory, rpc,
};
use wsjsonrpc_tests::{Raw, begin, both_ways, notification, request};

use wsjsonrpc_tests::reconnect::{client as reconnecting, connected};

/// Also derives thiserror's trait, because `?` into a plain `Result<T>` needs a
/// `std::error::Error`.
#[derive(Debug, PartialEq, RpcError, thiserror::Error)]
enum BankError {
    #[error("{missing} are missing")]
    #[rpc_error(code = 1001)]
    Insufficient { missing: u64 },
    #[error("there is no account \"{0}\"")]
    #[rpc_error(code = 1002)]
    NoSuchAccount(String),
    #[error("only the log reads this")]
    #[rpc_error(code = 1003, message = "closed")]
    Closed,
}

/// All errors in one type: the bank's, foreign ones, and those of later versions.
#[derive(Debug, PartialEq, RpcError)]
enum AnyError {
    #[rpc_error(transparent)]
    Bank(BankError),
    #[rpc_error(transparent)]
    Other(ErrorObject),
}

impl From<std::num::ParseIntError> for AnyError {
    fn from(error: std::num::ParseIntError) -> Self {
        AnyError::Other(error.into())
    }
}

#[rpc]
trait Bank {
    #[method(idempotent)]
    async fn withdraw(&self, ctx: &Context, account: &str, amount: u64) -> Result<u64, BankError>;
    fn close(&self, ctx: &Context) -> Result<(), BankError>;
    #[method(blocking)]
    fn audit(&self, ctx: &Context, amount: &str) -> Result<u64, AnyError>;
    /// Uses `?` to turn the bank's error into a plain result.
    async fn transfer(&self, ctx: &Context) -> Result<()>;
    /// Returns an error object that it makes itself.
    async fn plain(&self, ctx: &Context) -> Result<()>;
    /// Calls the bank of its caller.
    async fn ask_back(&self, ctx: &Context, account: &str) -> Result<u64, BankError>;
}

struct Vault;

impl Bank for Vault {
    async fn withdraw(&self, _: &Context, account: &str, amount: u64) -> Result<u64, BankError> {
        match account {
            "ada" => 100u64
                .checked_sub(amount)
                .ok_or_else(|| BankError::Insufficient { missing: amount - 100 }),
            other => Err(BankError::NoSuchAccount(other.to_owned())),
        }
    }

    fn close(&self, _: &Context) -> Result<(), BankError> {
        Err(BankError::Closed)
    }

    fn audit(&self, _: &Context, amount: &str) -> Result<u64, AnyError> {
        match amount.parse()? {
            0 => Err(AnyError::Bank(BankError::Closed)),
            1 => Err(AnyError::Other(ErrorObject::new(2001, "one").with_data([1]))),
            more => Ok(more),
        }
    }

    async fn transfer(&self, ctx: &Context) -> Result<()> {
        self.withdraw(ctx, "ada", 101).await?;
        Ok(())
    }

    async fn plain(&self, _: &Context) -> Result<()> {
        Err(ErrorObject::new(1001, "an object").with_data("as it is"))
    }

    async fn ask_back(&self, ctx: &Context, account: &str) -> Result<u64, BankError> {
        match ctx.client::<BankClient>().withdraw(account, 500).await {
            Ok(rest) => Ok(rest),
            Err(Error::Call(BankError::Insufficient { missing })) => Ok(missing),
            Err(Error::Call(error)) => Err(error),
            Err(_) => Err(BankError::Closed),
        }
    }
}

fn server() -> ServerBuilder {
    Server::builder().expose_errors(false).service(Vault.into_service())
}

fn client() -> ClientBuilder {
    Client::builder().expose_errors(false).service(Vault.into_service())
}

fn answer(error: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","error":{error},"id":1}}"#)
}

const INSUFFICIENT: &str = r#"{"code":1001,"message":"50 are missing","data":{"missing":50}}"#;
const NO_EVE: &str = r#"{"code":1002,"message":"there is no account \"eve\"","data":"eve"}"#;
const CLOSED: &str = r#"{"code":1003,"message":"closed"}"#;
const INTERNAL: &str = r#"{"code":-32603,"message":"Internal error"}"#;

#[tokio::test]
async fn each_error_is_sent_as_its_type_says() {
    let mut raw = Raw::client(server()).await;
    for (method, params, error) in [
        ("withdraw", r#"["ada",150]"#, INSUFFICIENT),
        ("withdraw", r#"{"account":"eve","amount":1}"#, NO_EVE),
        ("close", "[]", CLOSED),
        ("audit", r#"["0"]"#, CLOSED),
        ("audit", r#"["1"]"#, r#"{"code":2001,"message":"one","data":[1]}"#),
        ("audit", r#"["x"]"#, INTERNAL),
        ("transfer", "[]", INTERNAL),
        ("plain", "[]", r#"{"code":1001,"message":"an object","data":"as it is"}"#),
    ] {
        raw.check_verbatim(&[(&request(method, params, "1"), &answer(error))]).await;
    }
}

#[tokio::test]
async fn a_failed_notification_is_not_answered() {
    let mut raw = Raw::client(server()).await;
    raw.check(&notification("withdraw", r#"["ada",150]"#), &[]).await;
    raw.check(&notification("close", "[]"), &[]).await;
}

#[tokio::test]
async fn a_batch_has_each_error_at_its_own_entry() {
    let mut raw = Raw::client(server()).await;
    let batch = format!(
        "[{},{},{}]",
        request("withdraw", r#"["ada",150]"#, "1"),
        notification("close", "[]"),
        request("withdraw", r#"["eve",1]"#, "1"),
    );
    raw.check(&batch, &[&format!("[{},{}]", answer(INSUFFICIENT), answer(NO_EVE))]).await;
}

fn insufficient(result: Result<u64, Error<BankError>>) -> u64 {
    match result {
        Err(Error::Call(BankError::Insufficient { missing })) => missing,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn calls_in_both_directions_fail_with_the_typed_error() {
    for (near, far) in both_ways(client, server).await {
        for bank in [BankClient::new(&near), BankClient::new(far)] {
            assert_eq!(insufficient(bank.withdraw("ada", 150).await), 50);
            assert_eq!(insufficient(bank.withdraw("ada", 151).by_name().await), 51);
            let error = bank.close().await.unwrap_err();
            assert!(matches!(error, Error::Call(BankError::Closed)), "{error:?}");
            assert_eq!(error.to_string(), "closed (1003)");
            assert_eq!(error.into_object(), BankError::Closed.to_object());
            assert_eq!(bank.ask_back("ada").await.unwrap(), 400);
            let error = bank.ask_back("eve").await.unwrap_err();
            assert!(
                matches!(&error, Error::Call(BankError::NoSuchAccount(name)) if name == "eve"),
                "{error:?}"
            );
            bank.close().notify().await.unwrap();
        }
    }
}

#[tokio::test]
async fn each_call_of_a_batch_fails_with_its_own_type() {
    for (near, far) in both_ways(client, server).await {
        for bank in [BankClient::new(&near), BankClient::new(far)] {
            let calls = (bank.withdraw("ada", 150), bank.close().notify(), bank.audit("1"));
            let (withdrawn, notified, audited) = bank.batch(calls).await.unwrap();
            notified.unwrap();
            assert_eq!(insufficient(withdrawn), 50);
            let Err(Error::Call(AnyError::Other(one))) = audited else { panic!("{audited:?}") };
            assert_eq!(one, ErrorObject::new(2001, "one").with_data([1]));

            let calls: Vec<_> = (101..104).map(|amount| bank.withdraw("ada", amount)).collect();
            let results = bank.batch(calls).await.unwrap();
            assert_eq!(results.into_iter().map(insufficient).collect::<Vec<_>>(), [1, 2, 3]);

            let mut batch: Batch = bank.peer().new_batch();
            let reply = batch.add(bank.withdraw("eve", 1));
            batch.send().await.unwrap();
            let error = reply.await.unwrap_err();
            assert!(matches!(error, Error::Call(BankError::NoSuchAccount(_))), "{error:?}");
        }
    }
}

#[tokio::test]
async fn an_error_of_no_variant_is_kept_unchanged() {
    let table = [
        (r#"{"code":1001,"message":"m","data":"a lot"}"#, 1001, Some("\"a lot\"")),
        (r#"{"code":1002,"message":"m"}"#, 1002, None),
        (r#"{"code":1004,"message":"m","data":{"new": [1, 2]}}"#, 1004, Some(r#"{"new": [1, 2]}"#)),
    ];
    for (object, code, data) in table {
        let (mut raw, client) = Raw::server(Client::builder()).await;
        let bank = BankClient::new(&client);
        let call = begin(bank.withdraw("ada", 1).into_future()).await;
        raw.receive().await;
        raw.send(format!(r#"{{"jsonrpc":"2.0","error":{object},"id":1}}"#)).await;
        let error = call.await.unwrap_err();
        let Error::Other(other) = error else { panic!("{error:?}") };
        assert_eq!((other.code(), other.message()), (ErrorCode(code), "m"));
        assert_eq!(other.data().map(|data| data.get()), data);
    }
}

#[tokio::test]
async fn a_catch_all_variant_keeps_all_other_errors() {
    let (client, _) = memory::pair(Client::builder(), server()).unwrap();
    let bank = BankClient::new(&client);
    let error = bank.audit("0").await.unwrap_err();
    assert!(matches!(error, Error::Call(AnyError::Bank(BankError::Closed))), "{error:?}");
    let error = bank.audit("x").await.unwrap_err();
    let Error::Call(AnyError::Other(internal)) = error else { panic!("{error:?}") };
    assert_eq!(internal, ErrorObject::internal());
}

#[tokio::test]
async fn a_derived_error_keeps_code_and_data_through_question_mark() {
    let server = || server().map_error::<BankError>();
    let error = r#"{"code":1001,"message":"1 are missing","data":{"missing":1}}"#;
    let mut raw = Raw::client(server()).await;
    raw.check_verbatim(&[(&request("transfer", "[]", "1"), &answer(error))]).await;
    let (client, _) = memory::pair(Client::builder(), server()).unwrap();
    let Err(Error::Call(object)) = BankClient::new(&client).transfer().await else { panic!() };
    assert_eq!(BankError::from_object(object).unwrap(), BankError::Insufficient { missing: 1 });
}

/// A call that is sent again on the next connection fails there with the same type.
#[tokio::test(start_paused = true)]
async fn a_resent_call_fails_with_the_typed_error() {
    let (client, mut raw, mut attempts) = connected(reconnecting()).await;
    let bank = BankClient::new(client.peer());
    let call = tokio::spawn(bank.withdraw("ada", 150).into_future());
    let first = raw.receive().await;
    raw.hang_up();
    let mut raw = attempts.accept().await;
    assert_eq!(raw.receive().await, first);
    raw.send(answer(INSUFFICIENT)).await;
    assert_eq!(insufficient(call.await.unwrap()), 50);
}
