//! A finished span as a plain value: what OTLP carries, without any OpenTelemetry type.

use std::borrow::Cow;
use std::sync::Arc;

use crate::table::key;
use longshore_core::{SpanContext, SpanId, Timestamp, TraceFlags, TraceId, TraceState};

/// The role of a span, as OpenTelemetry defines it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SpanKind {
    /// An operation within a process.
    #[default]
    Internal,
    /// It answers a request.
    Server,
    /// It makes a request and waits for the answer.
    Client,
    /// It starts work that goes on later.
    Producer,
    /// It does work that a producer started.
    Consumer,
}

impl SpanKind {
    /// The kind as text, as OpenTelemetry writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "INTERNAL",
            Self::Server => "SERVER",
            Self::Client => "CLIENT",
            Self::Producer => "PRODUCER",
            Self::Consumer => "CONSUMER",
        }
    }
}

/// How an operation ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SpanStatus {
    /// Nobody said; taken as success.
    #[default]
    Unset,
    /// Someone said explicitly that it succeeded.
    Ok,
    /// It failed; the description may be empty.
    Error(Cow<'static, str>),
}

impl SpanStatus {
    /// Whether it failed.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    /// Text.
    String(Cow<'static, str>),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// Yes or no.
    Bool(bool),
    /// Several texts.
    Strings(Vec<Cow<'static, str>>),
}

impl From<&'static str> for AttributeValue {
    fn from(text: &'static str) -> Self {
        Self::String(Cow::Borrowed(text))
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::String(Cow::Owned(text))
    }
}

impl From<Cow<'static, str>> for AttributeValue {
    fn from(text: Cow<'static, str>) -> Self {
        Self::String(text)
    }
}

impl From<i64> for AttributeValue {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u32> for AttributeValue {
    fn from(number: u32) -> Self {
        Self::Int(i64::from(number))
    }
}

impl From<usize> for AttributeValue {
    fn from(number: usize) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<f64> for AttributeValue {
    fn from(number: f64) -> Self {
        Self::Double(number)
    }
}

impl From<bool> for AttributeValue {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// The key; the engine's own stand in [`crate::table`].
    pub key: Cow<'static, str>,
    /// The value.
    pub value: AttributeValue,
}

impl Attribute {
    /// An attribute under one of the engine's own keys.
    #[must_use]
    pub fn new(key: &'static str, value: impl Into<AttributeValue>) -> Self {
        Self {
            key: Cow::Borrowed(key),
            value: value.into(),
        }
    }
}

/// Something that happened at a moment within a span.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanEvent {
    /// What.
    pub name: Cow<'static, str>,
    /// When.
    pub at: Timestamp,
    /// More about it.
    pub attributes: Vec<Attribute>,
}

/// A reference to a span elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanLink {
    /// The span referred to.
    pub context: SpanContext,
    /// Why, such as `longshore.link = enqueue`.
    pub attributes: Vec<Attribute>,
}

/// A finished span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// The span it is part of; `None` for a root.
    pub parent_span_id: Option<SpanId>,
    /// Whether the parent is in another process, if that is known.
    pub parent_is_remote: bool,
    /// Sampled and random flags.
    pub flags: TraceFlags,
    /// What tracing systems hand on to each other.
    pub trace_state: TraceState,
    /// What it is an instance of.
    pub name: Cow<'static, str>,
    /// Its role.
    pub kind: SpanKind,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// What is known about it.
    pub attributes: Vec<Attribute>,
    /// What happened within it, in time order.
    pub events: Vec<SpanEvent>,
    /// What it refers to.
    pub links: Vec<SpanLink>,
    /// How it ended.
    pub status: SpanStatus,
    /// Which library made it; [`Span::ENGINE_SCOPE`] for the engine's own.
    pub scope: Cow<'static, str>,
    /// Attributes, events and links that were dropped at a limit.
    pub dropped: Dropped,
    /// What made it, shared by all spans of one export; `None` for spans of this process, whose
    /// exporter knows.
    pub resource: Option<Arc<Resource>>,
}

/// The program, host or container that a span comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    /// What is known about it.
    pub attributes: Vec<Attribute>,
}

impl Resource {
    /// Its name among services: `service.name`, unless that is missing or empty.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        self.text("service.name")
    }

    /// The store whose jobs it has to do with: `longshore.store`, unless that is missing or empty.
    #[must_use]
    pub fn store(&self) -> Option<&str> {
        self.text(key::STORE)
    }

    fn text(&self, key: &str) -> Option<&str> {
        let named = |attribute: &&Attribute| attribute.key == key;
        match &self.attributes.iter().find(named)?.value {
            AttributeValue::String(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }
}

/// How much of a span was dropped at a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Attributes.
    pub attributes: u32,
    /// Events.
    pub events: u32,
    /// Links.
    pub links: u32,
}

impl Span {
    /// The instrumentation scope of the engine's own spans.
    pub const ENGINE_SCOPE: &'static str = "longshore";

    /// A span of which nothing is known but its ids, to be filled in.
    #[must_use]
    pub const fn unknown(trace_id: TraceId, span_id: SpanId) -> Self {
        Self {
            trace_id,
            span_id,
            parent_span_id: None,
            parent_is_remote: false,
            flags: TraceFlags::new(0),
            trace_state: TraceState::EMPTY,
            name: Cow::Borrowed(""),
            kind: SpanKind::Internal,
            start: Timestamp::UNIX_EPOCH,
            end: Timestamp::UNIX_EPOCH,
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            status: SpanStatus::Unset,
            scope: Cow::Borrowed(""),
            dropped: Dropped {
                attributes: 0,
                events: 0,
                links: 0,
            },
            resource: None,
        }
    }

    /// The context that children and links name.
    #[must_use]
    pub fn context(&self) -> SpanContext {
        SpanContext {
            trace_id: self.trace_id,
            span_id: self.span_id,
            flags: self.flags,
            trace_state: self.trace_state.clone(),
        }
    }

    /// Whether it has not ended yet: its end is the epoch, OTLP's zero, and its start is not.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.end == Timestamp::UNIX_EPOCH && self.start > self.end
    }

    /// The service that made it, if its resource says one.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        self.resource.as_deref()?.service()
    }

    /// The store whose jobs it has to do with, if its resource says one.
    #[must_use]
    pub fn store(&self) -> Option<&str> {
        self.resource.as_deref()?.store()
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&AttributeValue> {
        self.attributes
            .iter()
            .find(|attribute| attribute.key == key)
            .map(|attribute| &attribute.value)
    }
}
