//! Middleware: a server with a log, metrics, limits, an access check and custom middleware, and a client
//! with middleware around the calls that it makes.
//!
//! Run it with `cargo run -p examples-middleware --example middleware`. It ends by itself. The last lines are
//! what a `/metrics` page would show.

use std::fmt;

use metrics_exporter_prometheus::PrometheusBuilder;
use wsjsonrpc::middleware::{
    ConcurrencyLimit, LogCalls, Metrics, Middleware, Next, OutgoingMiddleware, OutgoingNext,
    OutgoingRequest, RateLimit, Reply, RequireIdentity,
};
use wsjsonrpc::service::{Request, Response};
use wsjsonrpc::{Client, Context, Error, Result, Server, async_trait, rpc};

#[rpc(namespace = "shop")]
trait Shop {
    async fn login(&self, ctx: &Context, name: String) -> Result<()>;
    async fn order(&self, ctx: &Context, article: String) -> Result<String>;
    async fn report(&self, ctx: &Context) -> Result<u32>;
}

struct User(String);

struct Counter;

impl Shop for Counter {
    async fn login(&self, ctx: &Context, name: String) -> Result<()> {
        ctx.set(User(name));
        Ok(())
    }

    async fn order(&self, ctx: &Context, article: String) -> Result<String> {
        Ok(format!("{article} for {}", ctx.require::<User>()?.0))
    }

    async fn report(&self, _ctx: &Context) -> Result<u32> {
        tokio::task::yield_now().await;
        Ok(1)
    }
}

/// Middleware of the application: prints each call that fails, with the user who made it.
struct PrintErrors;

#[async_trait]
impl Middleware for PrintErrors {
    async fn call(&self, ctx: &Context, request: Request, next: Next<'_>) -> Response {
        let method = next.method().unwrap_or("an unknown method").to_owned();
        let response = next.run(request).await;
        if let Some(error) = response.error() {
            let user = ctx.get::<User>();
            let name = user.as_ref().map_or("an unknown user", |user| user.0.as_str());
            println!("Server: {method} failed for {name}: {error}");
        }
        response
    }
}

/// Middleware around the calls that a client makes.
struct PrintCalls;

#[async_trait]
impl OutgoingMiddleware for PrintCalls {
    async fn call(&self, request: OutgoingRequest, next: OutgoingNext<'_>) -> Result<Reply, Error> {
        let method = request.method().to_owned();
        let reply = next.run(request).await;
        println!("Client: {method} {}", if reply.is_ok() { "succeeded" } else { "failed" });
        reply
    }
}

/// The error of a call that must fail.
fn refused<T: fmt::Debug>(outcome: Result<T, Error>) -> anyhow::Result<Error> {
    match outcome {
        Err(error) => Ok(error),
        Ok(value) => anyhow::bail!("the call succeeded: {value:?}"),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    // Install the recorder before `Metrics::new()`, which registers the descriptions.
    let recorder = PrometheusBuilder::new().install_recorder()?;
    let server = Server::builder()
        .service(Counter.into_service())
        // The first one is the outermost. It sees the calls that the others refuse.
        .middleware(Metrics::new())
        .middleware(LogCalls::new())
        .middleware(PrintErrors)
        .middleware(RequireIdentity::<User>::new().except(["shop.login"]))
        .middleware(RateLimit::per_hour(3).methods(["shop.order"]))
        .middleware(ConcurrencyLimit::new(1).methods(["shop.report"]))
        .bind("127.0.0.1:0")
        .await?;
    let url = server.url();
    tokio::spawn(server.run());

    let client = Client::builder().outgoing_middleware(PrintCalls).connect(&url).await?;
    let shop = ShopClient::new(client.peer());

    println!("Before the login: {}", refused(shop.order("tea".to_owned()).await)?);
    shop.login("Ada".to_owned()).await?;
    for article in ["tea", "cake", "milk"] {
        println!("Ordered {}", shop.order(article.to_owned()).await?);
    }
    println!("The fourth order in an hour: {}", refused(shop.order("sugar".to_owned()).await)?);
    println!("Reports: {}", shop.report().await?);
    let unknown = client.peer().call::<()>("shop.steal", ()).await;
    println!("An unknown method: {}", refused(unknown)?);

    println!("Metrics:");
    let page = recorder.render();
    let calls = page.lines().filter(|line| line.starts_with("rpc_server_calls_total"));
    calls.for_each(|line| println!("  {line}"));
    Ok(())
}
