//! The load on a server: raw clients that send pre-built frames and check the responses. In each
//! turn, they first write all requests and then read all responses. Does not depend on the server.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::options::method_name;
use crate::wire::{self, Inbox, masked, number_after, value_after};

/// The requests of a client in one turn.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// This many calls of `math.sum`.
    Sum(usize),
    /// This many calls of the methods that `--methods` registers, spread evenly over all of them.
    Spread { calls: usize, methods: usize },
    /// This many calls of `wait`.
    Wait(usize),
    /// One batch with this many calls of `math.sum`.
    Batch(usize),
    /// This many calls of `echo`, each with a string of `bytes` bytes.
    Echo { calls: usize, bytes: usize },
    /// This many notifications, and one call to know when they were handled.
    Notes(usize),
    /// One call of `reverse`, which makes the server make this many calls; those calls count.
    Reverse(usize),
    /// A subscription with this many items.
    Items(usize),
}

impl Shape {
    /// The frames or HTTP requests, and the number of responses.
    fn frames(self, post: bool) -> (Vec<u8>, usize) {
        let call = |method: &str, params: String, id: usize| {
            format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":[{params}],"id":{id}}}"#)
        };
        let sum = |id| call("math.sum", format!("1,{id}"), id);
        let texts: Vec<String> = match self {
            Shape::Sum(calls) => (0..calls).map(sum).collect(),
            Shape::Spread { calls, methods } => (0..calls)
                .map(|id| call(&method_name(id * methods / calls), format!("1,{id}"), id))
                .collect(),
            Shape::Wait(calls) => (0..calls).map(|id| call("wait", id.to_string(), id)).collect(),
            Shape::Batch(entries) => {
                vec![format!("[{}]", (0..entries).map(sum).collect::<Vec<_>>().join(","))]
            }
            Shape::Echo { calls, bytes } => {
                let text = format!("\"{}\"", "x".repeat(bytes));
                (0..calls).map(|id| call("echo", text.clone(), id)).collect()
            }
            Shape::Notes(notes) => {
                let note = |x| format!(r#"{{"jsonrpc":"2.0","method":"note","params":[{x}]}}"#);
                (0..notes).map(note).chain([sum(notes)]).collect()
            }
            Shape::Reverse(calls) => vec![call("reverse", calls.to_string(), 1)],
            Shape::Items(items) => vec![call("items", items.to_string(), 1)],
        };
        let mut frames = Vec::new();
        let write = if post { wire::post } else { masked };
        texts.iter().for_each(|text| write(&mut frames, text.as_bytes()));
        let answers = match self {
            Shape::Notes(_) => 1,
            Shape::Items(items) => items + 1,
            _ => texts.len(),
        };
        (frames, answers)
    }

    /// How many calls a turn counts as.
    pub fn calls(self) -> usize {
        match self {
            Shape::Sum(calls) | Shape::Wait(calls) | Shape::Reverse(calls) => calls,
            Shape::Items(items) => items,
            Shape::Spread { calls, .. } | Shape::Echo { calls, .. } => calls,
            Shape::Batch(entries) => entries,
            Shape::Notes(notes) => notes + 1,
        }
    }

    /// Whether a response is correct.
    fn is_right(self, text: &[u8]) -> bool {
        let id = number_after(text, "\"id\":");
        let result = number_after(text, "\"result\":");
        match self {
            Shape::Sum(_) | Shape::Spread { .. } | Shape::Notes(_) => {
                id.is_some() && result == id.map(|id| id + 1)
            }
            Shape::Wait(_) => id.is_some() && result == id,
            Shape::Reverse(calls) => result == i64::try_from(calls).ok(),
            Shape::Batch(entries) => {
                let ends = text.starts_with(b"[{") && text.ends_with(b"}]");
                // A response has two braces and nothing nested, so the number of braces is enough
                // to check the ids in between.
                let answers = text.iter().filter(|byte| **byte == b'{').count();
                ends && answers == entries && result == id.map(|id| id + 1)
            }
            // The response, or the last item.
            Shape::Items(items) => id == Some(1) || result == last(items),
            Shape::Echo { bytes, .. } => {
                let longest = text.split(|byte| *byte == b'"').map(<[u8]>::len).max();
                longest == Some(bytes)
            }
        }
    }
}

fn last(items: usize) -> Option<i64> {
    i64::try_from(items).ok().map(|items| items - 1)
}

/// One client's connection.
struct Lane {
    stream: TcpStream,
    inbox: Inbox,
    frames: Vec<u8>,
    answers: usize,
    /// Calls over HTTP POST.
    post: bool,
}

/// The clients of one server, all in this thread.
pub struct Load {
    shape: Shape,
    lanes: Vec<Lane>,
    /// The duration of each turn in nanoseconds since the list was last taken.
    pub turns: Vec<u64>,
}

impl Load {
    /// Connects this many clients, with WebSockets or for HTTP POST.
    pub fn connect(
        address: SocketAddr,
        shape: Shape,
        connections: usize,
        post: bool,
    ) -> Result<Self> {
        let lane = |_| {
            let (frames, answers) = shape.frames(post);
            let stream = if post { wire::dial(address)? } else { wire::connect(address)? };
            wire::impatient(&stream)?;
            Ok(Lane { stream, inbox: Inbox::default(), frames, answers, post })
        };
        let lanes = (0..connections).map(lane).collect::<Result<_>>()?;
        Ok(Load { shape, lanes, turns: Vec::new() })
    }

