//! Progress reports: while a call is in flight, its handler reports how far it is. The caller receives the
//! reports in a closure, with their own type, before the result.
//!
//! Run it with `cargo run -p examples --example progress`. It ends by itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wsjsonrpc::{Context, Result, Server, rpc};

/// How far a download is, in bytes.
#[derive(Debug, Deserialize, Serialize)]
struct Step {
    file: String,
    done: u64,
    total: u64,
}

#[rpc]
trait Mirror {
    /// Downloads files and returns their total size. With `cancel = "drop"` the server drops the handler when
    /// the caller gives up or disconnects.
    #[method(cancel = "drop")]
    async fn download(&self, ctx: &Context, files: Vec<String>) -> Result<u64>;
}

struct Disk;

const SIZE: u64 = 1 << 20;
const BLOCK: u64 = 1 << 18;

impl Mirror for Disk {
    async fn download(&self, ctx: &Context, files: Vec<String>) -> Result<u64> {
        let total = SIZE * files.len() as u64;
        let mut done = 0;
        for file in files {
            for _ in 0..SIZE / BLOCK {
                tokio::time::sleep(Duration::from_millis(20)).await;
                done += BLOCK;
                // Does nothing if the caller did not ask for progress.
                ctx.progress(Step { file: file.clone(), done, total }).await?;
            }
        }
        Ok(done)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let server = Server::builder().service(Disk.into_service()).bind("127.0.0.1:0").await?;
    let url = server.url();
    tokio::spawn(server.run());
    let mirror = MirrorClient::connect(&url).await?;

    let files = ["kernel.img", "root.img", "home.img"].map(str::to_owned).to_vec();
    let bytes = mirror
        .download(files)
        .on_progress(|step: Step| {
            println!("{:>3} % {}", step.done * 100 / step.total, step.file);
        })
        .await?;
    println!("Downloaded {bytes} bytes");
    Ok(())
}
