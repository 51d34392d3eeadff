//! Calls that wait for a response: an entry for each, and a guard that takes it out again.
//!
//! An entry is made before its message is sent, so no response can come too early; it ends in
//! exactly one of response, timeout, closed or dropped. Must not know how messages travel.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::error::CloseReason;
use crate::protocol::error::ErrorObject;
use crate::protocol::text;

/// Who opened the connection. It decides how this side's ids look: a client counts in numbers, a
/// server in strings, as some clients (npm's rpc-websockets) take a request for a response when
/// its id is one of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// What came back for a call.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The result is this part of the message.
    Result(Utf8Bytes, Range<usize>),
    Error(ErrorObject),
    /// An answer that is no response; it says what is wrong.
    Invalid(&'static str),
    /// The batch of the call was dropped before it was sent.
    NotSent,
}

/// The table of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    table: Arc<Mutex<Table>>,
    side: Side,
}

#[derive(Debug)]
struct Table {
    calls: HashMap<u64, Slot, BuildHasherDefault<IdHasher>>,
    /// Ids count up and are never used again: a late response must not meet a new call.
    last_id: u64,
    closed: Option<CloseReason>,
}

#[derive(Debug)]
enum Slot {
    Waiting(Option<Waker>),
    Done(Reply),
}

impl Pending {
    pub(crate) fn new(side: Side) -> Self {
        let table = Table { calls: HashMap::default(), last_id: 0, closed: None };
        Pending { table: Arc::new(Mutex::new(table)), side }
    }

    /// Makes an entry for a new call.
    pub(crate) fn insert(&self) -> Result<Ticket, CloseReason> {
        let mut table = self.lock();
        if let Some(reason) = &table.closed {
            return Err(reason.clone());
        }
        table.last_id += 1;
        let id = table.last_id;
        table.calls.insert(id, Slot::Waiting(None));
        drop(table);
        Ok(Ticket { pending: self.clone(), id })
    }

    /// Hands a reply to the call that waits under this id, given as JSON. `false`: nobody waits.
    pub(crate) fn resolve(&self, id: &str, reply: Reply) -> bool {
        self.parse(id).is_some_and(|id| self.resolve_number(id, reply))
    }

    fn resolve_number(&self, id: u64, reply: Reply) -> bool {
        let mut table = self.lock();
        let waker = match table.calls.get_mut(&id) {
            Some(slot @ Slot::Waiting(_)) => match std::mem::replace(slot, Slot::Done(reply)) {
                Slot::Waiting(waker) => waker,
                Slot::Done(_) => None,
            },
            _ => return false,
        };
        drop(table);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Ends every call that has no reply yet, and refuses new ones.
    pub(crate) fn close(&self, reason: &CloseReason) {
        let mut table = self.lock();
        table.closed.get_or_insert_with(|| reason.clone());
        let wakers: Vec<Waker> = table
            .calls
            .values_mut()
            .filter_map(|slot| match slot {
                Slot::Waiting(waker) => waker.take(),
                Slot::Done(_) => None,
            })
            .collect();
        drop(table);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// How many calls wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().calls.len()
    }

    fn parse(&self, json: &str) -> Option<u64> {
        match self.side {
            Side::Client => json.parse().ok().or_else(|| {
                // A peer whose language knows one kind of number may send 1 back as 1.0.
                let number: f64 = json.parse().ok()?;
                (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64)
            }),
            Side::Server => text::content(json)?.strip_prefix('s')?.parse().ok(),
        }
    }

    /// Only small moves happen under the lock, no user code, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call's place in the table. A future of its reply; dropping it takes the entry out at once,
/// whatever made the caller give up.
#[derive(Debug)]
pub(crate) struct Ticket {
    pending: Pending,
    id: u64,
}

impl Ticket {
    /// Appends the id as JSON.
    pub(crate) fn write_id(&self, out: &mut Vec<u8>) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(self.id).as_bytes();
        match self.pending.side {
            Side::Client => out.extend_from_slice(digits),
            Side::Server => {
                out.extend_from_slice(b"\"s");
                out.extend_from_slice(digits);
                out.push(b'"');
            }
        }
    }

    /// A key to this call while the ticket is somewhere else.
    pub(crate) fn key(&self) -> Key {
        Key { pending: self.pending.clone(), id: self.id }
    }
}

impl Future for Ticket {
    type Output = Result<Reply, CloseReason>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut table = self.pending.lock();
        let closed = table.closed.clone();
        let Entry::Occupied(mut entry) = table.calls.entry(self.id) else {
            return Poll::Ready(Err(closed.unwrap_or(CloseReason::Aborted)));
        };
        match (entry.get_mut(), closed) {
            (Slot::Done(_), _) => match entry.remove() {
                Slot::Done(reply) => Poll::Ready(Ok(reply)),
                Slot::Waiting(_) => Poll::Pending,
            },
            (Slot::Waiting(_), Some(reason)) => Poll::Ready(Err(reason)),
            (Slot::Waiting(waker), None) => {
                match waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    None => *waker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let removed = self.pending.lock().calls.remove(&self.id);
        // Dropped outside the lock: it may hold a waker, whose drop is foreign code.
        drop(removed);
    }
}

/// The other end of a ticket, for the batch that a call is part of.
#[derive(Debug)]
pub(crate) struct Key {
    pending: Pending,
    id: u64,
}

impl Key {
    /// The batch is never sent.
    pub(crate) fn fail(self) {
        self.pending.resolve_number(self.id, Reply::NotSent);
    }

