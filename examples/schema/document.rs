//! What a test of a described API looks like.

// Only the server's side is tested.
#![allow(dead_code)]

use wsjsonrpc::testing;

use api::Library;

mod api;
mod library;

/// Each change of the API shows as a change of `openrpc.json` in a review. To write the file, run
/// `UPDATE_OPENRPC=1 cargo test -p examples-schema`.
#[test]
fn the_document_is_that_of_the_repository() -> anyhow::Result<()> {
    let document = library::server().build()?.openrpc(&library::info());
    testing::assert_openrpc(&document, "openrpc.json");
    // Fails if a method is added that nothing describes.
    assert!(document.undescribed().is_empty(), "{:?}", document.undescribed());
    Ok(())
}

/// Calls the methods with the params of their examples, and compares the results.
#[tokio::test]
async fn the_examples_are_true() {
    testing::assert_examples(library::Branch::new().into_service()).await;
}
