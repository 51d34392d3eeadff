//! Identity on the connection: the cookie of the handshake, or a login call, leaves a user there for
//! the connection's later calls, and for no other connection. A session that is over is not let in.
//!
//! Run it with `cargo run --example login`. It ends by itself.

use wsjsonrpc::server::{Grant, Handshake, Refusal};
use wsjsonrpc::{Client, Context, ErrorCode, ErrorObject, Result, Server, rpc};

#[rpc(namespace = "account")]
trait Account {
    async fn login(&self, ctx: &Context, name: String, password: &str) -> Result<()>;
    async fn logout(&self, ctx: &Context) -> Result<()>;
    async fn whoami(&self, ctx: &Context) -> Result<String>;
}

#[derive(Clone)]
struct User {
    name: String,
}

struct Accounts;

/// Before a client is let in: who it is, by the session cookie that the web application has set.
async fn authorize(handshake: Handshake) -> Result<Grant, Refusal> {
    match handshake.cookie("session") {
        Some("s3cr3t") => Ok(Grant::new().set(User { name: "Ada (by cookie)".to_owned() })),
        Some(_) => Err(Refusal::forbidden("this session is over")),
        None => Ok(Grant::new()), // it may log in later
    }
}

impl Account for Accounts {
    async fn login(&self, ctx: &Context, name: String, password: &str) -> Result<()> {
        if password != "open sesame" {
            return Err(ErrorObject::unauthorized("wrong name or password"));
        }
        ctx.set(User { name });
        Ok(())
    }

    async fn logout(&self, ctx: &Context) -> Result<()> {
        ctx.remove::<User>();
        Ok(())
    }

    async fn whoami(&self, ctx: &Context) -> Result<String> {
        Ok(ctx.require::<User>()?.name.clone())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let server = Server::builder()
        .authorize_fn(authorize)
        .service(Accounts.into_service())
        .bind("127.0.0.1:0")
        .await?;
    let url = server.url();
    tokio::spawn(server.run());

    let bob = AccountClient::connect(&url).await?;
    match bob.whoami().await {
        Err(wsjsonrpc::Error::Call(error)) if error.code() == ErrorCode::UNAUTHORIZED => {
            println!("before the login: {error}");
        }
        other => println!("unexpected: {other:?}"),
    }
    println!(
        "a wrong password: {}",
        bob.login("Bob".to_owned(), "1234").await.expect_err("refused")
    );
    bob.login("Bob".to_owned(), "open sesame").await?;
    println!("after the login: {}", bob.whoami().await?);

    let stranger = AccountClient::connect(&url).await?;
    println!("another connection: {}", stranger.whoami().await.expect_err("refused"));

    let ada =
        Client::builder().header("cookie", "theme=dark; session=s3cr3t").connect(&url).await?;
    println!("with a cookie: {}", AccountClient::new(ada).whoami().await?);

    let late = Client::builder().header("cookie", "session=0ld").connect(&url).await;
    println!("with an old cookie: {}", late.expect_err("refused"));

    bob.logout().await?;
    println!("after the logout: {}", bob.whoami().await.expect_err("refused"));
    Ok(())
}
