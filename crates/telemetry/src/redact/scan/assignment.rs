//! Values that the word before them calls secret: `password=…`, `"token": "…"`, `--api-key …`,
//! `<secret>…</secret>`, `Authorization: …`.

use super::super::key::{KeyClass, classify_word};
use super::{Hit, Scanner, value};

/// Most bytes of a name before a sign.
const LONGEST_NAME: usize = 64;
/// Most bytes between a name and the sign.
const WIDEST_GAP: usize = 12;

/// What the names of source files end with.
const EXTENSIONS: &[&str] = &[
    "c", "cc", "clj", "cpp", "cs", "erl", "ex", "go", "h", "hs", "java", "js", "jsx", "kt", "mjs",
    "php", "py", "rb", "rs", "scala", "swift", "ts", "tsx",
];

/// The value after the `=` or `:` at `at`.
pub(super) fn after_sign(scanner: &Scanner<'_>, at: usize) -> Option<Hit> {
    // A path such as `token::parse`.
    if scanner.at(at) == b':' && (scanner.at(at + 1) == b':' || scanner.byte_before(at) == b':') {
        return None;
    }
    let class = class_before(scanner, at)?;
    if scanner.at(at) == b':' && scanner.at(at + 1).is_ascii_digit() && after_file(scanner, at) {
        return None;
    }
    let mut start = at + 1;
    while matches!(scanner.at(start), b'=' | b'>' | b'~') {
        start += 1;
    }
    value::after(scanner, start, class)
}

/// The value after the percent-encoded `=` or `:` at `at`.
pub(super) fn after_encoded_sign(scanner: &Scanner<'_>, at: usize) -> Option<Hit> {
    class_before(scanner, at)?;
    value::encoded(scanner, at + 3)
}

/// The text of the element whose opening tag ends with the `>` at `at`.
pub(super) fn in_element(scanner: &Scanner<'_>, at: usize) -> Option<Hit> {
    let name = name_before(scanner, at)?;
    let open = at.checked_sub(name.len() + 1)?;
    if scanner.at(open) != b'<' || classify_word(name) == KeyClass::Plain {
        return None;
    }
    let start = at + 1;
    let rest = scanner.bytes.get(start..)?;
    let length = rest.iter().position(|b| *b == b'<').unwrap_or(rest.len());
    scanner.count(length);
    value::told(scanner, start, start + length)
}

/// The value after the flag, such as `--password`, that begins at `at`.
pub(super) fn flag(scanner: &Scanner<'_>, at: usize) -> Option<Hit> {
    let rest = scanner.bytes.get(at + 2..)?;
    let belongs = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'-' | b'_');
    let length = rest.iter().take(LONGEST_NAME).take_while(belongs).count();
    scanner.count(length);
    let end = at + 2 + length;
    let name = scanner.text.get(at + 2..end)?;
    // After `=` the sign itself tells it.
    if scanner.at(end) != b' ' || scanner.at(end + 1) == b'-' {
        return None;
    }
    match classify_word(name) {
        KeyClass::Plain => None,
        class => value::after(scanner, end, class),
    }
}

/// The text in the quotes that open at `at`, if the word before is one for a secret, as in
/// `IDENTIFIED BY '…'` and `the password "…"`.
pub(super) fn quoted(scanner: &Scanner<'_>, at: usize) -> Option<Hit> {
    if scanner.byte_before(at) != b' ' {
        return None;
    }
    let word = name_before(scanner, at - 1)?;
    let before_word = at.checked_sub(word.len() + 2);
    let identified = word.eq_ignore_ascii_case("by")
        && before_word
            .and_then(|end| name_before(scanner, end))
            .is_some_and(|name| name.eq_ignore_ascii_case("identified"));
    let class = if identified {
        KeyClass::Secret
    } else {
        classify_word(word)
    };
    (class != KeyClass::Plain)
        .then(|| value::after(scanner, at, class))
        .flatten()
}

/// Whether the name of a source file stands before, as in `src/token.rs:12:5`.
fn after_file(scanner: &Scanner<'_>, at: usize) -> bool {
    let extension = name_before(scanner, at).and_then(|name| name.rsplit_once('.'));
    extension.is_some_and(|(_, extension)| EXTENSIONS.contains(&extension))
}

fn class_before(scanner: &Scanner<'_>, at: usize) -> Option<KeyClass> {
    let mut end = at;
    loop {
        let gap = match scanner.byte_before(end) {
            // A placeholder, as in `token = :token`.
            b'=' if scanner.at(at) == b':' => return None,
            b' ' | b'\t' | b'"' | b'\'' | b'`' | b'\\' | b']' | b'[' | b'!' | b':' | b'='
            | b'+' | b'?' | b'~' | b')' | b'*' | b'|' => 1,
            b'2' | b'7' if ends_with(scanner, end, b"%22") || ends_with(scanner, end, b"%27") => 3,
            b'2' | b'7'
                if ends_with(scanner, end, b"u0022") || ends_with(scanner, end, b"u0027") =>
            {
                5
            }
            b'0' if ends_with(scanner, end, b"%20") => 3,
            _ => break,
        };
        end = end.checked_sub(gap)?;
        if at - end > WIDEST_GAP {
            return None;
        }
    }
    // Cheap, and true for nearly all that is no name: times, numbers, ports.
    let mut letters = end;
    while scanner.byte_before(letters).is_ascii_digit() && end - letters < 4 {
        letters -= 1;
    }
    let two = scanner.bytes.get(letters.checked_sub(2)?..letters)?;
    if end > letters
        && !two
            .iter()
            .all(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
    {
        return None;
    }
    let name = name_before(scanner, end)?;
    match classify_word(name) {
        KeyClass::Plain => None,
        class => Some(class),
    }
}

fn ends_with(scanner: &Scanner<'_>, end: usize, what: &[u8]) -> bool {
    let before = scanner.bytes.get(end.saturating_sub(what.len())..end);
    before.is_some_and(|before| before.eq_ignore_ascii_case(what))
}

/// The name that ends at `end`; it has two bytes at least.
fn name_before<'text>(scanner: &Scanner<'text>, end: usize) -> Option<&'text str> {
    let lowest = end.saturating_sub(LONGEST_NAME).max(scanner.floor);
    let before = scanner.bytes.get(lowest..end)?;
    let belongs = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'-' | b'_' | b'.');
    let length = before.iter().rev().take_while(belongs).count();
    scanner.count(length);
    if length < 2 {
        return None;
    }
    scanner.text.get(end - length..end)
}
