//! OTLP as JSON, made into the same protobuf message while it is read: ids are hexadecimal digits,
//! whole numbers of 64 bits may be texts, names may be those of JSON or of the `.proto` file, and
//! what nobody knows is passed over.

use std::fmt;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::schema::{Field, Schema, Shape, WireType};
use super::wire;

/// The message in `json` as protobuf.
///
/// # Errors
/// It is no JSON, or a value is not of the kind that the protocol wants; says where.
pub(super) fn to_protobuf(
    json: &[u8],
    schema: &'static Schema,
) -> Result<Vec<u8>, serde_json::Error> {
    // Checked at once, which takes a fraction of what it takes text by text.
    let json = std::str::from_utf8(json)
        .map_err(|error| serde_json::Error::custom(format_args!("it is no UTF-8: {error}")))?;
    let mut out = Vec::with_capacity(json.len() / 2);
    let mut reader = serde_json::Deserializer::from_str(json);
    let message = Message {
        schema,
        out: &mut out,
    };
    message.deserialize(&mut reader)?;
    reader.end()?;
    Ok(out)
}

/// Reads an object.
struct Message<'a> {
    schema: &'static Schema,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Message<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Message<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut next = 0;
        loop {
            let name = Name {
                schema: self.schema,
                next: &mut next,
            };
            let Some(known) = map.next_key_seed(name)? else {
                return Ok(());
            };
            let Some(field) = known else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            map.next_value_seed(Value {
                field,
                is_element: false,
                out: self.out,
            })?;
        }
    }
}

/// Reads the name of a field.
struct Name<'a> {
    schema: &'static Schema,
    /// Where it stands in the schema, if it is the one after the last one.
    next: &'a mut usize,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.schema.named(name, self.next))
    }
}

/// Reads the value of a field; `null` is the same as nothing.
struct Value<'a> {
    field: &'static Field,
    /// Whether it is one of a list that was begun.
    is_element: bool,
    out: &'a mut Vec<u8>,
}

