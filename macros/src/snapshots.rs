//! Compares the expansion of every `snapshots/NAME.rs` with `snapshots/NAME.expanded.rs`, which
//! also shows people what the macros generate. `UPDATE_SNAPSHOTS=1 cargo test -p wsjsonrpc-macros
//! --lib` updates these files.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Attribute, Item, ItemTrait, Meta};

#[test]
fn expansions_are_what_they_were() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots");
    let mut inputs: Vec<PathBuf> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.retain(|path| !path.to_string_lossy().ends_with(".expanded.rs"));
    inputs.sort();
    assert!(inputs.len() >= 10, "the snapshots are gone from {}", folder.display());
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    let mut changed = Vec::new();
    for input in inputs {
        let expanded = expand_file(&fs::read_to_string(&input).unwrap());
        let expected_at = input.with_extension("expanded.rs");
        if update {
            fs::write(&expected_at, &expanded).unwrap();
        } else if fs::read_to_string(&expected_at).unwrap_or_default() != expanded {
            changed.push(format!("{}\n{expanded}", input.display()));
        }
    }
    assert!(
        changed.is_empty(),
        "the expansion has changed (UPDATE_SNAPSHOTS=1 accepts it):\n\n{}",
        changed.join("\n")
    );
}

const HEADER: &str = "\
// The macro's expansion of the file without `.expanded` in its name.
// Written by the snapshot test.

";

/// Expands the `#[rpc]` traits of a file, and replaces error types by the derived code. The rest is
/// not changed.
fn expand_file(source: &str) -> String {
    let mut tokens = TokenStream::new();
    for item in syn::parse_file(source).unwrap().items {
        match item {
            Item::Trait(item) => tokens.extend(expand_trait(item)),
            item @ (Item::Enum(_) | Item::Struct(_)) => {
                tokens.extend(crate::rpc_error::derive(item.into_token_stream(), true));
            }
            other => other.to_tokens(&mut tokens),
        }
    }
    HEADER.to_owned() + &prettyplease::unparse(&syn::parse2(tokens).unwrap())
}

fn expand_trait(mut item: ItemTrait) -> TokenStream {
    let (rpc, others): (Vec<Attribute>, Vec<Attribute>) =
        item.attrs.into_iter().partition(|attribute| attribute.path().is_ident("rpc"));
    item.attrs = others;
    let arguments = match rpc.into_iter().next().map(|attribute| attribute.meta) {
        Some(Meta::List(list)) => list.tokens,
        _ => TokenStream::new(),
    };
    let features = crate::Features { testing: true, schema: true };
    crate::expand_rpc(arguments, item.into_token_stream(), features)
}
