//! How much one span may carry.

use std::borrow::Cow;

use longshore_instrument::{Attribute, AttributeValue, Span};

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
        for attributes in all {
            shorten_values(attributes, self.value_length);
        }
    }
}

/// Shortens the texts among values to so many characters each.
pub(crate) fn shorten_values(attributes: &mut [Attribute], most: usize) {
    for attribute in attributes {
        match &mut attribute.value {
            AttributeValue::String(text) => shorten(text, most),
            AttributeValue::Strings(texts) => {
                for text in texts {
                    shorten(text, most);
                }
            }
            AttributeValue::Int(_) | AttributeValue::Double(_) | AttributeValue::Bool(_) => {}
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
mod tests;