impl Value<'_> {
    fn bytes<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        wire::put_bytes(self.out, self.field.number, bytes);
        Ok(())
    }

    fn varint<E: Error>(self, number: u64) -> Result<(), E> {
        wire::put_number(self.out, self.field.number, number);
        Ok(())
    }

    fn fixed<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        wire::put_tag(self.out, self.field.number, self.field.shape.wire_type());
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn double<E: Error>(self, number: f64) -> Result<(), E> {
        self.fixed(&number.to_bits().to_le_bytes())
    }

    /// A whole number that came as a text.
    fn whole_text<E: Error>(self, text: &str) -> Result<(), E> {
        // Narrow numbers are read in a fraction of the time, and nearly all are.
        let narrow = text.parse::<u64>().map(i128::from);
        match narrow.or_else(|_wide| text.parse()) {
            Ok(number) => self.whole(number),
            Err(_) => Err(wrong(self.field, text)),
        }
    }

    /// A whole number, which came as one or as a text.
    fn whole<E: Error>(self, number: i128) -> Result<(), E> {
        let field = self.field;
        let wrong = || E::custom(format!("{number} is out of range for {}", field.name));
        match field.shape {
            Shape::Begin | Shape::End | Shape::Fixed64 => {
                let number = u64::try_from(number).ok().ok_or_else(wrong)?;
                self.fixed(&number.to_le_bytes())
            }
            Shape::Fixed32 => {
                let number = u32::try_from(number).ok().ok_or_else(wrong)?;
                self.fixed(&number.to_le_bytes())
            }
            Shape::Uint32 | Shape::Dropped => {
                let number = u32::try_from(number).ok().ok_or_else(wrong)?;
                self.varint(u64::from(number))
            }
            Shape::Enum(_) => {
                let number = i32::try_from(number).ok().ok_or_else(wrong)?;
                self.varint(i64::from(number).cast_unsigned())
            }
            Shape::Int64 => {
                let number = i64::try_from(number).ok().ok_or_else(wrong)?;
                self.varint(number.cast_unsigned())
            }
            Shape::Double => self.double(number as f64),
            _ => Err(E::custom(format!("{} cannot be a number", field.name))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value for {}", self.field.name)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, yes: bool) -> Result<(), E> {
        match self.field.shape {
            Shape::Bool => self.varint(u64::from(yes)),
            _ => Err(E::custom(format!("{} cannot be a bool", self.field.name))),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.whole(i128::from(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.whole(i128::from(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        match self.field.shape {
            Shape::Double => self.double(number),
            // Some writers have no whole numbers, of times either; a field says what it can hold.
            _ if number.fract() == 0.0 && number.abs() < 1e20 => self.whole(number as i128),
            _ => Err(E::custom(format!(
                "{} wants a whole number",
                self.field.name
            ))),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let field = self.field;
        let wrong = || wrong::<E>(field, text);
        match field.shape {
            Shape::Text | Shape::Label => self.bytes(text.as_bytes()),
            // What is no id has a wrong length then, and its span is rejected alone.
            Shape::Id(length) | Shape::OwnId(length) => {
                let mut id = [0; LONGEST_ID];
                let id = id.get_mut(..length).and_then(|id| from_hex(text, id));
                self.bytes(id.unwrap_or(text.as_bytes()))
            }
            Shape::Bytes => {
                let bytes = BASE64.decode(text).ok().ok_or_else(wrong)?;
                self.bytes(&bytes)
            }
            Shape::Enum(names) => match names.iter().position(|name| *name == text) {
                Some(number) => self.varint(number as u64),
                None => self.whole_text(text),
            },
            Shape::Double => self.double(text.parse().ok().ok_or_else(wrong)?),
            shape if shape.wire_type() != WireType::Delimited => self.whole_text(text),
            _ => Err(wrong()),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Some(schema) = self.field.shape.schema() else {
            let name = self.field.name;
            return Err(A::Error::custom(format!("{name} cannot be an object")));
        };
        let from = wire::open(self.out, self.field.number);
        let message = Message {
            schema,
            out: &mut *self.out,
        };
        message.visit_map(map)?;
        wire::close(self.out, from);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.is_element || !self.field.is_repeated {
            let name = self.field.name;
            return Err(A::Error::custom(format!("{name} cannot be a list")));
        }
        loop {
            let element = Value {
                field: self.field,
                is_element: true,
                out: &mut *self.out,
            };
            if list.next_element_seed(element)?.is_none() {
                return Ok(());
            }
        }
    }
}

/// What to say of a text that a field cannot be.
fn wrong<E: Error>(field: &Field, text: &str) -> E {
    E::custom(format!("{} cannot be \"{text:.40}\"", field.name))
}

/// Bytes of a trace id.
const LONGEST_ID: usize = 16;

/// Puts the bytes of an id there; nothing if it is none of that length.
fn from_hex<'a>(text: &str, id: &'a mut [u8]) -> Option<&'a [u8]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    if pairs.len() != id.len() {
        return None;
    }
    let digit = |byte: u8| DIGITS.get(usize::from(byte)).copied().unwrap_or(NO_DIGIT);
    let mut wrong = 0;
    for ([high, low], byte) in pairs.iter().zip(&mut *id) {
        let (high, low) = (digit(*high), digit(*low));
        wrong |= high | low;
        *byte = high << 4 | (low & 0x0F);
    }
    (wrong < NO_DIGIT).then_some(id)
}

/// What stands for no hexadecimal digit.
const NO_DIGIT: u8 = 0x10;

/// What each byte is worth as a hexadecimal digit.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut rest: &mut [u8] = &mut digits;
    let mut byte = 0_u8;
    while let [worth, others @ ..] = rest {
        if let Some(digit) = (byte as char).to_digit(16) {
            *worth = digit as u8;
        }
        byte = byte.wrapping_add(1);
        rest = others;
    }
    digits
};

/// Base64 as protobuf's JSON has it, whether filled up or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests;
