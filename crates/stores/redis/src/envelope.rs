//! The part of a job that never changes and that no function reads, as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use longshore_core::{
    ErrorKind, Job, Keep, NewJob, SpanContext, StoreError, TraceEnvelope, UniqueScope,
};
use serde::{Deserialize, Serialize};

use crate::answer::{corrupt, parsed};
use crate::micros;

#[derive(Serialize, Deserialize)]
struct Envelope {
    #[serde(rename = "x", default = "plain", skip_serializing_if = "is_plain")]
    trace: TraceEnvelope,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    timeout_nanos: Option<u64>,
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    scope: Option<UniqueScope>,
    #[serde(rename = "g", default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(rename = "m", default, skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    /// The job's own id if there is none.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    parent_correlation_id: Option<String>,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    /// Whether there is a tenant of the empty name, which is not nobody.
    #[serde(rename = "t", default, skip_serializing_if = "std::ops::Not::not")]
    empty_tenant: bool,
}

/// The trace part of a job that was enqueued alone and without telemetry.
fn plain() -> TraceEnvelope {
    TraceEnvelope {
        batch_size: 1,
        ..TraceEnvelope::default()
    }
}

fn is_plain(trace: &TraceEnvelope) -> bool {
    *trace == plain()
}

/// The envelope of a new job.
pub(crate) fn write(job: &NewJob) -> Result<Bytes, StoreError> {
    let trace = TraceEnvelope {
        keep: None,
        ..job.trace.clone()
    };
    let nanos = |timeout: Duration| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
    let envelope = Envelope {
        trace,
        timeout_nanos: job.timeout.map(nanos),
        scope: job.unique_key.as_ref().map(|unique| unique.scope),
        tags: job.tags.clone(),
        metadata: job.metadata.clone(),
        correlation_id: job.correlation_id.clone(),
        parent_correlation_id: job.parent_correlation_id.clone(),
        namespace: job.namespace.clone(),
        empty_tenant: job.tenant_id.as_deref() == Some(""),
    };
    let text = serde_json::to_vec(&envelope).map_err(|error| {
        let message = format!("a job could not be written as JSON: {error}");
        StoreError::new(ErrorKind::Internal, message)
    })?;
    Ok(text.into())
}

/// Gives a job what its envelope says.
pub(crate) fn read(job: &mut Job, text: &[u8]) -> Result<(), StoreError> {
    let envelope: Envelope =
        serde_json::from_slice(text).map_err(|error| corrupt("envelope", error))?;
    job.trace = envelope.trace;
    job.timeout = envelope.timeout_nanos.map(Duration::from_nanos);
    if let (Some(unique), Some(scope)) = (&mut job.unique_key, envelope.scope) {
        unique.scope = scope;
    }
    job.tags = envelope.tags;
    job.metadata = envelope.metadata;
    job.correlation_id = envelope
        .correlation_id
        .unwrap_or_else(|| job.id.as_str().to_owned());
    job.parent_correlation_id = envelope.parent_correlation_id;
    job.namespace = envelope.namespace;
    if envelope.empty_tenant {
        job.tenant_id = Some(String::new());
    }
    Ok(())
}

/// The enqueue span that an envelope names.
pub(crate) fn enqueue_span(text: &[u8]) -> Option<SpanContext> {
    let envelope: Envelope = serde_json::from_slice(text).ok()?;
    envelope.trace.context()?.ok()
}

/// A decision to keep a trace: when, and why.
pub(crate) fn write_keep(keep: &Keep) -> String {
    format!("{} {}", micros::of(keep.at), keep.reason)
}

pub(crate) fn read_keep(text: &str) -> Result<Keep, StoreError> {
    let (at, reason) = text.split_once(' ').unwrap_or((text, ""));
    Ok(Keep {
        reason: reason.to_owned(),
        at: micros::time(parsed("decision to keep", at)?),
    })
}
