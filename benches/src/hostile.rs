//! Hostile peers, for measuring their effect on other clients.
//!
//! They run in the thread that measures, between its calls: each call to `pump` does what the
//! network accepts at once and never waits. So they take no CPU time from the measured clients, and
//! the result shows the fairness of the server, not of the operating system's scheduler. When a
//! peer floods, megabytes of its requests wait in the kernel, so the server never catches up with
//! it. Does not depend on what is measured.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::wire::{Inbox, connect, dial, masked, number_after, value_after};

/// The behaviour of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    NeverReads,
    ByteByByte,
    Notifies,
    Pings,
    Slowloris,
    Mutual,
    TinyFrames,
    Batches,
    RefusedBatches,
    LargeBatches,
    Nesting,
    LargeTexts,
    LargeParams,
    LargeResults,
    Subscriptions,
    Posts,
    Blocks,
    BlocksElsewhere,
}

impl Behaviour {
    pub const ALL: [Behaviour; 18] = [
        Behaviour::NeverReads,
        Behaviour::ByteByByte,
        Behaviour::Notifies,
        Behaviour::Pings,
        Behaviour::Slowloris,
        Behaviour::Mutual,
        Behaviour::TinyFrames,
        Behaviour::Batches,
        Behaviour::RefusedBatches,
        Behaviour::LargeBatches,
        Behaviour::Nesting,
        Behaviour::LargeTexts,
        Behaviour::LargeParams,
        Behaviour::LargeResults,
        Behaviour::Subscriptions,
        Behaviour::Posts,
        Behaviour::Blocks,
        Behaviour::BlocksElsewhere,
    ];

    /// The option with which the server is started for this behaviour.
    pub fn option(self) -> Option<&'static str> {
        match self {
            Behaviour::Posts => Some("--mounted"),
            Behaviour::BlocksElsewhere => Some("--handler-runtime"),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Behaviour::NeverReads => "sends millions of requests and never reads",
            Behaviour::ByteByByte => "100 peers that send one byte a second and read one",
            Behaviour::Notifies => "floods with notifications",
            Behaviour::Pings => "floods with pings",
            Behaviour::Slowloris => "200 handshakes that never end, 10 bytes a second each",
            Behaviour::Mutual => "floods with calls, and makes the server flood it with calls",
            Behaviour::TinyFrames => "floods with messages in 5000 frames of 1 byte",
            Behaviour::Batches => "floods with batches of 1000 small calls",
            Behaviour::RefusedBatches => {
                "floods with batches of 4.7 million entries, which are refused"
            }
            Behaviour::LargeBatches => "floods with batches of 100 calls with results of 64 KiB",
            Behaviour::Nesting => "floods with messages of 9 MiB of `[`",
            Behaviour::LargeTexts => "floods with messages of 9 MiB that are a string with `é`",
            Behaviour::LargeParams => "floods with calls that decode a text of 9 MiB and return it",
            Behaviour::LargeResults => "floods with calls that have results of 64 KiB",
            Behaviour::Subscriptions => "reads the items of 100 subscriptions as fast as it can",
            Behaviour::Posts => "floods with batches of 1000 small calls by HTTP POST",
            Behaviour::Blocks => "calls a handler that blocks for 5 ms, every 6 ms",
            Behaviour::BlocksElsewhere => "the same, and handlers have a runtime of their own",
        }
    }
}

/// How many calls one request makes the server make. A small number, because a handler makes them,
/// and with any library a handler that computes for a long time delays others.
const REVERSED: usize = 20;
/// The size of a large message, below the default limit of a server.
const MESSAGE: usize = 9 << 20;
/// The size of a large result.
const LARGE: usize = 64 << 10;
/// A connection that the server has not read from for this long is replaced.
const STALLED: Duration = Duration::from_millis(20);

/// One or many connections of a peer.
pub struct Hostile {
    behaviour: Behaviour,
    address: SocketAddr,
    lanes: Vec<Lane>,
    next: usize,
    frames: Vec<u8>,
    begun: bool,
    waste: Vec<u8>,
}

struct Lane {
    stream: TcpStream,
    inbox: Inbox,
    /// The rest of the bytes that are being sent.
    out: Vec<u8>,
    at: usize,
    moved: Instant,
}

