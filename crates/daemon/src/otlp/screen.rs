//! Looking through a request before anything holds it: whether it is well-formed, how much is in
//! it, and what of it may not be kept.
//!
//! The bytes are walked once. If nothing has to be hidden, they stay as they came.

mod attribute;

use std::collections::HashSet;
use std::ops::Range;

use bytes::Bytes;
use longshore_core::Timestamp;
use longshore_telemetry::Redactor;

use super::fault::{Fault, Rejected};
use super::patch::{Edit, patched};
use super::schema::{Schema, Shape};
use super::wire::{self, Broken, Fields, Raw};
use attribute::Counted;

/// Bytes of a trace id.
const TRACE_ID: usize = 16;
/// Most changes to one request.
const MAX_EDITS: usize = 1 << 20;

/// The bounds of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Most spans or log records; those beyond are rejected.
    pub(super) items: usize,
    /// Most attributes of a span, an event, a link, a scope or a resource; those beyond are
    /// dropped, and the message says how many.
    pub(super) attributes: usize,
    /// Most messages in one another.
    pub(super) depth: usize,
}

/// A trace id and a span id.
pub(super) type Ids = [u8; 24];

/// A request as it may be kept.
#[derive(Clone, Debug)]
pub(super) struct Screened {
    /// The message, without what may not be kept.
    pub(super) body: Bytes,
    /// Spans or log records in it.
    pub(super) items: usize,
    /// Those that are not in it any more.
    pub(super) rejected: Rejected,
    /// When the first began and the last ended.
    pub(super) times: (Timestamp, Timestamp),
}

/// Why a request cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the message is no OTLP: what stands at byte {0} cannot be read")]
    Broken(usize),
    #[error("the message is no OTLP: the text at byte {0} is not UTF-8")]
    Text(usize),
    #[error("the message has values within values beyond a depth of {0}")]
    Deep(usize),
    #[error("too much of the message would have to be changed before it could be kept")]
    Edits,
}

impl From<Broken> for Malformed {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken.at)
    }
}

/// Looks through a message that follows `schema`.
///
/// # Errors
/// It does not, or goes beyond `bounds`.
pub(super) fn screen(
    body: Bytes,
    schema: &'static Schema,
    redactor: &Redactor,
    bounds: Bounds,
) -> Result<Screened, Malformed> {
    screen_without(&HashSet::new(), body, schema, redactor, bounds)
}

/// The same, with the spans of these ids taken out.
pub(super) fn screen_without(
    taken: &HashSet<Ids>,
    body: Bytes,
    schema: &'static Schema,
    redactor: &Redactor,
    bounds: Bounds,
) -> Result<Screened, Malformed> {
    let mut walk = Walk {
        bytes: &body,
        taken,
        redactor,
        bounds,
        edits: Vec::new(),
        items: 0,
        rejected: Rejected::default(),
        item: Item::default(),
        times: None,
    };
    walk.message(schema, &(0..body.len()), bounds.depth)?;
    let Walk {
        edits,
        items,
        rejected,
        times,
        ..
    } = walk;
    let body = match edits.is_empty() {
        true => body,
        false => patched(&body, edits)?.into(),
    };
    let nanos = |nanos: u64| Timestamp::from_unix_nanos(i64::try_from(nanos).unwrap_or(i64::MAX));
    let (first, last) = times.unwrap_or_default();
    Ok(Screened {
        body,
        items,
        rejected,
        times: (nanos(first), nanos(last)),
    })
}

/// What is known of the span or log record that is walked.
#[derive(Clone, Copy, Debug, Default)]
struct Item {
    begin: Option<u64>,
    end: Option<u64>,
    /// One bit for each of its ids that is there.
    ids: u8,
    own: Ids,
    fault: Option<Fault>,
}

struct Walk<'a> {
    bytes: &'a [u8],
    taken: &'a HashSet<Ids>,
    redactor: &'a Redactor,
    bounds: Bounds,
    edits: Vec<Edit>,
    items: usize,
    rejected: Rejected,
    item: Item,
    times: Option<(u64, u64)>,
}

