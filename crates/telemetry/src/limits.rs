//! How much one span may carry.

use std::borrow::Cow;

use longshore_instrument::{AttributeValue, Span};

/// Bounds on what one span carries. They hold for the engine's spans and for those of the
/// application alike; what does not fit is dropped and counted on the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanLimits {
    /// Most attributes of a span.
    pub attributes: u32,
    /// Most events of a span.
    pub events: u32,
    /// Most links of a span.
    pub links: u32,
    /// Most attributes of an event.
    pub event_attributes: u32,
    /// Most attributes of a link.
    pub link_attributes: u32,
    /// Most characters of a value.
    pub value_length: usize,
}

impl Default for SpanLimits {
    fn default() -> Self {
        Self {
            attributes: 128,
            events: 128,
            links: 128,
            event_attributes: 128,
            link_attributes: 128,
            value_length: 1000,
        }
    }
}

impl SpanLimits {
    /// Cuts a span down to the limits. What comes first stays. Attributes of events and links are
    /// counted with those of the span.
    pub fn limit(&self, span: &mut Span) {
        let dropped = &mut span.dropped;
        let mut attributes = cut(&mut span.attributes, self.attributes);
        dropped.events = dropped
            .events
            .saturating_add(cut(&mut span.events, self.events));
        dropped.links = dropped
            .links
            .saturating_add(cut(&mut span.links, self.links));
        for event in &mut span.events {
            attributes =
                attributes.saturating_add(cut(&mut event.attributes, self.event_attributes));
        }
        for link in &mut span.links {
            attributes = attributes.saturating_add(cut(&mut link.attributes, self.link_attributes));
        }
        dropped.attributes = dropped.attributes.saturating_add(attributes);
    }

    /// Shortens values. This is for after redaction: half a secret is not recognised as one.
    pub fn shorten(&self, span: &mut Span) {
        let of_events = span.events.iter_mut().map(|event| &mut event.attributes);
        let of_links = span.links.iter_mut().map(|link| &mut link.attributes);
        let all = of_events.chain(of_links).chain([&mut span.attributes]);
        for attribute in all.flatten() {
            match &mut attribute.value {
                AttributeValue::String(text) => shorten(text, self.value_length),
                AttributeValue::Strings(texts) => {
                    for text in texts {
                        shorten(text, self.value_length);
                    }
                }
                AttributeValue::Int(_) | AttributeValue::Double(_) | AttributeValue::Bool(_) => {}
            }
        }
    }
}

/// Shortens a text to so many characters.
pub(crate) fn shorten(text: &mut Cow<'static, str>, most: usize) {
    // There are never more characters than bytes.
    if text.len() <= most {
        return;
    }
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.to_mut().truncate(end);
    }
}

/// Shortens a list, and says by how much.
pub(crate) fn cut<T>(list: &mut Vec<T>, most: u32) -> u32 {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let dropped = list.len().saturating_sub(most);
    list.truncate(most);
    u32::try_from(dropped).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use longshore_core::{SpanContext, SpanId, Timestamp, TraceFlags, TraceId};
    use longshore_instrument::{Attribute, SpanEvent, SpanLink};

    use super::*;
    use crate::keep::job_spans::tests::span;

    #[test]
    fn what_does_not_fit_is_counted() {
        let attributes = || vec![Attribute::new("a", 1_i64), Attribute::new("b", 2_i64)];
        let event = |name: &'static str| SpanEvent {
            name: name.into(),
            at: Timestamp::from_unix_millis(1),
            attributes: attributes(),
        };
        let context = SpanContext::new(
            TraceId::from_u128(1),
            SpanId::from_u64(1),
            TraceFlags::SAMPLED,
        );
        let link = || SpanLink {
            context: context.clone(),
            attributes: attributes(),
        };
        let mut full = span(1, "full");
        full.attributes = attributes();
        full.events = vec![event("first"), event("second"), event("third")];
        full.links = vec![link(), link(), link(), link()];
        full.dropped.events = 10;
        let unlimited = full.clone();
        SpanLimits::default().limit(&mut full);
        assert_eq!(full, unlimited);
        let limits = SpanLimits {
            attributes: 0,
            events: 2,
            links: 1,
            event_attributes: 1,
            link_attributes: 0,
            value_length: 0,
        };
        limits.limit(&mut full);
        assert!(full.attributes.is_empty());
        assert_eq!(full.events.len(), 2);
        assert_eq!(full.events[0].name, "first");
        assert_eq!(full.events[1].attributes.len(), 1);
        assert_eq!(full.links.len(), 1);
        assert!(full.links[0].attributes.is_empty());
        assert_eq!(full.dropped.attributes, 2 + 2 + 2);
        assert_eq!((full.dropped.events, full.dropped.links), (11, 3));
    }

    #[test]
    fn values_are_cut_between_characters() {
        for (most, expected) in [(0, ""), (1, "é"), (3, "élé"), (5, "éléph"), (9, "éléphant")]
        {
            let mut text = Cow::Borrowed("éléphant");
            shorten(&mut text, most);
            assert_eq!(text, expected);
        }
    }
}
