//! What the macro accepts and what it says when it doesn't: one file a case in `ui/pass` and `ui/fail`.
//! `TRYBUILD=overwrite cargo test macro_ui` writes the messages anew; read them before you commit them.

#[test]
fn messages_match_their_snapshots() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.compile_fail("ui/fail/*.rs");
}
