//! jsonrpsee's server. Prints its address, then serves until it is killed.

use std::time::Duration;

use jsonrpsee::RpcModule;
use jsonrpsee::server::{ServerBuilder, ServerConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut module = RpcModule::new(());
    module.register_async_method("math.sum", |params, _, _| async move {
        let (x, y): (i64, i64) = params.parse()?;
        Ok::<_, jsonrpsee::types::ErrorObjectOwned>(x + y)
    })?;
    module.register_async_method("echo", |params, _, _| async move {
        let s: String = params.one()?;
        Ok::<_, jsonrpsee::types::ErrorObjectOwned>(s)
    })?;
    module.register_async_method("wait", |params, _, _| async move {
        let x: i64 = params.one()?;
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok::<_, jsonrpsee::types::ErrorObjectOwned>(x)
    })?;
    let config = ServerConfig::builder()
        .max_connections(1 << 20)
        .set_message_buffer_capacity(1 << 16)
        .build();
    let server = ServerBuilder::with_config(config).build("127.0.0.1:0").await?;
    println!("{}", server.local_addr()?);
    server.start(module).stopped().await;
    Ok(())
}
