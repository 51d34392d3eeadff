//! Two programs of one machine, without a network: the server listens on a Unix socket, knows by the
//! operating system who calls, and removes the socket when it ends.
//!
//! Run it with `cargo run --example unix_socket`. It ends by itself.

#[cfg(unix)]
mod unix {
    use tokio::net::unix::UCred;
    use tokio::sync::oneshot;
    use wsjsonrpc::{Client, Context, Result, Server, rpc};

    #[rpc]
    trait Daemon {
        async fn whoami(&self, ctx: &Context) -> Result<String>;
    }

    struct Own;

    impl Daemon for Own {
        async fn whoami(&self, ctx: &Context) -> Result<String> {
            let caller = ctx.require::<UCred>()?;
            Ok(format!("user {}, group {}", caller.uid(), caller.gid()))
        }
    }

    pub(crate) async fn run() -> anyhow::Result<()> {
        // Only its owner can enter this directory, and so connect.
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("daemon.sock");
        let server = Server::builder().service(Own.into_service()).bind_unix(&path).await?;
        let url = server.url();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run_until(async { drop(stopped.await) }));

        println!("connecting to {url}");
        let client = Client::connect(&url).await?;
        println!("the server knows its caller: {}", DaemonClient::new(&client).whoami().await?);
        client.close().await;

        drop(stop);
        running.await?;
        println!("the socket is {}", if path.exists() { "still there" } else { "gone" });
        Ok(())
    }
}

#[cfg(unix)]
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    unix::run().await
}

#[cfg(not(unix))]
fn main() {
    println!("there are no Unix sockets on this platform");
}
