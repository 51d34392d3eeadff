//! A progress bar in the terminal, driven from the other side: the handler tells how far it is, and
//! the caller's closure gets it typed, before the result.
//!
//! Run it with `cargo run --example progress`. It ends by itself.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use wsjsonrpc::{Context, Result, Server, rpc};

/// How far a download is.
#[derive(Debug, Deserialize, Serialize)]
struct Step {
    file: String,
    done: u64,
    of: u64,
}

#[rpc]
trait Mirror {
    /// Returns how many bytes there were. It takes long, so it stops when the caller gives up, or when
    /// its connection ends.
    #[method(cancel = "drop")]
    async fn download(&self, ctx: &Context, files: Vec<String>) -> Result<u64>;
}

struct Disk;

const SIZE: u64 = 1 << 20;
const BLOCK: u64 = 1 << 15;

impl Mirror for Disk {
    async fn download(&self, ctx: &Context, files: Vec<String>) -> Result<u64> {
        let of = SIZE * files.len() as u64;
        let mut done = 0;
        for file in files {
            for _ in 0..SIZE / BLOCK {
                tokio::time::sleep(Duration::from_millis(5)).await;
                done += BLOCK;
                // Costs next to nothing if the caller has not asked for it.
                ctx.progress(Step { file: file.clone(), done, of }).await?;
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

    let bar = ProgressBar::no_length();
    bar.set_style(ProgressStyle::with_template("{msg:12} [{bar:40}] {bytes}/{total_bytes}")?);
    let files = ["kernel.img", "root.img", "home.img"].map(str::to_owned).to_vec();

    let shown = bar.clone();
    let download = mirror.download(files).on_progress(move |step: Step| {
        shown.set_length(step.of);
        shown.set_position(step.done);
        shown.set_message(step.file);
    });
    let bytes = download.await?;

    bar.finish_and_clear();
    // All of it came before the result did.
    assert_eq!(bar.position(), bytes);
    println!("{bytes} bytes");
    Ok(())
}
