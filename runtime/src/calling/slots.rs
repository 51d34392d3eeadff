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

    /// All entries, in no order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u64, &T)> {
        let stragglers = self.stragglers.iter().map(|(id, entry)| (*id, entry));
        self.since(self.first).chain(stragglers)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.window.iter_mut().flatten().chain(self.stragglers.values_mut())
    }

    /// Gives back all memory, if nothing is there. The numbers go on.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers without a pattern, the same each time.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % limit
        }
    }

    fn tidy<T>(slots: &mut Slots<T>) {
        while slots.retire().is_some() {}
    }

    fn capacity<T>(slots: &Slots<T>) -> usize {
        slots.window.capacity() + slots.stragglers.capacity()
    }

    /// Ten thousand random steps for each way of using it, against a map.
    #[test]
    fn they_hold_what_a_map_holds() {
        for seed in 1..=40 {
            let mut random = Random(seed * 0x9E37_79B9);
            let mut slots = Slots::new();
            let mut model: HashMap<u64, u64> = HashMap::new();
            // How many are there at most, whether the old ones stay, and how often one comes.
            let (limit, stay, rush) = (1 << random.below(11), random.below(2), random.below(4) + 1);
            for step in 0..10_000 {
                let next = slots.next_id();
                if model.len() < limit && random.below(5) < rush {
                    assert_eq!(slots.push(step), next);
                    model.insert(next, step);
                } else {
                    let reach = if stay == 1 { limit as u64 } else { next };
                    let id = next - random.below(reach.min(next));
                    assert_eq!(slots.remove(id), model.remove(&id), "seed {seed}, step {step}");
                }
                let mut retired = None;
                while let Some((id, entry)) = slots.retire() {
                    assert_eq!(model.get(&id), Some(entry));
                    assert!(retired.replace(id) < Some(id), "the oldest first");
                }
                assert_eq!(slots.len(), model.len());
                let id = random.below(next + 2);
                assert_eq!(slots.get(id), model.get(&id));
                assert_eq!(slots.get_mut(id), model.get_mut(&id));
                let span = slots.window.len();
                assert!(span <= 4 * slots.recent + SPARE, "{span} slots for {}", slots.recent);
                assert!(!matches!(slots.window.front(), Some(None)));
            }
            let mut all: Vec<_> = slots.values_mut().map(|entry| *entry).collect();
            let mut expected: Vec<_> = model.values().copied().collect();
            all.sort_unstable();
            expected.sort_unstable();
            assert_eq!(all, expected);
        }
    }

    #[test]
    fn those_since_a_number_come_in_order() {
        let mut slots = Slots::new();
        assert_eq!(slots.since(0).count(), 0);
        (1..=10).for_each(|number| assert_eq!(slots.push(number), number));
        assert_eq!([1, 2, 5, 10].map(|id| slots.remove(id)), [1, 2, 5, 10].map(Some));
        let valid = |(id, entry): (u64, &u64)| (id == *entry).then_some(id);
        let since = |id| slots.since(id).map(valid).collect::<Vec<_>>();
        let all: Vec<_> = [3, 4, 6, 7, 8, 9].map(Some).into();
        assert_eq!([0, 1, 3].map(since), [all.clone(), all.clone(), all]);
        assert_eq!([6, 9].map(since), [vec![Some(6), Some(7), Some(8), Some(9)], vec![Some(9)]]);
        assert_eq!([10, 11, 12, u64::MAX].map(since), [vec![], vec![], vec![], vec![]]);
    }

    #[test]
    fn one_that_stays_costs_the_others_nothing() {
        let mut slots = Slots::new();
        let stuck = slots.push(0);
        for number in 1..1_000_000 {
            let id = slots.push(number);
            tidy(&mut slots);
            assert_eq!(slots.remove(id), Some(number));
            tidy(&mut slots);
            assert!(capacity(&slots) <= 2 * KEPT, "{}", capacity(&slots));
        }
        assert_eq!(slots.stragglers.len(), 1);
        assert_eq!((slots.remove(stuck), slots.len()), (Some(0), 0));
    }

    #[test]
    fn memory_follows_what_is_there() {
        const MANY: u64 = 100_000;
        // In the order in which they came, the other way round, and all but every hundredth.
        type Ids = Vec<u64>;
        let straight: Ids = (1..=MANY).collect();
        let reverse: Ids = (1..=MANY).rev().collect();
        let (rare, usual): (Ids, Ids) = straight.iter().partition(|id| **id % 100 == 0);
        for order in [straight, reverse, [usual, rare].concat()] {
            let mut slots = Slots::new();
            for id in 1..=MANY {
                slots.push(id);
                tidy(&mut slots);
            }
            for id in order {
                assert_eq!(slots.remove(id), Some(id));
                tidy(&mut slots);
                let (len, room) = (slots.len(), capacity(&slots));
                assert!(room <= 40 * len + 4 * KEPT, "room for {room} with {len} entries");
            }
            assert_eq!(slots.len(), 0);
            slots.release();
            assert_eq!(capacity(&slots), 0);
        }
    }

    /// Many that stay, and ever more that do not.
    #[test]
    fn those_that_stay_move_once() {
        let mut slots = Slots::new();
        (0..1000).for_each(|number| assert_eq!(slots.push(number), number + 1));
        let mut moved = 0;
        for number in 1000..20_000 {
            let id = slots.push(number);
            slots.remove(id);
            while slots.retire().is_some() {
                moved += 1;
            }
        }
        assert_eq!((moved, slots.stragglers.len(), slots.len()), (1000, 1000, 1000));
        assert!(slots.window.len() <= SPARE);
        (1..=1000).for_each(|id| assert_eq!(slots.remove(id), Some(id - 1)));
    }
}
