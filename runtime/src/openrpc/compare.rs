//! The differences between two documents.

use super::Document;

/// One difference between two documents. See [`compare`].
#[derive(Clone, Debug, PartialEq)]
pub struct Change;

/// Compares two documents.
pub fn compare(old: &Document, new: &Document) -> Vec<Change> {
    let _ = (old, new);
    Vec::new()
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("changed")
    }
}
