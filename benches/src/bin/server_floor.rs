//! The floor: a bare tokio-tungstenite loop with a borrowed serde envelope and hard-wired methods.
//! Prints its address, then serves until it is killed.
//!
//! It has tungstenite's default configuration, no limits, no errors, no batches, no context, and no
//! concurrency. A library on the same WebSocket implementation can hardly do less work.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures_util::{Sink, Stream};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use wsjsonrpc_benches::options::Options;

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: &'a str,
    #[serde(borrow)]
    params: &'a RawValue,
}

fn main() -> anyhow::Result<()> {
    Options::from_args()?.run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                if let Ok(socket) = tokio_tungstenite::accept_async(stream).await {
                    serve(socket).await;
                }
            });
        }
    })
}

/// Reads all available messages, responds to them, and flushes once.
async fn serve(mut socket: WebSocketStream<TcpStream>) {
    loop {
        let mut first = true;
        loop {
            let next = poll_fn(|cx| match Pin::new(&mut socket).poll_next(cx) {
                Poll::Pending if !first => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
                Poll::Ready(message) => Poll::Ready(Some(message)),
            })
            .await;
            let message = match next {
                None => break,
                Some(Some(Ok(Message::Text(text)))) => text,
                Some(Some(Ok(_))) => continue,
                Some(_) => return,
            };
            first = false;
            let Some(answer) = answer(&message) else { continue };
            if poll_fn(|cx| Pin::new(&mut socket).poll_ready(cx)).await.is_err()
                || Pin::new(&mut socket).start_send(Message::text(answer)).is_err()
            {
                return;
            }
        }
        if poll_fn(|cx| Pin::new(&mut socket).poll_flush(cx)).await.is_err() {
            return;
        }
    }
}

fn answer(text: &str) -> Option<String> {
    let request: Request<'_> = serde_json::from_str(text).ok()?;
    let params = request.params.get();
    match request.method {
        "math.sum" => {
            let (x, y): (i64, i64) = serde_json::from_str(params).ok()?;
            let id = request.id?.get();
            Some(format!(r#"{{"jsonrpc":"2.0","result":{},"id":{id}}}"#, x + y))
        }
        "echo" => {
            let (s,): (&str,) = serde_json::from_str(params).ok()?;
            let s = serde_json::to_string(s).ok()?;
            let id = request.id?.get();
            Some(format!(r#"{{"jsonrpc":"2.0","result":{s},"id":{id}}}"#))
        }
        "note" => {
            let (_,): (i64,) = serde_json::from_str(params).ok()?;
            None
        }
        _ => None,
    }
}
