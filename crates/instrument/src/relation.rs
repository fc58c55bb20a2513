//! How an attempt's trace relates to its producer's: the policy, as a pure decision.

use std::time::Duration;

use longshore_core::id::SpanPart;
use longshore_core::trace_context::InvalidTraceparent;
use longshore_core::{
    AttemptOutcome, AttemptRecord, Job, Relation, SpanContext, SpanId, Timestamp, TraceFlags,
    TraceId, TraceState,
};

use crate::recorder::{PropagationFailure, RootDecision};

/// Under `auto`, a job at least this old at its claim starts a trace of its own.
pub const AUTO_PARENT_MAX_AGE: Duration = Duration::from_secs(15 * 60);
/// Under `auto`, a job of a larger batch starts a trace of its own.
pub const AUTO_PARENT_MAX_BATCH: u32 = 100;

/// Where an attempt stands among traces.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptContext {
    /// The context of `job.process`.
    pub process: SpanContext,
    /// The enqueue span, if the attempt is its child.
    pub parent: Option<SpanId>,
    /// The enqueue span, which every attempt links to if it is known.
    pub enqueue: Option<SpanContext>,
    /// The `job.process` of the attempt before, which every retry links to.
    pub previous: Option<SpanContext>,
}

impl AttemptContext {
    /// Whether the attempt's spans leave.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.process.flags.is_sampled()
    }

    /// From now on the attempt's spans leave for certain, whatever the sampler said.
    pub fn keep(&mut self) {
        self.process.flags = self.process.flags.with_sampled(true);
        self.process.trace_state = certain(&self.process.trace_state);
    }
}

/// Decides the context of the attempt that the job's current claim began.
///
/// `decide_root` answers for a trace that has no context to inherit from; `failed` is told why a
/// job's context could not be carried on. A job that is to be kept is sampled in any case.
pub fn attempt_context(
    job: &Job,
    claimed_at: Timestamp,
    decide_root: impl FnOnce(TraceId) -> RootDecision,
    failed: impl FnOnce(PropagationFailure),
) -> AttemptContext {
    let mut context = by_creation(job, claimed_at, decide_root, failed);
    if job.trace.keep.is_some() {
        context.keep();
    }
    context
}

/// The context as the sampler of the producer, or of this worker, has it.
fn by_creation(
    job: &Job,
    claimed_at: Timestamp,
    decide_root: impl FnOnce(TraceId) -> RootDecision,
    failed: impl FnOnce(PropagationFailure),
) -> AttemptContext {
    let creation = match job.trace.context() {
        Some(Ok(context)) => Some(context),
        Some(Err(error)) => {
            failed(extract_failure(error));
            None
        }
        None => {
            failed(PropagationFailure {
                direction: "extract",
                reason: "missing",
            });
            None
        }
    };
    let previous = previous_attempt(job);
    let span_id = job.id.derive_span_id(job.claim, SpanPart::Process);
    let Some(creation) = creation else {
        let trace_id = job.id.derive_trace_id(job.claim, None);
        let decision = decide_root(trace_id);
        return AttemptContext {
            process: root(trace_id, span_id, &decision),
            parent: None,
            enqueue: None,
            previous,
        };
    };
    if is_child(job, claimed_at) {
        return AttemptContext {
            process: SpanContext {
                span_id,
                ..creation.clone()
            },
            parent: Some(creation.span_id),
            enqueue: Some(creation),
            previous,
        };
    }
    AttemptContext {
        process: linked_root(job, &creation, job.claim, span_id),
        parent: None,
        enqueue: Some(creation),
        previous,
    }
}

fn extract_failure(error: InvalidTraceparent) -> PropagationFailure {
    PropagationFailure {
        direction: "extract",
        reason: error.reason(),
    }
}

/// A new root's context from a sampler's decision.
#[must_use]
pub fn root(trace_id: TraceId, span_id: SpanId, decision: &RootDecision) -> SpanContext {
    SpanContext {
        trace_id,
        span_id,
        flags: TraceFlags::RANDOM.with_sampled(decision.sampled),
        trace_state: TraceState::EMPTY.with("ot", decision.ot.as_deref()),
    }
}

fn is_child(job: &Job, claimed_at: Timestamp) -> bool {
    match job.trace.relation {
        Relation::Parent => true,
        Relation::Link => false,
        Relation::Auto => {
            claimed_at.since(job.enqueued_at) < AUTO_PARENT_MAX_AGE
                && job.trace.batch_size <= AUTO_PARENT_MAX_BATCH
        }
    }
}

