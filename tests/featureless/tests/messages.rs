//! Each use of an item behind a feature causes an error that names the feature. trybuild compiles
//! the cases with the features of this package, so with none, even if the workspace is tested with
//! all features. `TRYBUILD=overwrite cargo test -p wsjsonrpc-featureless` updates the messages.

#[test]
fn messages_name_the_feature() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass.rs");
    cases.compile_fail("ui/fail_*.rs");
}
