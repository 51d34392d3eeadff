//! The part of WebSocket that a load generator needs, on blocking sockets: whole text frames, no
//! fragments, no pings. Also the same for HTTP. Does not depend on JSON-RPC.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{AddressFamily, SocketType, socket};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

const TEXT: u8 = 0x81;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// If a peer sends nothing for this long, a message was lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// Appends a text frame as sent by a client.
pub fn masked(out: &mut Vec<u8>, text: &[u8]) {
    head(out, text.len(), 0x80);
    out.extend(MASK);
    out.extend(text.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// Appends a text frame as sent by a server.
pub fn unmasked(out: &mut Vec<u8>, text: &[u8]) {
    head(out, text.len(), 0);
    out.extend(text);
}

fn head(out: &mut Vec<u8>, len: usize, mask_bit: u8) {
    out.push(TEXT);
    match len {
        0..126 => out.push(mask_bit | len as u8),
        126..0x1_0000 => {
            out.push(mask_bit | 126);
            out.extend((len as u16).to_be_bytes());
        }
        _ => {
            out.push(mask_bit | 127);
            out.extend((len as u64).to_be_bytes());
        }
    }
}

/// Opens a connection for HTTP as a client.
pub fn dial(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).context("can't connect to the server")?;
    prepare(&stream)?;
    Ok(stream)
}

/// Opens a WebSocket as a client.
pub fn connect(address: SocketAddr) -> Result<TcpStream> {
    upgrade(dial(address)?, address)
}

/// Opens a WebSocket as a client whose kernel takes only a few KiB that the client has not read.
pub fn connect_small(address: SocketAddr) -> Result<TcpStream> {
    // Has to be set before connecting.
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    set_socket_recv_buffer_size(&socket, 4096)?;
    rustix::net::connect(&socket, &address).context("can't connect to the server")?;
    let stream = TcpStream::from(socket);
    prepare(&stream)?;
    upgrade(stream, address)
}

fn upgrade(mut stream: TcpStream, address: SocketAddr) -> Result<TcpStream> {
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )?;
    let head = read_head(&mut stream)?;
    ensure!(head.starts_with("HTTP/1.1 101"), "the server refused the request: {head}");
    Ok(stream)
}

/// Opens a WebSocket as a server.
pub fn accept(stream: &mut TcpStream) -> Result<()> {
    prepare(stream)?;
    let head = read_head(stream)?;
    let key = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
        .context("the client sent no WebSocket key")?;
    let accept = derive_accept_key(key.1.trim().as_bytes());
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )?;
    Ok(())
}

fn prepare(stream: &TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(())
}

fn read_head(stream: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).context("the HTTP head is incomplete")?;
        head.extend(byte);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Reads frames from a socket.
pub struct Inbox {
    buffer: Vec<u8>,
    /// Bytes that were read and not yet taken are between these two.
    at: usize,
    filled: usize,
}

impl Default for Inbox {
    fn default() -> Self {
        Inbox { buffer: vec![0; 256 * 1024], at: 0, filled: 0 }
    }
}

impl Inbox {
    /// A small buffer, for programs with many connections.
    pub fn small() -> Self {
        Inbox { buffer: vec![0; 4096], at: 0, filled: 0 }
    }

    /// Waits for more bytes; returns `false` at the end of the stream.
    pub fn fill(&mut self, stream: &mut TcpStream) -> Result<bool> {
        self.buffer.copy_within(self.at..self.filled, 0);
        self.filled -= self.at;
        self.at = 0;
        if self.filled == self.buffer.len() {
            self.buffer.resize(2 * self.filled, 0);
        }
        let spare = self.buffer.get_mut(self.filled..).unwrap_or_default();
        let read = stream.read(spare).context("no response from the program under test")?;
        self.filled += read;
        Ok(read > 0)
    }

