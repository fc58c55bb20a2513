//! Spans that are written one after the other, so that they are in memory once.

use longshore_instrument::Span;
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use super::{Scope, WireResource, WireSpan, alike};

/// Spans that are written as [`TracesData`](super::TracesData) writes them: in JSON `TracesData` of
/// OTLP.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenSpans(Vec<Span>);

impl WrittenSpans {
    /// These spans, those of one resource and scope together where they follow each other.
    #[must_use]
    pub const fn new(spans: Vec<Span>) -> Self {
        Self(spans)
    }
}

impl Serialize for WrittenSpans {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut data = to.serialize_struct("TracesData", 1)?;
        data.serialize_field("resourceSpans", &Groups(&self.0))?;
        data.end()
    }
}

struct Groups<'a>(&'a [Span]);

impl Serialize for Groups<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.chunk_by(alike).map(Group))
    }
}

/// Spans of one resource and scope.
struct Group<'a>(&'a [Span]);

impl Serialize for Group<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut group = to.serialize_struct("ResourceSpans", 2)?;
        group.serialize_field("resource", &WireResource::of(self.0))?;
        group.serialize_field("scopeSpans", &[OfScope(self.0)])?;
        group.end()
    }
}

struct OfScope<'a>(&'a [Span]);

impl Serialize for OfScope<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut scope = to.serialize_struct("ScopeSpans", 2)?;
        scope.serialize_field("scope", &Scope::of(self.0))?;
        scope.serialize_field("spans", &Each(self.0))?;
        scope.end()
    }
}

struct Each<'a>(&'a [Span]);

impl Serialize for Each<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(WireSpan::of))
    }
}
