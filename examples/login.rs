//! Authentication with a session cookie or with a login method. Either of them stores the user on the
//! connection, where later calls find it. Other connections do not see it.
//!
//! Run it with `cargo run -p examples --example login`. It ends by itself.

use wsjsonrpc::server::{Grant, Handshake, Refusal};
use wsjsonrpc::{Client, Context, Error, ErrorCode, ErrorObject, Result, Server, rpc};

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

/// Runs before a connection opens. The web application has set the cookie.
async fn authorize(handshake: Handshake) -> Result<Grant, Refusal> {
    match handshake.cookie("session") {
        Some("s3cr3t") => Ok(Grant::new().set(User { name: "Ada".to_owned() })),
        Some(_) => Err(Refusal::forbidden("the session has expired")),
        // Clients without a cookie may connect, and log in later.
        None => Ok(Grant::new()),
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
        Err(Error::Call(error)) if error.code() == ErrorCode::UNAUTHORIZED => {
            println!("Before the login: {error}");
        }
        other => println!("Unexpected: {other:?}"),
    }
    match bob.login("Bob".to_owned(), "1234").await {
        Err(error) => println!("With a wrong password: {error}"),
        Ok(()) => println!("Unexpected: logged in with a wrong password"),
    }
    bob.login("Bob".to_owned(), "open sesame").await?;
    println!("After the login: {}", bob.whoami().await?);

    let stranger = AccountClient::connect(&url).await?;
    match stranger.whoami().await {
        Err(error) => println!("On another connection: {error}"),
        Ok(name) => println!("Unexpected: another connection is {name}"),
    }

    let ada =
        Client::builder().header("cookie", "theme=dark; session=s3cr3t").connect(&url).await?;
    println!("With a session cookie: {}", AccountClient::new(ada).whoami().await?);

    match Client::builder().header("cookie", "session=0ld").connect(&url).await {
        Err(error) => println!("With an expired session: {error}"),
        Ok(_) => println!("Unexpected: connected with an expired session"),
    }

    bob.logout().await?;
    match bob.whoami().await {
        Err(error) => println!("After the logout: {error}"),
        Ok(name) => println!("Unexpected: still logged in as {name}"),
    }
    Ok(())
}