    /// Makes whoever waits for the call look again.
    pub(crate) fn wake(&self) {
        let waker = match self.pending.lock().calls.get_mut(&self.id) {
            Some(Slot::Waiting(waker)) => waker.take(),
            _ => None,
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Our own counter needs no protection against chosen keys: one multiplication spreads it.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(ticket: &mut Ticket) -> Poll<Result<Reply, CloseReason>> {
        Pin::new(ticket).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn ids_by_side_and_what_peers_make_of_them() {
        for (side, written, accepted, refused) in [
            (
                Side::Client,
                "1",
                &["1", "1.0", "1e0"][..],
                &["\"1\"", "2", "null", "-1", "1.5", "[1]"][..],
            ),
            (
                Side::Server,
                "\"s1\"",
                &["\"s1\"", "\"\\u00731\""],
                &["1", "\"1\"", "\"s2\"", "null", "\"s\""],
            ),
        ] {
            let pending = Pending::new(side);
            let ticket = pending.insert().unwrap();
            let mut id = Vec::new();
            ticket.write_id(&mut id);
            assert_eq!(String::from_utf8(id).unwrap(), written);
            for id in refused {
                assert!(!pending.resolve(id, Reply::NotSent), "{side:?} {id}");
            }
            for id in accepted {
                assert_eq!(pending.parse(id), Some(1), "{side:?} {id}");
            }
            assert!(pending.resolve(written, Reply::NotSent), "{side:?}");
        }
    }

    #[test]
    fn an_entry_ends_once() {
        let pending = Pending::new(Side::Client);
        let mut ticket = pending.insert().unwrap();
        assert!(poll(&mut ticket).is_pending());
        assert!(pending.resolve("1", Reply::Invalid("a")));
        assert!(!pending.resolve("1", Reply::Invalid("b")), "a second response is nobody's");
        assert!(matches!(poll(&mut ticket), Poll::Ready(Ok(Reply::Invalid("a")))));
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn dropping_leaves_nothing_and_no_id_is_used_again() {
        let pending = Pending::new(Side::Client);
        drop(pending.insert().unwrap());
        assert_eq!(pending.len(), 0);
        assert!(!pending.resolve("1", Reply::NotSent), "a late response");
        assert_eq!(pending.insert().unwrap().id, 2);
    }

    #[test]
    fn closing_ends_what_has_no_reply() {
        let pending = Pending::new(Side::Client);
        let mut answered = pending.insert().unwrap();
        let mut waiting = pending.insert().unwrap();
        pending.resolve("1", Reply::Invalid("a"));
        pending.close(&CloseReason::Local);
        pending.close(&CloseReason::Stalled);
        assert!(matches!(poll(&mut answered), Poll::Ready(Ok(_))));
        assert!(matches!(poll(&mut waiting), Poll::Ready(Err(CloseReason::Local))));
        assert!(matches!(pending.insert(), Err(CloseReason::Local)));
    }
}
