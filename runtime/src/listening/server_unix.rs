//! A server on a Unix socket.
//!
//! Must not know how its file is handled (that is `socket_file`), nor what is served.

use std::io;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;
use tokio::runtime::Handle;

use crate::listening::endpoint::Endpoint;
use crate::listening::listener::Listener;
use crate::listening::server::{Server, ServerBuilder};
use crate::listening::socket_file;
use crate::opening::url;
use crate::reactor::{self, with_io};
use crate::unopened::BindError;

impl ServerBuilder {
    /// Listens on a Unix socket: for programs of the same machine, which connect to
    /// [`Server::url`], `ws+unix:///run/app.sock:/`. Only on Unix.
    ///
    /// A socket that nobody listens on any more is replaced. The file is removed when the server
    /// ends, unless another one has taken its place. Two servers that begin at the same moment can
    /// replace each other's: see to it that there is one.
    ///
    /// Who may connect is what the file's permissions say, and they come from the process's umask.
    /// To let in nobody but your own user or group, put it into a directory that only they can
    /// enter. Who the client is, handlers find out by `ctx.get::<UCred>()`
    /// ([`tokio::net::unix::UCred`]), and the [`Authorize`](crate::Authorize) hook by
    /// [`Handshake::extensions`](field@crate::Handshake::extensions).
    /// [`Config::max_connections_per_address`](crate::Config::max_connections_per_address) does not
    /// apply, as there are no addresses.
    ///
    /// ```
    /// # use wsjsonrpc::{Client, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = std::env::temp_dir().join(format!("wsjsonrpc-doc-{}.sock", std::process::id()));
    /// let server = Server::builder()
    ///     .method("double", |_, (x,): (i64,)| async move { Ok(2 * x) })
    ///     .bind_unix(&path)
    ///     .await?;
    /// let url = server.url();
    /// tokio::spawn(server.run());
    ///
    /// let client = Client::connect(&url).await?;
    /// assert_eq!(client.peer().call::<i64>("double", (21,)).await?, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As those of [`build`](Self::build); somebody listens on the socket; something is there that
    /// is no socket, and is left alone; the operating system does not allow it; or the server has a
    /// certificate: TLS is not offered here.
    pub async fn bind_unix(self, path: impl AsRef<Path>) -> Result<Server<PathBuf>, BindError> {
        let path = path.as_ref();
        let endpoint = self.build_plain()?;
        let listening = async {
            reactor::check()?;
            with_io(socket_file::listen(path)).await
        };
        match listening.await {
            Ok((file, listener)) => {
                let path = file.path().to_owned();
                Ok(on_socket(endpoint, Listener::Unix { _file: Some(file), listener }, path))
            }
            Err(error) => Err(BindError::Io { address: path.display().to_string(), error }),
        }
    }

    /// Listens on a Unix socket that the caller has made, or was given by the program that started
    /// this one. Its file stays where it is when the server ends. Only on Unix.
    ///
    /// # Errors
    /// As those of [`build`](Self::build); the socket has no path, or the server has a certificate.
    pub fn listen_unix(self, listener: UnixListener) -> Result<Server<PathBuf>, BindError> {
        let endpoint = self.build_plain()?;
        let path = listener.local_addr().and_then(|address| {
            let words = "it has no path; serve what it accepts with `Endpoint::serve`";
            let nameless = || io::Error::new(io::ErrorKind::InvalidInput, words);
            std::path::absolute(address.as_pathname().ok_or_else(nameless)?)
        });
        match path {
            Ok(path) => Ok(on_socket(endpoint, Listener::Unix { _file: None, listener }, path)),
            Err(error) => Err(BindError::Io { address: "the given Unix socket".to_owned(), error }),
        }
    }

    /// Everything but a listener, without TLS.
    fn build_plain(self) -> Result<Endpoint, BindError> {
        let endpoint = self.build()?;
        if endpoint.is_secure() {
            let words = "TLS is not offered on a Unix socket: leave the certificate out";
            return Err(BindError::Setting(words.to_owned()));
        }
        Ok(endpoint)
    }
}

fn on_socket(endpoint: Endpoint, listener: Listener, path: PathBuf) -> Server<PathBuf> {
    let url = url::of_socket(&path, endpoint.rules().first_path());
    Server { endpoint, listener, address: path, url, runtime: Handle::try_current().ok() }
}

impl Server<PathBuf> {
    /// The path of the Unix socket that it listens on.
    pub fn socket_path(&self) -> &Path {
        &self.address
    }
}
