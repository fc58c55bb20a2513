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

/// How many randomnesses there are: 56 bits of them.
const RANGE: u64 = 1 << 56;
/// Digits of a threshold or a randomness.
const DIGITS: usize = 14;
/// The member of `tracestate` by which each job of a large batch decides for itself, and by which a
/// context that was lent is known.
const OF_EACH: &str = "longshore";
/// What that member begins with in a context that was lent.
const LENT: &str = "lent:";

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
        Some(Ok(context)) => Some(consistent(context)),
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
                trace_state: without_of_each(&creation.trace_state),
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
    let stated = decision.threshold.filter(|_| decision.sampled);
    SpanContext {
        trace_id,
        span_id,
        flags: TraceFlags::RANDOM.with_sampled(decision.sampled),
        trace_state: with_threshold(&TraceState::EMPTY, stated),
    }
}

/// The same for the span that enqueues a large batch. It hands the threshold on to the jobs, which
/// decide by it each for itself, also if the batch is not sampled: were it otherwise, only jobs of
/// sampled batches would have a chance, and counts would come out too low.
#[must_use]
pub fn batch_root(trace_id: TraceId, span_id: SpanId, decision: &RootDecision) -> SpanContext {
    let context = root(trace_id, span_id, decision);
    let threshold = decision.threshold.filter(|threshold| *threshold < RANGE);
    let of_each = threshold.map(threshold_member);
    SpanContext {
        trace_state: context.trace_state.with(OF_EACH, of_each.as_deref()),
        ..context
    }
}

/// The context above an enqueue span, after a rule has had its say. A rule may only lower: a
/// parent that is not sampled stays so, and of a sampled one those stay whose randomness reaches
/// `limit` too. The higher threshold is stated, unless the parent stated none: what is not known
/// is not invented.
#[must_use]
pub fn lowered(parent: SpanContext, limit: Option<u64>) -> SpanContext {
    let mut parent = consistent(parent);
    if lender(&parent.trace_state).is_some() {
        // What was lent was not sampled.
        parent.flags = parent.flags.with_sampled(false);
    }
    parent.trace_state = without_of_each(&parent.trace_state);
    let stated = threshold(&parent.trace_state);
    let limit = limit.filter(|limit| stated.is_none_or(|stated| stated < *limit));
    let (Some(limit), true) = (limit, parent.flags.is_sampled()) else {
        return parent;
    };
    let sampled = randomness(&parent) >= limit;
    let stated = stated.filter(|_| sampled).map(|_| limit);
    SpanContext {
        flags: parent.flags.with_sampled(sampled),
        trace_state: with_threshold(&parent.trace_state, stated),
        ..parent
    }
}

