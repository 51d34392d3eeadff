//! jsonrpsee's server for broadcasts: a subscription for each connection, each with its own receiver
//! of `tokio::sync::broadcast`. Prints its address, then serves until it is killed.

use anyhow::Result;
use jsonrpsee::RpcModule;
use jsonrpsee::server::{ServerBuilder, ServerConfig};
use jsonrpsee::types::ErrorObjectOwned;
use serde::Serialize;
use tokio::sync::broadcast::Sender;
use wsjsonrpc_benches::options::Options;

#[derive(Clone, Serialize)]
struct News {
    from: &'static str,
    text: String,
}

fn module() -> Result<RpcModule<Sender<News>>> {
    let mut module = RpcModule::new(Sender::new(256));
    module.register_subscription("items", "items", "stop", |_, pending, sender, _| async move {
        let mut receiver = sender.subscribe();
        let sink = pending.accept().await?;
        while let Ok(news) = receiver.recv().await {
            sink.send(serde_json::value::to_raw_value(&news)?).await?;
        }
        Ok(())
    })?;
    module.register_async_method("publish_items", |params, sender, _| async move {
        let text: String = params.one()?;
        drop(sender.send(News { from: "Ada", text }));
        Ok::<_, ErrorObjectOwned>((0, 0))
    })?;
    Ok(module)
}

fn main() -> Result<()> {
    let options = Options::from_args()?;
    options.run(async {
        let listener = options.listen().await?;
        println!("{}", listener.local_addr()?);
        let config = ServerConfig::builder().max_connections(1 << 20).build();
        let server = ServerBuilder::with_config(config).build_from_tcp(listener.into_std()?)?;
        server.start(module()?).stopped().await;
        Ok(())
    })
}
