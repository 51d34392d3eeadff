//! Checks documents against the code. SECURITY.md: the tests that it names exist, and its table
//! lists every limit with its default. OBSERVABILITY.md: the names of metrics and span fields.

use std::collections::{BTreeMap, BTreeSet};

use wsjsonrpc::Config;

use crate::layers::{names, read};

/// The cells, row by row, of all tables whose first line begins with `head`.
fn rows<'a>(document: &'a str, head: &str) -> Vec<Vec<&'a str>> {
    let tables = document.split(head).skip(1);
    let rows =
        tables.flat_map(|table| table.lines().skip(2).take_while(|row| row.starts_with('|')));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// Whether `source` has a function of this name directly below a test attribute.
fn is_test(source: &str, name: &str) -> bool {
    let mut before = "";
    source.lines().any(|line| {
        let attribute = std::mem::replace(&mut before, line);
        let is_it = line.trim_start_matches("async ").starts_with(&format!("fn {name}() "));
        is_it && attribute.starts_with("#[") && attribute.contains("test")
    })
}

/// The parts of `folder::file::test`.
fn path(test: &str) -> (&str, &str, &str) {
    let mut parts = test.splitn(3, "::");
    let mut next = || {
        parts.next().unwrap_or_else(|| panic!("`{test}` is not of the form `folder::file::test`"))
    };
    (next(), next(), next())
}

#[test]
fn every_hostile_behaviour_names_tests_that_exist() {
    let document = read("SECURITY.md");
    let rows = rows(&document, "| Behaviour |");
    for row in &rows {
        let (behaviour, tests) = (row[0], row[row.len() - 1]);
        assert!(names(tests).next().is_some(), "no test for: {behaviour}");
        for test in names(tests) {
            let (folder, file, name) = path(test);
            let binary = read(format!("tests/it/{folder}/mod.rs"));
            assert!(binary.contains(&format!("mod {file};\n")), "no binary contains `{file}`");
            let source = read(format!("tests/it/{folder}/{file}.rs"));
            assert!(is_test(&source, name), "there is no test `{test}` for: {behaviour}");
        }
    }
    assert!(
        rows.len() > 30,
        "only {} rows were found; check how this test reads the document",
        rows.len()
    );
}

#[test]
fn every_row_of_the_memory_table_names_tests_that_exist() {
    let (document, binary) = (read("SECURITY.md"), read("tests/memory/main.rs"));
    let rows = rows(&document, "| Held |");
    for row in &rows {
        assert!(names(row[2]).next().is_some(), "no test for: {}", row[0]);
        for test in names(row[2]) {
            let (file, name) = test.split_once("::").expect("`file::test`");
            assert!(binary.contains(&format!("mod {file};\n")), "no binary contains `{file}`");
            let source = read(format!("tests/memory/{file}.rs"));
            assert!(is_test(&source, name), "there is no test `{test}` for: {}", row[0]);
        }
    }
    assert!(rows.len() > 10, "only {} rows were found", rows.len());
}

/// Converts `10 MiB`, `30 s` or `10,000` to the form in which `Debug` prints the value.
fn plain(cell: &str) -> String {
    let (number, unit) = cell.split_once(' ').unwrap_or((cell, ""));
    let number = number.trim_matches('`').replace(',', "");
    let times = |factor: usize| (number.parse::<usize>().expect("a number") * factor).to_string();
    match unit {
        "KiB" => times(1 << 10),
        "MiB" => times(1 << 20),
        unit => number + unit,
    }
}

#[test]
fn every_limit_is_documented_with_its_default() {
    let config = format!("{:?}", Config::default());
    let fields = config.trim_start_matches("Config { ").trim_end_matches(" }").split(", ");
    let mut defaults: BTreeMap<&str, &str> =
        fields.map(|field| field.split_once(": ").expect("a name and a value")).collect();
    let document = read("SECURITY.md");
    for row in rows(&document, "| Limit |") {
        let name = row[0].trim_matches('`');
        let default = defaults.remove(name).unwrap_or_else(|| {
            panic!("`{name}` is not a field of `Config`, or is in the table twice")
        });
        let default = default.trim_start_matches("Some(").trim_end_matches(')');
        assert_eq!(plain(row[1]), default, "the default of `{name}`");
    }
    assert!(defaults.is_empty(), "not in SECURITY.md's table: {defaults:?}");
}

/// String literals, or words in backticks, for which `of_shape` is true.
fn quoted(text: &str, quote: char, of_shape: impl Fn(&str) -> bool) -> BTreeSet<&str> {
    text.split(quote).filter(|word| of_shape(word)).collect()
}

#[test]
fn every_metric_is_documented() {
    let is_name = |word: &str| {
        word.starts_with("rpc_") && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let (code, document) =
        (read("runtime/src/middleware/call_metrics.rs"), read("OBSERVABILITY.md"));
    let rows = rows(&document, "| Metric |");
    let documented: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    let in_code: Vec<&str> = quoted(&code, '"', is_name).into_iter().collect();
    let mut sorted = documented.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, in_code);
    assert!(in_code.len() > 10, "too few names were found; check how this test reads the file");
    for row in rows {
        let (name, kind, unit) = (row[0].trim_matches('`'), row[1], row[2]);
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
        assert_eq!(name.ends_with("_seconds"), unit == "seconds", "{name}");
        assert_eq!(name.contains("_bytes"), unit == "bytes", "{name}");
    }
}

#[test]
fn every_field_of_a_span_is_documented() {
    let (code, document) = (read("runtime/src/span.rs"), read("OBSERVABILITY.md"));
    let fields = code.lines().filter_map(|line| line.trim().split_once(" = "));
    let fields = fields.map(|(name, _)| name);
    let in_code: BTreeSet<&str> =
        fields.filter(|name| name.starts_with("rpc.") || name.starts_with("otel.")).collect();
    let rows = rows(&document, "| Field |");
    let documented: BTreeSet<&str> = rows.iter().flat_map(|row| names(row[0])).collect();
    assert_eq!(documented, in_code);
    assert!(in_code.len() > 5, "too few names were found; check how this test reads the file");
}

#[test]
fn every_extension_of_openrpc_is_documented() {
    let (code, document) = (read("runtime/src/openrpc/extensions.rs"), read("docs/wire.md"));
    let is_extension = |text: &str| text.starts_with("x-");
    let declared = quoted(&code, '"', is_extension);
    let rows = document.lines().filter(|line| line.starts_with("| `x-")).collect::<String>();
    assert_eq!(declared, quoted(&rows, '`', is_extension));
    assert!(declared.len() >= 10, "{declared:?}");
}
