//! Comparing two documents: what changed, and whom it breaks.

mod limits;
mod methods;
mod mutations;
mod public;
mod schemas;
mod values;

use wsjsonrpc::openrpc::{Document, compare};

/// A document with these methods and these schemas, both without the outer brackets.
fn document(methods: &str, schemas: &str) -> Document {
    format!(
        r#"{{"openrpc": "1.3.2", "info": {{"title": "Test", "version": "1.0.0"}},
            "methods": [{methods}], "components": {{"schemas": {{{schemas}}}}}}}"#
    )
    .parse()
    .unwrap_or_else(|error| panic!("{error}: {methods} {schemas}"))
}

fn lines(changes: &[impl ToString]) -> Vec<String> {
    changes.iter().map(ToString::to_string).collect()
}

/// Compares in both directions, and describes what is not as expected.
fn check<T: ToString>(
    what: &str,
    (old, new): (&Document, &Document),
    (forward, backward): (&[T], &[T]),
) -> Option<String> {
    assert_eq!(compare(old, old), [], "{what}");
    let mut wrong = Vec::new();
    for (direction, found, expected) in
        [("->", compare(old, new), forward), ("<-", compare(new, old), backward)]
    {
        let (found, expected) = (lines(&found), lines(expected));
        let is_in = |lines: &[String], line: &String| lines.contains(line);
        let missing = expected.iter().filter(|line| !is_in(&found, line));
        wrong.extend(missing.map(|line| format!("{direction} not found: {line}")));
        let unexpected = found.iter().filter(|line| !is_in(&expected, line));
        wrong.extend(unexpected.map(|line| format!("{direction} not expected: {line}")));
        if wrong.is_empty() && found != expected {
            wrong.push(format!("{direction} another order: {found:#?}"));
        }
    }
    (!wrong.is_empty()).then(|| format!("{what}\n{}", wrong.join("\n")))
}

/// Numbers that look random and are the same in each run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn one_of<'t, T>(&mut self, values: &'t [T]) -> &'t T {
        &values[self.below(values.len())]
    }
}
