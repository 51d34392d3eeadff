//! A server on a Unix socket.
//!
//! Must not know how its file is handled (that is `socket_file`), nor what is served.
//!
//! The file of a Unix socket that a server listens on: what may be in its place before, and taking it
//! away afterwards.
//!
//! Must not know what is served.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;

use crate::error::connect_error::BindError;
use crate::handshake::url;
use crate::server::endpoint::Endpoint;
use crate::server::listener::Listener;
use crate::server::{Server, ServerBuilder, unix};
use crate::util::runtime::{self, with_io};

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
    /// ([`tokio::net::unix::UCred`]), and the [`Authorize`](crate::server::Authorize) hook by
    /// [`Handshake::extensions`](field@crate::server::Handshake::extensions).
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
            runtime::check()?;
            with_io(unix::listen(path)).await
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

/// A socket's file, which goes when this is dropped. The listener must outlive it: as long as it
/// lives, no other file can have its number.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// Which file it is, under whatever name.
fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Listens on a file of its own. The path is taken as from the root, so that a working directory that
/// changes later changes nothing.
pub(crate) async fn listen(path: &Path) -> io::Result<(SocketFile, UnixListener)> {
    let path = std::path::absolute(path)?;
    make_room(&path).await?;
    let listener = UnixListener::bind(&path)?;
    let identity = identity(&fs::symlink_metadata(&path)?);
    Ok((SocketFile { path, identity }, listener))
}

/// Takes away the file of a server that is gone.
async fn make_room(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let in_use = |words| Err(io::Error::new(ErrorKind::AddrInUse, words));
    if !found.file_type().is_socket() {
        return in_use("something is there that is no socket; it was left alone");
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        // One whose queue is full has somebody who listens.
        Ok(_) => return in_use("somebody listens on it already"),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            return in_use("somebody listens on it already");
        }
        Err(error) => {
            let words = format!("it is not known whether somebody listens on it already: {error}");
            return Err(io::Error::new(error.kind(), words));
        }
    }
    // Another server may have been quicker.
    match fs::symlink_metadata(path) {
        Ok(now) if identity(&now) == identity(&found) => fs::remove_file(path),
        _ => Ok(()),
    }
}

impl SocketFile {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let own = fs::symlink_metadata(&self.path);
        if own.is_ok_and(|file| identity(&file) == self.identity) {
            if let Err(error) = fs::remove_file(&self.path) {
                let path = self.path.display();
                tracing::warn!(%path, %error, "can't remove the file of a Unix socket");
            }
        }
    }
}
