//! Our server for the clients of other implementations: `interop-server [ADDRESS]`, default
//! 127.0.0.1:0.
//!
//! Prints `listening on URL`, serves [`Interop`] and [`Node`] on any path, and stops on Ctrl-C.
//! `interop-server openrpc VERSION` prints the OpenRPC document of these services, in version 1.3 or 1.4.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use interop_peer::contract::{BankError, ClientSideClient, Interop};
use interop_peer::node::{Chain, Node};
use interop_peer::outcome::pass_on;
use serde_json::value::RawValue;
use wsjsonrpc::openrpc::{Info, Version};
use wsjsonrpc::{Context, Result, Server};

struct Served;

/// The texts that `log` has stored on the connection.
#[derive(Default)]
struct Log(Mutex<Vec<String>>);

struct User(String);

impl Interop for Served {
    async fn math_sum(&self, _ctx: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }

    async fn echo(&self, _ctx: &Context, s: &str) -> Result<String> {
        Ok(s.to_owned())
    }

    async fn value(&self, _ctx: &Context, v: Box<RawValue>) -> Result<Box<RawValue>> {
        Ok(v)
    }

    async fn nothing(&self, _ctx: &Context) -> Result<()> {
        Ok(())
    }

    async fn greet(&self, _ctx: &Context, name: &str, greeting: Option<&str>) -> Result<String> {
        Ok(format!("{}, {name}!", greeting.unwrap_or("Hello")))
    }

    async fn slow(&self, _ctx: &Context, ms: u64) -> Result<u64> {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        Ok(ms)
    }

    async fn subtract(&self, _ctx: &Context, minuend: i64, subtrahend: i64) -> Result<i64> {
        Ok(minuend - subtrahend)
    }

    async fn sum(&self, _ctx: &Context, numbers: Vec<i64>) -> Result<i64> {
        Ok(numbers.iter().sum())
    }

    async fn get_data(&self, _ctx: &Context) -> Result<(String, u8)> {
        Ok(("hello".to_owned(), 5))
    }

    async fn update(&self, _ctx: &Context, _values: Vec<i64>) {}

    async fn fail(&self, _ctx: &Context) -> Result<(), BankError> {
        Err(BankError::Insufficient { missing: 7 })
    }

    async fn fail_plain(&self, _ctx: &Context) -> Result<(), BankError> {
        Err(BankError::NoSuchAccount)
    }

    async fn broken(&self, _ctx: &Context) -> Result<()> {
        "nobody must see this".parse::<u8>()?;
        Ok(())
    }

    async fn panic(&self, _ctx: &Context) -> Result<()> {
        panic!("the interop tests asked for this panic")
    }

    async fn unserializable(&self, _ctx: &Context) -> Result<HashMap<Vec<u8>, u8>> {
        Ok(HashMap::from([(vec![1], 1)]))
    }

    async fn log(&self, ctx: &Context, text: String) {
        let log = ctx.get_or_set(Log::default());
        log.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    async fn logged(&self, ctx: &Context) -> Result<Vec<String>> {
        let log = ctx.get_or_set(Log::default());
        let texts = log.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(texts.clone())
    }

    async fn login(&self, ctx: &Context, user: String) -> Result<()> {
        ctx.set(User(user));
        Ok(())
    }

    async fn whoami(&self, ctx: &Context) -> Result<String> {
        Ok(ctx.require::<User>()?.0.clone())
    }

    async fn call_me(
        &self,
        ctx: &Context,
        method: &str,
        params: Box<RawValue>,
    ) -> Result<Box<RawValue>> {
        ctx.peer().call(method, params).await.map_err(pass_on)
    }

    async fn notify_me(&self, ctx: &Context, method: &str, params: Box<RawValue>) -> Result<()> {
        ctx.peer().notify(method, params).await.map_err(pass_on)
    }

    async fn batch_me(
        &self,
        ctx: &Context,
        method: &str,
        arguments: Vec<Box<RawValue>>,
    ) -> Result<Vec<Box<RawValue>>> {
        let peer = ctx.peer();
        let calls: Vec<_> =
            arguments.into_iter().map(|argument| peer.call(method, [argument])).collect();
        let replies = peer.batch(calls).await.map_err(pass_on)?;
        replies.into_iter().map(|reply| reply.map_err(pass_on)).collect()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let services = Server::builder().service(Served.into_service());
    let services = services.service(Chain::default().into_service()).calls::<ClientSideClient>();
    if address == "openrpc" {
        let openrpc = match std::env::args().nth(2).as_deref() {
            Some("1.4") => Version::V1_4,
            _ => Version::V1_3,
        };
        let info = Info { openrpc, ..Info::new("Interop", "1.0.0") };
        print!("{}", services.build()?.openrpc(&info));
        return Ok(());
    }
    let stop = async {
        // On an error, Ctrl-C is not available, so run until the process is killed.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let unfinished = if address.starts_with('/') {
        let server = services.bind_unix(&address).await?;
        println!("listening on {}", server.url());
        server.run_until(stop).await
    } else {
        let server = services.bind(&address).await?;
        println!("listening on {}", server.url());
        server.run_until(stop).await
    };
    if unfinished > 0 {
        return Err(format!("shutdown gave up on {unfinished} handlers").into());
    }
    Ok(())
}
