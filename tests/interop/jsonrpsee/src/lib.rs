//! A jsonrpsee server with the methods that the tests call.
//!
//! Must not know wsjsonrpc: what is here is written as a user of jsonrpsee writes it.
#![forbid(unsafe_code)]

use std::time::Duration;

use jsonrpsee::RpcModule;
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

    /// Closes all connections and waits for the end.
    pub async fn stop(self) {
        // An error says that it has stopped already.
        let _ = self.handle.stop();
        self.handle.stopped().await;
    }
}

#[derive(Deserialize)]
struct Summands {
    x: i64,
    y: i64,
}

/// jsonrpsee's `Params` decode a list and an object alike into a struct.
fn sum(params: &Params<'_>) -> Result<i64, ErrorObjectOwned> {
    params.parse::<Summands>().map(|Summands { x, y }| x + y)
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
        Ok::<_, jsonrpsee::core::RegisterMethodError>(())
    })();
    registered.expect("every name is there once");
    module
}
