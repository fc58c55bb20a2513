//! Attributes and their values: a key may say that its value has to be hidden.

use std::borrow::Cow;
use std::ops::Range;

use longshore_instrument::AttributeValue;

use super::super::patch::Edit;
use super::super::schema::{Schema, WireType};
use super::super::wire::{self, Fields, Raw};
use super::{Malformed, Walk};

/// The fields of `AnyValue`.
const STRING: u32 = 1;
const BOOL: u32 = 2;
const INT: u32 = 3;
const DOUBLE: u32 = 4;
const ARRAY: u32 = 5;
const PAIRS: u32 = 6;
const BYTES: u32 = 7;

/// The attributes of one message.
#[derive(Debug, Default)]
pub(super) struct Counted {
    attributes: usize,
    dropped: u64,
    /// What the message says already: the field, and how many were dropped before.
    before: Option<(Range<usize>, u64)>,
}

/// Whether a value may stay, as it is or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    Goes,
}

impl Counted {
    pub(super) fn was(&mut self, raw: &Raw, bytes: &[u8]) {
        let content = bytes.get(raw.content.clone()).unwrap_or_default();
        self.before = Some((raw.whole.clone(), wire::varint(content)));
    }

    /// What makes the message that begins at `start` say how many are missing.
    pub(super) fn edit(self, schema: &Schema, start: usize) -> Option<Edit> {
        let field = schema.dropped().filter(|_| self.dropped > 0)?;
        let (place, before) = self.before.unwrap_or((start..start, 0));
        let mut bytes = Vec::new();
        let dropped = before.saturating_add(self.dropped).min(u64::from(u32::MAX));
        wire::put_number(&mut bytes, field.number, dropped);
        Some(Edit { place, bytes })
    }
}