impl<'a> Walk<'a> {
    fn message(
        &mut self,
        schema: &'static Schema,
        part: &Range<usize>,
        depth: usize,
    ) -> Result<(), Malformed> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Malformed::Deep(self.bounds.depth));
        };
        let mut attributes = Counted::default();
        let mut fields = Fields::of(self.bytes, part);
        while let Some(raw) = fields.next()? {
            let Some(field) = schema.numbered(raw.number) else {
                // Nobody knows what is in it.
                self.remove(raw.whole)?;
                continue;
            };
            if field.shape.wire_type() != raw.wire_type {
                return Err(Malformed::Broken(raw.whole.start));
            }
            match field.shape {
                Shape::Attribute => self.attribute(&raw, &mut attributes, depth)?,
                Shape::Dropped => attributes.was(&raw, self.bytes),
                Shape::Message(schema) => self.message(schema, &raw.content, depth)?,
                Shape::Item(schema) => self.item(schema, &raw, depth)?,
                Shape::Text => self.text(&raw)?,
                Shape::Label => {
                    self.string(&raw)?;
                }
                Shape::Id(length) => self.id(&raw, length),
                Shape::OwnId(length) => self.own_id(&raw, length),
                Shape::Begin => self.item.begin = Some(wire::fixed64(self.content(&raw))),
                Shape::End => self.item.end = Some(wire::fixed64(self.content(&raw))),
                Shape::Value => {
                    self.value(None, &raw.content, depth)?;
                }
                Shape::Pair
                | Shape::Bytes
                | Shape::Enum(_)
                | Shape::Fixed64
                | Shape::Fixed32
                | Shape::Uint32
                | Shape::Int64
                | Shape::Bool
                | Shape::Double => {}
            }
        }
        match attributes.edit(schema, part.start) {
            Some(edit) => self.change(edit),
            None => Ok(()),
        }
    }

    /// A span or log record.
    fn item(&mut self, schema: &'static Schema, raw: &Raw, depth: usize) -> Result<(), Malformed> {
        let edits = self.edits.len();
        self.item = Item::default();
        self.message(schema, &raw.content, depth)?;
        if !self.taken.is_empty() && self.taken.contains(&self.item.own) {
            self.edits.truncate(edits);
            return self.remove(raw.whole.clone());
        }
        if self.items >= self.bounds.items {
            self.item.fault = Some(Fault::TooMany);
        } else if self.item.ids != schema.own_ids() {
            self.note(Fault::MissingIds);
        }
        if let Some(fault) = self.item.fault {
            self.edits.truncate(edits);
            self.rejected.add(fault, 1);
            return self.remove(raw.whole.clone());
        }
        self.items += 1;
        let Item { begin, end, .. } = self.item;
        // A log record may say only when it was seen, and a span that is open has no end.
        let begin = begin.filter(|begin| *begin > 0).or(end).unwrap_or(0);
        let end = end.unwrap_or(0).max(begin);
        let (first, last) = self.times.unwrap_or((begin, end));
        self.times = Some((first.min(begin), last.max(end)));
        Ok(())
    }

    fn note(&mut self, fault: Fault) {
        self.item.fault.get_or_insert(fault);
    }

    /// An id that may be missing.
    fn id(&mut self, raw: &Raw, length: usize) {
        if ![0, length].contains(&raw.content.len()) {
            self.note(Fault::WrongIds);
        }
    }

    /// An id that must be there.
    fn own_id(&mut self, raw: &Raw, length: usize) {
        self.id(raw, length);
        let id = self.content(raw);
        if id.iter().any(|byte| *byte != 0) {
            self.item.ids |= 1_u8.checked_shl(raw.number).unwrap_or(0);
        }
        let own = match length {
            TRACE_ID => self.item.own.get_mut(..TRACE_ID),
            _ => self.item.own.get_mut(TRACE_ID..),
        };
        for (to, from) in own.into_iter().flatten().zip(id) {
            *to = *from;
        }
    }

    fn text(&mut self, raw: &Raw) -> Result<(), Malformed> {
        let text = self.string(raw)?;
        match self.redactor.text(text) {
            std::borrow::Cow::Borrowed(same) if same.len() == text.len() => Ok(()),
            other => self.replace_text(raw, &other),
        }
    }

    fn string(&self, raw: &Raw) -> Result<&'a str, Malformed> {
        let bytes = self.content(raw);
        std::str::from_utf8(bytes).map_err(|_invalid| Malformed::Text(raw.content.start))
    }

    fn content(&self, raw: &Raw) -> &'a [u8] {
        self.bytes.get(raw.content.clone()).unwrap_or_default()
    }

    fn replace_text(&mut self, raw: &Raw, text: &str) -> Result<(), Malformed> {
        let mut bytes = Vec::with_capacity(text.len() + 8);
        wire::put_bytes(&mut bytes, raw.number, text.as_bytes());
        let place = raw.whole.clone();
        self.change(Edit { place, bytes })
    }

    fn remove(&mut self, place: Range<usize>) -> Result<(), Malformed> {
        let bytes = Vec::new();
        self.change(Edit { place, bytes })
    }

    fn change(&mut self, edit: Edit) -> Result<(), Malformed> {
        if self.edits.len() >= MAX_EDITS {
            return Err(Malformed::Edits);
        }
        self.edits.push(edit);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
