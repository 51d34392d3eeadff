//! The load on a server that sends each message to many connections: raw clients that join and then
//! read, and one that publishes the next message once all have the one before.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::wire::{self, Inbox, masked, value_after};

/// The methods with which a client receives messages, and with which it publishes one.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub join: &'static str,
    pub publish: &'static str,
    /// Whether the server counts a dropped message at once. A channel counts it when the connection
    /// reads again.
    pub counts_dropped: bool,
}

impl Way {
    /// Of the floor.
    pub const JOIN: Way = Way::new("join", "publish");
    pub const NOTIFY: Way = Way::new("join", "notify");
    pub const GROUP: Way = Way { counts_dropped: true, ..Way::new("join", "broadcast") };
    pub const CHANNEL: Way = Way::new("channel", "publish_channel");
    /// Each connection has a subscription.
    pub const ITEMS: Way = Way::new("items", "publish_items");

    const fn new(join: &'static str, publish: &'static str) -> Self {
        Way { join, publish, counts_dropped: false }
    }
}

/// What publishing a message has cost the server, as the server says.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// CPU time.
    pub nanoseconds: u64,
    /// How many members have missed messages so far.
    pub dropped: u64,
}

/// How many bytes a text has if nothing else is said. With the envelope, a message has a few more
/// than a hundred.
const TEXT: usize = 48;

/// The clients of one server, all in this thread.
pub struct Audience {
    way: Way,
    members: Vec<TcpStream>,
    publisher: TcpStream,
    /// Between two messages nothing is left in it, so all clients can share it.
    inbox: Inbox,
    last: u64,
    /// The duration of each turn in nanoseconds since the list was last taken.
    pub turns: Vec<u64>,
}

impl Audience {
    /// Connects the client that publishes.
    pub fn new(address: SocketAddr, way: Way) -> Result<Self> {
        let publisher = wire::connect(address)?;
        wire::impatient(&publisher)?;
        let (members, inbox) = (Vec::new(), Inbox::default());
        Ok(Audience { way, members, publisher, inbox, last: 0, turns: Vec::new() })
    }

    /// Connects this many more clients that receive the messages.
    pub fn join(&mut self, address: SocketAddr, members: usize) -> Result<()> {
        for _ in 0..members {
            let member = self.member(wire::connect(address)?)?;
            self.members.push(member);
        }
        Ok(())
    }

    /// Connects this many clients whose kernel takes hardly anything, and which never read what is
    /// published. They stay connected as long as the returned sockets.
    pub fn join_deaf(&mut self, address: SocketAddr, members: usize) -> Result<Vec<TcpStream>> {
        (0..members).map(|_| self.member(wire::connect_small(address)?)).collect()
    }

    fn member(&mut self, mut stream: TcpStream) -> Result<TcpStream> {
        wire::impatient(&stream)?;
        let mut frame = Vec::new();
        let call = format!(r#"{{"jsonrpc":"2.0","method":"{}","id":1}}"#, self.way.join);
        masked(&mut frame, call.as_bytes());
        stream.write_all(&frame)?;
        let response = self.inbox.one(&mut stream)?;
        let joined = value_after(response, "\"result\":").is_some();
        ensure!(joined, "not joined: {}", String::from_utf8_lossy(response));
        Ok(stream)
    }

    /// Publishes a text of this many bytes. Those who joined have to read it before the next one.
    pub fn publish(&mut self, bytes: usize) -> Result<()> {
        self.last += 1;
        let text = format!("{:08}{}", self.last, "x".repeat(bytes.saturating_sub(8)));
        let (method, id) = (self.way.publish, self.last);
        let call =
            format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":["{text}"],"id":{id}}}"#);
        let mut frame = Vec::new();
        masked(&mut frame, call.as_bytes());
        self.publisher.write_all(&frame)?;
        Ok(())
    }

    /// Waits until the server has answered the call that publishes.
    pub fn published(&mut self) -> Result<Published> {
        let text = String::from_utf8_lossy(self.inbox.one(&mut self.publisher)?);
        let result = text.split_once("\"result\":[").and_then(|(_, result)| {
            let (nanoseconds, rest) = result.split_once(',')?;
            let (dropped, _) = rest.split_once(']')?;
            let (nanoseconds, dropped) = (nanoseconds.parse().ok()?, dropped.parse().ok()?);
            Some(Published { nanoseconds, dropped })
        });
        result.with_context(|| format!("wrong response: {text}"))
    }

    /// Publishes a message and waits until all members have it. Members are read in the reverse
    /// order in which they joined, so that this side is not woken for each of them.
    pub fn turn(&mut self) -> Result<Published> {
        self.publish(TEXT)?;
        let content = format!("\"{:08}", self.last);
        for member in self.members.iter_mut().rev() {
            let text = self.inbox.one(member)?;
            let right = text.windows(content.len()).any(|window| window == content.as_bytes());
            ensure!(right, "wrong message: {}", String::from_utf8_lossy(text));
        }
        self.published()
    }

    /// Runs turns for this long. Returns how many messages the members have received.
    pub fn run_for(&mut self, time: Duration) -> Result<usize> {
        let begin = Instant::now();
        let mut turn_begin = begin;
        let mut messages = 0;
        loop {
            self.turn()?;
            messages += self.members.len();
            let now = Instant::now();
            self.turns.push(u64::try_from((now - turn_begin).as_nanos())?);
            turn_begin = now;
            if now - begin >= time {
                return Ok(messages);
            }
        }
    }
}
