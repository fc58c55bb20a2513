//! A span, its events and its links, borrowed.

use longshore_core::{SpanContext, SpanId, Timestamp, TraceFlags, TraceId, TraceState};
use longshore_instrument::{Dropped, SpanKind};

use super::error::{OtlpError, Problem};
use super::value::{Attributes, check_pair, text};
use super::walk::{ResourceView, ScopeView};
use super::wire::{Field, Wire};

/// Whether it is known if the parent is in another process, and that it is.
const KNOWN_REMOTE: u32 = 0x300;

/// How an operation ended, borrowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusView<'a> {
    /// Nobody said.
    #[default]
    Unset,
    /// Someone said that it succeeded.
    Ok,
    /// It failed; the description may be empty.
    Error(&'a str),
}

/// A span where it lies in a request. It was checked: nothing that is asked of it fails.
#[derive(Clone, Copy, Debug)]
pub struct SpanView<'a> {
    /// What made it.
    pub resource: ResourceView<'a>,
    /// Which library made it.
    pub scope: ScopeView<'a>,
    /// Its trace.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// The span it is part of; `None` for a root.
    pub parent_span_id: Option<SpanId>,
    /// Whether the parent is in another process, as far as is known.
    pub parent_is_remote: bool,
    /// Sampled and random flags.
    pub flags: TraceFlags,
    /// What tracing systems hand on to each other, as it was sent.
    pub trace_state: &'a str,
    /// What it is an instance of.
    pub name: &'a str,
    /// Its role; one that this version does not know is internal.
    pub kind: SpanKind,
    /// When it began.
    pub start: Timestamp,
    /// When it ended; the epoch if it has not.
    pub end: Timestamp,
    /// How it ended.
    pub status: StatusView<'a>,
    /// What its sender dropped of it.
    pub dropped: Dropped,
    message: Wire<'a>,
}

impl<'a> SpanView<'a> {
    /// What is known about it.
    #[must_use]
    pub const fn attributes(&self) -> Attributes<'a> {
        Attributes::of(self.message, 9)
    }

    /// What happened within it.
    #[must_use]
    pub const fn events(&self) -> Events<'a> {
        Events(self.message)
    }

    /// What it refers to.
    #[must_use]
    pub const fn links(&self) -> Links<'a> {
        Links(self.message)
    }

    /// Its bytes: an OTLP `Span`.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.message.bytes()
    }

    /// Reads a span and checks all that is in it.
    pub(super) fn read(
        message: Wire<'a>,
        resource: ResourceView<'a>,
        scope: ScopeView<'a>,
    ) -> Result<Self, OtlpError> {
        let mut ids = Ids::default();
        let mut span = Self {
            resource,
            scope,
            trace_id: TraceId::from_u128(1),
            span_id: SpanId::from_u64(1),
            parent_span_id: None,
            parent_is_remote: false,
            flags: TraceFlags::default(),
            trace_state: "",
            name: "",
            kind: SpanKind::Internal,
            start: Timestamp::UNIX_EPOCH,
            end: Timestamp::UNIX_EPOCH,
            status: StatusView::Unset,
            dropped: Dropped::default(),
            message,
        };
        let begin = message;
        let mut fields = message;
        while let Some(field) = fields.field()? {
            match field.number {
                1 => ids.trace = Some(trace_id(&field)?),
                2 => ids.span = Some(span_id(&field)?),
                4 => span.parent_span_id = parent_id(&field)?,
                _ => span.take(&field)?,
            }
        }
        span.trace_id = ids.trace.ok_or_else(|| missing(begin, Problem::TraceId))?;
        span.span_id = ids.span.ok_or_else(|| missing(begin, Problem::SpanId))?;
        Ok(span)
    }

    /// Takes over a field that is no id.
    fn take(&mut self, field: &Field<'a>) -> Result<(), OtlpError> {
        match field.number {
            3 => self.trace_state = field.text()?,
            5 => self.name = field.text()?,
            6 => self.kind = kind(field.number()?),
            7 => self.start = time(field)?,
            8 => self.end = time(field)?,
            9 => check_pair(field.message("attribute")?, 0)?,
            10 => self.dropped.attributes = field.number()?,
            11 => check_event(field.message("event")?)?,
            12 => self.dropped.events = field.number()?,
            13 => drop(LinkView::read(field.message("link")?)?),
            14 => self.dropped.links = field.number()?,
            15 => self.status = status(field.message("status")?)?,
            16 => {
                let bits = field.fixed32()?;
                self.flags = flags(bits);
                self.parent_is_remote = bits & KNOWN_REMOTE == KNOWN_REMOTE;
            }
            _ => {}
        }
        Ok(())
    }
}

#[derive(Default)]
struct Ids {
    trace: Option<TraceId>,
    span: Option<SpanId>,
}

fn missing(message: Wire<'_>, problem: Problem) -> OtlpError {
    message.fault(problem)
}

/// Something that happened at a moment within a span, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct EventView<'a> {
    /// What.
    pub name: &'a str,
    /// When.
    pub at: Timestamp,
    /// Attributes that its sender dropped.
    pub dropped_attributes: u32,
    message: Wire<'a>,
}

impl<'a> EventView<'a> {
    /// More about it.
    #[must_use]
    pub const fn attributes(&self) -> Attributes<'a> {
        Attributes::of(self.message, 3)
    }
}

/// The events of a span, in their order.
#[derive(Clone, Copy, Debug)]
pub struct Events<'a>(Wire<'a>);

