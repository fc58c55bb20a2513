//! Searches for traces, as they are typed.

use longshore_core::{Timestamp, TraceId};
use longshore_trace::TraceSummary;
use longshore_trace::query::{complete, parse};

/// What is typed is a search that prints itself, or an error in its place; its completions fit.
pub fn search(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let now = Timestamp::from_unix_millis(1_777_624_200_000);
    match parse(&text, now) {
        Ok(query) => {
            let printed = query.to_string();
            assert!(printed.len() <= 8 * text.len() + 100);
            assert_eq!(parse(&printed, now), Ok(query.clone()));
            let _any = query.jump();
            let summary = TraceSummary::unknown(TraceId::from_u128(1));
            let decided = query.decide(&summary);
            let matched = query.matches(&summary, Vec::new);
            assert!(decided.is_none_or(|decided| decided == matched));
        }
        Err(error) => assert!(text.get(error.at).is_some()),
    }
    for cursor in (0..=text.len()).take(64) {
        for one in complete(&text, cursor, |_key, prefix| vec![prefix.to_owned()]) {
            assert!(text.get(one.replaces).is_some());
        }
    }
}
