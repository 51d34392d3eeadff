//! The file of a Unix socket that a server listens on. Replaces a stale file, and removes the file
//! at the end.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// A socket's file, which is removed when this is dropped. The listener must outlive it: until
/// then, no other file can have the same inode.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// The identity of a file, whatever its name.
fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Listens on a new file. The path is made absolute, so that a later change of the working
/// directory has no effect.
pub(crate) async fn listen(path: &Path) -> io::Result<(SocketFile, UnixListener)> {
    let path = std::path::absolute(path)?;
    make_room(&path).await?;
    let listener = UnixListener::bind(&path)?;
    let identity = identity(&fs::symlink_metadata(&path)?);
    Ok((SocketFile { path, identity }, listener))
}

/// Removes a stale socket file.
async fn make_room(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let in_use = |words| Err(io::Error::new(ErrorKind::AddrInUse, words));
    if !found.file_type().is_socket() {
        return in_use("the path exists and is not a socket; remove the file, or use another path");
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        // A socket whose queue is full has a listener.
        Ok(_) => return in_use("another process is already listening on the socket"),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            return in_use("another process is already listening on the socket");
        }
        Err(error) => {
            let words =
                format!("cannot tell whether another process is listening on the socket: {error}");
            return Err(io::Error::new(error.kind(), words));
        }
    }
    // Another server may have replaced the file in the meantime.
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
                tracing::warn!(%path, %error, "cannot remove the socket file");
            }
        }
    }
}
