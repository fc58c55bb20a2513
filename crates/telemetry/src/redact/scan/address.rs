//! E-mail addresses, and user names and passwords in URLs.

use super::super::rule::Rule;
use super::{Hit, Scanner};

/// Most bytes of what stands before the `@`; longer than any real one.
const LONGEST_LOCAL: usize = 256;
/// Most bytes of user name and password, where no slash shows their end.
const LONGEST_USER_INFO: usize = 512;
/// Most bytes of a domain.
const LONGEST_DOMAIN: usize = 255;

/// The e-mail address whose `@`, which is `sign` bytes long, stands at `at`.
pub(super) fn email(scanner: &Scanner<'_>, at: usize, sign: usize) -> Option<Hit> {
    let start = local_start(scanner, at)?;
    let end = domain_end(scanner, at + sign)?;
    // The user of a repository's URL is the same everywhere.
    let rule = Rule::Email;
    (scanner.text.get(start..at)? != "git").then_some(Hit { start, end, rule })
}

fn local_start(scanner: &Scanner<'_>, at: usize) -> Option<usize> {
    let lowest = at.saturating_sub(LONGEST_LOCAL).max(scanner.floor);
    if scanner.byte_before(at) == b'"' {
        let inside = scanner.bytes.get(lowest..at.checked_sub(1)?)?;
        let open = inside.iter().rposition(|byte| *byte == b'"')?;
        return (open + 1 < inside.len()).then_some(lowest + open);
    }
    let mut start = at;
    let before = scanner.text.get(..at)?;
    for (index, c) in before.char_indices().rev() {
        scanner.count(1);
        let belongs = c.is_alphanumeric()
            || matches!(
                c,
                '.' | '_' | '+' | '-' | '\'' | '&' | '!' | '#' | '$' | '*' | '~'
            );
        if !belongs || index < lowest {
            break;
        }
        start = index;
    }
    // A quote or operator at the front belongs to what stands around.
    let local = scanner.text.get(start..at)?;
    let trimmed = local.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '_');
    (!trimmed.is_empty()).then_some(at - trimmed.len())
}

fn domain_end(scanner: &Scanner<'_>, at: usize) -> Option<usize> {
    let rest = scanner.text.get(at..)?;
    let belongs = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    let length = rest
        .char_indices()
        .take_while(|(index, c)| belongs(*c) && *index < LONGEST_DOMAIN)
        .last()
        .map_or(0, |(index, c)| index + c.len_utf8());
    scanner.count(length);
    let domain = rest.get(..length)?.trim_end_matches(['.', '-']);
    let (name, top) = domain.rsplit_once('.')?;
    let top_is_name = top.chars().count() >= 2 && top.chars().all(char::is_alphabetic);
    let punycode = top.starts_with("xn--");
    // After a version, as in `left-pad@1.3.0-beta.next`, there is no domain.
    let first_is_name = !name.starts_with('.') && name.chars().any(char::is_alphabetic);
    ((top_is_name || punycode) && first_is_name).then_some(at + domain.len())
}

/// User name and password in the URL whose authority begins at `start`; `sign` is the `@`, maybe
/// percent-encoded.
pub(super) fn user_info(scanner: &mut Scanner<'_>, start: usize, sign: &[u8]) -> Option<Hit> {
    let url_end = scanner.url_end(start);
    // Without a raw slash nothing bounds what a percent-encoded URL is searched for.
    let bound = if sign.len() == 1 {
        usize::MAX
    } else {
        LONGEST_USER_INFO
    };
    let rest = scanner
        .bytes
        .get(start..url_end.min(start.saturating_add(bound)))?;
    let authority = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    scanner.count(authority);
    let authority = rest.get(..authority)?;
    let within = last(authority, sign);
    // A password may hold a slash. Then what looks like a port is no number.
    let length = within.or_else(|| {
        let colon = authority.iter().position(|byte| *byte == b':')?;
        let port = authority.get(colon + 1..)?;
        let is_port = port.iter().all(u8::is_ascii_digit);
        let near = rest.get(..rest.len().min(LONGEST_USER_INFO))?;
        (!is_port).then(|| last(near, sign)).flatten()
    })?;
    let end = start + length;
    let rule = Rule::UserInfo;
    Some(Hit { start, end, rule })
}

fn last(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).rposition(|there| there == what)
}
