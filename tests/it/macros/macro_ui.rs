//! What the macro accepts, and its messages for what it rejects: one file for each case in
//! `ui/pass` and `ui/fail`. `TRYBUILD=overwrite cargo test macro_ui` updates the messages; read
//! them before you commit them.

#[test]
fn messages_match_their_snapshots() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.compile_fail("ui/fail/*.rs");
}
