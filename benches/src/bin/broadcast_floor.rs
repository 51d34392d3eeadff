//! The floor for broadcasts: a bare tokio-tungstenite server with one task for each connection and
//! `tokio::sync::broadcast`, which sends a text that is ready. Prints its address, then serves until
//! it is killed.

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use tokio::sync::broadcast::{Receiver, Sender};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use wsjsonrpc_benches::options::Options;

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    method: &'a str,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::from_args()?;
    options.run(async {
        let listener = options.listen().await?;
        println!("{}", listener.local_addr()?);
        let sender = Sender::new(256);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let sender = sender.clone();
            tokio::spawn(async move {
                if let Ok(socket) = tokio_tungstenite::accept_async(stream).await {
                    // An error is the end of the connection.
                    drop(serve(socket, sender).await);
                }
            });
        }
    })
}

async fn serve(
    mut socket: WebSocketStream<TcpStream>,
    sender: Sender<Utf8Bytes>,
) -> Result<(), Error> {
    let mut receiver = None;
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let answer = answer(&text, &sender, &mut receiver);
                    socket.send(Message::text(answer.unwrap_or_default())).await?;
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
            text = next(&mut receiver) => match text {
                Some(text) => socket.send(Message::Text(text)).await?,
                None => return Ok(()),
            },
        }
    }
}

async fn next(receiver: &mut Option<Receiver<Utf8Bytes>>) -> Option<Utf8Bytes> {
    match receiver {
        Some(receiver) => receiver.recv().await.ok(),
        None => std::future::pending().await,
    }
}

fn answer(
    text: &str,
    sender: &Sender<Utf8Bytes>,
    receiver: &mut Option<Receiver<Utf8Bytes>>,
) -> Option<String> {
    let request: Request<'_> = serde_json::from_str(text).ok()?;
    if request.method == "join" {
        *receiver = Some(sender.subscribe());
    } else {
        let (text,): (&str,) = serde_json::from_str(request.params?.get()).ok()?;
        let params = serde_json::to_string(&("Ada", text)).ok()?;
        let text = format!(r#"{{"jsonrpc":"2.0","method":"message","params":{params}}}"#);
        sender.send(text.into()).ok()?;
    }
    Some(format!(r#"{{"jsonrpc":"2.0","result":[0,0],"id":{}}}"#, request.id))
}
