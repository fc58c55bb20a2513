//! Everything of a span that may hold a secret.

use std::borrow::Cow;

use longshore_instrument::table::SPANS;
use longshore_instrument::{Attribute, Span, SpanStatus};

use super::key::KeyClass;
use super::{Redactor, rule_of};

impl Redactor {
    /// Redacts all of a span, in place: its name, scope, status, attributes, events and links.
    /// Attributes that are dropped are counted as such. Ids, times and the trace state stay.
    pub fn span(&self, span: &mut Span) {
        self.span_by(span, span.scope == Span::ENGINE_SCOPE);
    }

    /// The same for a span that others may have changed: nothing on it is known to be safe.
    pub(crate) fn changed_span(&self, span: &mut Span) {
        self.span_by(span, false);
    }

    fn span_by(&self, span: &mut Span, by_engine: bool) {
        if !by_engine {
            self.text_in_place(&mut span.scope);
        }
        if !by_engine || !SPANS.iter().any(|known| known.name == span.name) {
            self.text_in_place(&mut span.name);
        }
        if let SpanStatus::Error(message) = &mut span.status {
            self.text_in_place(message);
        }
        let mut dropped = self.all(&mut span.attributes, by_engine);
        for event in &mut span.events {
            self.text_in_place(&mut event.name);
            dropped += self.all(&mut event.attributes, by_engine);
        }
        for link in &mut span.links {
            dropped += self.all(&mut link.attributes, by_engine);
        }
        span.dropped.attributes = span.dropped.attributes.saturating_add(dropped);
    }

    /// Redacts attributes, such as those of the resource, in place. The number of those that were
    /// dropped comes back.
    pub fn attributes(&self, attributes: &mut Vec<Attribute>) -> u32 {
        self.all(attributes, false)
    }

    /// A key that others chose, without what may not leave: it may be made of someone's data.
    /// Nothing is copied if nothing is found, and [`Redactor::pair`] then knows the key.
    #[must_use]
    pub fn key<'key>(&self, key: &'key str) -> Cow<'key, str> {
        if self.is_known(key) || self.memory.plan(key).is_some() {
            return Cow::Borrowed(key);
        }
        match self.settled(key, KeyClass::Plain) {
            None => {
                self.memory.note_plan(key, self.plan(key));
                Cow::Borrowed(key)
            }
            Some(redacted) => Cow::Owned(redacted),
        }
    }

    /// Whether a key alone is the reason that no value under it leaves as it is, of whatever kind
    /// the value is.
    #[must_use]
    pub fn hides(&self, key: &str) -> bool {
        let plan = self.plan(key);
        plan.refused.is_some() || rule_of(plan.class).is_some()
    }

    /// Redacts a text in place. Nothing is written if nothing is found.
    pub fn text_in_place(&self, text: &mut Cow<'static, str>) {
        if let Cow::Owned(redacted) = self.text(text) {
            *text = Cow::Owned(redacted);
        }
    }

    fn all(&self, attributes: &mut Vec<Attribute>, by_engine: bool) -> u32 {
        let before = attributes.len();
        attributes.retain_mut(|attribute| match &attribute.key {
            Cow::Borrowed(key) => self.value(key, &mut attribute.value, by_engine),
            Cow::Owned(key) => match self.memory.plan(key) {
                Some(plan) => self.planned(plan, key, &mut attribute.value, by_engine),
                None => self.of_new_key(attribute, by_engine),
            },
        });
        u32::try_from(before - attributes.len()).unwrap_or(u32::MAX)
    }

    /// A key that is not written in the program may be made of someone's data. What then stands in
    /// its place is a key like any other.
    fn of_new_key(&self, attribute: &mut Attribute, by_engine: bool) -> bool {
        let plan = self.plan(&attribute.key);
        if !self.planned(plan, &attribute.key, &mut attribute.value, by_engine) {
            return false;
        }
        match self.settled(&attribute.key, KeyClass::Plain) {
            None => {
                self.memory.note_plan(&attribute.key, plan);
                true
            }
            Some(key) => {
                attribute.key = Cow::Owned(key);
                self.value(&attribute.key, &mut attribute.value, by_engine)
            }
        }
    }
}
