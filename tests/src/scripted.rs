//! A scripted HTTP server: it records the requests that it gets, and responds as the test says.

use std::future::Future;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use wsjsonrpc::error::HttpError;
use wsjsonrpc::http::HttpPeer;
use wsjsonrpc::{Error, Peer};

/// A request: its head, and its body.
#[derive(Clone, Debug)]
pub struct Asked {
    pub head: String,
    pub body: String,
}

/// A server that responds by a script.
#[derive(Debug)]
pub struct Scripted {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// One message for each client that has disconnected.
    gone: mpsc::UnboundedReceiver<()>,
}

impl Scripted {
    /// Responds to each request with the bytes that the closure returns, unless the client
    /// disconnects before.
    pub async fn new<F>(answer: impl Fn(Asked) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Vec<u8>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}/rpc", listener.local_addr().expect("it is bound"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (leaving, gone) = mpsc::unbounded_channel();
        let (keep, answer) = (Arc::clone(&asked), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (keep, answer) = (Arc::clone(&keep), Arc::clone(&answer));
                let leaving = leaving.clone();
                tokio::spawn(async move {
                    while let Some(asked) = request(&mut stream).await {
                        keep.lock().expect("nobody panics").push(asked.clone());
                        let bytes = tokio::select! {
                            bytes = answer(asked) => bytes,
                            () = hung_up(&mut stream) => break,
                        };
                        let _ = stream.write_all(&bytes).await;
                        if !is_whole(&bytes) {
                            break;
                        }
                    }
                    let _ = leaving.send(());
                });
            }
        });
        Scripted { url, asked, gone }
    }

    /// Always sends this response.
    pub async fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::new(move |_| std::future::ready(answer.clone())).await
    }

    /// A peer that sends its calls to this server.
    pub fn peer(&self) -> Peer {
        HttpPeer::new(&self.url).expect("the URL is valid").peer()
    }

    /// The requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("nobody panics").clone()
    }

    /// Waits until a client has disconnected.
    pub async fn gone(&mut self) {
        self.gone.recv().await.expect("the server runs");
    }
}

/// Whether the connection stays open after this response.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_lowercase();
    (text.contains("content-length") || text.contains("chunked"))
        && !text.contains("connection: close")
}

async fn hung_up(stream: &mut TcpStream) {
    while stream.read_u8().await.is_ok() {}
}

/// Reads one request; `None` when the client has disconnected.
async fn request(stream: &mut TcpStream) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).expect("text");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked { head, body: String::from_utf8(body).expect("text") })
}

/// A response with this status line and this body.
pub fn answer(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The HTTP error inside an error.
pub fn http_error<E: std::fmt::Debug>(error: Error<E>) -> HttpError {
    match error {
        Error::Http(error) => error,
        other => panic!("expected an HTTP error, got {other:?}"),
    }
}
