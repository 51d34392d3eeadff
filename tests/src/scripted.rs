//! An HTTP server by hand: what it is asked is kept word for word, and so is what it answers.
//!
//! Must not know the crate's inside.

use std::future::Future;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What came: the request's head, and its body.
#[derive(Clone, Debug)]
pub struct Asked {
    pub head: String,
    pub body: String,
}

/// A server that answers by a script.
#[derive(Debug)]
pub struct Scripted {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// A message for each client that has hung up.
    gone: mpsc::UnboundedReceiver<()>,
}

impl Scripted {
    /// Each request gets what the closure makes of it, all bytes of an answer, unless the client hangs
    /// up before.
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

    /// Always answers with this.
    pub async fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::new(move |_| std::future::ready(answer.clone())).await
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("nobody panics").clone()
    }

    /// Waits until a client has hung up.
    pub async fn gone(&mut self) {
        self.gone.recv().await.expect("the server runs");
    }
}

/// Whether the connection goes on: its end can be told from it, if it has one.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_lowercase();
    (text.contains("content-length") || text.contains("chunked"))
        && !text.contains("connection: close")
}

async fn hung_up(stream: &mut TcpStream) {
    while stream.read_u8().await.is_ok() {}
}

/// One request; `None` when the client has hung up.
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

/// An answer with this status line and this body.
pub fn answer(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
