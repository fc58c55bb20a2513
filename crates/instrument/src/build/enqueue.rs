//! `queue.enqueue`.

use longshore_core::batch::{METADATA_BATCH, METADATA_ENDED};
use longshore_core::limit::LimitRefused;
use longshore_core::{EnqueueStub, Enqueued, Job, NewJob, SpanContext, StoreError, Timestamp};
use xxhash_rust::xxh3::xxh3_64;

use super::{about, frame, link, of_metadata, operation, optional, searchable};
use crate::facts::EnqueueFacts;
use crate::relation::AttemptContext;
use crate::span::{Attribute, Span, SpanEvent, SpanKind, SpanStatus};
use crate::table::{EVENT_QUEUE_FULL, EVENT_RATE_LIMITED, key, name};

/// Most links of one enqueue span.
const MAX_HOLDERS: usize = 32;

/// The span of an enqueue call that begins; [`end_enqueue`] ends it. `None` if it concerns no
/// job.
#[must_use]
pub fn enqueue_span(facts: &EnqueueFacts<'_>) -> Option<Span> {
    let first = facts.jobs.first()?;
    let mut span = frame(
        name::ENQUEUE,
        SpanKind::Producer,
        facts.context,
        facts.parent,
        (facts.started_at, facts.started_at),
    );
    span.parent_is_remote = facts.parent_is_remote;
    let mut attributes = operation("enqueue", "send", 8);
    if facts.jobs.iter().all(|job| job.queue == first.queue) {
        let queue = first.queue.as_str().to_owned();
        attributes.push(Attribute::new(key::QUEUE, queue));
    }
    if facts.jobs.len() > 1 {
        attributes.push(Attribute::new(key::BATCH_COUNT, facts.jobs.len()));
        of_batch(facts.jobs, &mut attributes);
    } else {
        one_job(first, &mut attributes);
    }
    shared(first, facts.jobs, &mut attributes);
    if facts.jobs.iter().all(|job| job.kind == first.kind) {
        let kind = first.kind.as_str().to_owned();
        attributes.push(Attribute::new(key::KIND, kind));
    }
    attributes.push(Attribute::new(key::RELATION, first.trace.relation.as_str()));
    span.attributes = attributes;
    Some(span)
}

/// Ends the span of an enqueue call once it is answered; `error_class` is `error.type` if it
/// failed.
pub fn end_enqueue(span: &mut Span, ended_at: Timestamp, error_class: Option<&'static str>) {
    span.end = ended_at.max(span.start);
    if let Some(class) = error_class {
        let error = Attribute::new(key::ERROR_TYPE, class);
        span.attributes.push(error);
        span.status = SpanStatus::Error(class.into());
    }
}

/// Says on the span of an enqueue call which jobs it met, by their ids or their unique keys,
/// instead of making new ones, and links to where those were enqueued: there is the call that was
/// first, and what became of it.
pub fn met_jobs(span: &mut Span, answers: &[Result<Enqueued, StoreError>]) {
    let met = || {
        let enqueued = answers.iter().flatten();
        enqueued.filter(|enqueued| !matches!(enqueued, Enqueued::Created { .. }))
    };
    if met().next().is_none() {
        return;
    }
    if let [Ok(enqueued)] = answers {
        let id = enqueued.id().as_str().to_owned();
        span.attributes
            .retain(|attribute| attribute.key != key::JOB_ID);
        span.attributes.push(Attribute::new(key::JOB_ID, id));
        let outcome = Attribute::new(key::ENQUEUE_OUTCOME, enqueued.as_str());
        span.attributes.push(outcome);
    } else {
        let hits = met().filter(|enqueued| matches!(enqueued, Enqueued::Hit { .. }));
        let hits = hits.count();
        let replaced = met().count().saturating_sub(hits);
        let counts = [(key::ENQUEUE_HITS, hits), (key::ENQUEUE_REPLACED, replaced)];
        let some = counts.into_iter().filter(|(_, count)| *count > 0);
        let attributes = some.map(|(key, count)| Attribute::new(key, count));
        span.attributes.extend(attributes);
    }
    let own = (span.trace_id, span.span_id);
    let mut holders: Vec<&SpanContext> = Vec::new();
    for holder in met().filter_map(Enqueued::met_span) {
        // The call itself, where it came twice; and calls that enqueued several of these jobs.
        let is_told = (holder.trace_id, holder.span_id) == own || holders.contains(&holder);
        if is_told {
            continue;
        }
        if holders.len() == MAX_HOLDERS {
            span.dropped.links = span.dropped.links.saturating_add(1);
            continue;
        }
        holders.push(holder);
    }
    let links = holders.into_iter().cloned();
    span.links.extend(links.map(|to| link(to, "holder")));
}

