//! Checks that the modules of both crates form layers: a module imports only from those below it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of `runtime/src`, from the lowest to the highest.
const RUNTIME: [&str; 21] = [
    "util",
    "protocol",
    "config",
    "error",
    "span",
    "websocket",
    "handshake",
    "link",
    "openrpc",
    "outgoing",
    "incoming",
    "group",
    "middleware",
    "connection",
    "services",
    "client",
    "server",
    "http",
    "memory",
    "testing",
    "missing_features",
];

pub(crate) fn root() -> &'static Path {
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

/// Folders that contain generated files or other people's.
const SKIPPED: [&str; 6] = ["target", ".git", "node_modules", "artifacts", "corpus", "seeds"];

/// All files below a folder with one of these extensions.
pub(crate) fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is = |name: Option<&OsStr>, known: &[&str]| {
            name.and_then(OsStr::to_str).is_some_and(|name| known.contains(&name))
        };
        if path.is_dir() {
            if !is(path.file_name(), &SKIPPED) {
                found.extend(files(&path, extensions));
            }
        } else if is(path.extension(), extensions) {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_module_imports_only_from_modules_below_it() {
    let place = |module: &str| RUNTIME.iter().position(|known| *known == module);
    let folder = root().join("runtime/src");
    let mut seen = 0;
    for path in files(&folder, &["rs"]) {
        let name = path.strip_prefix(&folder).unwrap().iter().next().unwrap().to_str().unwrap();
        let Some(module) = name.split('.').next().filter(|module| *module != "lib") else {
            continue;
        };
        let own = place(module).unwrap_or_else(|| panic!("no layer contains `{module}`"));
        let source = read(&path);
        let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
        for import in code.flat_map(|line| line.split("crate::").skip(1)) {
            let import = import.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            // Public names of the crate's root are not modules.
            let Some(other) = place(import) else { continue };
            let file = path.display();
            assert!(
                other <= own,
                "{file}: `{module}` must not import from `{import}`, a layer above"
            );
            assert!(
                !matches!((module, import), ("server", "client")),
                "{file}: client and server must not import each other"
            );
            seen += 1;
        }
    }
    assert!(seen > 400, "only {seen} imports were found; check how this test reads the sources");
}

#[test]
fn the_protocol_knows_no_runtime_and_no_socket() {
    for path in files(&root().join("runtime/src/protocol"), &["rs"]) {
        let source = read(&path);
        let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
        for foreign in ["crate::", "tokio", "tungstenite", "http::"] {
            let line = code.clone().find(|line| line.contains(foreign));
            assert!(line.is_none(), "{}: {}", path.display(), line.unwrap_or_default());
        }
    }
}
