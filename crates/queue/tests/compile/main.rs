//! What the compiler says of a function that is no handler, word for word: the first lines that a
//! newcomer reads, and they must say what to do.
//!
//! `TRYBUILD=overwrite cargo test -p longshore-queue --test compile` writes the texts anew after a
//! change that is meant; read the difference before you keep it.

#[test]
fn what_is_no_handler_says_why() {
    trybuild::TestCases::new().compile_fail("tests/compile/cases/*.rs");
}