/// The context without a threshold that cannot be true: one that is malformed, or that contradicts
/// the sampled flag.
#[must_use]
pub fn consistent(context: SpanContext) -> SpanContext {
    let is_true = match ot_value(&context.trace_state, "th:").map(hexadecimal) {
        None => true,
        Some(None) => false,
        Some(Some(_)) => threshold(&context.trace_state).is_some_and(|threshold| {
            (randomness(&context) >= threshold) == context.flags.is_sampled()
        }),
    };
    if is_true {
        return context;
    }
    SpanContext {
        trace_state: with_threshold(&context.trace_state, None),
        ..context
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
/// randomness: both traces are kept or dropped together by whoever decides later, so the link does
/// not dangle.
///
/// The jobs of a large batch have randomness of their own, or a sampler further on would keep all
/// of them or none. If the batch began its trace, each decides for itself; beneath a parent they
/// follow it, and their randomness lies where the parent's threshold says that it does.
fn linked_root(job: &Job, creation: &SpanContext, claim: u32, span_id: SpanId) -> SpanContext {
    let stated = threshold(&creation.trace_state);
    let sampled = creation.flags.is_sampled();
    let own = || job.id.derive_trace_id(0, None).randomness();
    let of_each = creation.trace_state.get(OF_EACH).and_then(read_threshold);
    let (randomness, threshold, sampled) = match of_each {
        _ if job.trace.batch_size <= AUTO_PARENT_MAX_BATCH => {
            (randomness(creation), stated, sampled)
        }
        Some(of_each) => (own(), Some(of_each), own() >= of_each),
        None => (above(stated.unwrap_or(0), own()), stated, sampled),
    };
    let stated = threshold.filter(|_| sampled);
    SpanContext {
        trace_id: job.id.derive_trace_id(claim, Some(randomness)),
        span_id,
        flags: TraceFlags::RANDOM.with_sampled(sampled),
        trace_state: with_threshold(&TraceState::EMPTY, stated),
    }
}

/// The context of a handler's span as it is handed to a program that makes spans only if it is
/// sampled, while it is not known yet whether the job is. Its `tracestate` says so, and whom to ask:
/// spans and jobs made with it are no more sampled than the job is.
#[must_use]
pub fn lent(handler: &SpanContext) -> SpanContext {
    let mark = format!("{LENT}{}", handler.span_id);
    SpanContext {
        flags: handler.flags.with_sampled(true),
        trace_state: handler.trace_state.with(OF_EACH, Some(&mark)),
        ..handler.clone()
    }
}

/// The handler's span whose context was lent, if this `tracestate` is that of a lent context.
#[must_use]
pub fn lender(state: &TraceState) -> Option<SpanId> {
    SpanId::from_hex(state.get(OF_EACH)?.strip_prefix(LENT)?)
}

/// Whether the text of a `tracestate` is that of a lent context.
#[must_use]
pub fn is_lent(state: &str) -> bool {
    // Most have none, and are not worth to be read.
    state.contains(LENT) && lender(&TraceState::parse(state).0).is_some()
}

/// The `tracestate` without the mark of a lent context.
#[must_use]
pub fn without_mark(state: &TraceState) -> TraceState {
    match lender(state) {
        None => state.clone(),
        Some(_) => state.with(OF_EACH, None),
    }
}

/// What is meant for the jobs of one batch goes no further than to them.
fn without_of_each(state: &TraceState) -> TraceState {
    match state.get(OF_EACH) {
        None => state.clone(),
        Some(_) => state.with(OF_EACH, None),
    }
}

/// Randomness spread evenly over what reaches a threshold.
fn above(threshold: u64, randomness: u64) -> u64 {
    let reaches = u128::from(RANGE.saturating_sub(threshold));
    let spread = (u128::from(randomness) * reaches) >> 56;
    threshold + u64::try_from(spread).unwrap_or_default()
}

/// The randomness of a trace: the `rv` that its `tracestate` states, else the id's low 56 bits.
#[must_use]
pub fn randomness(context: &SpanContext) -> u64 {
    ot_value(&context.trace_state, "rv:")
        .filter(|value| value.len() == DIGITS)
        .and_then(hexadecimal)
        .unwrap_or_else(|| context.trace_id.randomness())
}

/// The rejection threshold that a `tracestate` states (OTEP 235), as a 56-bit number.
#[must_use]
pub fn threshold(state: &TraceState) -> Option<u64> {
    padded(ot_value(state, "th:")?)
}

/// The threshold of a member such as `th:fd70a`.
fn read_threshold(member: &str) -> Option<u64> {
    padded(member.strip_prefix("th:")?)
}

/// The number that the first digits of a threshold stand for.
fn padded(digits: &str) -> Option<u64> {
    let value = hexadecimal(digits)?;
    Some(value << (4 * (DIGITS - digits.len())))
}

/// One to fourteen digits, in lower case as the specification demands.
fn hexadecimal(digits: &str) -> Option<u64> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if digits.len() > DIGITS || !digits.bytes().all(is_digit) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

/// The `tracestate` of a trace that is kept by decision: its threshold becomes the one that rejects
/// nothing, `th:0`, so that it counts once and is not extrapolated; all else stays.
#[must_use]
pub fn certain(state: &TraceState) -> TraceState {
    with_threshold(state, Some(0))
}

/// The `tracestate` with this threshold, or none; all else stays.
pub(crate) fn with_threshold(state: &TraceState, threshold: Option<u64>) -> TraceState {
    let stated = threshold.map(threshold_member);
    let before = state.get("ot").unwrap_or_default();
    let others = before
        .split(';')
        .filter(|part| !part.is_empty() && !part.starts_with("th:"));
    let parts: Vec<&str> = stated.as_deref().into_iter().chain(others).collect();
    if parts.is_empty() && before.is_empty() {
        return state.clone();
    }
    state.with("ot", Some(&*parts.join(";")).filter(|ot| !ot.is_empty()))
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
    let trace_id = match by_head(job, record, span_id) {
        Some(context) => context.trace_id,
        None => job.id.derive_trace_id(record.claim, None),
    };
    Some((trace_id, span_id))
}

/// The context of an earlier attempt as the producer's sampler had it; `None` if the job came
/// without one.
fn by_head(job: &Job, record: &AttemptRecord, span_id: SpanId) -> Option<SpanContext> {
    let creation = consistent(job.trace.context()?.ok()?);
    Some(if is_child(job, record.claimed_at) {
        creation
    } else {
        linked_root(job, &creation, record.claim, span_id)
    })
}

fn previous_attempt(job: &Job) -> Option<SpanContext> {
    let record = job.last_attempt()?;
    let (trace_id, span_id) = attempt_span(job, record)?;
    let context = by_head(job, record, span_id);
    let sampled = context.is_some_and(|context| context.flags.is_sampled());
    let flags = TraceFlags::default().with_sampled(sampled);
    Some(SpanContext::new(trace_id, span_id, flags))
}

#[cfg(test)]
mod tests;
