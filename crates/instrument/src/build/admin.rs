//! `queue.admin`.

use longshore_core::Job;

use super::{about, frame, link, operation};
use crate::facts::{AdminFacts, AdminSubject};
use crate::span::{Attribute, Span, SpanKind};
use crate::table::{key, name};

/// The span of a call by a person or program. One about jobs is linked to the spans that enqueued
/// them.
#[must_use]
pub fn admin_span(facts: &AdminFacts<'_>) -> Span {
    let times = (facts.started_at, facts.ended_at);
    let kind = SpanKind::Client;
    let mut span = frame(name::ADMIN, kind, facts.context, facts.parent, times);
    let mut attributes = operation(facts.verb, "settle", 9);
    let what = facts.subject.as_str();
    attributes.push(Attribute::new(key::ADMIN_SUBJECT, what));
    match facts.subject {
        AdminSubject::Job(job) => one_job(job, &mut span, &mut attributes),
        AdminSubject::Jobs {
            count,
            queue,
            enqueued,
            unlinked,
        } => {
            if let Some(queue) = queue {
                attributes.push(Attribute::new(key::QUEUE, queue.as_str().to_owned()));
            }
            let jobs = usize::try_from(count).unwrap_or(usize::MAX);
            attributes.push(Attribute::new(key::BATCH_COUNT, jobs));
            let links = enqueued.iter().map(|to| link(to.clone(), "enqueue"));
            span.links.extend(links);
            span.dropped.links = u32::try_from(unlinked).unwrap_or(u32::MAX);
        }
        AdminSubject::Queue(queue) => {
            attributes.push(Attribute::new(key::QUEUE, queue.as_str().to_owned()));
        }
        AdminSubject::Kind(kind) => {
            attributes.push(Attribute::new(key::KIND, kind.as_str().to_owned()));
        }
        AdminSubject::Limits { scope, count } => {
            let scope = scope.map(ToString::to_string);
            attributes.extend(scope.map(|scope| Attribute::new(key::LIMIT_SCOPE, scope)));
            attributes.push(Attribute::new(key::ADMIN_COUNT, count));
        }
        AdminSubject::Schedules { name, count } => {
            let name = name.map(ToString::to_string);
            attributes.extend(name.map(|name| Attribute::new(key::SCHEDULE, name)));
            attributes.push(Attribute::new(key::ADMIN_COUNT, count));
        }
        AdminSubject::Firing { name, job } => {
            attributes.push(Attribute::new(key::SCHEDULE, name.to_string()));
            one_job(job, &mut span, &mut attributes);
        }
    }
    span.attributes = attributes;
    span
}

/// The job, as it is after, and the span that enqueued it.
fn one_job(job: &Job, span: &mut Span, attributes: &mut Vec<Attribute>) {
    about(job, attributes);
    let state = job.state.as_str();
    attributes.push(Attribute::new(key::JOB_STATE, state));
    let enqueue = job.trace.context().and_then(Result::ok);
    span.links.extend(enqueue.map(|to| link(to, "enqueue")));
}
