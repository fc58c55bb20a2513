//! What stands where something was hidden. Marks are never redacted again, so that redacting
//! twice changes nothing.

use ring::hmac;

use super::rule::{Action, Rule};

const REDACTED: &str = "[REDACTED:";
const HASHED: &str = "[HASHED:";
/// Longer than any mark is.
const LONGEST: usize = 64;
/// How many characters [`Action::KeepLast`] keeps.
const KEPT: usize = 4;
/// The shortest secret of which some characters are kept.
const SHORTEST_KEPT: usize = 12;

/// Writes the mark for `secret` to `out`.
pub(super) fn write(
    out: &mut String,
    rule: Rule,
    action: Action,
    key: Option<&hmac::Key>,
    secret: &str,
) {
    let action = match (action, key) {
        (Action::Hash, None) => Action::Mask,
        (Action::KeepLast, _) if secret.chars().count() < SHORTEST_KEPT => Action::Mask,
        (action, _) => action,
    };
    match action {
        Action::Drop => return,
        Action::Hash => out.push_str(HASHED),
        Action::Mask | Action::KeepLast => out.push_str(REDACTED),
    }
    out.push_str(rule.as_str());
    if let (Action::Hash, Some(key)) = (action, key) {
        out.push(':');
        let tag = hmac::sign(key, secret.as_bytes());
        for byte in tag.as_ref().iter().take(8) {
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
    }
    if action == Action::KeepLast {
        out.push(':');
        let last: Vec<char> = secret.chars().rev().take(KEPT).collect();
        // Only what cannot be taken for a part of the mark.
        let plain = |c: char| if c.is_alphanumeric() { c } else { '*' };
        out.extend(last.into_iter().rev().map(plain));
    }
    out.push(']');
}

/// Where the mark that starts at the beginning of `text` ends; `None` if there is none.
pub(super) fn end(text: &str) -> Option<usize> {
    let (hashed, body) = match text.strip_prefix(REDACTED) {
        Some(body) => (false, body),
        None => (true, text.strip_prefix(HASHED)?),
    };
    let close = body.bytes().take(LONGEST).position(|byte| byte == b']')?;
    let inner = body.get(..close)?;
    let (name, tail) = match inner.split_once(':') {
        Some((name, tail)) => (name, Some(tail)),
        None => (inner, None),
    };
    Rule::from_name(name)?;
    let fits = match tail {
        None => !hashed,
        Some(tail) if hashed => tail.len() == 16 && tail.bytes().all(|b| b.is_ascii_hexdigit()),
        Some(tail) => {
            tail.chars().count() == KEPT && tail.chars().all(|c| c.is_alphanumeric() || c == '*')
        }
    };
    fits.then_some(text.len() - body.len() + close + 1)
}

/// Whether the whole of `text` is one mark.
pub(super) fn is_mark(text: &str) -> bool {
    text.starts_with('[') && end(text) == Some(text.len())
}
