//! The rare fields of a job as text.
//!
//! Most rows have none, or the trace part alone. Since every transition writes the row again, and
//! every traced job has that part, it has a short form:
//! `["TRACEPARENT",BATCH_SIZE,"TRACESTATE",STUB_START,"STUB_PARENT","STUB_SERVICE"]`, cut after
//! the last value that is not a default. All else is an object.

use std::sync::Arc;

use longshore_core::rare_fields::RareFields;
use longshore_core::{
    EnqueueStub, Job, NewJob, Relation, SpanContext, SpanId, StoreError, Timestamp, TraceEnvelope,
    TraceState,
};

use super::to_json;
use crate::error::corrupt;

/// Writes the envelopes of the jobs of one call. Jobs that were enqueued together share their
/// trace part, so it is written once.
#[derive(Debug, Default)]
pub(crate) struct Envelopes<'a> {
    last: Option<(&'a TraceEnvelope, Arc<str>)>,
}

impl<'a> Envelopes<'a> {
    /// The rare fields of a new job as text; `None` if all have their defaults.
    pub(crate) fn of(&mut self, new: &'a NewJob) -> Result<Option<Arc<str>>, StoreError> {
        let Some(fields) = RareFields::of(new) else {
            return Ok(None);
        };
        let text = match fields.has_only_trace() {
            true => self.of_trace(&new.trace, &fields),
            false => long(&fields),
        };
        text.map(Some)
    }

    fn of_trace(
        &mut self,
        trace: &'a TraceEnvelope,
        fields: &RareFields<'_>,
    ) -> Result<Arc<str>, StoreError> {
        if let Some((last, text)) = &self.last
            && *last == trace
        {
            return Ok(Arc::clone(text));
        }
        let text = short(trace).map_or_else(|| long(fields), Ok)?;
        self.last = Some((trace, Arc::clone(&text)));
        Ok(text)
    }
}

fn long(fields: &RareFields<'_>) -> Result<Arc<str>, StoreError> {
    to_json(fields).map(Arc::from)
}

/// The short form; `None` if it cannot say all.
fn short(trace: &TraceEnvelope) -> Option<Arc<str>> {
    let traceparent = trace.traceparent.as_deref()?;
    let state = trace.tracestate.as_str();
    let stub = trace.enqueue_stub.as_ref();
    let service = stub.map_or("", |stub| stub.service.as_str());
    let says_all = trace.baggage.is_empty()
        && trace.relation == Relation::default()
        && stub.is_none_or(|stub| stub.follows.is_none())
        && [traceparent, state, service].into_iter().all(is_as_quoted);
    if !says_all {
        return None;
    }
    let batch_size = trace.batch_size.max(1);
    let text = match stub {
        Some(stub) => {
            let parent = stub.parent_span_id.map(|id| id.to_string());
            let parent = parent.as_deref().unwrap_or_default();
            let start = stub.started_at.unix_nanos();
            format!(r#"["{traceparent}",{batch_size},"{state}",{start},"{parent}","{service}"]"#)
        }
        None if !state.is_empty() => format!(r#"["{traceparent}",{batch_size},"{state}"]"#),
        None if batch_size > 1 => format!(r#"["{traceparent}",{batch_size}]"#),
        None => format!(r#"["{traceparent}"]"#),
    };
    Some(text.into())
}

/// Whether a text is the same between the quotes of JSON.
pub(super) fn is_as_quoted(text: &str) -> bool {
    let same = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    text.bytes().all(same)
}

/// The trace that an envelope in its short form names, in hexadecimal digits.
pub(crate) fn trace_of(envelope: &str) -> Option<&str> {
    trace_of_parent(envelope.strip_prefix("[\"")?)
}

/// The trace that a `traceparent` names, in hexadecimal digits.
pub(crate) fn trace_of_parent(traceparent: &str) -> Option<&str> {
    traceparent.get(3..35)
}

/// The enqueue span that an envelope names.
pub(crate) fn span_of(envelope: Option<&str>) -> Result<Option<SpanContext>, StoreError> {
    Ok(match envelope {
        None => None,
        Some(text) if text.starts_with('[') => {
            read_short(text).and_then(|trace| trace.context()?.ok())
        }
        Some(text) => read_long(text)?.enqueue_span(),
    })
}

/// Reads envelopes. Jobs that were enqueued together have the same, and are read one after the
/// other, so the last one is remembered.
#[derive(Debug, Default)]
pub(super) struct Reader {
    last: Option<(String, TraceEnvelope)>,
}

impl Reader {
    /// Puts the fields of an envelope back into a job.
    pub(super) fn read(&mut self, job: &mut Job, text: Option<&str>) -> Result<(), StoreError> {
        let fields = match text {
            None => RareFields::default(),
            Some(text) if text.starts_with('[') => self.read_short(text)?.into(),
            Some(text) => read_long(text)?,
        };
        fields.put_into(job);
        Ok(())
    }

    fn read_short(&mut self, text: &str) -> Result<TraceEnvelope, StoreError> {
        if let Some((last, trace)) = &self.last
            && last == text
        {
            return Ok(trace.clone());
        }
        let trace = read_short(text).ok_or_else(|| corrupt("envelope", "no short form"))?;
        if trace.batch_size > 1 {
            self.last = Some((text.to_owned(), trace.clone()));
        }
        Ok(trace)
    }
}

fn read_long(text: &str) -> Result<RareFields<'static>, StoreError> {
    serde_json::from_str(text).map_err(|error| corrupt("envelope", error))
}

fn read_short(text: &str) -> Option<TraceEnvelope> {
    let mut values = Values(text.strip_prefix('[')?.strip_suffix(']')?);
    let mut trace = TraceEnvelope {
        traceparent: Some(values.text()?.to_owned()),
        batch_size: 1,
        ..TraceEnvelope::default()
    };
    if values.follows()? {
        trace.batch_size = values.number()?;
    }
    if values.follows()? {
        let state = values.text()?;
        if !state.is_empty() {
            trace.tracestate = TraceState::from(state.to_owned());
        }
    }
    if values.follows()? {
        let started_at = Timestamp::from_unix_nanos(values.number()?);
        let parent = values.follows()?.then(|| values.text()).flatten()?;
        let service = values.follows()?.then(|| values.text()).flatten()?;
        trace.enqueue_stub = Some(EnqueueStub {
            started_at,
            parent_span_id: match parent {
                "" => None,
                parent => Some(SpanId::from_hex(parent)?),
            },
            service: service.to_owned(),
            follows: None,
        });
    }
    (!values.follows()?).then_some(trace)
}

/// The values of a short form that are still to be read.
struct Values<'t>(&'t str);

impl<'t> Values<'t> {
    fn text(&mut self) -> Option<&'t str> {
        let rest = self.0.strip_prefix('"')?;
        let end = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\'));
        let (text, rest) = rest.split_at_checked(end?)?;
        self.0 = rest.strip_prefix('"')?;
        Some(text)
    }

    fn number<N: std::str::FromStr>(&mut self) -> Option<N> {
        let end = self.0.find(',').unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        digits.parse().ok()
    }

    /// Whether there is another value; `None` if what is there is none.
    fn follows(&mut self) -> Option<bool> {
        if self.0.is_empty() {
            return Some(false);
        }
        self.0 = self.0.strip_prefix(',')?;
        Some(true)
    }
}