/// Notes on the span of an enqueue call that a limit refused so many of its jobs.
pub fn limit_refused(span: &mut Span, refused: &LimitRefused, jobs: usize, at: Timestamp) {
    let queue = refused.queue().as_str().to_owned();
    let mut attributes = vec![Attribute::new(key::QUEUE, queue)];
    let name = match refused {
        LimitRefused::QueueFull { limit, length, .. } => {
            attributes.push(Attribute::new(key::LIMIT, limit.to_string()));
            let length = i64::try_from(*length).unwrap_or(i64::MAX);
            attributes.push(Attribute::new(key::QUEUE_LENGTH, length));
            EVENT_QUEUE_FULL
        }
        LimitRefused::RateLimited { rate, .. } => {
            attributes.push(Attribute::new(key::LIMIT, rate.to_string()));
            EVENT_RATE_LIMITED
        }
    };
    attributes.push(Attribute::new(key::REFUSED, jobs));
    span.events.push(SpanEvent {
        name: name.into(),
        at,
        attributes,
    });
}

/// Which batch jobs are the members of, if all are of one.
fn of_batch(jobs: &[NewJob], attributes: &mut Vec<Attribute>) {
    let batch = |job: &NewJob| job.metadata.get(METADATA_BATCH).cloned();
    let first = jobs.first().and_then(batch);
    if first.is_some()
        && jobs
            .iter()
            .all(|job| job.metadata.get(METADATA_BATCH) == first.as_ref())
    {
        optional(key::BATCH, &first, attributes);
    }
}

/// What all jobs of a call are searched by, so that they are found before their first attempt.
fn shared(first: &NewJob, jobs: &[NewJob], attributes: &mut Vec<Attribute>) {
    let tags = first.tags.iter();
    let tags = tags.filter(|tag| jobs.iter().all(|job| job.tags.contains(tag)));
    let is_shared = |(key, value): &(&String, &String)| {
        let same = |job: &NewJob| job.metadata.get(*key) == Some(*value);
        jobs.iter().all(same)
    };
    let metadata = first.metadata.iter().filter(is_shared);
    searchable(tags, metadata, attributes);
}

fn one_job(job: &NewJob, attributes: &mut Vec<Attribute>) {
    attributes.push(Attribute::new(key::JOB_ID, job.id.as_str().to_owned()));
    let priority = u32::from(job.priority.get());
    attributes.push(Attribute::new(key::PRIORITY, priority));
    attributes.push(Attribute::new(key::BODY_SIZE, job.args.len()));
    optional(key::CORRELATION_ID, &job.correlation_id, attributes);
    optional(
        key::PARENT_CORRELATION_ID,
        &job.parent_correlation_id,
        attributes,
    );
    optional(key::TENANT, &job.tenant_id, attributes);
    optional(key::NAMESPACE, &job.namespace, attributes);
    of_metadata(&job.metadata, attributes);
    if let Some(unique) = &job.unique_key {
        let hash = xxh3_64(unique.key.as_bytes());
        attributes.push(Attribute::new(key::UNIQUE_KEY_HASH, format!("{hash:016x}")));
    }
}

