//! Bearer and basic credentials, JSON web tokens, and keys that no fixed beginning tells.

use super::super::rule::Rule;
use super::{Hit, Scanner, token::Charset};

/// `Bearer` and what follows.
pub(super) fn bearer(scanner: &mut Scanner<'_>, at: usize) -> Option<Hit> {
    let start = scheme(scanner, at, b"bearer")?;
    let token = run(scanner, start);
    // Words of prose may follow, too; they are short and have no digits.
    let told = token.len() >= 20 || (token.len() >= 6 && token.iter().any(u8::is_ascii_digit));
    let end = start + token.len();
    let rule = Rule::Bearer;
    told.then_some(Hit { start, end, rule })
}

/// `Basic` and user name and password in base64.
pub(super) fn basic(scanner: &mut Scanner<'_>, at: usize) -> Option<Hit> {
    let start = scheme(scanner, at, b"basic")?;
    let token = run(scanner, start);
    let encoded = token
        .iter()
        .take_while(|byte| **byte != b'=' && **byte != b'%')
        .count();
    let encoded = token.get(..encoded)?;
    let end = start + token.len();
    let rule = Rule::Basic;
    (encoded.len() >= 4 && holds_pair(encoded)).then_some(Hit { start, end, rule })
}

/// Where the credentials after the name of a scheme begin.
fn scheme(scanner: &Scanner<'_>, at: usize, name: &[u8]) -> Option<usize> {
    if !scanner.follows(at, name) || scanner.byte_before(at).is_ascii_alphanumeric() {
        return None;
    }
    let mut start = at + name.len();
    loop {
        match scanner.at(start) {
            b' ' | b'\t' | b'\n' | b'\r' | b'+' | b'_' | b':' | b'=' | b'"' | b'\'' => start += 1,
            b'%' if scanner.follows(start, b"%20") || scanner.follows(start, b"%3A") => start += 3,
            _ => break,
        }
        if start > at + name.len() + 8 {
            return None;
        }
    }
    (start > at + name.len()).then_some(start)
}

/// The bytes that a token may consist of, from a place on.
fn run<'text>(scanner: &mut Scanner<'text>, start: usize) -> &'text [u8] {
    let end = scanner.token_end(start);
    let token = scanner.bytes.get(start..end).unwrap_or_default();
    // The full stop or colon of a sentence.
    let kept = token.iter().rposition(|byte| !matches!(byte, b'.' | b':'));
    token
        .get(..kept.map_or(0, |last| last + 1))
        .unwrap_or_default()
}

/// Whether base64 without its padding decodes to printable text with a colon in it.
fn holds_pair(encoded: &[u8]) -> bool {
    let mut bits = 0_u32;
    let mut count = 0;
    let mut has_colon = false;
    for byte in encoded {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return false,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            let byte = bits >> count & 0xff;
            if byte < 0x20 {
                return false;
            }
            has_colon |= byte == u32::from(b':');
        }
    }
    has_colon
}

/// A JSON web token, signed, unsigned or encrypted.
pub(super) fn jwt(scanner: &mut Scanner<'_>, at: usize) -> Option<Hit> {
    if scanner.bytes.get(at..at + 3)? != b"eyJ" {
        return None;
    }
    let mut end = scanner.word_end(at);
    if end < at + 10
        || scanner.at(end) != b'.'
        || !Charset::Word.has(scanner.at(end + 1)) && scanner.at(end + 1) != b'.'
    {
        return None;
    }
    while scanner.at(end) == b'.' {
        end = scanner.word_end(end + 1).max(end + 1);
    }
    // A full stop after it is not a part of it.
    let whole = scanner.text.get(at..end)?.trim_end_matches('.');
    let rule = Rule::Jwt;
    (whole.len() >= 20).then_some(Hit {
        start: at,
        end: at + whole.len(),
        rule,
    })
}

/// A client secret of Azure: `Q~` after a digit, three characters before, 31 after.
pub(super) fn azure_secret(scanner: &Scanner<'_>, at: usize) -> Option<Hit> {
    let start = at.checked_sub(5)?;
    let head = scanner.bytes.get(start..at)?;
    let belongs = |byte: &u8| Charset::Dotted.has(*byte) || *byte == b'~';
    if !head.ends_with(b"Q") || !head.get(3)?.is_ascii_digit() || !head.iter().all(belongs) {
        return None;
    }
    let rest = scanner.bytes.get(at..)?;
    let run = rest.iter().take_while(|byte| belongs(byte)).count();
    scanner.count(run);
    let rule = Rule::AzureKey;
    (run >= 32).then_some(Hit {
        start,
        end: at + run,
        rule,
    })
}

/// A bot's token of Telegram: 8 to 10 digits, `:AA`, 33 more.
pub(super) fn telegram(scanner: &Scanner<'_>, at: usize) -> Option<Hit> {
    if !scanner.follows(at, b":AA") || scanner.at(at + 1) != b'A' {
        return None;
    }
    let before = scanner.bytes.get(at.saturating_sub(11)..at)?;
    let digits = before
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_digit())
        .count();
    let rest = scanner.bytes.get(at + 1..at + 36)?;
    let fits = (8..=10).contains(&digits) && rest.iter().all(|byte| Charset::Word.has(*byte));
    let rule = Rule::ApiKey;
    fits.then_some(Hit {
        start: at - digits,
        end: at + 36,
        rule,
    })
}

/// A key of Mailchimp: 32 hexadecimal digits, `-us` and a number.
pub(super) fn mailchimp(scanner: &Scanner<'_>, at: usize) -> Option<Hit> {
    if !scanner.follows(at, b"-us") || !scanner.at(at + 3).is_ascii_digit() {
        return None;
    }
    let start = at.checked_sub(32)?;
    let head = scanner.bytes.get(start..at)?;
    let fits = head.iter().all(u8::is_ascii_hexdigit);
    let second = usize::from(scanner.at(at + 4).is_ascii_digit());
    let rule = Rule::ApiKey;
    fits.then_some(Hit {
        start,
        end: at + 4 + second,
        rule,
    })
}