impl<'a> Iterator for Events<'a> {
    type Item = EventView<'a>;

    fn next(&mut self) -> Option<EventView<'a>> {
        loop {
            let field = self.0.checked()?;
            if field.number == 11 {
                return Some(event(field.message("event").ok()?));
            }
        }
    }
}

fn event(message: Wire<'_>) -> EventView<'_> {
    let mut event = EventView {
        name: "",
        at: Timestamp::UNIX_EPOCH,
        dropped_attributes: 0,
        message,
    };
    let mut fields = message;
    while let Some(field) = fields.checked() {
        match field.number {
            1 => event.at = time(&field).unwrap_or_default(),
            2 => event.name = text(&field),
            4 => event.dropped_attributes = field.number().unwrap_or_default(),
            _ => {}
        }
    }
    event
}

fn check_event(mut message: Wire<'_>) -> Result<(), OtlpError> {
    while let Some(field) = message.field()? {
        match field.number {
            1 => drop(field.fixed64()?),
            2 => drop(field.text()?),
            3 => check_pair(field.message("attribute")?, 0)?,
            4 => drop(field.number()?),
            _ => {}
        }
    }
    Ok(())
}

/// A reference to a span elsewhere, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct LinkView<'a> {
    /// The trace and the span referred to; `None` if the ids are no ids, which some programs send
    /// where they have nothing to refer to.
    pub to: Option<(TraceId, SpanId)>,
    /// Sampled and random flags of the other.
    pub flags: TraceFlags,
    /// What tracing systems hand on to each other, as it was sent.
    pub trace_state: &'a str,
    /// Attributes that its sender dropped.
    pub dropped_attributes: u32,
    message: Wire<'a>,
}

impl<'a> LinkView<'a> {
    /// Why it stands.
    #[must_use]
    pub const fn attributes(&self) -> Attributes<'a> {
        Attributes::of(self.message, 4)
    }

    /// The span referred to, owned.
    #[must_use]
    pub fn context(&self) -> Option<SpanContext> {
        let (trace_id, span_id) = self.to?;
        Some(SpanContext {
            trace_id,
            span_id,
            flags: self.flags,
            trace_state: TraceState::from(self.trace_state.to_owned()),
        })
    }

    fn read(message: Wire<'a>) -> Result<Self, OtlpError> {
        let (mut trace, mut span) = (None, None);
        let mut link = Self {
            to: None,
            flags: TraceFlags::default(),
            trace_state: "",
            dropped_attributes: 0,
            message,
        };
        let mut fields = message;
        while let Some(field) = fields.field()? {
            match field.number {
                1 => trace = id(field.bytes()?).and_then(TraceId::from_bytes),
                2 => span = id(field.bytes()?).and_then(SpanId::from_bytes),
                3 => link.trace_state = field.text()?,
                4 => check_pair(field.message("attribute")?, 0)?,
                5 => link.dropped_attributes = field.number()?,
                6 => link.flags = flags(field.fixed32()?),
                _ => {}
            }
        }
        link.to = trace.zip(span);
        Ok(link)
    }
}

/// The links of a span, in their order.
#[derive(Clone, Copy, Debug)]
pub struct Links<'a>(Wire<'a>);

impl<'a> Iterator for Links<'a> {
    type Item = LinkView<'a>;

    fn next(&mut self) -> Option<LinkView<'a>> {
        loop {
            let field = self.0.checked()?;
            if field.number == 13 {
                return LinkView::read(field.message("link").ok()?).ok();
            }
        }
    }
}

fn status(mut message: Wire<'_>) -> Result<StatusView<'_>, OtlpError> {
    let (mut said, mut code) = ("", 0);
    while let Some(field) = message.field()? {
        match field.number {
            2 => said = field.text()?,
            3 => code = field.number()?,
            _ => {}
        }
    }
    Ok(match code {
        1 => StatusView::Ok,
        2 => StatusView::Error(said),
        _ => StatusView::Unset,
    })
}

const fn kind(number: u32) -> SpanKind {
    match number {
        2 => SpanKind::Server,
        3 => SpanKind::Client,
        4 => SpanKind::Producer,
        5 => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

const fn flags(bits: u32) -> TraceFlags {
    TraceFlags::new((bits & 0xff) as u8)
}

fn time(field: &Field<'_>) -> Result<Timestamp, OtlpError> {
    let nanos = i64::try_from(field.fixed64()?).unwrap_or(i64::MAX);
    Ok(Timestamp::from_unix_nanos(nanos))
}

fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

fn trace_id(field: &Field<'_>) -> Result<TraceId, OtlpError> {
    let id = id(field.bytes()?).and_then(TraceId::from_bytes);
    id.ok_or_else(|| field.fault(Problem::TraceId))
}

fn span_id(field: &Field<'_>) -> Result<SpanId, OtlpError> {
    let id = id(field.bytes()?).and_then(SpanId::from_bytes);
    id.ok_or_else(|| field.fault(Problem::SpanId))
}

/// The id of a parent; nothing, or zeros, for a root.
fn parent_id(field: &Field<'_>) -> Result<Option<SpanId>, OtlpError> {
    match field.bytes()? {
        [] => Ok(None),
        bytes => match id(bytes) {
            Some(bytes) => Ok(SpanId::from_bytes(bytes)),
            None => Err(field.fault(Problem::SpanId)),
        },
    }
}
