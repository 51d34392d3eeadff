//! Authentication with a bearer token. The server checks the `Authorization` header in the opening handshake
//! and refuses clients without a valid token. A connection outlives its token, so the server also checks each
//! call: with an expired token, it closes the connection, and the client reconnects with a new token.
//!
//! Use TLS (`wss://`) in production. Over `ws://`, everyone on the network can read the token.
//!
//! Run it with `cargo run -p examples --example token`. It ends by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use wsjsonrpc::client::{ClientBuilder, Reconnect};
use wsjsonrpc::server::{Grant, Handshake, Refusal, ServerBuilder};
use wsjsonrpc::{Client, Context, Error, ErrorCode, ErrorObject, Result, Server, rpc};

#[rpc(namespace = "account")]
trait Account {
    /// The client may send this call again when the connection is lost.
    #[method(idempotent)]
    async fn whoami(&self, ctx: &Context) -> Result<String>;
}

/// A user with a valid token. The server stores it on the connection.
#[derive(Clone)]
struct User {
    name: String,
    expires: Instant,
}

/// Issues and checks tokens. Clones share one list.
///
/// The tokens are numbers, which keeps the example short. Real tokens must be random or signed.
#[derive(Clone, Default)]
pub(crate) struct Tokens(Arc<Mutex<Issued>>);

#[derive(Default)]
struct Issued {
    count: u64,
    users: HashMap<String, User>,
}

impl Tokens {
    fn lock(&self) -> MutexGuard<'_, Issued> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn issue(&self, name: &str, lifetime: Duration) -> String {
        let mut issued = self.lock();
        let now = Instant::now();
        issued.users.retain(|_, user| now < user.expires);
        issued.count += 1;
        let token = format!("token-{}", issued.count);
        issued.users.insert(token.clone(), User { name: name.to_owned(), expires: now + lifetime });
        token
    }

    fn check(&self, token: &str) -> Option<User> {
        let issued = self.lock();
        issued.users.get(token).filter(|user| Instant::now() < user.expires).cloned()
    }

    /// Runs before a connection opens.
    fn authorize(&self, handshake: &Handshake) -> Result<Grant, Refusal> {
        let token = handshake
            .header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(|| {
                Refusal::unauthorized("send an Authorization header with a bearer token")
            })?;
        let user = self
            .check(token)
            .ok_or_else(|| Refusal::unauthorized("the token is unknown or has expired"))?;
        Ok(Grant::new().set(user))
    }
}

struct Accounts;

impl Account for Accounts {
    async fn whoami(&self, ctx: &Context) -> Result<String> {
        Ok(user(ctx)?.name)
    }
}

/// The user of this connection. Every method that needs one begins with this call.
fn user(ctx: &Context) -> Result<User> {
    let user = ctx.require::<User>()?;
    if Instant::now() < user.expires {
        return Ok((*user).clone());
    }
    // 3000 is the registered close code for "unauthorized". By default, clients reconnect after it, but not
    // after 1008 and 4000 to 4999.
    ctx.peer().close(3000, "the token has expired");
    Err(ErrorObject::unauthorized("the token has expired"))
}

pub(crate) fn server(tokens: Tokens) -> ServerBuilder {
    Server::builder().service(Accounts.into_service()).authorize_fn(move |handshake| {
        let result = tokens.authorize(&handshake);
        async move { result }
    })
}

/// A client that gets a new token for each connection.
pub(crate) fn client(tokens: Tokens, lifetime: Duration) -> ClientBuilder {
    Client::builder().reconnect(Reconnect::default()).headers_with(move || {
        // A real client would ask its login service here.
        let token = tokens.issue("Ada", lifetime);
        async move { Ok([("authorization", format!("Bearer {token}"))]) }
    })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let tokens = Tokens::default();
    let server = server(tokens.clone()).bind("127.0.0.1:0").await?;
    let url = server.url();
    tokio::spawn(server.run());

    if let Err(error) = Client::connect(&url).await {
        println!("Without a token: {error}");
    }
    let forged = Client::builder().header("authorization", "Bearer token-999").connect(&url).await;
    if let Err(error) = forged {
        println!("With a forged token: {error}");
    }

    let lifetime = Duration::from_millis(500);
    let client = client(tokens, lifetime).connect(&url).await?;
    let account = AccountClient::new(&client);
    println!("With a valid token: {}", account.whoami().await?);
    sleep(lifetime).await;
    match account.whoami().await {
        Err(Error::Call(error)) if error.code() == ErrorCode::UNAUTHORIZED => {
            println!("After the token expired: {error}");
        }
        other => println!("Unexpected: {other:?}"),
    }
    println!("After reconnecting with a new token: {}", account.whoami().await?);
    client.close().await;
    Ok(())
}
