//! Runs the examples of docs/wire.md against a server.

use std::future::pending;

use futures_util::{StreamExt, stream};
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::subscription::{Position, Positioned, Topic};
use wsjsonrpc::{Context, Methods, Result, Server, rpc};
use wsjsonrpc_tests::{Raw, assert_same_json, method_not_found};

const DOCUMENT: &str = include_str!("../../../docs/wire.md");

#[rpc]
trait Example {
    async fn subtract(&self, ctx: &Context, minuend: i64, subtrahend: i64) -> Result<i64>;
    async fn ping(&self, ctx: &Context) -> Result<()>;
    async fn log(&self, ctx: &Context, text: String) -> Result<()>;
    async fn never(&self, ctx: &Context) -> Result<()>;
    async fn copy(&self, ctx: &Context, files: u32) -> Result<()>;
    async fn greet(&self, ctx: &Context) -> Result<String>;
}

struct Handlers;

impl Example for Handlers {
    async fn subtract(&self, _ctx: &Context, minuend: i64, subtrahend: i64) -> Result<i64> {
        Ok(minuend - subtrahend)
    }

    async fn ping(&self, _ctx: &Context) -> Result<()> {
        Ok(())
    }

    async fn log(&self, _ctx: &Context, _text: String) -> Result<()> {
        Ok(())
    }

    async fn never(&self, _ctx: &Context) -> Result<()> {
        pending().await
    }

    async fn copy(&self, ctx: &Context, files: u32) -> Result<()> {
        for done in 1..=files {
            ctx.progress(done).await?;
        }
        Ok(())
    }

    async fn greet(&self, ctx: &Context) -> Result<String> {
        let name: String = ctx.peer().call("name", [(); 0]).await?;
        Ok(format!("Hello, {name}"))
    }
}

fn server() -> ServerBuilder {
    // The stream stays open after its items, so that its end is not among the messages.
    let count =
        Methods::new().subscription(Topic::new("count"), |_: Context, (to,): (u64,)| async move {
            Ok(stream::iter((1..=to).map(Ok)).chain(stream::pending()))
        });
    let entries =
        Methods::new().subscription(Topic::new("entries"), |ctx: Context, ()| async move {
            let start = ctx.resume_position().map_or(0, |position| position.offset);
            ctx.starts_after(Position { epoch: "ledger".to_owned(), offset: start });
            let entries = (1..).zip(["a", "b", "c"]).skip(start as usize);
            let entries = entries.map(|(offset, entry)| Positioned::new(offset, entry));
            Ok(stream::iter(entries).chain(stream::pending()))
        });
    Server::builder().service(Handlers.into_service()).service(count).service(entries)
}

struct Block<'a> {
    announced: bool,
    lines: Vec<&'a str>,
}

fn examples() -> Vec<Block<'static>> {
    let blocks = DOCUMENT.split("```wire").skip(1).map(|block| {
        let (block, _) = block.split_once("```").expect("a code block must end");
        let mut lines = block.lines();
        let announced = lines.next().is_some_and(|info| info.contains("announced"));
        Block { announced, lines: lines.collect() }
    });
    blocks.collect()
}

#[tokio::test]
async fn documented_examples_match_the_server() {
    let examples = examples();
    assert!(examples.len() >= 9, "{} examples", examples.len());
    for Block { announced, lines } in examples {
        let mut raw = match announced {
            true => Raw::knowing_client(server()).await.0,
            false => Raw::client(server()).await,
        };
        for line in &lines {
            match line.split_once(' ') {
                Some(("-->", text)) => raw.send(text).await,
                Some(("<--", text)) => assert_same_json(&raw.receive().await, text, line),
                _ => panic!("neither sent nor received: {line}"),
            }
        }
        let last = method_not_found("nothing.more", "0");
        let got = raw.ask(r#"{"jsonrpc":"2.0","method":"nothing.more","id":0}"#).await;
        assert_same_json(&got, &last, &lines.join("\n"));
    }
}
