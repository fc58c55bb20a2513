//! From borrowed spans to spans that stand by themselves.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use longshore_core::TraceState;
use longshore_instrument::table::{ATTRIBUTES, SPANS};
use longshore_instrument::{Attribute, Resource, Span, SpanEvent, SpanLink, SpanStatus};

use super::error::OtlpError;
use super::span::{EventView, SpanView, StatusView};
use super::value::Attributes;
use super::walk::spans;

/// Most resources that a decoder remembers.
const MAX_RESOURCES: usize = 64;

/// Makes spans that stand by themselves. One decoder used for many requests gives spans of the same
/// resource one [`Resource`] to share.
#[derive(Debug)]
pub struct Decoder {
    /// The words of the engine, which need no copy.
    words: HashMap<&'static str, &'static str, BuildHasherDefault<WordHasher>>,
    resources: HashMap<Box<[u8]>, Arc<Resource>>,
    last: Option<(Box<[u8]>, Arc<Resource>)>,
}

/// What was read of a request.
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    /// The spans, in their order.
    pub spans: Vec<Span>,
    /// What could not be read of the rest, the first errors of it.
    pub errors: Vec<OtlpError>,
    /// Spans that could not be read, as far as that can be counted: an error that ends the walk
    /// counts as one.
    pub refused: usize,
}

impl Decoded {
    /// Most errors that are kept.
    pub const MAX_ERRORS: usize = 8;
}

impl Default for Decoder {
    fn default() -> Self {
        let keys = ATTRIBUTES.iter().map(|attribute| attribute.key);
        let names = SPANS.iter().map(|span| span.name);
        let words = keys.chain(names).chain([Span::ENGINE_SCOPE]);
        Self {
            words: words.map(|word| (word, word)).collect(),
            resources: HashMap::new(),
            last: None,
        }
    }
}

/// Hashes words that are looked for among those of the engine. The table never grows, so that nobody
/// can fill it with words that have the same hash.
#[derive(Debug, Default)]
struct WordHasher(u64);

impl WordHasher {
    fn add(&mut self, part: u64) {
        self.0 = (self.0.rotate_left(23) ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (eights, rest) = bytes.as_chunks::<8>();
        for eight in eights {
            self.add(u64::from_le_bytes(*eight));
        }
        let last = rest
            .iter()
            .fold(0, |last, byte| last << 8 | u64::from(*byte));
        self.add(last << 8 | bytes.len() as u64 & 0xff);
    }

    fn write_u8(&mut self, _end_of_text: u8) {}

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

impl Decoder {
    /// Every span of an OTLP `ExportTraceServiceRequest` that can be read.
    #[must_use]
    pub fn decode(&mut self, request: &[u8]) -> Decoded {
        let mut decoded = Decoded::default();
        for item in spans(request) {
            match item {
                Ok(view) => decoded.spans.push(self.span(&view)),
                Err(error) => {
                    decoded.refused += 1;
                    if decoded.errors.len() < Decoded::MAX_ERRORS {
                        decoded.errors.push(error);
                    }
                }
            }
        }
        decoded
    }

    /// A span that stands by itself.
    ///
    /// Values that [`AttributeValue`](longshore_instrument::AttributeValue) has no form for become
    /// text: lists of anything but texts and maps as JSON, bytes as base64. Links without valid ids
    /// count as dropped, and a trace state that W3C would not take is left out.
    #[must_use]
    pub fn span(&mut self, view: &SpanView<'_>) -> Span {
        let mut dropped = view.dropped;
        let mut links = Vec::new();
        for link in view.links() {
            match link.context() {
                Some(context) => links.push(SpanLink {
                    context,
                    attributes: self.attributes(link.attributes()),
                }),
                None => dropped.links = dropped.links.saturating_add(1),
            }
        }
        let trace_state = match view.trace_state {
            "" => TraceState::EMPTY,
            text => TraceState::from(text.to_owned()),
        };
        Span {
            trace_id: view.trace_id,
            span_id: view.span_id,
            parent_span_id: view.parent_span_id,
            parent_is_remote: view.parent_is_remote,
            flags: view.flags,
            trace_state,
            name: self.word(view.name),
            kind: view.kind,
            start: view.start,
            end: view.end,
            attributes: self.attributes(view.attributes()),
            events: view.events().map(|event| self.event(&event)).collect(),
            links,
            status: match view.status {
                StatusView::Unset => SpanStatus::Unset,
                StatusView::Ok => SpanStatus::Ok,
                StatusView::Error(text) => SpanStatus::Error(Cow::Owned(text.to_owned())),
            },
            scope: self.word(view.scope.name),
            dropped,
            resource: self.resource(view),
        }
    }

    fn event(&self, event: &EventView<'_>) -> SpanEvent {
        SpanEvent {
            name: self.word(event.name),
            at: event.at,
            attributes: self.attributes(event.attributes()),
        }
    }

    fn attributes(&self, attributes: Attributes<'_>) -> Vec<Attribute> {
        // To count them first costs less than to make room several times.
        let mut all = Vec::with_capacity(attributes.number());
        all.extend(attributes.map(|(key, value)| Attribute {
            key: self.word(key),
            value: value.to_attribute(),
        }));
        all
    }

    fn word(&self, text: &str) -> Cow<'static, str> {
        match self.words.get(text) {
            Some(word) => Cow::Borrowed(word),
            None => Cow::Owned(text.to_owned()),
        }
    }

    /// The resource, shared with the spans before that have the same.
    fn resource(&mut self, view: &SpanView<'_>) -> Option<Arc<Resource>> {
        let bytes = view.resource.bytes();
        if bytes.is_empty() {
            return None;
        }
        if let Some((key, last)) = &self.last
            && **key == *bytes
        {
            return Some(Arc::clone(last));
        }
        if self.resources.len() >= MAX_RESOURCES && !self.resources.contains_key(bytes) {
            self.resources.clear();
        }
        let resource = match self.resources.get(bytes) {
            Some(known) => Arc::clone(known),
            None => {
                let attributes = self.attributes(view.resource.attributes());
                let resource = Arc::new(Resource { attributes });
                self.resources.insert(bytes.into(), Arc::clone(&resource));
                resource
            }
        };
        self.last = Some((bytes.into(), Arc::clone(&resource)));
        Some(resource)
    }
}
