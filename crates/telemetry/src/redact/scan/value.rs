//! Where a value that was called secret begins and ends.

use super::super::key::{KeyClass, classify_word};
use super::super::mark;
use super::super::rule::Rule;
use super::{Hit, Scanner, digits, iban};

/// Most spaces between a sign and the value.
const WIDEST_GAP: usize = 16;

/// What stands where a secret would, and is none.
const DESCRIPTIONS: &[&str] = &[
    "absent",
    "denied",
    "empty",
    "expired",
    "failed",
    "false",
    "forbidden",
    "hidden",
    "invalid",
    "malformed",
    "mismatch",
    "missing",
    "n/a",
    "nil",
    "none",
    "null",
    "optional",
    "present",
    "rejected",
    "required",
    "revoked",
    "str",
    "string",
    "true",
    "unauthorized",
    "undefined",
    "unknown",
    "unset",
    "unsupported",
    "valid",
];

/// Names that stand before a token and are none.
const SCHEMES: &[&[u8]] = &[
    b"apikey",
    b"basic",
    b"bearer",
    b"digest",
    b"negotiate",
    b"token",
];

/// The value that begins at `start` or after some spaces.
pub(super) fn after(scanner: &Scanner<'_>, start: usize, class: KeyClass) -> Option<Hit> {
    let mut start = start;
    let limit = start + WIDEST_GAP;
    while matches!(scanner.at(start), b' ' | b'\t') && start < limit {
        start += 1;
    }
    if scanner.text.get(start..).and_then(mark::end).is_some() {
        return None;
    }
    if let Some(open) = opening(scanner, start) {
        let end = closing(scanner, open);
        return told(scanner, open.start, end);
    }
    let end = match scanner.at(start) {
        b'[' | b'{' => closed(scanner, start),
        _ if class == KeyClass::SecretLine => line_end(scanner, start),
        _ => unquoted_end(scanner, start),
    };
    told(scanner, start, end)
}

/// The percent-encoded value that begins at `start`.
pub(super) fn encoded(scanner: &Scanner<'_>, start: usize) -> Option<Hit> {
    let mut start = start;
    while scanner.follows(start, b"%22")
        || scanner.follows(start, b"%27")
        || scanner.follows(start, b"%20")
    {
        start += 3;
    }
    let rest = scanner.bytes.get(start..)?;
    let mut length = 0;
    for byte in rest {
        let separates = *byte == b'%'
            && [b"%22", b"%26", b"%2C", b"%3B"]
                .iter()
                .any(|code| scanner.follows(start + length, *code));
        if separates || ends_word(*byte) {
            break;
        }
        length += 1;
    }
    scanner.count(length);
    told(scanner, start, start + length)
}

/// The hit, unless what stands there is no secret.
pub(super) fn told(scanner: &Scanner<'_>, start: usize, end: usize) -> Option<Hit> {
    let value = scanner.text.get(start..end)?;
    scanner.count(value.len());
    if mark::is_mark(value) || !value.contains(|c: char| c.is_alphanumeric()) {
        return None;
    }
    let described = DESCRIPTIONS
        .iter()
        .any(|word| value.trim_end_matches('.').eq_ignore_ascii_case(word));
    let rule = Rule::Secret;
    (!described && !is_placeholder(value)).then_some(Hit { start, end, rule })
}

/// `$1`, `:password`, `@password` and `%s` stand for values that are elsewhere.
fn is_placeholder(value: &str) -> bool {
    let mut bytes = value.bytes();
    match bytes.next() {
        Some(b'$') => bytes.len() > 0 && bytes.len() < 4 && bytes.all(|b| b.is_ascii_digit()),
        Some(b'%') => value == "%s",
        Some(b':' | b'@') => value.get(1..).is_some_and(|name| {
            let is_name = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
            name.bytes().all(is_name) && classify_word(name) != KeyClass::Plain
        }),
        _ => false,
    }
}

/// Quotes that open, with the backslashes before them.
#[derive(Clone, Copy)]
struct Opening {
    quote: u8,
    escapes: usize,
    /// Where what they hold begins.
    start: usize,
}

fn opening(scanner: &Scanner<'_>, at: usize) -> Option<Opening> {
    let mut quote = at;
    while scanner.at(quote) == b'\\' && quote < at + 8 {
        quote += 1;
    }
    let escapes = quote - at;
    let byte = scanner.at(quote);
    matches!(byte, b'"' | b'\'' | b'`').then_some(Opening {
        quote: byte,
        escapes,
        start: quote + 1,
    })
}

