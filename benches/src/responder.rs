//! The other side of the typed clients: a raw server that answers every `math.sum` with 3, sends as
//! many items of `items` as requested, and supports nothing else. It runs in threads of the
//! measuring program. Does not depend on the client.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::Result;

use crate::wire::{Inbox, accept, unmasked, value_after};

/// Starts the server, which runs as long as the program. Returns its address.
pub fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // The end of a client ends its thread with an error. Clients report their own errors.
            thread::spawn(move || serve(stream));
        }
    });
    Ok(address)
}

fn serve(mut stream: TcpStream) -> Result<()> {
    accept(&mut stream)?;
    let mut inbox = Inbox::default();
    let mut out = Vec::new();
    while inbox.fill(&mut stream)? {
        while let Some(text) = inbox.take()? {
            if let Some(id) = call_of(text, b"math.sum") {
                let answer = format!(r#"{{"jsonrpc":"2.0","result":3,"id":{id}}}"#);
                unmasked(&mut out, answer.as_bytes());
            } else if let Some(id) = call_of(text, b"\"items\"") {
                let response = format!(r#"{{"jsonrpc":"2.0","result":"0x1","id":{id}}}"#);
                unmasked(&mut out, response.as_bytes());
                let items = value_after(text, "\"params\":[")
                    .and_then(|items| items.trim_end_matches(']').parse().ok());
                write_items(&mut out, items.unwrap_or(0));
            }
        }
        stream.write_all(&out)?;
        out.clear();
    }
    Ok(())
}

fn write_items(out: &mut Vec<u8>, items: usize) {
    for at in 0..items {
        let params = format!(r#"{{"subscription":"0x1","result":{at}}}"#);
        let text = format!(r#"{{"jsonrpc":"2.0","method":"items","params":{params}}}"#);
        unmasked(out, text.as_bytes());
    }
}

fn call_of<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a str> {
    text.windows(name.len()).find(|window| *window == name)?;
    value_after(text, "\"id\":")
}
