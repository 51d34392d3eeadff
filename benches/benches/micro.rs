//! Micro-benchmarks of the public API, between two peers in memory: client, frames, dispatch and
//! handler in one thread, without sockets.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use wsjsonrpc::{Client, Context, Result, Server, memory, rpc};

#[rpc]
trait Math {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    async fn note(&self, ctx: &Context, text: &str) -> Result<()>;
}

struct Calculator;

impl Math for Calculator {
    async fn sum(&self, _: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }
    async fn note(&self, _: &Context, _: &str) -> Result<()> {
        Ok(())
    }
}

fn micro(criterion: &mut Criterion) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().expect("a tokio runtime");
    let client = runtime.block_on(async {
        let server = Server::builder().service(Calculator.into_service());
        memory::pair(Client::builder(), server).expect("two peers in memory").0
    });
    let peer = client.peer();
    let math = MathClient::new(client.peer());

    criterion.bench_function("encode a call, not sent", |bencher| {
        bencher.iter(|| drop(math.sum(std::hint::black_box(1), 2)));
    });
    criterion.bench_function("call, sequential", |bencher| {
        bencher.to_async(&runtime).iter(|| async { math.sum(1, 2).await.expect("a sum") });
    });

    // Each iteration handles a hundred messages; the throughput is in messages.
    let mut group = criterion.benchmark_group("hundreds");
    group.throughput(Throughput::Elements(100));
    group.bench_function("100 calls in flight", |bencher| {
        let calls = || join_all((0..100).map(|x| math.sum(x, x).into_future()));
        bencher.to_async(&runtime).iter(calls);
    });
    group.bench_function("100 notifications and a call", |bencher| {
        bencher.to_async(&runtime).iter(|| async {
            for _ in 0..100 {
                math.note("a note").notify().await.expect("an open connection");
            }
            math.sum(1, 2).await.expect("a sum")
        });
    });
    group.bench_function("a batch of 100", |bencher| {
        bencher.to_async(&runtime).iter(|| async {
            let calls: Vec<_> = (0..100).map(|x| math.sum(x, x)).collect();
            peer.batch(calls).await.expect("an open connection")
        });
    });
    group.finish();
}

criterion_group!(benches, micro);
criterion_main!(benches);