impl Lane {
    fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nonblocking(true)?;
        let (inbox, out) = (Inbox::small(), Vec::new());
        Ok(Lane { stream, inbox, out, at: 0, moved: Instant::now() })
    }

    /// Sends as many of the pending bytes as possible. Returns `true` if all were sent.
    fn send(&mut self) -> Result<bool> {
        while let Some(rest @ [_, ..]) = self.out.get(self.at..) {
            match self.stream.write(rest) {
                Ok(count) => {
                    self.at += count;
                    self.moved = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        self.out.clear();
        self.at = 0;
        Ok(true)
    }
}

impl Hostile {
    pub fn new(behaviour: Behaviour, address: SocketAddr) -> Self {
        let call = |method: &str, params: &str, id: &str| {
            format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":[{params}]{id}}}"#)
        };
        let text = match behaviour {
            Behaviour::Notifies => call("note", "1", ""),
            Behaviour::NeverReads => call("math.sum", "1,2", r#","id":1"#),
            _ => call("echo", "\"hello\"", r#","id":1"#),
        };
        let sum = call("math.sum", "1,2", r#","id":1"#);
        let large = call("large", &LARGE.to_string(), r#","id":1"#);
        let batch = |call: &str, calls| format!("[{}]", vec![call; calls].join(","));
        let mut frames = Vec::new();
        match behaviour {
            Behaviour::Pings => (0..1000).for_each(|_| frames.extend([0x89, 0x80, 0, 0, 0, 0])),
            Behaviour::NeverReads | Behaviour::Notifies => {
                (0..1000).for_each(|_| masked(&mut frames, text.as_bytes()));
            }
            Behaviour::Mutual => {
                let reverse = call("reverse", &REVERSED.to_string(), r#","id":"reverse""#);
                for _ in 0..10 {
                    masked(&mut frames, reverse.as_bytes());
                    (0..REVERSED).for_each(|_| masked(&mut frames, text.as_bytes()));
                }
            }
            Behaviour::TinyFrames => {
                let padded = format!("{}{text}", " ".repeat(5000 - text.len()));
                for (index, byte) in padded.bytes().enumerate() {
                    let first = u8::from(index == 0) | u8::from(index == 4999) << 7;
                    frames.extend([first, 0x81, 0, 0, 0, 0, byte]);
                }
            }
            Behaviour::Batches => masked(&mut frames, batch(&sum, 1000).as_bytes()),
            Behaviour::RefusedBatches => {
                let text = format!("[{}1]", "1,".repeat(MESSAGE / 2));
                masked(&mut frames, text.as_bytes());
            }
            Behaviour::Nesting => masked(&mut frames, "[".repeat(MESSAGE).as_bytes()),
            Behaviour::LargeTexts => {
                masked(&mut frames, format!("\"{}\"", "é".repeat(MESSAGE / 2)).as_bytes());
            }
            Behaviour::LargeParams => {
                let text = format!("\"{}\"", "x".repeat(MESSAGE));
                masked(&mut frames, call("echo", &text, r#","id":1"#).as_bytes());
            }
            Behaviour::LargeBatches => masked(&mut frames, batch(&large, 100).as_bytes()),
            Behaviour::LargeResults => masked(&mut frames, large.as_bytes()),
            Behaviour::Subscriptions => {
                let items = call("subscribe_items", &u32::MAX.to_string(), r#","id":1"#);
                (0..100).for_each(|_| masked(&mut frames, items.as_bytes()));
            }
            Behaviour::Posts => {
                let body = batch(&sum, 1000);
                let head = format!(
                    "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
                     Content-Length: {}\r\n\r\n",
                    body.len()
                );
                frames.extend(head.as_bytes());
                frames.extend(body.as_bytes());
            }
            Behaviour::Blocks | Behaviour::BlocksElsewhere => {
                masked(&mut frames, call("block", "5", r#","id":1"#).as_bytes());
            }
            Behaviour::ByteByByte => masked(&mut frames, text.as_bytes()),
            Behaviour::Slowloris => {
                frames.extend(b"GET / HTTP/1.1\r\nHost: x\r\nX-Filling: ");
                frames.extend([b'x'; 4000]);
            }
        }
        let (lanes, waste) = (Vec::new(), vec![0; 64 << 10]);
        Hostile { behaviour, address, lanes, next: 0, frames, begun: false, waste }
    }

    /// Does a part of the work, without waiting.
    pub fn pump(&mut self) -> Result<()> {
        match self.behaviour {
            Behaviour::ByteByByte => self.drip(100, Duration::from_secs(1)),
            Behaviour::Slowloris => self.drip(200, Duration::from_millis(100)),
            _ => self.flood(),
        }
    }

    /// Opens many connections, and sends a byte on each from time to time.
    fn drip(&mut self, connections: usize, pause: Duration) -> Result<()> {
        if self.lanes.len() < connections {
            let stream = match self.behaviour {
                Behaviour::Slowloris => TcpStream::connect(self.address)?,
                _ => connect(self.address)?,
            };
            let mut lane = Lane::new(stream)?;
            // Spreads the connections over time.
            lane.moved -= pause.mul_f64(self.lanes.len() as f64 / connections as f64);
            self.lanes.push(lane);
        }
        for _ in 0..self.lanes.len() {
            self.next = (self.next + 1) % self.lanes.len();
            let Some(lane) = self.lanes.get_mut(self.next) else { break };
            if lane.moved.elapsed() < pause {
                continue;
            }
            lane.moved = Instant::now();
            let byte = self.frames.get(lane.at % self.frames.len()).copied().unwrap_or_default();
            lane.at += 1;
            let gone = match lane.stream.write(&[byte]) {
                Ok(_) => matches!(lane.stream.read(&mut [0]), Ok(0)),
                Err(error) => error.kind() != ErrorKind::WouldBlock,
            };
            if gone {
                self.lanes.swap_remove(self.next);
            }
            break;
        }
        Ok(())
    }

    /// Opens one connection, and sends as much as the network accepts.
    fn flood(&mut self) -> Result<()> {
        let Some(lane) = self.lanes.first_mut() else {
            let stream = match self.behaviour {
                Behaviour::Posts => dial(self.address)?,
                _ => connect(self.address)?,
            };
            self.lanes.push(Lane::new(stream)?);
            return Ok(());
        };
        let now_and_then = matches!(self.behaviour, Behaviour::Blocks | Behaviour::BlocksElsewhere);
        for _ in 0..4 {
            if lane.out.is_empty() {
                if now_and_then && lane.moved.elapsed() < Duration::from_millis(6) {
                    break;
                }
                // Subscribe only once; the items follow.
                if self.behaviour == Behaviour::Subscriptions && self.begun {
                    break;
                }
                self.begun = true;
                lane.out.extend_from_slice(&self.frames);
            }
            if !lane.send()? {
                break;
            }
        }
        match self.behaviour {
            Behaviour::Mutual => lane.answer()?,
            Behaviour::Pings
            | Behaviour::TinyFrames
            | Behaviour::Batches
            | Behaviour::RefusedBatches
            | Behaviour::LargeBatches
            | Behaviour::Nesting
            | Behaviour::LargeTexts
            | Behaviour::LargeParams
            | Behaviour::LargeResults
            | Behaviour::Subscriptions
            | Behaviour::Posts
            | Behaviour::Blocks
            | Behaviour::BlocksElsewhere => {
                // A limit, because the thread also has to measure.
                for _ in 0..64 {
                    if !matches!(lane.stream.read(&mut self.waste), Ok(1..)) {
                        break;
                    }
                }
            }
            // Replaces a connection that the server no longer reads from.
            Behaviour::NeverReads if lane.moved.elapsed() > STALLED => self.lanes.clear(),
            _ => {}
        }
        Ok(())
    }
}

impl Lane {
    /// Reads the messages that have arrived, and answers calls.
    fn answer(&mut self) -> Result<()> {
        loop {
            match self.inbox.fill(&mut self.stream) {
                Ok(true) => {}
                Ok(false) => anyhow::bail!("the server closed the connection"),
                Err(error) => match error.downcast_ref::<std::io::Error>() {
                    Some(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                    _ => return Err(error),
                },
            }
            while let Some(text) = self.inbox.take()? {
                if value_after(text, "\"params\":").is_none() {
                    continue;
                }
                if let Some(id) = number_after(text, "\"id\":") {
                    let answer = format!(r#"{{"jsonrpc":"2.0","result":3,"id":{id}}}"#);
                    masked(&mut self.out, answer.as_bytes());
                }
            }
        }
    }
}
