//! Identity on the connection: a cookie of the handshake, or a login call, leaves a user there for
//! the connection's later calls, and for no other connection.
//!
//! Run it with `cargo run --example login`. It ends by itself.

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

impl Accounts {
    /// Who it is: by an earlier login, or by the session cookie that the web application has set.
    fn user(&self, ctx: &Context) -> Result<String> {
        if ctx.get::<User>().is_none() && ctx.handshake().cookie("session") == Some("s3cr3t") {
            ctx.set(User { name: "Ada (by cookie)".to_owned() });
        }
        Ok(ctx.require::<User>()?.name.clone())
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
        self.user(ctx)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let server = Server::builder().service(Accounts.into_service()).bind("127.0.0.1:0").await?;
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

    bob.logout().await?;
    println!("after the logout: {}", bob.whoami().await.expect_err("refused"));
    Ok(())
}
