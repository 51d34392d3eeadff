//! The files of the runtime import only from floors below their own, as ARCHITECTURE.md says.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

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

/// The modules that a file names after `crate::`, in code.
fn imports(source: &str) -> Vec<&str> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let paths = code.flat_map(|line| line.split("crate::").skip(1));
    paths
        .map(|path| path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""))
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn files_import_only_from_below() {
    let places = places();
    let mut seen = 0;
    for entry in fs::read_dir(root().join("runtime/src")).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        if path.is_dir() || name == "lib" {
            continue;
        }
        let own = places.get(name).unwrap_or_else(|| panic!("`{name}` has no floor"));
        for import in imports(&read(&path)) {
            // The crate's own macro, and types in code that builders share, stand for their files.
            let Some(other) = places.get(import) else { continue };
            assert!(other < own, "`{name}` imports `{import}`, which is not below it");
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} imports were found: does this test still read them?");
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
    let pairs = [("client_builder", "server"), ("reconnect", "endpoint"), ("dial", "endpoint")];
    for (name, stranger) in [("client", "server"), ("server", "client")].into_iter().chain(pairs) {
        let source = read(format!("runtime/src/{name}.rs"));
        assert!(!imports(&source).contains(&stranger), "`{name}` imports `{stranger}`");
    }
}

#[test]
fn every_file_says_what_it_owns_and_what_it_must_not_know() {
    let mut seen = 0;
    for folder in [
        "runtime/src",
        "runtime/src/protocol",
        "runtime/src/testing",
        "macros/src",
        "macros/src/expand",
    ] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let source = read(&path);
            assert!(source.starts_with("//! "), "{} has no header", path.display());
            assert!(source.lines().count() <= 400, "{} is too long", path.display());
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} files were found");
}
