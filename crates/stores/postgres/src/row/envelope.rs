//! The rare fields of a job as JSON. Most rows have none, or the trace part alone.

use std::borrow::Cow;
use std::collections::BTreeMap;

use longshore_core::{Job, NewJob, Relation, SpanContext, StoreError, TraceEnvelope};
use serde::{Deserialize, Serialize};

use super::to_json;
use crate::error::corrupt;

/// The rare fields of a job, all absent from most.
#[derive(Deserialize, Serialize)]
struct Rare<'a> {
    #[serde(rename = "t", default, skip_serializing_if = "is_empty")]
    tags: Cow<'a, [String]>,
    #[serde(rename = "m", default, skip_serializing_if = "no_pairs")]
    metadata: Cow<'a, BTreeMap<String, String>>,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<Cow<'a, str>>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    parent_correlation_id: Option<Cow<'a, str>>,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    tenant_id: Option<Cow<'a, str>>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    namespace: Option<Cow<'a, str>>,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    trace: Option<Cow<'a, TraceEnvelope>>,
}

fn is_empty(tags: &[String]) -> bool {
    tags.is_empty()
}

fn no_pairs(metadata: &BTreeMap<String, String>) -> bool {
    metadata.is_empty()
}

fn is_plain(trace: &TraceEnvelope) -> bool {
    trace.traceparent.is_none()
        && trace.enqueue_stub.is_none()
        && trace.tracestate.is_empty()
        && trace.baggage.is_empty()
        && trace.relation == Relation::default()
        && trace.batch_size <= 1
}

/// The rare fields of a new job as text; `None` if all have their defaults.
pub(crate) fn of(new: &NewJob) -> Result<Option<String>, StoreError> {
    let only_trace = new.tags.is_empty()
        && new.metadata.is_empty()
        && new.correlation_id.is_none()
        && new.parent_correlation_id.is_none()
        && new.tenant_id.is_none()
        && new.namespace.is_none();
    let is_plain = is_plain(&new.trace);
    if only_trace && is_plain {
        return Ok(None);
    }
    let trace = match (is_plain, new.trace.keep.is_some()) {
        (true, _) => None,
        (false, false) => Some(Cow::Borrowed(&new.trace)),
        (false, true) => Some(Cow::Owned(TraceEnvelope {
            keep: None,
            ..new.trace.clone()
        })),
    };
    to_json(&Rare {
        tags: Cow::Borrowed(&new.tags),
        metadata: Cow::Borrowed(&new.metadata),
        correlation_id: new.correlation_id.as_deref().map(Cow::Borrowed),
        parent_correlation_id: new.parent_correlation_id.as_deref().map(Cow::Borrowed),
        tenant_id: new.tenant_id.as_deref().map(Cow::Borrowed),
        namespace: new.namespace.as_deref().map(Cow::Borrowed),
        trace,
    })
    .map(Some)
}

fn parse(text: &str) -> Result<Rare<'_>, StoreError> {
    serde_json::from_str(text).map_err(|error| corrupt("envelope", error))
}

/// The enqueue span that an envelope names.
pub(crate) fn span_of(envelope: Option<&str>) -> Result<Option<SpanContext>, StoreError> {
    let Some(text) = envelope else {
        return Ok(None);
    };
    let trace = parse(text)?.trace;
    Ok(trace.and_then(|trace| trace.context()).and_then(Result::ok))
}

/// Puts the fields of an envelope back into a job.
pub(super) fn read(job: &mut Job, text: Option<&str>) -> Result<(), StoreError> {
    let Some(text) = text else {
        job.correlation_id = job.id.as_str().to_owned();
        return Ok(());
    };
    let rare = parse(text)?;
    job.tags = rare.tags.into_owned();
    job.metadata = rare.metadata.into_owned();
    job.correlation_id = rare
        .correlation_id
        .map_or_else(|| job.id.as_str().to_owned(), Cow::into_owned);
    job.parent_correlation_id = rare.parent_correlation_id.map(Cow::into_owned);
    job.tenant_id = rare.tenant_id.map(Cow::into_owned);
    job.namespace = rare.namespace.map(Cow::into_owned);
    if let Some(trace) = rare.trace {
        job.trace = trace.into_owned();
    }
    Ok(())
}
