//! Names as parts of object keys: every provider, proxy and tool takes letters, digits, `_` and
//! `-` as they are, so nothing else is written.

use std::fmt::Write as _;

/// Any text as one part of a key that a person can read: what is not a letter, a digit, `_` or `-`
/// becomes `=` and two hex digits.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_-".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string never fails.
            let _ = write!(escaped, "={byte:02x}");
        }
    }
    escaped
}

/// What was escaped; `None` for a text that [`escape`] does not give.
pub(crate) fn unescape(escaped: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut parts = escaped.split('=');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    let text = String::from_utf8(bytes).ok()?;
    (escape(&text) == escaped).then_some(text)
}

/// Any text as one part of a key, so that keys sort as the bytes of the texts do and a prefix of a
/// text gives a prefix of its key: two hex digits for every byte.
pub(crate) fn ordered(text: &str) -> String {
    text.bytes()
        .fold(String::with_capacity(2 * text.len()), |mut hex, byte| {
            // Writing to a string never fails.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// What [`ordered`] was given; `None` for a text that it does not give.
pub(crate) fn unordered(hex: &str) -> Option<String> {
    let digits = hex.as_bytes().chunks(2);
    let bytes = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    let text = String::from_utf8(bytes.collect::<Option<_>>()?).ok()?;
    (ordered(&text) == hex).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_escaped_is_read_again(text in any::<String>()) {
            prop_assert_eq!(unescape(&escape(&text)), Some(text.clone()));
            prop_assert_eq!(unordered(&ordered(&text)), Some(text));
        }

        #[test]
        fn nothing_else_is_read(text in "[a-f0-9=A-F_./-]{0,12}") {
            if let Some(read) = unescape(&text) {
                prop_assert_eq!(escape(&read), text.clone());
            }
            if let Some(read) = unordered(&text) {
                prop_assert_eq!(ordered(&read), text);
            }
        }

        #[test]
        fn order_and_prefixes_stay(one in any::<String>(), other in any::<String>()) {
            prop_assert_eq!(ordered(&one).cmp(&ordered(&other)), one.as_bytes().cmp(other.as_bytes()));
            let both = format!("{one}{other}");
            prop_assert!(ordered(&both).starts_with(&ordered(&one)));
        }
    }
}
