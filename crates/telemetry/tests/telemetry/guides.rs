//! What the guides tell people to type is there.

use std::collections::BTreeSet;

use longshore_core::schedule::{METADATA_SCHEDULE, METADATA_TICK};
use longshore_instrument::table::ATTRIBUTES;
use longshore_telemetry::config::config_reference;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guides");

/// The words of all guides that begin with `start` and go on with what `goes_on` allows.
fn words(start: &str, goes_on: impl Fn(char) -> bool) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for guide in std::fs::read_dir(FOLDER).unwrap() {
        let text = std::fs::read_to_string(guide.unwrap().path()).unwrap();
        for (at, _) in text.match_indices(start) {
            let before = text[..at].chars().next_back();
            if before.is_some_and(|before| before == '_' || before.is_alphanumeric()) {
                continue;
            }
            let rest = &text[at + start.len()..];
            let end = rest.find(|letter| !goes_on(letter)).unwrap_or(rest.len());
            let word = format!("{start}{}", &rest[..end]);
            words.insert(word.trim_end_matches(['.', '_']).to_owned());
        }
    }
    words
}

#[test]
fn guides_name_variables_that_are_read() {
    // Read by the tests and by the command line alone.
    let elsewhere = ["LONGSHORE_STORE"];
    let page = config_reference();
    for start in ["OTEL_", "LONGSHORE_"] {
        let found = words(start, |letter| letter.is_ascii_uppercase() || letter == '_');
        assert!(!found.is_empty());
        for variable in found {
            let is_read = page.contains(&format!("`{variable}`"));
            assert!(is_read || elsewhere.contains(&&*variable), "{variable}");
        }
    }
}

#[test]
fn guides_name_attributes_that_are_written() {
    let files = ["toml", "json", "yml"];
    // Of jobs, not of spans.
    let metadata = [METADATA_SCHEDULE, METADATA_TICK];
    // Of the PostgreSQL store.
    let tables = ["longshore.job", "longshore.job_over"];
    for start in ["longshore.", "messaging."] {
        let goes_on = |letter: char| letter.is_ascii_lowercase() || "._".contains(letter);
        for key in words(start, goes_on) {
            let is_file = key
                .rsplit('.')
                .next()
                .is_some_and(|last| files.contains(&last));
            let is_written = ATTRIBUTES.iter().any(|known| known.key == key);
            let is_metadata = metadata.contains(&&*key);
            let is_table = tables.contains(&&*key);
            assert!(
                is_file || is_written || is_metadata || is_table || key == "longshore",
                "{key}"
            );
        }
    }
}
