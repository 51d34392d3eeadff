//! A proxy that breaks connections at random moments ([`Breaker`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The same numbers in each run (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A proxy that breaks connections after some bytes.
#[derive(Default)]
pub struct Breaker {
    /// How many connections it has broken.
    pub breaks: AtomicUsize,
    /// Set when it should break no more.
    pub enough: AtomicBool,
}

impl Breaker {
    /// Returns its own URL.
    pub async fn before(self: &Arc<Self>, server: &str, seed: u64) -> String {
        let upstream = server.trim_start_matches("ws://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("ws://{}/", listener.local_addr().expect("a listener has an address"));
        let breaker = Arc::clone(self);
        tokio::spawn(async move {
            let mut chance = Chance(seed);
            loop {
                let (down, _) = listener.accept().await.expect("a connection is accepted");
                let Ok(up) = TcpStream::connect(&upstream).await else { continue };
                // Some connections break during their handshake.
                let budget = 200 + chance.below(5000) as usize;
                breaker.carry(down, up, budget).await;
            }
        });
        url
    }

    /// Copies exactly as many bytes as the budget allows, in both directions. The connection mostly
    /// breaks inside a frame. Then both ends are disconnected.
    async fn carry(&self, mut down: TcpStream, mut up: TcpStream, mut budget: usize) {
        let (mut from_down, mut from_up) = ([0; 256], [0; 256]);
        loop {
            let unlimited = self.enough.load(Ordering::Relaxed);
            let (to, bytes) = tokio::select! {
                count = down.read(&mut from_down) => match count {
                    Ok(count @ 1..) => (&mut up, &from_down[..count]),
                    _ => return,
                },
                count = up.read(&mut from_up) => match count {
                    Ok(count @ 1..) => (&mut down, &from_up[..count]),
                    _ => return,
                },
            };
            let part = if unlimited { bytes.len() } else { bytes.len().min(budget) };
            if to.write_all(&bytes[..part]).await.is_err() {
                return;
            }
            budget -= part.min(budget);
            if budget == 0 && !unlimited {
                self.breaks.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
    }
}
