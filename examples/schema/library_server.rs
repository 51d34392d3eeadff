//! A server that describes its API.
//!
//! Run it with `cargo run -p examples-schema --example library_server [ADDR]` (default 127.0.0.1:8098; port 0
//! chooses a free one). Ctrl-C shuts it down gracefully. With `openrpc` in place of the address, the program prints
//! the OpenRPC document of the API, and with `openrpc 1.4` in that version of OpenRPC.

use wsjsonrpc::openrpc::{Info, Version};

mod api;
mod library;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8098".to_owned());
    if address == "openrpc" {
        let openrpc = match arguments.next().as_deref() {
            Some("1.4") => Version::V1_4,
            _ => Version::V1_3,
        };
        let endpoint = library::server().build()?;
        println!("{}", endpoint.openrpc(&Info { openrpc, ..library::info() }));
        return Ok(());
    }

    // `rpc.discover` is off by default. This API is public.
    let server = library::server().discover(library::info()).bind(address).await?;
    println!("The server listens on {}", server.url());
    let ctrl_c = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("Cannot listen for Ctrl-C, shutting down: {error}");
        }
    };
    let aborted = server.run_until(ctrl_c).await;
    println!("The server has shut down; {aborted} handlers were aborted");
    Ok(())
}
