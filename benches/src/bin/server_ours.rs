//! The server under test: this project's. Prints its address, then serves until it is killed.

use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use futures_util::future::join_all;
use futures_util::stream;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use wsjsonrpc::{Config, Context, Methods, Result, Server, Stream, rpc};
use wsjsonrpc_benches::options::{Options, method_name};

#[rpc]
trait Bench {
    #[method(name = "math.sum")]
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    async fn echo(&self, ctx: &Context, s: &str) -> Result<String>;
    async fn large(&self, ctx: &Context, size: usize) -> Result<String>;
    /// Blocks its thread for this long, without being marked `blocking`.
    async fn block(&self, ctx: &Context, milliseconds: u64) -> Result<()>;
    async fn wait(&self, ctx: &Context, x: i64) -> Result<i64>;
    async fn note(&self, ctx: &Context, x: i64) -> Result<()>;
    /// Sends no message at the end of the stream, like jsonrpsee's server.
    #[subscription(tell_end = false)]
    fn items(&self, ctx: &Context, items: usize) -> impl Stream<Item = usize>;
    /// Calls the caller this many times at once. Returns how many responses were correct.
    async fn reverse(&self, ctx: &Context, calls: i64) -> Result<usize>;
}

/// The methods that the load generator serves.
#[rpc]
trait Math {
    #[method(name = "math.sum")]
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

struct Service;

impl Bench for Service {
    async fn sum(&self, _: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }
    async fn echo(&self, _: &Context, s: &str) -> Result<String> {
        Ok(s.to_owned())
    }
    async fn large(&self, _: &Context, size: usize) -> Result<String> {
        Ok("x".repeat(size))
    }
    async fn block(&self, _: &Context, milliseconds: u64) -> Result<()> {
        std::thread::sleep(Duration::from_millis(milliseconds));
        Ok(())
    }
    async fn wait(&self, _: &Context, x: i64) -> Result<i64> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(x)
    }
    async fn note(&self, _: &Context, _: i64) -> Result<()> {
        Ok(())
    }
    fn items(&self, _: &Context, items: usize) -> impl Stream<Item = usize> {
        stream::iter(0..items)
    }
    async fn reverse(&self, ctx: &Context, calls: i64) -> Result<usize> {
        let caller = ctx.client::<MathClient>();
        let sums = join_all((0..calls).map(|_| caller.sum(1, 2).into_future())).await;
        Ok(sums.into_iter().filter(|sum| matches!(sum, Ok(3))).count())
    }
}

fn main() -> anyhow::Result<()> {
    let options = Options::from_args()?;
    options.run(async {
        let mut more = Methods::new();
        for index in 0..options.methods {
            let sum = |_, (x, y): (i64, i64)| async move { Ok(x + y) };
            more = more.method(method_name(index), sum);
        }
        let (max_in_flight, max_connections) = (1 << 20, 1 << 20);
        let mut config = Config { max_in_flight, max_connections, ..Config::default() };
        if options.default_limits {
            config = Config::default();
        }
        let builder = Server::builder().service(Service.into_service()).service(more);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let mut builder = builder.config(config);
        // Two threads, because the default would be one if this process may use only one processor.
        let runtime = || Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let handlers = options.handler_runtime.then(runtime).transpose()?;
        if let Some(handlers) = &handlers {
            builder = builder.handler_runtime(handlers.handle().clone());
        }
        if options.mounted {
            let app = Router::new().route_service("/", builder.build()?.http_service());
            // The stand-alone server sets this too, and so does jsonrpsee's.
            let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
            axum::serve(listener, app).await?;
        } else {
            builder.listen(listener)?.run().await;
        }
        Ok(())
    })
}
