//! Two programs on one machine, without a network: the server listens on a Unix socket, asks the operating
//! system which user has connected, and removes the socket when it shuts down.
//!
//! Run it with `cargo run -p examples --example unix_socket`. It ends by itself.

#[cfg(unix)]
mod unix {
    use tokio::net::unix::UCred;
    use tokio::sync::oneshot;
    use wsjsonrpc::{Client, Context, Result, Server, rpc};

    #[rpc]
    trait Daemon {
        async fn whoami(&self, ctx: &Context) -> Result<String>;
    }

    struct Local;

    impl Daemon for Local {
        async fn whoami(&self, ctx: &Context) -> Result<String> {
            // The server stores the credentials of the client's process on each connection.
            let caller = ctx.require::<UCred>()?;
            Ok(format!("user {}, group {}", caller.uid(), caller.gid()))
        }
    }

    pub(crate) async fn run() -> anyhow::Result<()> {
        // Only the owner can enter this directory, so only the owner can connect.
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("daemon.sock");
        let server = Server::builder().service(Local.into_service()).bind_unix(&path).await?;
        let url = server.url();
        println!("The server listens on {url}");
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run_until(async { drop(stopped.await) }));

        let client = Client::connect(&url).await?;
        println!("The server sees the client as {}", DaemonClient::new(&client).whoami().await?);
        client.close().await;

        drop(stop);
        let aborted = running.await?;
        println!("The server has shut down; {aborted} handlers were aborted");
        println!("The socket {}", if path.exists() { "still exists" } else { "is removed" });
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
    println!("This platform has no Unix sockets");
}
