//! The project's texts are in plain English. Phrases that were replaced must not come back.

use std::fs;

use crate::layers::{files, root};

/// In lower case, and matched as whole words. A comment or a document says the same in the field's
/// terms: cancelled, in flight, disconnected, unchanged.
const REPLACED: &[&str] = &[
    "is told",
    "are told",
    "was told",
    "taken back",
    "takes back",
    "at work",
    "for ever",
    "whoever",
    "hung up",
    "hangs up",
    "must not know",
    "knows nothing of",
    "as it came",
    "who has said nothing",
    "lives on",
    "says nothing any more",
    "brought no",
    "to let it in",
    "no sign of life",
    "goes on behind",
    "it says which",
    "it goes with",
    "one word decides",
    "what is written is what is there",
    "for five centuries",
    "trying again and again",
    "there is no new one",
    "the word alone",
    "has no words for",
    "somebody listens",
    "as ever",
    "one behind the other",
    "what a second reading",
];

const TEXTS: [&str; 7] = ["rs", "md", "toml", "py", "js", "sh", "stderr"];

#[test]
fn replaced_phrases_do_not_come_back() {
    let mut files = files(root(), &TEXTS);
    // This file contains all of them.
    files.retain(|path| !path.ends_with("tests/it/prose.rs"));
    let mut found = Vec::new();
    for path in &files {
        // Phrases may be broken over lines of a comment.
        let text = fs::read_to_string(path).unwrap().to_lowercase();
        let is_separator = |c: char| !c.is_alphanumeric() && c != '_';
        let words = text.split(is_separator).filter(|word| !word.is_empty());
        let words = format!(" {} ", words.collect::<Vec<_>>().join(" "));
        let path = path.strip_prefix(root()).unwrap().display();
        for phrase in REPLACED {
            if words.contains(&format!(" {phrase} ")) {
                found.push(format!("{path}: {phrase}"));
            }
        }
    }
    assert!(found.is_empty(), "write this in other words:\n{}", found.join("\n"));
    assert!(files.len() > 300, "only {} files were read", files.len());
}
