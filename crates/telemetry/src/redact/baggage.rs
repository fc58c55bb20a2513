//! Baggage.

use std::fmt::Write;

use super::Redactor;
use crate::config::percent_decoded;

impl Redactor {
    /// A baggage header, redacted member by member. Members that may not leave are left out, and
    /// so are those that are not well formed.
    #[must_use]
    pub fn baggage(&self, header: &str) -> String {
        let mut kept = Vec::new();
        for member in header.split(',').map(str::trim) {
            let (pair, properties) = member.split_once(';').unwrap_or((member, ""));
            let Some((key, value)) = pair.split_once('=') else {
                continue;
            };
            let decoded = percent_decoded(value.trim());
            match self.pair(key.trim(), &decoded) {
                Some(same) if same == decoded && self.text(properties) == properties => {
                    kept.push(member.to_owned());
                }
                Some(redacted) => {
                    let value = percent_encoded(&redacted);
                    kept.push(format!("{}={value}", key.trim()));
                }
                None => {}
            }
        }
        kept.join(",")
    }
}

/// A value as baggage carries it.
fn percent_encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\' | b'%') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
