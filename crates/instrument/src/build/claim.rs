//! `queue.claim`.

use longshore_core::id::SpanPart;

use super::{frame, link, operation, sibling};
use crate::facts::{ClaimFacts, FailedClaimFacts};
use crate::relation::{self, AttemptContext};
use crate::span::{Attribute, Span, SpanKind, SpanLink, SpanStatus};
use crate::table::{key, name};

/// The span of a claim request that failed: a trace of its own, since it is about no job.
#[must_use]
pub fn failed_claim_span(facts: &FailedClaimFacts<'_>) -> Span {
    let times = (facts.started_at, facts.ended_at);
    let mut span = frame(name::CLAIM, SpanKind::Client, facts.context, None, times);
    let mut attributes = operation("claim", "receive", 3);
    if let [queue] = facts.queues {
        attributes.push(Attribute::new(key::QUEUE, queue.as_str().to_owned()));
    }
    let worker = facts.worker.as_str().to_owned();
    attributes.push(Attribute::new(key::WORKER, worker));
    attributes.push(Attribute::new(key::ERROR_TYPE, facts.error_class));
    span.status = SpanStatus::Error(facts.error_class.into());
    span.attributes = attributes;
    span
}

/// Most links of one claim span.
const MAX_LINKS: usize = 128;

/// The span of a claim request. One job: in its trace, beside its attempt; several: a trace of
/// its own with a link to each that is sampled. `None` if none is.
///
/// The trace of several states a threshold only if one of the jobs leaves for certain: how likely
/// it is that any of them is sampled, no threshold says.
#[must_use]
pub fn claim_span(facts: &ClaimFacts<'_>) -> Option<Span> {
    let sampled = || {
        facts
            .claimed
            .iter()
            .filter(|(_, context)| context.is_sampled())
    };
    let (job, context) = sampled().next()?;
    let span_id = job.id.derive_span_id(job.claim, SpanPart::Claim);
    let times = (facts.started_at, facts.ended_at);
    let mut attributes = operation("claim", "receive", 3);
    attributes.push(Attribute::new(key::QUEUE, job.queue.as_str().to_owned()));
    attributes.push(Attribute::new(
        key::WORKER,
        facts.worker.as_str().to_owned(),
    ));
    attributes.push(Attribute::new(key::BATCH_COUNT, facts.claimed.len()));
    let mut span = if facts.claimed.len() == 1 {
        let own = sibling(&context.process, span_id);
        let parent = context.parent.or(Some(context.process.span_id));
        frame(name::CLAIM, SpanKind::Client, &own, parent, times)
    } else {
        let mut own = sibling(&context.process, span_id);
        own.trace_id = longshore_core::TraceId::from_u128(
            context.process.trace_id.to_u128() ^ (u128::from(span_id.to_u64()) << 64),
        );
        let leaves_for_certain =
            |context: &AttemptContext| relation::threshold(&context.process.trace_state) == Some(0);
        let is_certain = sampled().any(|(_, context)| leaves_for_certain(context));
        let stated = is_certain.then_some(0);
        own.trace_state = relation::with_threshold(&own.trace_state, stated);
        let mut span = frame(name::CLAIM, SpanKind::Client, &own, None, times);
        let links = sampled().take(MAX_LINKS);
        span.links = links
            .map(|(_, context)| link(context.process.clone(), "claimed"))
            .collect::<Vec<SpanLink>>();
        span.dropped.links =
            u32::try_from(sampled().count().saturating_sub(MAX_LINKS)).unwrap_or(u32::MAX);
        span
    };
    span.attributes = attributes;
    Some(span)
}
