//! The server under test for broadcasts: this project's. Prints its address, then serves until it is
//! killed.

use std::sync::{Mutex, PoisonError};

use futures_util::{Stream, stream};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use tokio::sync::broadcast;
use wsjsonrpc::subscription::Positioned;
use wsjsonrpc::{Channel, Config, Context, ErrorObject, Group, Result, Server, rpc};
use wsjsonrpc_benches::options::Options;

/// Each method that publishes returns the CPU time of publishing in nanoseconds, and for how many
/// members a message was dropped.
#[rpc(server)]
trait Hall {
    /// The caller receives what `notify` and `broadcast` publish.
    async fn join(&self, ctx: &Context) -> Result<()>;
    /// Notifies one member after the other.
    async fn notify(&self, ctx: &Context, text: &str) -> Result<(u64, u64)>;
    async fn broadcast(&self, ctx: &Context, text: &str) -> Result<(u64, u64)>;

    #[subscription]
    fn channel(&self, ctx: &Context) -> impl Stream<Item = Positioned<News>>;
    async fn publish_channel(&self, ctx: &Context, text: &str) -> Result<(u64, u64)>;

    /// Each subscription has its own receiver.
    #[subscription]
    fn items(&self, ctx: &Context) -> impl Stream<Item = News>;
    async fn publish_items(&self, ctx: &Context, text: &str) -> Result<(u64, u64)>;
}

/// What members serve.
#[rpc]
trait Events {
    async fn message(&self, ctx: &Context, from: &str, text: &str) -> Result<()>;
}

#[derive(Clone, Serialize)]
struct News {
    from: &'static str,
    text: String,
}

impl News {
    fn new(text: &str) -> Self {
        News { from: FROM, text: text.to_owned() }
    }
}

const FROM: &str = "Ada";

struct Service {
    members: Mutex<Vec<EventsClient>>,
    group: Group,
    channel: Channel<News>,
    sender: broadcast::Sender<News>,
}

impl Hall for Service {
    async fn join(&self, ctx: &Context) -> Result<()> {
        self.group.insert(&ctx.peer());
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.push(EventsClient::new(ctx.peer()));
        Ok(())
    }

    async fn notify(&self, _: &Context, text: &str) -> Result<(u64, u64)> {
        let begin = cpu_time();
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for member in &members {
            member.message(FROM, text).notify().await?;
        }
        Ok((cpu_time() - begin, 0))
    }

    async fn broadcast(&self, _: &Context, text: &str) -> Result<(u64, u64)> {
        let begin = cpu_time();
        let report = self.group.client::<EventsClient>().message(FROM, text).broadcast()?;
        Ok((cpu_time() - begin, report.dropped as u64))
    }

    fn channel(&self, ctx: &Context) -> impl Stream<Item = Positioned<News>> {
        self.channel.subscribe(ctx)
    }

    async fn publish_channel(&self, _: &Context, text: &str) -> Result<(u64, u64)> {
        let begin = cpu_time();
        let published = self.channel.publish(&News::new(text));
        published.map_err(|error| ErrorObject::new(1, error.to_string()))?;
        Ok((cpu_time() - begin, self.channel.dropped()))
    }

    fn items(&self, _: &Context) -> impl Stream<Item = News> {
        stream::unfold(self.sender.subscribe(), |mut receiver| async {
            let news = receiver.recv().await.ok()?;
            Some((news, receiver))
        })
    }

    async fn publish_items(&self, _: &Context, text: &str) -> Result<(u64, u64)> {
        let begin = cpu_time();
        drop(self.sender.send(News::new(text)));
        Ok((cpu_time() - begin, 0))
    }
}

/// The CPU time of this thread in nanoseconds.
fn cpu_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn main() -> anyhow::Result<()> {
    let options = Options::from_args()?;
    options.run(async {
        let service = Service {
            members: Mutex::default(),
            group: Group::new(),
            channel: Channel::new(),
            sender: broadcast::Sender::new(256),
        };
        let config = Config { max_connections: 1 << 20, ..Config::default() };
        let listener = options.listen().await?;
        println!("{}", listener.local_addr()?);
        Server::builder()
            .service(service.into_service())
            .config(config)
            .listen(listener)?
            .run()
            .await;
        Ok(())
    })
}