    /// Runs turns for this long. Returns how many calls were answered.
    pub fn run_for(&mut self, time: Duration) -> Result<usize> {
        let begin = Instant::now();
        let mut turn_begin = begin;
        let mut calls = 0;
        loop {
            calls += self.turn()?;
            let now = Instant::now();
            self.turns.push(u64::try_from((now - turn_begin).as_nanos())?);
            turn_begin = now;
            if now - begin >= time {
                return Ok(calls);
            }
        }
    }

    /// Every client sends its requests and waits for the responses.
    pub fn turn(&mut self) -> Result<usize> {
        if let Shape::Reverse(calls) = self.shape {
            self.lanes.iter_mut().try_for_each(|lane| lane.serve(calls))?;
        } else {
            for lane in &mut self.lanes {
                lane.stream.write_all(&lane.frames)?;
            }
            self.lanes.iter_mut().try_for_each(|lane| lane.read(self.shape))?;
        }
        Ok(self.shape.calls() * self.lanes.len())
    }
}

impl Lane {
    /// Reads the responses; checks the content of the first and the last one.
    fn read(&mut self, shape: Shape) -> Result<()> {
        let mut answered = 0;
        while answered < self.answers {
            ensure!(self.inbox.fill(&mut self.stream)?, "the server closed the connection");
            loop {
                let taken = if self.post { self.inbox.take_body()? } else { self.inbox.take()? };
                let Some(text) = taken else { break };
                answered += 1;
                if answered == 1 || answered == self.answers {
                    let cut = String::from_utf8_lossy(text.get(..200).unwrap_or(text));
                    ensure!(shape.is_right(text), "wrong response to {shape:?}: {cut}");
                }
            }
        }
        ensure!(answered == self.answers, "{answered} responses to {} requests", self.answers);
        Ok(())
    }

    /// Makes the server call, answers its calls, and waits for the final response.
    fn serve(&mut self, calls: usize) -> Result<()> {
        self.stream.write_all(&self.frames)?;
        let mut out = Vec::new();
        let mut served = 0;
        loop {
            ensure!(self.inbox.fill(&mut self.stream)?, "the server closed the connection");
            while let Some(text) = self.inbox.take()? {
                let is_call = value_after(text, "\"params\":").is_some();
                match value_after(text, "\"id\":") {
                    Some(id) if is_call => {
                        let answer = format!(r#"{{"jsonrpc":"2.0","result":3,"id":{id}}}"#);
                        masked(&mut out, answer.as_bytes());
                        served += 1;
                    }
                    _ => {
                        let text = String::from_utf8_lossy(text);
                        let right = Shape::Reverse(calls).is_right(text.as_bytes());
                        ensure!(right && served == calls, "{served} of {calls} calls, then {text}");
                        return Ok(());
                    }
                }
            }
            self.stream.write_all(&out)?;
            out.clear();
        }
    }
}

/// Open connections without traffic.
pub struct Idle(Vec<TcpStream>);

impl Idle {
    /// Opens this many connections; if they are `used`, each makes one call first.
    pub fn connect(address: SocketAddr, connections: usize, used: bool) -> Result<Self> {
        let shape = Shape::Sum(1);
        let mut inbox = Inbox::default();
        let (frames, answers) = shape.frames(false);
        let mut idle = Vec::with_capacity(connections);
        for _ in 0..connections {
            let stream = wire::connect(address)?;
            let mut lane = Lane { stream, inbox, frames: Vec::new(), answers, post: false };
            if used {
                lane.stream.write_all(&frames)?;
                lane.read(shape)?;
            }
            inbox = lane.inbox;
            idle.push(lane.stream);
        }
        Ok(Idle(idle))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
