//! A proxy between clients and server that breaks connections in every possible way. Does not
//! depend on WebSocket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::tally::{Tally, add};

/// Random numbers, the same ones for the same seed (xorshift).
pub(crate) struct Dice(u64);

impl Dice {
    /// Mixes the seed, so that similar seeds give unrelated numbers (splitmix64).
    pub(crate) fn new(seed: u64) -> Self {
        let mut state = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Dice((state ^ (state >> 31)).max(1))
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// How a connection breaks.
#[derive(Clone, Copy, Debug)]
enum Break {
    /// Both ends see the end of the stream.
    Drop,
    /// Both ends see a reset.
    Reset,
    /// One end sees a reset, the other one the end of the stream.
    HalfReset,
    /// One direction ends, the other continues.
    HalfClose,
    /// No bytes arrive any more, and neither end gets an error.
    Silence,
}

const BREAKS: [Break; 5] =
    [Break::Drop, Break::Reset, Break::HalfReset, Break::HalfClose, Break::Silence];
pub(crate) const NAMES: [&str; 5] =
    ["dropped", "reset", "reset at one end", "half-closed", "silent"];

/// A proxy that listens for clients.
pub(crate) struct Breaker {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Breaker {
    pub(crate) async fn before(
        server: SocketAddr,
        seed: u64,
        leak: u64,
        tally: Arc<Tally>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let task = tokio::spawn(async move {
            let mut carried = JoinSet::new();
            for number in 0.. {
                while carried.try_join_next().is_some() {}
                let Ok((down, _)) = listener.accept().await else { continue };
                let Ok(up) = TcpStream::connect(server).await else { continue };
                let dice = Dice::new(seed ^ (number << 20));
                carried.spawn(carry(down, up, dice, leak, Arc::clone(&tally)));
            }
        });
        Breaker { address, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    /// Drops all connections.
    pub(crate) async fn end(self) {
        self.task.abort();
        drop(self.task.await);
    }
}

/// The bytes that a slow connection passes on in a second.
const SLOW: u64 = 10_000;

/// Copies bytes in one direction at a time until the budget is used up, which is mostly inside a
/// frame.
async fn carry(
    mut down: TcpStream,
    mut up: TcpStream,
    mut dice: Dice,
    leak: u64,
    tally: Arc<Tally>,
) {
    // Some connections break during their handshake. Some end before they break.
    let mut budget = match dice.below(8) {
        0 => dice.below(400) as usize,
        1 => usize::MAX,
        2 => dice.below(500_000) as usize,
        _ => dice.below(20_000) as usize,
    };
    let mut buffers = (vec![0; 8192], vec![0; 8192]);
    // Some connections are very slow, so that queues fill up and timeouts expire.
    let slow = dice.below(8) == 0;
    if slow {
        add(&tally.slow);
    }
    // The bytes that were read last but not passed on, and whether they are for the server.
    let mut rest = (Vec::new(), false);
    while budget > 0 {
        let (to, bytes, up_stream) = tokio::select! {
            count = down.read(&mut buffers.0) => match count {
                Ok(count @ 1..) => (&mut up, &buffers.0[..count], true),
                _ => return,
            },
            count = up.read(&mut buffers.1) => match count {
                Ok(count @ 1..) => (&mut down, &buffers.1[..count], false),
                _ => return,
            },
        };
        let (part, left) = bytes.split_at(bytes.len().min(budget));
        budget -= part.len();
        rest = (left.to_vec(), up_stream);
        if !matches!(timeout(Duration::from_secs(5), to.write_all(part)).await, Ok(Ok(()))) {
            return;
        }
        if slow {
            sleep(Duration::from_micros(part.len() as u64 * 1_000_000 / SLOW)).await;
        }
    }
    let kind = dice.below(BREAKS.len() as u64) as usize;
    tally.broken(kind);
    std::mem::forget(vec![1_u8; leak as usize]);
    match BREAKS[kind] {
        Break::Drop => {}
        Break::Reset => {
            drop(down.set_zero_linger());
            drop(up.set_zero_linger());
        }
        Break::HalfReset if dice.below(2) == 0 => drop(down.set_zero_linger()),
        Break::HalfReset => drop(up.set_zero_linger()),
        Break::HalfClose => {
            let to_server = dice.below(2) == 0;
            let (mut from, mut to) = if to_server { (up, down) } else { (down, up) };
            drop(from.shutdown().await);
            // The other direction continues until it ends, for at most three seconds. None of its
            // bytes are missing.
            let passing_on = async {
                if rest.1 != to_server {
                    to.write_all(&rest.0).await?;
                }
                tokio::io::copy(&mut from, &mut to).await
            };
            drop(timeout(Duration::from_secs(3), passing_on).await);
        }
        Break::Silence => {
            let swallow = async {
                let mut open = (true, true);
                while open.0 || open.1 {
                    tokio::select! {
                        count = down.read(&mut buffers.0), if open.0 => open.0 = matches!(count, Ok(1..)),
                        count = up.read(&mut buffers.1), if open.1 => open.1 = matches!(count, Ok(1..)),
                    }
                }
            };
            drop(timeout(Duration::from_secs(10), swallow).await);
        }
    }
}
