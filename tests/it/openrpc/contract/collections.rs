//! Lists, sets, maps, tuples, arrays and ranges.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ops::{Bound, Range, RangeInclusive};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cases::{OTHER_MEMBERS, case, echoes};
use super::enums::{Color, Level};
use super::structs::Meters;

#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub(super) struct Key(String);

const REPEATED: &str = "serde ignores repeated elements";
const KEYS: &str = "the schema does not say what a text as a key looks like";

echoes! {
    Collections, CollectionsClient;
    list(Vec<i64>): [vec![], vec![1, -2]], case().refuses(&["[null]", "{}", "\"\""]);
    bytes(Vec<u8>): [vec![], vec![0, 255]], case().refuses(&["[256]", "\"AA==\""]);
    lists(Vec<Vec<Option<bool>>>): [vec![vec![], vec![None, Some(true)]]], case();
    boxed_list(Box<[u8]>): [vec![1, 2].into()], case();
    deque(VecDeque<u8>): [[1, 2].into()], case();
    linked(LinkedList<u8>): [[1, 2].into()], case();
    heap(BinaryHeap<u8>): [[1, 2].into()], case();
    set(BTreeSet<u8>): [[].into(), [1, 2].into()],
        case().narrow(REPEATED, &["[1,1]"]);
    hash_set(HashSet<String>): [HashSet::from(["x".to_owned()])], case().narrow(REPEATED, &[r#"["x","x"]"#]);
    array([u8; 3]): [[1, 2, 3]], case().refuses(&["[1,2]", "[1,2,3,4]"]);
    empty_array([u8; 0]): [[]], case().refuses(&["[1]"]);
    single((u8,)): [(1,)], case();
    pair((u8, Option<String>)): [(1, None), (1, Some("x".into()))], case().refuses(&["[1]", "[1,null,2]"]);
    nested(((u8, bool), [char; 2])): [((1, true), ['a', 'b'])], case();
    map(BTreeMap<String, u8>): [[].into(), [("".into(), 1), ("ä\"".into(), 2)].into()], case().refuses(&[r#"{"a":"b"}"#]);
    hash_map(HashMap<String, Option<u8>>): [HashMap::from([("a".to_owned(), None), ("b".to_owned(), Some(1))])], case();
    by_integer(BTreeMap<i64, u8>): [[(i64::MIN, 1), (0, 2), (i64::MAX, 3)].into()], case().refuses(&[r#"{"a":1}"#, r#"{"1.5":1}"#]);
    by_unsigned(HashMap<u32, u8>): [HashMap::from([(0, 1), (u32::MAX, 2)])], case().refuses(&[r#"{"-1":1}"#])
        .loose(KEYS, &[r#"{"4294967296":1}"#]);
    by_newtype(BTreeMap<Meters, u8>): [[(Meters(7), 1)].into()], case().refuses(&[r#"{"x":1}"#]);
    by_text_newtype(BTreeMap<Key, u8>): [[(Key("k".into()), 1)].into()], case();
    by_enum(BTreeMap<Color, u8>): [[(Color::Red, 1), (Color::DarkGreen, 2), (Color::Blue, 3)].into()],
        case().refuses(&[r#"{"Red":1}"#]);
    by_described_enum(BTreeMap<Level, u8>): [[(Level::DebugOnly, 1), (Level::Warning, 2)].into()],
        case().loose(KEYS, &[r#"{"Warning":1}"#]);
    by_letter(BTreeMap<char, u8>): [[('é', 1)].into()], case().loose(KEYS, &[r#"{"ab":1}"#]);
    by_bool(BTreeMap<bool, u8>): [[(true, 1), (false, 2)].into()], case().loose(KEYS, &[r#"{"yes":1}"#]);
    map_of_lists(BTreeMap<String, Vec<(u8, bool)>>): [[("a".into(), vec![(1, true)])].into()], case();
    range(Range<u8>): [1..3, 1..2], case().refuses(&[r#"{"start":1}"#]).loose(OTHER_MEMBERS, &[r#"{"start":1,"end":2,"step":1}"#]);
    inclusive(RangeInclusive<i64>): [1..=3], case().loose(OTHER_MEMBERS, &[r#"{"start":1,"end":2,"step":1}"#]);
    bound(Bound<u8>): [Bound::Unbounded, Bound::Included(1), Bound::Excluded(1)], case().loose(OTHER_MEMBERS, &[r#"{"Included":1,"unknown":1}"#]);
}