/// A new root that inherits the creation context's threshold and, but for large batches, its
/// randomness: both traces are kept or dropped together, so the link does not dangle. In a large
/// batch each job's randomness comes from its id, or all of the batch would be kept or none.
fn linked_root(job: &Job, creation: &SpanContext, claim: u32, span_id: SpanId) -> SpanContext {
    let large = job.trace.batch_size > AUTO_PARENT_MAX_BATCH;
    let of_the_job = || job.id.derive_trace_id(0, None).randomness();
    let inherited = if large {
        of_the_job()
    } else {
        randomness(creation)
    };
    let trace_id = job.id.derive_trace_id(claim, Some(inherited));
    let threshold = threshold(&creation.trace_state);
    let sampled = match threshold {
        Some(threshold) if large => trace_id.randomness() >= threshold,
        _ => creation.flags.is_sampled(),
    };
    linked_to(creation, trace_id, span_id, sampled)
}

/// A new root that inherits the creation context's threshold.
pub(crate) fn linked_to(
    creation: &SpanContext,
    trace_id: TraceId,
    span_id: SpanId,
    sampled: bool,
) -> SpanContext {
    let ot = creation
        .trace_state
        .get("ot")
        .and_then(|ot| ot.split(';').find(|part| part.starts_with("th:")));
    SpanContext {
        trace_id,
        span_id,
        flags: TraceFlags::RANDOM.with_sampled(sampled),
        trace_state: TraceState::EMPTY.with("ot", ot),
    }
}

/// The randomness of a trace: the `rv` that its `tracestate` states, else the id's low 56 bits.
#[must_use]
pub fn randomness(context: &SpanContext) -> u64 {
    ot_value(&context.trace_state, "rv:")
        .filter(|value| value.len() == 14)
        .and_then(|value| u64::from_str_radix(value, 16).ok())
        .unwrap_or_else(|| context.trace_id.randomness())
}

/// The rejection threshold that a `tracestate` states (OTEP 235), as a 56-bit number.
#[must_use]
pub fn threshold(state: &TraceState) -> Option<u64> {
    let digits = ot_value(state, "th:")?;
    if digits.is_empty() || digits.len() > 14 {
        return None;
    }
    let value = u64::from_str_radix(digits, 16).ok()?;
    let missing = 4 * (14 - digits.len());
    Some(value << missing)
}

/// The `tracestate` of a trace that is kept by decision: its threshold becomes the one that rejects
/// nothing, `th:0`, so that it counts once and is not extrapolated; all else stays.
#[must_use]
pub fn certain(state: &TraceState) -> TraceState {
    let before = state.get("ot").unwrap_or_default();
    let others = before
        .split(';')
        .filter(|part| !part.is_empty() && !part.starts_with("th:"));
    let parts: Vec<&str> = ["th:0"].into_iter().chain(others).collect();
    state.with("ot", Some(&parts.join(";")))
}

/// The `ot` member that states a rejection threshold: 56 bits in hexadecimal, trailing zeros cut.
#[must_use]
pub fn threshold_member(threshold: u64) -> String {
    let digits = format!("{threshold:014x}");
    let cut = digits.trim_end_matches('0');
    format!("th:{}", if cut.is_empty() { "0" } else { cut })
}

fn ot_value<'a>(state: &'a TraceState, prefix: &str) -> Option<&'a str> {
    state
        .get("ot")?
        .split(';')
        .find_map(|part| part.strip_prefix(prefix))
}

/// The trace and `job.process` span of an ended attempt. A lost attempt's worker had no chance to
/// write them down; they are derived as that worker derived them.
#[must_use]
pub fn attempt_span(job: &Job, record: &AttemptRecord) -> Option<(TraceId, SpanId)> {
    if let (Some(trace_id), Some(span_id)) = (record.trace_id, record.span_id) {
        return Some((trace_id, span_id));
    }
    if record.outcome != AttemptOutcome::Lost {
        return None;
    }
    let span_id = job.id.derive_span_id(record.claim, SpanPart::Process);
    let trace_id = match job.trace.context().and_then(Result::ok) {
        None => job.id.derive_trace_id(record.claim, None),
        Some(creation) if is_child(job, record.claimed_at) => creation.trace_id,
        Some(creation) => linked_root(job, &creation, record.claim, span_id).trace_id,
    };
    Some((trace_id, span_id))
}

fn previous_attempt(job: &Job) -> Option<SpanContext> {
    let (trace_id, span_id) = attempt_span(job, job.last_attempt()?)?;
    let creation = job.trace.context().and_then(Result::ok);
    let sampled = creation.is_some_and(|context| context.flags.is_sampled());
    let flags = TraceFlags::default().with_sampled(sampled);
    Some(SpanContext::new(trace_id, span_id, flags))
}
