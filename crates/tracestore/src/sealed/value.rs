//! From what stands in columns to attributes, kinds and states.

use std::borrow::Cow;

use longshore_instrument::table::key;
use longshore_instrument::{Attribute, AttributeValue, SpanKind, SpanStatus};
use parquet::data_type::ByteArray;

use super::json;
use super::read::owned;
use super::schema::{ATTEMPT_LETTER, DEDICATED, FIRST_LETTER, TAGS_LETTER};

/// All attributes of a span in the order in which they stood.
pub(super) fn in_order(
    dedicated: &[Attribute],
    keys: Vec<ByteArray>,
    values: Vec<ByteArray>,
    types: &str,
) -> Vec<Attribute> {
    let mut others = keys.into_iter().zip(values);
    let own = |key: &str| {
        dedicated
            .iter()
            .find(|attribute| attribute.key == key)
            .cloned()
    };
    let attribute = |letter: char| match letter {
        TAGS_LETTER => own(key::TAGS),
        ATTEMPT_LETTER => own(key::ATTEMPT),
        'A'..='Z' => {
            let column = usize::try_from(u32::from(letter))
                .ok()?
                .checked_sub(FIRST_LETTER.into())?;
            own(DEDICATED.get(column)?.0)
        }
        letter => {
            let (key, value) = others.next()?;
            Some(Attribute {
                key: word(&owned(key)?),
                value: to_value(letter, owned(value)?),
            })
        }
    };
    types.chars().filter_map(attribute).collect()
}

/// The engine's own keys need no copy.
fn word(key: &str) -> Cow<'static, str> {
    let known = longshore_instrument::table::ATTRIBUTES;
    match known.iter().find(|attribute| attribute.key == key) {
        Some(attribute) => Cow::Borrowed(attribute.key),
        None => Cow::Owned(key.to_owned()),
    }
}

fn to_value(letter: char, text: String) -> AttributeValue {
    match letter {
        'i' => text
            .parse::<i64>()
            .map_or_else(|_| text.into(), AttributeValue::Int),
        'd' => text
            .parse::<f64>()
            .map_or_else(|_| text.into(), AttributeValue::Double),
        'b' => AttributeValue::Bool(text == "true"),
        'l' => AttributeValue::Strings(json::read_texts(&text)),
        _ => text.into(),
    }
}

pub(super) fn tags(text: &str) -> Attribute {
    Attribute {
        key: Cow::Borrowed(key::TAGS),
        value: AttributeValue::Strings(json::read_texts(text)),
    }
}

pub(super) fn kind(word: &[u8]) -> SpanKind {
    match word {
        b"server" => SpanKind::Server,
        b"client" => SpanKind::Client,
        b"producer" => SpanKind::Producer,
        b"consumer" => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

pub(super) fn status(word: &[u8]) -> SpanStatus {
    match word {
        b"ok" => SpanStatus::Ok,
        b"error" => SpanStatus::Error("".into()),
        _ => SpanStatus::Unset,
    }
}
