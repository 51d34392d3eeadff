//! A jsonrpsee server with the methods that the tests call. Does not depend on wsjsonrpc: this is
//! code as a user of jsonrpsee writes it.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jsonrpsee::RpcModule;
use jsonrpsee::core::{RegisterMethodError, SubscriptionError};
use jsonrpsee::server::{Server, ServerHandle};
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde::Deserialize;
use serde_json::json;

/// A running jsonrpsee server; it ends when the handle is dropped.
pub struct JsonrpseeServer {
    pub url: String,
    handle: ServerHandle,
}

impl JsonrpseeServer {
    pub async fn start() -> Self {
        let server = Server::builder().build("127.0.0.1:0").await.expect("a free port");
        let url = format!("ws://{}/", server.local_addr().expect("an address"));
        JsonrpseeServer { url, handle: server.start(module()) }
    }

    /// Closes all connections and waits until the server has stopped.
    pub async fn stop(self) {
        // Fails if the server has already stopped.
        let _ = self.handle.stop();
        self.handle.stopped().await;
    }
}

#[derive(Deserialize)]
struct Summands {
    x: i64,
    y: i64,
}

/// jsonrpsee's `Params` decode both a list and an object into a struct.
fn sum(params: &Params<'_>) -> Result<i64, ErrorObjectOwned> {
    params.parse::<Summands>().map(|Summands { x, y }| x + y)
}

/// The number of open subscriptions without an end.
static OPEN: AtomicUsize = AtomicUsize::new(0);

struct Open;

impl Open {
    fn new() -> Self {
        OPEN.fetch_add(1, Ordering::SeqCst);
        Open
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::SeqCst);
    }
}

/// `eth_subscribe`: `newHeads` never ends, `few` ends, `broken` ends with an error; other names are
/// refused.
fn feeds(module: &mut RpcModule<()>) -> Result<(), RegisterMethodError> {
    let names = ("eth_subscribe", "eth_subscription", "eth_unsubscribe");
    module.register_subscription(
        names.0,
        names.1,
        names.2,
        |params, pending, _, _| async move {
            let (kind,): (String,) = params.parse()?;
            if !["newHeads", "few", "broken"].contains(&kind.as_str()) {
                pending.reject(ErrorObjectOwned::owned(7, "no such feed", None::<()>)).await;
                return Ok(());
            }
            let sink = pending.accept().await?;
            let last = if kind == "newHeads" { u64::MAX } else { 3 };
            let open = Open::new();
            for number in 1..=last {
                let head = json!({"number": format!("{number:#x}")});
                if sink.send(serde_json::value::to_raw_value(&head)?).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            drop(open);
            match kind.as_str() {
                "broken" => Err(SubscriptionError::from("broken")),
                _ => Ok(()),
            }
        },
    )?;
    module.register_method("test_feeds", |_, _, _| OPEN.load(Ordering::SeqCst))?;
    Ok(())
}

fn module() -> RpcModule<()> {
    let mut module = RpcModule::new(());
    let registered = (|| {
        module.register_method("math.sum", |params, _, _| sum(&params))?;
        module.register_method("echo", |params, _, _| params.one::<String>())?;
        module.register_method("nothing", |_, _, _| ())?;
        module.register_method("fail", |_, _, _| {
            Err::<(), _>(ErrorObjectOwned::owned(
                1001,
                "insufficient funds",
                Some(json!({"missing": 7})),
            ))
        })?;
        module.register_async_method("slow", |params, _, _| async move {
            let ms = params.one::<u64>()?;
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok::<_, ErrorObjectOwned>(ms)
        })?;
        feeds(&mut module)?;
        Ok::<_, RegisterMethodError>(())
    })();
    registered.expect("method names are unique");
    module
}
