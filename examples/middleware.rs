//! Middleware around calls: a log, figures, limits, a guard, and one of its own, on a server; and one
//! around the calls that a client makes.
//!
//! Run it with `cargo run --example middleware`. It ends by itself. What it shows at the end is what a
//! `/metrics` page would.

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
    async fn order(&self, ctx: &Context, what: String) -> Result<String>;
    async fn report(&self, ctx: &Context) -> Result<u32>;
}

struct User(String);

struct Counter;

impl Shop for Counter {
    async fn login(&self, ctx: &Context, name: String) -> Result<()> {
        ctx.set(User(name));
        Ok(())
    }

    async fn order(&self, ctx: &Context, what: String) -> Result<String> {
        Ok(format!("{what} for {}", ctx.require::<User>()?.0))
    }

    async fn report(&self, _ctx: &Context) -> Result<u32> {
        tokio::task::yield_now().await;
        Ok(1)
    }
}

/// One of its own: tells of every call that fails, with the name of who has made it.
struct Complaints;

#[async_trait]
impl Middleware for Complaints {
    async fn call(&self, ctx: &Context, request: Request, next: Next<'_>) -> Response {
        let method = next.method().unwrap_or("an unknown method").to_owned();
        let response = next.run(request).await;
        if let Some(error) = response.error() {
            let user = ctx.get::<User>();
            let name = user.as_ref().map_or("a stranger", |user| user.0.as_str());
            println!("server: {method} failed for {name}: {error}");
        }
        response
    }
}

/// Around the calls of the client.
struct Announce;

#[async_trait]
impl OutgoingMiddleware for Announce {
    async fn call(&self, request: OutgoingRequest, next: OutgoingNext<'_>) -> Result<Reply, Error> {
        let method = request.method().to_owned();
        let reply = next.run(request).await;
        println!("client: {method} went {}", if reply.is_ok() { "well" } else { "wrong" });
        reply
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    // First, so that it gets the descriptions of the metrics.
    let figures = PrometheusBuilder::new().install_recorder()?;
    let server = Server::builder()
        .service(Counter.into_service())
        // The first one is the outermost: it sees what the others refuse.
        .middleware(Metrics::new())
        .middleware(LogCalls::new())
        .middleware(Complaints)
        .middleware(RequireIdentity::<User>::new().except(["shop.login"]))
        .middleware(RateLimit::per_hour(3).methods(["shop.order"]))
        .middleware(ConcurrencyLimit::new(1).methods(["shop.report"]))
        .bind("127.0.0.1:0")
        .await?;
    let url = server.url();
    tokio::spawn(server.run());

    let client = Client::builder().outgoing_middleware(Announce).connect(&url).await?;
    let shop = ShopClient::new(client.peer());

    shop.order("tea".to_owned()).await.expect_err("nobody has logged in");
    shop.login("Ada".to_owned()).await?;
    for what in ["tea", "cake", "milk"] {
        println!("ordered: {}", shop.order(what.to_owned()).await?);
    }
    shop.order("sugar".to_owned()).await.expect_err("three orders an hour");
    println!("reports: {}", shop.report().await?);
    client.peer().call::<()>("shop.steal", ()).await.expect_err("there is no such method");

    let calls = figures.render();
    let calls = calls.lines().filter(|line| line.starts_with("rpc_server_calls_total"));
    calls.for_each(|line| println!("{line}"));
    Ok(())
}
