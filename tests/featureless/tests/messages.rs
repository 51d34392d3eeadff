//! Each use of something behind a feature names the feature. trybuild compiles the cases with the
//! features of this package, which are none, even where the workspace is tested with all of them.
//! `TRYBUILD=overwrite cargo test -p wsjsonrpc-featureless` writes the messages anew.

#[test]
fn messages_name_the_feature() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass.rs");
    cases.compile_fail("ui/fail_*.rs");
}