impl Walk<'_> {
    /// An attribute of a message.
    pub(super) fn attribute(
        &mut self,
        raw: &Raw,
        counted: &mut Counted,
        depth: usize,
    ) -> Result<(), Malformed> {
        let edits = self.edits.len();
        counted.attributes += 1;
        let fate = match counted.attributes > self.bounds.attributes {
            true => Fate::Goes,
            false => self.pair(None, &raw.content, depth)?,
        };
        if fate == Fate::Goes {
            self.edits.truncate(edits);
            counted.dropped += 1;
            self.remove(raw.whole.clone())?;
        }
        Ok(())
    }

    /// A key and its value, in the value of the key `above` if it is given.
    fn pair(
        &mut self,
        above: Option<&str>,
        part: &Range<usize>,
        depth: usize,
    ) -> Result<Fate, Malformed> {
        let (mut key, mut value) = (None, None);
        let mut fields = Fields::of(self.bytes, part);
        while let Some(raw) = fields.next()? {
            let slot = match (raw.number, raw.wire_type) {
                (1, WireType::Delimited) => &mut key,
                (2, WireType::Delimited) => &mut value,
                (1 | 2, _) => return Err(Malformed::Broken(raw.whole.start)),
                _ => {
                    self.remove(raw.whole)?;
                    continue;
                }
            };
            // Readers differ in which of two they take.
            if slot.replace(raw).is_some() {
                return Err(Malformed::Broken(part.start));
            }
        }
        let name = match &key {
            Some(raw) => self.string(raw)?,
            None => "",
        };
        if let (Some(raw), Cow::Owned(redacted)) = (&key, self.redactor.key(name)) {
            self.replace_text(raw, &redacted)?;
        }
        let Some(value) = value else {
            return Ok(Fate::Stays);
        };
        let full = match above {
            Some(above) => Cow::Owned(format!("{above}.{name}")),
            None => Cow::Borrowed(name),
        };
        self.value(Some(&full), &value.content, depth)
    }

    /// The value of a key, or one without a key.
    pub(super) fn value(
        &mut self,
        key: Option<&str>,
        part: &Range<usize>,
        depth: usize,
    ) -> Result<Fate, Malformed> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Malformed::Deep(self.bounds.depth));
        };
        let mut found = None;
        let mut fields = Fields::of(self.bytes, part);
        while let Some(raw) = fields.next()? {
            if !(STRING..=BYTES).contains(&raw.number) {
                self.remove(raw.whole)?;
            } else if found.replace(raw).is_some() {
                return Err(Malformed::Broken(part.start));
            }
        }
        let Some(raw) = found else {
            return Ok(Fate::Stays);
        };
        match (raw.number, raw.wire_type) {
            (STRING, WireType::Delimited) => self.words(key, &raw),
            (BOOL | INT, WireType::Varint) | (DOUBLE, WireType::Fixed64) => self.number(key, &raw),
            (ARRAY, WireType::Delimited) => self.list(key, &raw, depth),
            (PAIRS, WireType::Delimited) => self.pairs(key, &raw, depth),
            (BYTES, WireType::Delimited) => self.opaque(key, &raw),
            _ => Err(Malformed::Broken(raw.whole.start)),
        }
    }

    fn words(&mut self, key: Option<&str>, raw: &Raw) -> Result<Fate, Malformed> {
        let text = self.string(raw)?;
        let redacted = match key {
            Some(key) => self.redactor.pair(key, text),
            None => Some(self.redactor.text(text)),
        };
        match redacted {
            None => return Ok(Fate::Goes),
            Some(Cow::Borrowed(same)) if same.len() == text.len() => {}
            Some(other) => self.replace_text(raw, &other)?,
        }
        Ok(Fate::Stays)
    }

    fn number(&mut self, key: Option<&str>, raw: &Raw) -> Result<Fate, Malformed> {
        let content = self.content(raw);
        let mut value = match raw.number {
            BOOL => AttributeValue::Bool(wire::varint(content) != 0),
            INT => AttributeValue::Int(wire::varint(content).cast_signed()),
            _ => AttributeValue::Double(f64::from_bits(wire::fixed64(content))),
        };
        let Some(key) = key else {
            return Ok(Fate::Stays);
        };
        if !self.redactor.attribute(key, &mut value) {
            return Ok(Fate::Goes);
        }
        self.put(raw, &value)?;
        Ok(Fate::Stays)
    }

    /// Puts a value in the place of another, unless it is the same.
    fn put(&mut self, raw: &Raw, value: &AttributeValue) -> Result<(), Malformed> {
        let mut bytes = Vec::new();
        match value {
            AttributeValue::String(text) => wire::put_bytes(&mut bytes, STRING, text.as_bytes()),
            AttributeValue::Bool(yes) => wire::put_number(&mut bytes, BOOL, u64::from(*yes)),
            AttributeValue::Int(number) => {
                wire::put_number(&mut bytes, INT, number.cast_unsigned());
            }
            AttributeValue::Double(number) => {
                wire::put_tag(&mut bytes, DOUBLE, WireType::Fixed64);
                bytes.extend(number.to_bits().to_le_bytes());
            }
            AttributeValue::Strings(texts) => put_strings(&mut bytes, texts),
        }
        let place = raw.whole.clone();
        if self.bytes.get(place.clone()) == Some(bytes.as_slice()) {
            return Ok(());
        }
        self.change(Edit { place, bytes })
    }

    /// A list. One of texts is redacted as a whole, since an element may tell that the next one is
    /// a secret.
    fn list(&mut self, key: Option<&str>, raw: &Raw, depth: usize) -> Result<Fate, Malformed> {
        if let Some(texts) = self.texts(raw)? {
            let mut value = AttributeValue::Strings(texts);
            if !self.redactor.attribute(key.unwrap_or("body"), &mut value) {
                return Ok(Fate::Goes);
            }
            self.put(raw, &value)?;
            return Ok(Fate::Stays);
        }
        if key.is_some_and(|key| self.redactor.hides(key)) {
            return self.hidden(key, raw);
        }
        let mut fields = Fields::of(self.bytes, &raw.content);
        while let Some(element) = fields.next()? {
            let edits = self.edits.len();
            let is_value = element.number == 1 && element.wire_type == WireType::Delimited;
            if !is_value || self.value(key, &element.content, depth)? == Fate::Goes {
                self.edits.truncate(edits);
                self.remove(element.whole)?;
            }
        }
        Ok(Fate::Stays)
    }

    /// The elements of a list that has nothing but texts.
    fn texts(&self, raw: &Raw) -> Result<Option<Vec<Cow<'static, str>>>, Malformed> {
        let mut texts = Vec::new();
        let mut elements = Fields::of(self.bytes, &raw.content);
        while let Some(element) = elements.next()? {
            let mut inner = Fields::of(self.bytes, &element.content);
            let is_value = element.number == 1 && element.wire_type == WireType::Delimited;
            let Some(text) = inner.next().ok().flatten().filter(|_| is_value) else {
                return Ok(None);
            };
            let is_text = text.number == STRING && text.wire_type == WireType::Delimited;
            if !is_text || text.whole.end != element.content.end {
                return Ok(None);
            }
            texts.push(Cow::Owned(self.string(&text)?.to_owned()));
        }
        Ok(Some(texts))
    }

    /// Keys and values under a key.
    fn pairs(&mut self, key: Option<&str>, raw: &Raw, depth: usize) -> Result<Fate, Malformed> {
        if key.is_some_and(|key| self.redactor.hides(key)) {
            return self.hidden(key, raw);
        }
        let mut fields = Fields::of(self.bytes, &raw.content);
        while let Some(pair) = fields.next()? {
            let edits = self.edits.len();
            let is_pair = pair.number == 1 && pair.wire_type == WireType::Delimited;
            if !is_pair || self.pair(key, &pair.content, depth)? == Fate::Goes {
                self.edits.truncate(edits);
                self.remove(pair.whole)?;
            }
        }
        Ok(Fate::Stays)
    }

    /// Bytes, which may be a text.
    fn opaque(&mut self, key: Option<&str>, raw: &Raw) -> Result<Fate, Malformed> {
        let text = String::from_utf8_lossy(self.content(raw));
        let finds = matches!(self.redactor.text(&text), Cow::Owned(_));
        if finds || key.is_some_and(|key| self.redactor.hides(key)) {
            return self.hidden(key, raw);
        }
        Ok(Fate::Stays)
    }

    /// What stands in the place of a whole value of whatever kind.
    fn hidden(&mut self, key: Option<&str>, raw: &Raw) -> Result<Fate, Malformed> {
        let text = String::from_utf8_lossy(self.content(raw));
        let redacted = match key {
            Some(key) => self.redactor.pair(key, &text),
            None => Some(self.redactor.text(&text)),
        };
        let Some(redacted) = redacted else {
            return Ok(Fate::Goes);
        };
        let mut bytes = Vec::new();
        wire::put_bytes(&mut bytes, STRING, redacted.as_bytes());
        let place = raw.whole.clone();
        self.change(Edit { place, bytes })?;
        Ok(Fate::Stays)
    }
}

/// Appends a list of texts.
fn put_strings(out: &mut Vec<u8>, texts: &[Cow<'static, str>]) {
    let mut list = Vec::new();
    for text in texts {
        let mut value = Vec::new();
        wire::put_bytes(&mut value, STRING, text.as_bytes());
        wire::put_bytes(&mut list, 1, &value);
    }
    wire::put_bytes(out, ARRAY, &list);
}