/// Where the text in quotes ends: before the same quote with as many backslashes, or fewer. A
/// doubled quote, as in SQL, is a part of the text.
fn closing(scanner: &Scanner<'_>, open: Opening) -> usize {
    let mut escapes = 0;
    let mut at = open.start;
    while at < scanner.bytes.len() {
        let byte = scanner.at(at);
        if byte == b'\\' {
            escapes += 1;
        } else if byte == open.quote && escapes <= open.escapes {
            let doubled = open.escapes == 0 && scanner.at(at + 1) == byte && at > open.start;
            if !doubled {
                return at - escapes;
            }
            at += 1;
            escapes = 0;
        } else {
            escapes = 0;
        }
        // Two backslashes are one, and no escape.
        if open.escapes == 0 && escapes == 2 {
            escapes = 0;
        }
        at += 1;
    }
    scanner.bytes.len()
}

/// Where a list or object ends; quotes within it are minded.
fn closed(scanner: &Scanner<'_>, start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while at < scanner.bytes.len() {
        match scanner.at(at) {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            quote @ (b'"' | b'\'') => {
                let escapes = 0;
                at = closing(
                    scanner,
                    Opening {
                        quote,
                        escapes,
                        start: at + 1,
                    },
                );
            }
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at.min(scanner.bytes.len());
        }
    }
    scanner.bytes.len()
}

/// Where a value with spaces in it ends: with the line, also if it is escaped, or at the quote
/// that closes what it stands in. A quote that opens within it belongs to it with all it holds, as
/// in `Digest username="…"`.
fn line_end(scanner: &Scanner<'_>, start: usize) -> usize {
    let mut at = start;
    while at < scanner.bytes.len() {
        let next = scanner.at(at + 1);
        match scanner.at(at) {
            b'\n' | b'\r' | b'<' => return at,
            b'\\' if matches!(next, b'n' | b'r') => return at,
            // An apostrophe.
            b'\''
                if next.is_ascii_alphanumeric()
                    && scanner.byte_before(at).is_ascii_alphanumeric() => {}
            b'"' | b'\'' | b'`' | b'\\' => {
                let before = scanner.byte_before(at);
                let opens = before.is_ascii_whitespace() || b":=([{,".contains(&before);
                match opening(scanner, at) {
                    Some(open) if opens => at = closing(scanner, open) + open.escapes,
                    // The end of a key: what follows is a value again.
                    Some(open) if ends_key(scanner, open.start) => at = open.start,
                    Some(_) => return at,
                    None => {}
                }
            }
            _ => {}
        }
        at += 1;
    }
    scanner.bytes.len()
}

/// Whether a sign for a value follows, maybe after spaces.
fn ends_key(scanner: &Scanner<'_>, at: usize) -> bool {
    let rest = scanner.bytes.get(at..).unwrap_or_default();
    let mut near = rest
        .iter()
        .take(4)
        .skip_while(|byte| matches!(byte, b' ' | b']'));
    near.next().is_some_and(|byte| b":=".contains(byte))
}

/// Where a value without quotes ends: with its first word, unless that is the name of a scheme or
/// the first group of a number.
fn unquoted_end(scanner: &Scanner<'_>, start: usize) -> usize {
    let end = word_end(scanner, start);
    let first = scanner.bytes.get(start..end).unwrap_or_default();
    let is_scheme = |scheme: &&[u8]| scheme.eq_ignore_ascii_case(first);
    if scanner.at(end) == b' ' && SCHEMES.iter().any(is_scheme) {
        return word_end(scanner, end + 1);
    }
    let card = digits::card_end(scanner, start);
    let iban = iban::end(scanner, start);
    end.max(card.unwrap_or(0)).max(iban.unwrap_or(0))
}

/// Where a value without spaces ends. What is quoted right after it, as in `Some("…")`, is a part
/// of it.
fn word_end(scanner: &Scanner<'_>, start: usize) -> usize {
    let mut end = start;
    while end < scanner.bytes.len() {
        let byte = scanner.at(end);
        if byte == b'['
            && let Some(length) = scanner.text.get(end..).and_then(mark::end)
        {
            end += length;
        } else if ends_word(byte) {
            break;
        } else {
            end += 1;
        }
    }
    let quote = scanner.at(end);
    if end > start && matches!(quote, b'"' | b'\'' | b'`') {
        let close = closing(
            scanner,
            Opening {
                quote,
                escapes: 0,
                start: end + 1,
            },
        );
        return (close + 1).min(scanner.bytes.len());
    }
    end
}

const fn ends_word(byte: u8) -> bool {
    byte.is_ascii_whitespace()
        || matches!(
            byte,
            b'&' | b',' | b';' | b'"' | b'\'' | b'`' | b')' | b'}' | b']' | b'<' | b'>' | b'|'
        )
}
