//! jsonrpsee's server. Prints its address, then serves until it is killed.
//!
//! It cannot call its clients, and its handlers never see a notification.

use std::time::Duration;

use anyhow::Result;
use jsonrpsee::RpcModule;
use jsonrpsee::server::{ServerBuilder, ServerConfig};
use jsonrpsee::types::ErrorObjectOwned;
use wsjsonrpc_benches::options::{Options, method_name};

fn module(methods: usize) -> Result<RpcModule<()>> {
    let mut module = RpcModule::new(());
    module.register_async_method("math.sum", |params, _, _| async move {
        let (x, y): (i64, i64) = params.parse()?;
        Ok::<_, ErrorObjectOwned>(x + y)
    })?;
    module.register_async_method("echo", |params, _, _| async move {
        let s: String = params.one()?;
        Ok::<_, ErrorObjectOwned>(s)
    })?;
    module.register_async_method("wait", |params, _, _| async move {
        let x: i64 = params.one()?;
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok::<_, ErrorObjectOwned>(x)
    })?;
    module.register_subscription("items", "items", "stop", |params, pending, _, _| async move {
        let items: usize = params.one()?;
        let sink = pending.accept().await?;
        for at in 0..items {
            sink.send(serde_json::value::to_raw_value(&at)?).await?;
        }
        Ok(())
    })?;
    for index in 0..methods {
        // jsonrpsee needs static method names.
        let name: &'static str = method_name(index).leak();
        module.register_async_method(name, |params, _, _| async move {
            let (x, y): (i64, i64) = params.parse()?;
            Ok::<_, ErrorObjectOwned>(x + y)
        })?;
    }
    Ok(module)
}

fn main() -> Result<()> {
    let options = Options::from_args()?;
    options.run(async {
        // High limits, so that no request is refused.
        let config = ServerConfig::builder()
            .max_connections(1 << 20)
            .set_message_buffer_capacity(1 << 16)
            .build();
        let server = ServerBuilder::with_config(config).build("127.0.0.1:0").await?;
        println!("{}", server.local_addr()?);
        server.start(module(options.methods)?).stopped().await;
        Ok(())
    })
}