    /// Waits for one text frame, after which there must be nothing more.
    pub fn one(&mut self, stream: &mut TcpStream) -> Result<&[u8]> {
        let place = loop {
            ensure!(self.fill(stream)?, "the program under test closed the connection");
            if let Some(place) = self.cut()? {
                break place;
            }
        };
        ensure!(self.at == self.filled, "there is more than one message");
        Ok(self.buffer.get(place).unwrap_or_default())
    }

    /// The next complete text frame, unmasked; `None` if more bytes are needed. An error also means
    /// that the connection has ended.
    pub fn take(&mut self) -> Result<Option<&[u8]>> {
        let place = self.cut()?;
        Ok(place.and_then(|place| self.buffer.get(place)))
    }

    /// Takes the next complete text frame. Returns where its text is.
    fn cut(&mut self) -> Result<Option<Range<usize>>> {
        let bytes = self.buffer.get(self.at..self.filled).unwrap_or_default();
        let &[kind, size, ref rest @ ..] = bytes else { return Ok(None) };
        let (len, rest) = match (size & 0x7f, rest) {
            (126, [a, b, rest @ ..]) => (u16::from_be_bytes([*a, *b]).into(), rest),
            (127, [0, 0, 0, 0, a, b, c, d, rest @ ..]) => {
                (u32::from_be_bytes([*a, *b, *c, *d]) as usize, rest)
            }
            (126 | 127, _) => return Ok(None),
            (len, rest) => (len.into(), rest),
        };
        let mask = match (size & 0x80, rest) {
            (0, _) => None,
            (_, [a, b, c, d, ..]) => Some([*a, *b, *c, *d]),
            _ => return Ok(None),
        };
        let begin = self.filled - rest.len() + if mask.is_some() { 4 } else { 0 };
        if begin + len > self.filled {
            return Ok(None);
        }
        if kind != TEXT {
            bail!("expected an unfragmented text frame, got {kind:#x}");
        }
        self.at = begin + len;
        let place = begin..self.at;
        if let Some(mask) = mask {
            let text = self.buffer.get_mut(place.clone()).unwrap_or_default();
            text.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        }
        Ok(Some(place))
    }
}

/// Appends an HTTP request with a call in its body.
pub fn post(out: &mut Vec<u8>, text: &[u8]) {
    let length = text.len();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    out.extend(head.as_bytes());
    out.extend(text);
}

impl Inbox {
    /// The body of the next complete HTTP response; `None` if more bytes are needed.
    pub fn take_body(&mut self) -> Result<Option<&[u8]>> {
        const END: &[u8] = b"\r\n\r\n";
        let bytes = self.buffer.get(self.at..self.filled).unwrap_or_default();
        let Some(end) = bytes.windows(END.len()).position(|window| window == END) else {
            return Ok(None);
        };
        let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
        ensure!(head.starts_with("HTTP/1.1 200"), "the server refused the request: {head}");
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .context("the response has no valid content-length")?;
        let length: usize =
            length.1.trim().parse().context("the response has no valid content-length")?;
        let begin = self.at + end + END.len();
        if begin + length > self.filled {
            return Ok(None);
        }
        self.at = begin + length;
        Ok(self.buffer.get(begin..begin + length))
    }
}

/// The value after a key such as `"id":`, up to a comma or brace. The first occurrence counts.
pub fn value_after<'a>(text: &'a [u8], key: &str) -> Option<&'a str> {
    let begin = text.windows(key.len()).position(|window| window == key.as_bytes())?;
    let value = text.get(begin + key.len()..)?;
    let len = value.iter().take_while(|byte| !b",}".contains(byte)).count();
    std::str::from_utf8(value.get(..len)?).ok()
}

/// The number after a key.
pub fn number_after(text: &[u8], key: &str) -> Option<i64> {
    value_after(text, key)?.parse().ok()
}

/// Sets a read timeout, so that a lost response causes an error.
pub fn impatient(stream: &TcpStream) -> Result<()> {
    Ok(stream.set_read_timeout(Some(PATIENCE))?)
}
