//! From facts to spans: pure functions, one per fact.

mod admin;
mod attempt;
mod claim;
mod enqueue;
pub(crate) mod foreign;
mod http;
mod past;
mod storage;

pub use admin::admin_span;
pub use attempt::{attempt_spans, open_spans};
pub use claim::{claim_span, failed_claim_span};
pub use enqueue::{
    end_enqueue, enqueue_span, enqueue_span_from_stub, first_enqueue_span, is_rebuilt_batch,
    limit_refused, met_jobs,
};
pub use http::{daemon_span, request_span};
pub use past::{as_it_ran, past_spans};
pub use storage::{SettledTogether, is_storage, storage_spans};

use std::borrow::Cow;

use std::collections::BTreeMap;

use longshore_core::batch::{METADATA_BATCH, METADATA_ENDED};
use longshore_core::schedule::{METADATA_SCHEDULE, METADATA_TICK};
use longshore_core::{Job, SpanContext, SpanId, Timestamp};

use crate::keep::KeepReason;
use crate::span::{
    Attribute, AttributeValue, Dropped, Span, SpanEvent, SpanKind, SpanLink, SpanStatus,
};
use crate::table::{EVENT_JOB_FAILED, METADATA_PREFIX, key};

/// A wait at least this long gets the event `long_wait`.
pub const LONG_WAIT: std::time::Duration = std::time::Duration::from_secs(60);

/// A span of the engine with nothing but its frame.
fn frame(
    name: &'static str,
    kind: SpanKind,
    context: &SpanContext,
    parent: Option<SpanId>,
    (start, end): (Timestamp, Timestamp),
) -> Span {
    Span {
        trace_id: context.trace_id,
        span_id: context.span_id,
        parent_span_id: parent,
        parent_is_remote: false,
        flags: context.flags,
        trace_state: context.trace_state.clone(),
        name: Cow::Borrowed(name),
        kind,
        start,
        end: end.max(start),
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: SpanStatus::Unset,
        scope: Cow::Borrowed(Span::ENGINE_SCOPE),
        dropped: Dropped::default(),
        resource: None,
    }
}

/// A context in the same trace.
fn sibling(context: &SpanContext, span_id: SpanId) -> SpanContext {
    SpanContext {
        span_id,
        ..context.clone()
    }
}

fn link(context: SpanContext, why: &'static str) -> SpanLink {
    SpanLink {
        context,
        attributes: vec![Attribute::new(key::LINK, why)],
    }
}

/// What went wrong, for people: where a class says too little.
fn job_failed(class: &str, message: Option<&str>, at: Timestamp) -> SpanEvent {
    let mut attributes = vec![
        Attribute::new(key::EXCEPTION_TYPE, class.to_owned()),
        Attribute::new(key::FAILURE_REASON, KeepReason::of_class(class).as_str()),
    ];
    if let Some(message) = message.filter(|message| !message.is_empty()) {
        attributes.push(Attribute::new(key::EXCEPTION_MESSAGE, message.to_owned()));
    }
    SpanEvent {
        name: Cow::Borrowed(EVENT_JOB_FAILED),
        at,
        attributes,
    }
}

/// What every span of an operation says first, with room for `more` attributes.
fn operation(name: &'static str, operation_type: &'static str, more: usize) -> Vec<Attribute> {
    operation_of("longshore", name, operation_type, more)
}

fn operation_of(
    system: &'static str,
    name: &'static str,
    operation_type: &'static str,
    more: usize,
) -> Vec<Attribute> {
    let mut attributes = Vec::with_capacity(3 + more);
    attributes.push(Attribute::new(key::SYSTEM, system));
    attributes.push(Attribute::new(key::OPERATION_NAME, name));
    attributes.push(Attribute::new(key::OPERATION_TYPE, operation_type));
    attributes
}

/// What every span about one job says.
fn about(job: &Job, attributes: &mut Vec<Attribute>) {
    attributes.push(Attribute::new(key::QUEUE, job.queue.as_str().to_owned()));
    attributes.push(Attribute::new(key::JOB_ID, job.id.as_str().to_owned()));
    attributes.push(Attribute::new(key::KIND, job.kind.as_str().to_owned()));
    if job.correlation_id != job.id.as_str() {
        let id = job.correlation_id.clone();
        attributes.push(Attribute::new(key::CORRELATION_ID, id));
    }
    optional(
        key::PARENT_CORRELATION_ID,
        &job.parent_correlation_id,
        attributes,
    );
    optional(key::TENANT, &job.tenant_id, attributes);
    optional(key::NAMESPACE, &job.namespace, attributes);
}

/// Which tick of which schedule a job is for, and to which batch it belongs.
fn of_metadata(metadata: &BTreeMap<String, String>, attributes: &mut Vec<Attribute>) {
    for (name, key) in [
        (METADATA_SCHEDULE, key::SCHEDULE),
        (METADATA_TICK, key::TICK),
        (METADATA_BATCH, key::BATCH),
        (METADATA_ENDED, key::ENDED_BATCH),
    ] {
        if let Some(value) = metadata.get(name) {
            attributes.push(Attribute::new(key, value.clone()));
        }
    }
}

/// The words and pairs that the producer gave the job to search by. Pairs of the engine's own have
/// keys of their own.
fn searchable<'j>(
    tags: impl IntoIterator<Item = &'j String>,
    metadata: impl IntoIterator<Item = (&'j String, &'j String)>,
    attributes: &mut Vec<Attribute>,
) {
    let tags: Vec<_> = tags.into_iter().cloned().map(Cow::Owned).collect();
    if !tags.is_empty() {
        attributes.push(Attribute {
            key: Cow::Borrowed(key::TAGS),
            value: AttributeValue::Strings(tags),
        });
    }
    let own = |key: &String| key.starts_with("longshore.");
    for (name, value) in metadata.into_iter().filter(|(name, _)| !own(name)) {
        attributes.push(Attribute {
            key: Cow::Owned(format!("{METADATA_PREFIX}{name}")),
            value: value.clone().into(),
        });
    }
}

fn optional(key: &'static str, value: &Option<String>, attributes: &mut Vec<Attribute>) {
    if let Some(value) = value {
        attributes.push(Attribute::new(key, value.clone()));
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::{JobId, Kind, NewJob, QueueName, Timestamp};

    use super::*;

    #[test]
    fn what_a_producer_searches_by_is_on_the_attempt_but_for_the_engines_own() {
        let queue = QueueName::lossy("orders");
        let kind = Kind::lossy("order");
        let mut new = NewJob::new(JobId::lossy("1"), queue, kind, "");
        new.tags = vec!["vip".to_owned()];
        for (key, value) in [("order", "17"), (METADATA_BATCH, "b")] {
            new.metadata.insert(key.to_owned(), value.to_owned());
        }
        let mut attributes = Vec::new();
        let job = Job::from_new(new, Timestamp::UNIX_EPOCH);
        searchable(&job.tags, &job.metadata, &mut attributes);
        let shown: Vec<_> = attributes
            .iter()
            .map(|attribute| (attribute.key.as_ref(), &attribute.value))
            .collect();
        let tags = AttributeValue::Strings(vec!["vip".into()]);
        let pair = AttributeValue::String("17".into());
        assert_eq!(
            shown,
            [(key::TAGS, &tags), ("longshore.job.meta.order", &pair)]
        );
    }
}
