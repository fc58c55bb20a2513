//! Attributes and their values.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use longshore_instrument::AttributeValue;

use super::error::{OtlpError, Problem};
use super::json;
use super::wire::{Field, Wire};

/// How deep lists and maps may be nested in a value.
pub const MAX_DEPTH: usize = 16;

/// The value of an attribute, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// None was given.
    Empty,
    /// Text.
    Text(&'a str),
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Several values.
    List(Values<'a>),
    /// Values by keys.
    Map(Pairs<'a>),
}

impl<'a> Value<'a> {
    /// The text, if it is one.
    #[must_use]
    pub const fn as_text(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    #[must_use]
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The number, whole or not.
    #[must_use]
    pub const fn as_double(&self) -> Option<f64> {
        match self {
            Self::Double(number) => Some(*number),
            Self::Int(number) => Some(*number as f64),
            _ => None,
        }
    }

    /// The value as spans that stand by themselves have it. What [`AttributeValue`] has no form
    /// for becomes text: lists of anything but texts and maps as JSON, bytes as base64, none at all
    /// as the empty text.
    #[must_use]
    pub fn to_attribute(&self) -> AttributeValue {
        match *self {
            Self::Empty => AttributeValue::String(Cow::Borrowed("")),
            Self::Text(text) => AttributeValue::String(Cow::Owned(text.to_owned())),
            Self::Bool(yes) => AttributeValue::Bool(yes),
            Self::Int(number) => AttributeValue::Int(number),
            Self::Double(number) => AttributeValue::Double(number),
            Self::Bytes(bytes) => AttributeValue::String(Cow::Owned(STANDARD.encode(bytes))),
            Self::List(values) => {
                let text = |value: Value<'_>| Some(Cow::Owned(value.as_text()?.to_owned()));
                let texts: Option<Vec<_>> = values.map(text).collect();
                texts.map_or_else(|| self.as_json(), AttributeValue::Strings)
            }
            Self::Map(_) => self.as_json(),
        }
    }

    fn as_json(&self) -> AttributeValue {
        let mut text = String::new();
        json::write(&mut text, *self);
        AttributeValue::String(Cow::Owned(text))
    }
}

/// The values of a list.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a>(Wire<'a>);

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        loop {
            let field = self.0.checked()?;
            if field.number == 1 {
                return Some(read(field.message("value").ok()?));
            }
        }
    }
}

/// The keys and values of a map.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a>(Wire<'a>);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        next_pair(&mut self.0, 1)
    }
}

/// The attributes of a span, an event, a link, a resource or a scope, in their order.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    message: Wire<'a>,
    field: u32,
}

impl<'a> Attributes<'a> {
    /// Those that stand in `field` of a message that was checked.
    pub(super) const fn of(message: Wire<'a>, field: u32) -> Self {
        Self { message, field }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        let mut pairs = *self;
        pairs.find_map(|(found, value)| (found == key).then_some(value))
    }
}

impl Attributes<'_> {
    /// How many there are.
    pub(super) fn number(&self) -> usize {
        let (mut message, mut number) = (self.message, 0);
        while let Some(field) = message.checked() {
            number += usize::from(field.number == self.field);
        }
        number
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        next_pair(&mut self.message, self.field)
    }
}

#[inline]
fn next_pair<'a>(message: &mut Wire<'a>, wanted: u32) -> Option<(&'a str, Value<'a>)> {
    loop {
        let field = message.checked()?;
        if field.number == wanted {
            return Some(read_pair(field.message("attribute").ok()?));
        }
    }
}

#[inline]
fn read_pair<'a>(mut pair: Wire<'a>) -> (&'a str, Value<'a>) {
    let (mut key, mut value) = ("", Value::Empty);
    while let Some(field) = pair.checked() {
        match (field.number, field.message("value")) {
            (1, _) => key = text(&field),
            (2, Ok(message)) => value = read(message),
            _ => {}
        }
    }
    (key, value)
}

/// A text that was checked.
#[inline]
pub(super) fn text<'a>(field: &Field<'a>) -> &'a str {
    field.text().unwrap_or_default()
}

/// A value that was checked.
#[inline]
fn read<'a>(mut message: Wire<'a>) -> Value<'a> {
    let mut value = Value::Empty;
    while let Some(field) = message.checked() {
        value = match field.number {
            1 => Value::Text(text(&field)),
            2 => Value::Bool(field.varint().is_ok_and(|yes| yes != 0)),
            3 => Value::Int(field.varint().unwrap_or_default().cast_signed()),
            4 => Value::Double(f64::from_bits(field.fixed64().unwrap_or_default())),
            5 => field
                .message("list")
                .map_or(value, |list| Value::List(Values(list))),
            6 => field
                .message("map")
                .map_or(value, |map| Value::Map(Pairs(map))),
            7 => Value::Bytes(field.bytes().unwrap_or_default()),
            _ => value,
        };
    }
    value
}

/// Checks a pair of key and value.
#[inline]
pub(super) fn check_pair(pair: Wire<'_>, depth: usize) -> Result<(), OtlpError> {
    let mut pair = pair;
    while let Some(field) = pair.field()? {
        match field.number {
            1 => drop(field.text()?),
            2 => check(field.message("value")?, depth)?,
            _ => {}
        }
    }
    Ok(())
}

fn check(mut message: Wire<'_>, depth: usize) -> Result<(), OtlpError> {
    while let Some(field) = message.field()? {
        match field.number {
            1 => drop(field.text()?),
            2 | 3 => drop(field.varint()?),
            4 => drop(field.fixed64()?),
            5 | 6 if depth >= MAX_DEPTH => return Err(field.fault(Problem::Depth)),
            5 => {
                let mut list = field.message("list")?;
                while let Some(field) = list.field()? {
                    if field.number == 1 {
                        check(field.message("value")?, depth + 1)?;
                    }
                }
            }
            6 => {
                let mut map = field.message("map")?;
                while let Some(field) = map.field()? {
                    if field.number == 1 {
                        check_pair(field.message("attribute")?, depth + 1)?;
                    }
                }
            }
            7 => drop(field.bytes()?),
            _ => {}
        }
    }
    Ok(())
}
