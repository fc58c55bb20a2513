//! `queue.admin`.

use super::{about, frame, link, operation};
use crate::facts::AdminFacts;
use crate::span::{Attribute, Span, SpanKind};
use crate::table::{key, name};

/// The span of a call about a job, linked to the job's enqueue span.
#[must_use]
pub fn admin_span(facts: &AdminFacts<'_>) -> Span {
    let times = (facts.started_at, facts.ended_at);
    let kind = SpanKind::Client;
    let mut span = frame(name::ADMIN, kind, facts.context, facts.parent, times);
    let mut attributes = operation(facts.verb, "settle", 8);
    about(facts.job, &mut attributes);
    let state = facts.job.state.as_str();
    attributes.push(Attribute::new(key::JOB_STATE, state));
    span.attributes = attributes;
    let enqueue = facts.job.trace.context().and_then(Result::ok);
    span.links.extend(enqueue.map(|to| link(to, "enqueue")));
    span
}
