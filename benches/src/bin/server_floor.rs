//! The floor: a bare tokio-tungstenite loop with a borrowed serde envelope and hard-wired methods.
//! Prints its address, then serves until it is killed.

use futures_util::{Sink, Stream};
use serde::Deserialize;
use std::future::poll_fn;
use std::pin::Pin;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    id: Option<&'a serde_json::value::RawValue>,
    method: &'a str,
    #[serde(borrow)]
    params: &'a serde_json::value::RawValue,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
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
}

/// Reads all that is there, answers all of it, flushes once.
async fn serve(mut socket: WebSocketStream<TcpStream>) {
    loop {
        let mut first = true;
        loop {
            let next = poll_fn(|cx| match Pin::new(&mut socket).poll_next(cx) {
                std::task::Poll::Pending if !first => std::task::Poll::Ready(None),
                std::task::Poll::Pending => std::task::Poll::Pending,
                std::task::Poll::Ready(message) => std::task::Poll::Ready(Some(message)),
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
    let id = request.id?;
    match request.method {
        "math.sum" => {
            let (x, y): (i64, i64) = serde_json::from_str(request.params.get()).ok()?;
            Some(format!(r#"{{"jsonrpc":"2.0","result":{},"id":{}}}"#, x + y, id.get()))
        }
        "echo" => {
            let (s,): (String,) = serde_json::from_str(request.params.get()).ok()?;
            let s = serde_json::to_string(&s).ok()?;
            Some(format!(r#"{{"jsonrpc":"2.0","result":{s},"id":{}}}"#, id.get()))
        }
        _ => None,
    }
}
