//! The files of the runtime import only from floors below their own, as ARCHITECTURE.md says.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names in backticks.
pub(crate) fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Each file's place, counted from the ground: the table's rows from the last to the first, and in
/// each row from left to right.
fn places() -> BTreeMap<String, usize> {
    let architecture = read("ARCHITECTURE.md");
    let rows = architecture
        .lines()
        .skip_while(|line| !line.starts_with("| floor | files |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut rows: Vec<&str> = rows.filter_map(|row| row.split('|').nth(2)).collect();
    rows.reverse();
    rows.iter().flat_map(|row| names(row)).map(str::to_owned).zip(0..).collect()
}

/// All source files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The files that have a place, by name: those of the rooms, and those beside them. `protocol` and
/// `testing` have an order of their own and stand for all that is in them.
fn placed() -> BTreeMap<String, PathBuf> {
    let src = root().join("runtime/src");
    let mut found = BTreeMap::new();
    for path in sources(&src) {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let parts: Vec<&str> =
            path.strip_prefix(&src).unwrap().iter().filter_map(|part| part.to_str()).collect();
        match parts[..] {
            ["lib.rs"] | [_, "mod.rs"] | ["protocol" | "testing", ..] => {}
            [_] | [_, _] => {
                let twin = found.insert(name, path);
                assert!(twin.is_none(), "two files have the name of {twin:?}");
            }
            // Tests of a file, in a folder of its name.
            _ => {}
        }
    }
    found
}

/// The modules that a file names after `crate::`, in code; those in rooms without their rooms.
fn imports(source: &str) -> Vec<&str> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let paths = code.flat_map(|line| line.split("crate::").skip(1));
    paths.filter_map(module).collect()
}

/// The module that a path leads to.
fn module(path: &str) -> Option<&str> {
    let mut names = path
        .split("::")
        .map(|part| part.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""));
    let first = names.next().filter(|name| !name.is_empty())?;
    let room = root().join("runtime/src").join(first).is_dir();
    if room && !["protocol", "testing"].contains(&first) { names.next() } else { Some(first) }
}

#[test]
fn files_import_only_from_below() {
    let places = places();
    let placed = placed();
    let mut seen = 0;
    for (name, path) in &placed {
        let own = places.get(name).unwrap_or_else(|| panic!("`{name}` has no floor"));
        for import in imports(&read(path)) {
            // The crate's own macro, and types in code that builders share, stand for their files.
            let Some(other) = places.get(import) else { continue };
            assert!(other < own, "`{name}` imports `{import}`, which is not below it");
            seen += 1;
        }
    }
    for name in places.keys().filter(|name| !["lib", "protocol", "testing"].contains(&&***name)) {
        assert!(placed.contains_key(name), "there is no `{name}`, but it has a floor");
    }
    assert!(seen > 400, "only {seen} imports were found: does this test still read them?");
}

/// ARCHITECTURE.md's tables of files, one for each room.
#[test]
fn every_file_is_in_the_table_of_its_room() {
    let architecture = read("ARCHITECTURE.md");
    for (name, path) in placed() {
        let room = path.parent().and_then(Path::file_name).and_then(|room| room.to_str()).unwrap();
        let heading =
            if room == "src" { "### Beside the rooms".into() } else { format!("### `{room}`") };
        let (_, section) = architecture
            .split_once(&*format!("{heading}\n"))
            .unwrap_or_else(|| panic!("ARCHITECTURE.md has no section {heading}"));
        let rows = section.lines().take_while(|line| !line.starts_with('#'));
        let known = rows
            .filter_map(|row| row.strip_prefix('|')?.split('|').next())
            .any(|files| names(files).any(|file| file == name));
        assert!(known, "`{name}` is not in the table of {heading}");
    }
}

#[test]
fn the_protocol_is_in_order_and_knows_no_floor_above() {
    let architecture = read("ARCHITECTURE.md");
    let (_, line) = architecture.split_once("Inside `protocol`: ").expect("the line is there");
    let order: Vec<&str> = names(line.split(", in this order").next().unwrap()).collect();
    let mut seen = 0;
    for (place, name) in order.iter().enumerate() {
        let source = read(format!("runtime/src/protocol/{name}.rs"));
        let code = || source.lines().filter(|line| !line.trim_start().starts_with("//"));
        assert_eq!(code().filter(|line| line.contains("crate::")).count(), 0, "{name}");
        for foreign in ["tokio", "tungstenite", "http::"] {
            assert_eq!(code().filter(|line| line.contains(foreign)).count(), 0, "{name} {foreign}");
        }
        for import in code().flat_map(|line| line.split("super::").skip(1)) {
            let import = import.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
            // `super::*` of a test module.
            let Some(other) = order.iter().position(|known| *known == import) else { continue };
            assert!(other < place, "`{name}` imports `{import}`, which is not before it");
            seen += 1;
        }
    }
    assert!(order.len() >= 6 && seen >= 6, "does this test still read the files?");
}

#[test]
fn the_files_of_the_testing_kit_are_in_order() {
    let architecture = read("ARCHITECTURE.md");
    let (_, line) = architecture.split_once("Inside `testing`, ").expect("the line is there");
    let order: Vec<&str> = names(line.split(", in this order").next().unwrap()).collect();
    let mut seen = 0;
    for entry in fs::read_dir(root().join("runtime/src/testing")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if name == "mod" {
            continue;
        }
        let own = order.iter().position(|known| *known == name);
        let own = own.unwrap_or_else(|| panic!("`{name}` has no place"));
        let source = read(&path);
        for import in source.lines().filter_map(|line| line.strip_prefix("use super::")) {
            let import = import.split(':').next().unwrap_or("");
            let below = order[..own].contains(&import);
            assert!(below, "`{name}` imports `{import}`, which is not before it");
            seen += 1;
        }
    }
    assert!(seen > 5, "only {seen} imports were found: does this test still read them?");
}

#[test]
fn client_and_server_do_not_know_each_other() {
    let placed = placed();
    let mut seen = 0;
    for (room, other) in [("connecting", "listening"), ("listening", "connecting")] {
        for path in placed.values().filter(|path| path.parent().unwrap().ends_with(room)) {
            let source = read(path);
            assert!(!source.contains(&format!("crate::{other}")), "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 8, "only {seen} files were found");
}

#[test]
fn every_file_says_what_it_owns_and_what_it_must_not_know() {
    let files = ["runtime/src", "macros/src"].map(|folder| sources(&root().join(folder))).concat();
    for path in &files {
        let source = read(path);
        assert!(source.starts_with("//! "), "{} has no header", path.display());
        assert!(source.lines().count() <= 500, "{} is too long", path.display());
    }
    assert!(files.len() > 100, "only {} files were found", files.len());
}
