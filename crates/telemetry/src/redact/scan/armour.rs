//! Private keys in armour.

use super::super::rule::Rule;
use super::{Hit, Scanner};

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
/// Most bytes of the words between the dashes.
const LONGEST_LABEL: usize = 64;

/// The private key whose armour begins at `at`. Without an end it goes on to the end of the text.
pub(super) fn private_key(scanner: &Scanner<'_>, at: usize) -> Option<Hit> {
    let label = scanner.bytes.get(at..)?.strip_prefix(BEGIN)?;
    let label = label.get(..label.len().min(LONGEST_LABEL))?;
    let closed = label.windows(5).position(|five| five == b"-----")?;
    let label = label.get(..closed)?;
    if !label.windows(11).any(|words| words == b"PRIVATE KEY") {
        return None;
    }
    let body = at + BEGIN.len() + closed + 5;
    let rest = scanner.bytes.get(body..)?;
    let end = rest.windows(END.len()).position(|there| there == END);
    let end = end.map_or(rest.len(), |end| {
        let tail = rest.get(end + END.len()..).unwrap_or_default();
        let tail = tail
            .get(..tail.len().min(LONGEST_LABEL))
            .unwrap_or_default();
        let closed = tail.windows(5).position(|five| five == b"-----");
        end + END.len() + closed.map_or(tail.len(), |closed| closed + 5)
    });
    let mut end = body + end;
    scanner.count(end - at);
    while !scanner.text.is_char_boundary(end) {
        end += 1;
    }
    let rule = Rule::PrivateKey;
    Some(Hit {
        start: at,
        end,
        rule,
    })
}

/// The hit, or more, if a private key begins within it: its lines would no longer be told.
pub(super) fn whole(scanner: &Scanner<'_>, hit: Hit) -> Hit {
    let within = scanner.bytes.get(hit.start..hit.end).unwrap_or_default();
    let begin = within.windows(BEGIN.len()).position(|there| there == BEGIN);
    let key = begin.and_then(|begin| private_key(scanner, hit.start + begin));
    Hit {
        end: key.map_or(hit.end, |key| key.end.max(hit.end)),
        ..hit
    }
}
