//! Values that attributes of ours cannot hold, as JSON text.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::value::Value;

/// The value as JSON: maps, mixed lists and bytes, which are base64.
pub(super) fn write(out: &mut String, value: Value<'_>) {
    match value {
        Value::Empty => out.push_str("null"),
        Value::Text(text) => quote(out, text),
        Value::Bool(yes) => out.push_str(if yes { "true" } else { "false" }),
        Value::Int(number) => put(out, number),
        Value::Double(number) if number.is_finite() => put(out, number),
        Value::Double(number) => quote(out, &number.to_string()),
        Value::Bytes(bytes) => quote(out, &STANDARD.encode(bytes)),
        Value::List(values) => {
            out.push('[');
            for (index, value) in values.enumerate() {
                comma(out, index);
                write(out, value);
            }
            out.push(']');
        }
        Value::Map(pairs) => {
            out.push('{');
            for (index, (key, value)) in pairs.enumerate() {
                comma(out, index);
                quote(out, key);
                out.push(':');
                write(out, value);
            }
            out.push('}');
        }
    }
}

fn put(out: &mut String, shown: impl std::fmt::Display) {
    // Writing to a text does not fail.
    let _written = write!(out, "{shown}");
}

fn comma(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if u32::from(letter) < 0x20 => {
                let _written = write!(out, "\\u{:04x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}