/// The enqueue span of a job whose producer did not export it, from the stub in its envelope.
/// `None` if the job has no stub: then it was exported.
///
/// A job that was prepared for a transaction has a stub, since nobody but the worker of its first
/// attempt knows that it was committed. And a linked attempt may be sampled where its producer's
/// trace was not: then this span leaves with it, so that the link leads somewhere.
#[must_use]
pub fn enqueue_span_from_stub(job: &Job, enqueue: &SpanContext) -> Option<Span> {
    let stub = job.trace.enqueue_stub.as_ref()?;
    let mut context = enqueue.clone();
    context.flags = context.flags.with_sampled(true);
    let times = (stub.started_at, job.enqueued_at);
    let kind = SpanKind::Producer;
    let mut span = frame(name::ENQUEUE, kind, &context, stub.parent_span_id, times);
    let mut attributes = operation("enqueue", "send", 8);
    if job.trace.batch_size > 1 {
        attributes.push(Attribute::new(key::BATCH_COUNT, job.trace.batch_size));
    }
    // A sampled span with a stub is that of a prepared job, which shares it with no other.
    if job.trace.batch_size > 1 && !enqueue.flags.is_sampled() {
        attributes.push(Attribute::new(key::QUEUE, job.queue.as_str().to_owned()));
    } else {
        about(job, &mut attributes);
        of_metadata(&job.metadata, &mut attributes);
        searchable(&job.tags, &job.metadata, &mut attributes);
    }
    let why = match job.metadata.contains_key(METADATA_ENDED) {
        true => "batch",
        false => "previous_firing",
    };
    span.links.extend(followed(stub).map(|to| link(to, why)));
    attributes.push(Attribute::new(key::RELATION, job.trace.relation.as_str()));
    attributes.push(Attribute::new(key::REBUILT, true));
    span.attributes = attributes;
    Some(span)
}

/// The enqueue span of the firing before, or of the members of a batch.
fn followed(stub: &EnqueueStub) -> Option<SpanContext> {
    SpanContext::from_traceparent(stub.follows.as_deref()?).ok()
}

/// Whether a span is that of a call that enqueued several jobs, made from the stub of one of them:
/// each of those that leave would bring it.
#[must_use]
pub fn is_rebuilt_batch(span: &Span) -> bool {
    span.name == name::ENQUEUE
        && span.attribute(key::REBUILT).is_some()
        && span.attribute(key::BATCH_COUNT).is_some()
}

/// The enqueue span that leaves with an attempt: with the job's first, if it is sampled and the
/// producer has not exported it. So it leaves once.
#[must_use]
pub fn first_enqueue_span(job: &Job, context: &AttemptContext) -> Option<Span> {
    let leaves = job.claim == 1 && context.is_sampled();
    let enqueue = context.enqueue.as_ref().filter(|_| leaves)?;
    enqueue_span_from_stub(job, enqueue)
}

#[cfg(test)]
mod tests {
    use longshore_core::{JobId, Kind, QueueName, SpanContext};

    use super::*;
    use crate::span::AttributeValue;

    fn job(id: &str, tags: &[&str], metadata: &[(&str, &str)]) -> NewJob {
        let (queue, kind) = (QueueName::lossy("orders"), Kind::lossy("order"));
        let mut new = NewJob::new(JobId::lossy(id), queue, kind, "");
        new.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        for (key, value) in metadata {
            new.metadata.insert((*key).to_owned(), (*value).to_owned());
        }
        new
    }

    /// What a call that enqueues these jobs is searched by.
    fn searched_by(jobs: &[NewJob]) -> Vec<(String, AttributeValue)> {
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let facts = EnqueueFacts {
            jobs,
            context: &SpanContext::from_traceparent(traceparent).unwrap(),
            parent: None,
            parent_is_remote: false,
            started_at: Timestamp::UNIX_EPOCH,
        };
        let span = enqueue_span(&facts).unwrap();
        let attributes = span.attributes.into_iter();
        attributes
            .filter(|one| one.key == key::TAGS || one.key.contains(".meta."))
            .map(|one| (one.key.into_owned(), one.value))
            .collect()
    }

    #[test]
    fn a_job_is_found_by_what_it_is_searched_by_before_its_first_attempt() {
        let order = ("order", "17");
        let tags = |tag: &'static str| {
            (
                key::TAGS.to_owned(),
                AttributeValue::Strings(vec![tag.into()]),
            )
        };
        let pair = |name: &str, value: &'static str| {
            let key = format!("longshore.job.meta.{name}");
            (key, AttributeValue::String(value.into()))
        };
        let one = job("1", &["vip"], &[order, (METADATA_BATCH, "b")]);
        assert_eq!(
            searched_by(std::slice::from_ref(&one)),
            [tags("vip"), pair("order", "17")]
        );
        let other = job("2", &["vip", "late"], &[order, ("part", "2")]);
        assert_eq!(
            searched_by(&[one, other]),
            [tags("vip"), pair("order", "17")]
        );
        let differ = [
            job("1", &["vip"], &[order]),
            job("2", &[], &[("order", "18")]),
        ];
        assert_eq!(searched_by(&differ), []);
    }
}
