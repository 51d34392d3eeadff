//! Entries under numbers that count up and are never used again, found without hashing.
//!
//! The recent ones stand in a window, one slot for each number, so an entry is found by its
//! distance from the first. One that stays while the numbers go on would keep the window open
//! behind it: it moves to a map then. What each costs:
//!
//! - Every number is pushed into the window once and leaves it once at the front, alone or to the
//!   map. So all operations are O(1), averaged over the numbers given out.
//! - The window has at most four slots for each entry in it, and [`SPARE`] more: memory is
//!   proportional to the entries that are there, whatever order they go in.
//!
//! Must not know what the entries are.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// How long a window is never called sparse.
const SPARE: usize = 64;
/// How much room is not worth giving back.
const KEPT: usize = 128;

#[derive(Debug)]
pub(crate) struct Slots<T> {
    /// The entry of `first + i` at place `i`. The first is there, or the window is empty.
    window: VecDeque<Option<T>>,
    first: u64,
    /// How many entries are in the window.
    recent: usize,
    /// All that is older than the window.
    stragglers: HashMap<u64, T, BuildHasherDefault<IdHasher>>,
}

impl<T> Slots<T> {
    /// The first number is 1.
    pub(crate) fn new() -> Self {
        Slots { window: VecDeque::new(), first: 1, recent: 0, stragglers: HashMap::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.recent + self.stragglers.len()
    }

    /// The number of the next entry.
    pub(crate) fn next_id(&self) -> u64 {
        self.first + self.window.len() as u64
    }

    /// Adds an entry and gives its number. [`retire`](Self::retire) is to be called after it.
    pub(crate) fn push(&mut self, entry: T) -> u64 {
        let id = self.next_id();
        self.window.push_back(Some(entry));
        self.recent += 1;
        id
    }

    pub(crate) fn get(&self, id: u64) -> Option<&T> {
        match self.place(id) {
            Some(place) => self.window.get(place)?.as_ref(),
            None => self.stragglers.get(&id),
        }
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        match self.place(id) {
            Some(place) => self.window.get_mut(place)?.as_mut(),
            None => self.stragglers.get_mut(&id),
        }
    }

    /// Takes an entry out. [`retire`](Self::retire) is to be called after it.
    pub(crate) fn remove(&mut self, id: u64) -> Option<T> {
        let Some(place) = self.place(id) else {
            let entry = self.stragglers.remove(&id)?;
            let (len, capacity) = (self.stragglers.len(), self.stragglers.capacity());
            if capacity > KEPT && len < capacity / 8 {
                self.stragglers.shrink_to(2 * len);
            }
            return Some(entry);
        };
        let entry = self.window.get_mut(place)?.take()?;
        self.recent -= 1;
        self.trim();
        Some(entry)
    }

    /// While the window is sparse, moves its oldest entry to the stragglers; gives that one.
    pub(crate) fn retire(&mut self) -> Option<(u64, &T)> {
        if self.window.len() <= 4 * self.recent + SPARE {
            return None;
        }
        let id = self.first;
        let entry = self.window.pop_front()??;
        self.first += 1;
        self.recent -= 1;
        self.trim();
        Some((id, self.stragglers.entry(id).insert_entry(entry).into_mut()))
    }

    /// All entries whose numbers are at least this, if they are in the window still.
    pub(crate) fn since(&self, id: u64) -> impl Iterator<Item = (u64, &T)> {
        let skipped = self.place(id).unwrap_or(0).min(self.window.len());
        let first = self.first + skipped as u64;
        let slots = self.window.range(skipped..);
        (first..).zip(slots).filter_map(|(id, slot)| slot.as_ref().map(|entry| (id, entry)))
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.window.iter_mut().flatten().chain(self.stragglers.values_mut())
    }

    /// Gives back all memory, if nothing is there.
    pub(crate) fn release(&mut self) {
        if self.len() == 0 {
            (self.window, self.stragglers) = Default::default();
        }
    }

    /// Where in the window the entry would be; `None` if it is older.
    fn place(&self, id: u64) -> Option<usize> {
        usize::try_from(id.checked_sub(self.first)?).ok()
    }

    /// The window begins with an entry, and has not much more room than it needs.
    fn trim(&mut self) {
        while let Some(None) = self.window.front() {
            self.window.pop_front();
            self.first += 1;
        }
        let (len, capacity) = (self.window.len(), self.window.capacity());
        if capacity > KEPT && len < capacity / 8 {
            self.window.shrink_to(2 * len);
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
