//! User spans beneath jobs that the head sampler did not choose: held until it is known whether
//! the job is kept.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::{SpanId, TraceId};
use longshore_instrument::{AttributeValue, Span, relation};

use super::outside::Lent;
use crate::counters::{DropReason, Tally};
use crate::span_map::SpanMap;

/// How long spans that end after the decision still follow it.
const FOLLOWED_FOR: Duration = Duration::from_secs(60);
/// Locks that share the work among threads.
const SHARDS: usize = 16;
/// Ended attempts between two looks for what is to be forgotten.
const FORGET_EVERY: usize = 1024;

/// How much is held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Most spans beneath one attempt.
    pub(crate) spans: usize,
    /// Most bytes of all that is held, roughly.
    pub(crate) bytes: usize,
}

/// What is done with a span that is about to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beneath {
    /// Beneath no job, or one that is not kept: nobody needs it.
    Nothing,
    /// Beneath a job: to be recorded.
    Job,
}

/// The spans beneath running jobs, found by the id of the handler's span, and of every span under
/// it. Ids travel with a context wherever user code takes it, so nothing else has to.
#[derive(Debug)]
pub(crate) struct JobSpans {
    pub(super) handlers: [Mutex<SpanMap<Held>>; SHARDS],
    /// From the id of an open span to the id of the handler it is beneath.
    pub(super) children: [Mutex<SpanMap<SpanId>>; SHARDS],
    /// Whose contexts programs have.
    pub(super) lent: Mutex<Lent>,
    pub(super) bounds: Bounds,
    /// Handlers that are known: most processes that start spans run no job at all.
    known: AtomicUsize,
    bytes: AtomicUsize,
    ended: AtomicUsize,
    pub(super) tally: Arc<Tally>,
}

/// What is known of one attempt.
#[derive(Debug, Default)]
pub(super) struct Held {
    spans: Vec<Span>,
    bytes: usize,
    /// Spans that have started and not ended.
    open: Vec<SpanId>,
    pub(super) started: usize,
    pub(super) decided: Option<Decided>,
    /// The trace in which its context was lent.
    pub(super) lent: Option<TraceId>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Decided {
    pub(super) kept: bool,
    at: Duration,
}

impl JobSpans {
    pub(crate) fn new(bounds: Bounds, tally: Arc<Tally>) -> Self {
        Self {
            handlers: Default::default(),
            children: Default::default(),
            lent: Mutex::default(),
            bounds,
            known: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            tally,
        }
    }

    /// A handler starts to run under this span id.
    pub(crate) fn begin(&self, handler: SpanId) {
        let before = lock(&self.handlers, handler).insert(handler, Held::default());
        if before.is_none() {
            self.known.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a span that starts under `parent` is beneath a job whose trace is, or may be, kept.
    pub(crate) fn above(&self, parent: SpanId) -> Beneath {
        match self.handler_of(parent) {
            Some(_handler) => Beneath::Job,
            None => Beneath::Nothing,
        }
    }

    /// Whether no attempt is known.
    pub(super) fn runs_none(&self) -> bool {
        self.known.load(Ordering::Relaxed) == 0
    }

    fn handler_of(&self, parent: SpanId) -> Option<SpanId> {
        if self.runs_none() {
            return None;
        }
        let child = lock(&self.children, parent).get(&parent).copied();
        let handler = child.unwrap_or(parent);
        let held = lock(&self.handlers, handler);
        let held = held.get(&handler)?;
        let open = held.decided.is_none_or(|decided| decided.kept);
        open.then_some(handler)
    }

    /// A span has started under `parent`. False if it is beneath no job or beyond the bounds; it
    /// will not be asked for then.
    pub(crate) fn started(&self, span: SpanId, parent: SpanId) -> bool {
        let Some(handler) = self.handler_of(parent) else {
            return false;
        };
        {
            let mut handlers = lock(&self.handlers, handler);
            let Some(held) = handlers.get_mut(&handler) else {
                return false;
            };
            if held.started >= self.bounds.spans {
                drop(handlers);
                self.tally.created_by_application(1);
                self.tally.dropped(DropReason::TraceFull, 1);
                return false;
            }
            held.started += 1;
            held.open.push(span);
        }
        lock(&self.children, span).insert(span, handler);
        true
    }

    /// A span has ended. Given back if its job is kept already, so that it leaves at once.
    pub(crate) fn ended(&self, span: Span) -> Option<Span> {
        let handler = lock(&self.children, span.span_id).remove(&span.span_id)?;
        let mut handlers = lock(&self.handlers, handler);
        let held = handlers.get_mut(&handler)?;
        held.open.retain(|open| *open != span.span_id);
        match held.decided {
            Some(decided) => decided.kept.then(|| as_kept(span)),
            None => {
                // What does not fit is counted.
                let _held = self.hold(held, span);
                None
            }
        }
    }

    pub(super) fn hold(&self, held: &mut Held, span: Span) -> Result<(), DropReason> {
        let bytes = approximate_bytes(&span);
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.bounds.bytes {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.tally.created(std::slice::from_ref(&span));
            self.tally.dropped(DropReason::BufferFull, 1);
            return Err(DropReason::BufferFull);
        }
        held.bytes += bytes;
        held.spans.push(span);
        Ok(())
    }

    /// The handler has ended and it is decided whether its job is kept. Gives back what was held
    /// of a kept one; what ends within the next minute follows the decision.
    pub(crate) fn decide(&self, handler: SpanId, kept: bool, now: Duration) -> Vec<Span> {
        let spans = {
            let mut handlers = lock(&self.handlers, handler);
            let Some(held) = handlers.get_mut(&handler) else {
                return Vec::new();
            };
            held.decided = Some(Decided { kept, at: now });
            self.bytes.fetch_sub(held.bytes, Ordering::Relaxed);
            held.bytes = 0;
            let spans = std::mem::take(&mut held.spans);
            if !kept && held.open.is_empty() && held.lent.is_none() {
                handlers.remove(&handler);
                self.known.fetch_sub(1, Ordering::Relaxed);
            }
            spans
        };
        let ended = self.ended.fetch_add(1, Ordering::Relaxed);
        if ended.is_multiple_of(FORGET_EVERY) {
            self.forget(now);
        }
        if kept {
            spans.into_iter().map(as_kept).collect()
        } else {
            Vec::new()
        }
    }

    /// The handler is gone and nobody decided: nothing of it is kept.
    pub(crate) fn give_up(&self, handler: SpanId, now: Duration) {
        let undecided = lock(&self.handlers, handler)
            .get(&handler)
            .is_some_and(|held| held.decided.is_none());
        if undecided {
            self.decide(handler, false, now);
        }
    }

    /// Forgets attempts that were decided more than a minute ago.
    pub(super) fn forget(&self, now: Duration) {
        let mut lent = Vec::new();
        for shard in &self.handlers {
            let mut forgotten = Vec::new();
            let mut handlers = shard.lock().unwrap_or_else(PoisonError::into_inner);
            handlers.retain(|id, held| {
                let stays = held
                    .decided
                    .is_none_or(|decided| now < decided.at + FOLLOWED_FOR);
                if !stays {
                    self.known.fetch_sub(1, Ordering::Relaxed);
                    forgotten.append(&mut held.open);
                    lent.extend(held.lent.map(|trace_id| (trace_id, *id)));
                }
                stays
            });
            drop(handlers);
            for span in forgotten {
                lock(&self.children, span).remove(&span);
            }
        }
        if !lent.is_empty() {
            self.take_back(&lent);
        }
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// The shard that an id belongs to.
pub(super) fn lock<V>(
    shards: &[Mutex<SpanMap<V>>; SHARDS],
    id: SpanId,
) -> MutexGuard<'_, SpanMap<V>> {
    let [.., last] = id.to_bytes();
    let [first, ..] = shards;
    shards
        .get(usize::from(last) % SHARDS)
        .unwrap_or(first)
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// A span that leaves by decision, not by chance.
pub(super) fn as_kept(mut span: Span) -> Span {
    span.flags = span.flags.with_sampled(true);
    span.trace_state = relation::certain(&relation::without_mark(&span.trace_state));
    span
}

/// What a span takes in memory, near enough to keep a bound.
fn approximate_bytes(span: &Span) -> usize {
    let attributes = |attributes: &[longshore_instrument::Attribute]| -> usize {
        attributes
            .iter()
            .map(|one| {
                let value = match &one.value {
                    AttributeValue::String(text) => text.len(),
                    AttributeValue::Strings(texts) => {
                        texts.iter().map(|text| text.len() + 24).sum()
                    }
                    AttributeValue::Int(_)
                    | AttributeValue::Double(_)
                    | AttributeValue::Bool(_) => 0,
                };
                size_of_val(one) + one.key.len() + value
            })
            .sum()
    };
    let events = span.events.iter();
    let events: usize = events
        .map(|event| size_of_val(event) + event.name.len() + attributes(&event.attributes))
        .sum();
    let links: usize = span
        .links
        .iter()
        .map(|link| size_of_val(link) + attributes(&link.attributes))
        .sum();
    // Of what it shares with others, its share.
    let resource = span.resource.as_ref().map_or(0, |resource| {
        let whole = size_of_val(&**resource) + attributes(&resource.attributes);
        whole.div_ceil(Arc::strong_count(resource).max(1))
    });
    let own = size_of::<Span>() + span.name.len() + attributes(&span.attributes);
    own + events + links + resource
}

#[cfg(test)]
pub(crate) mod tests {
    use std::borrow::Cow;

    use longshore_core::{Timestamp, TraceFlags, TraceState};
    use longshore_instrument::{Attribute, Dropped, Resource, SpanKind, SpanStatus};

    use super::*;

    pub(crate) const NOW: Duration = Duration::from_secs(1000);

    pub(crate) fn id(number: u64) -> SpanId {
        SpanId::from_bytes(number.to_be_bytes()).unwrap()
    }

    pub(crate) fn span(number: u64, text: &str) -> Span {
        Span {
            trace_id: TraceId::from_u128(7),
            span_id: id(number),
            parent_span_id: None,
            parent_is_remote: false,
            flags: TraceFlags::RANDOM,
            trace_state: TraceState::EMPTY,
            name: Cow::Borrowed("query"),
            kind: SpanKind::Internal,
            start: Timestamp::UNIX_EPOCH,
            end: Timestamp::UNIX_EPOCH,
            attributes: vec![Attribute::new("text", text.to_owned())],
            events: Vec::new(),
            links: Vec::new(),
            status: SpanStatus::Unset,
            scope: Cow::Borrowed("app"),
            dropped: Dropped::default(),
            resource: None,
        }
    }

    pub(crate) fn job_spans(spans: usize, bytes: usize) -> JobSpans {
        JobSpans::new(Bounds { spans, bytes }, Arc::default())
    }

    pub(crate) fn drops(spans: &JobSpans) -> u64 {
        spans.tally.snapshot().dropped_total()
    }

    #[test]
    fn what_a_span_takes_has_its_share_of_the_resource_in_it() {
        let with = |resource: Option<&Arc<Resource>>| {
            let resource = resource.cloned();
            let span = span(1, "x");
            approximate_bytes(&Span { resource, ..span })
        };
        let large = Arc::new(Resource {
            attributes: vec![Attribute::new("host", "x".repeat(4000))],
        });
        let alone = with(None);
        // The other is the one that it is taken from.
        assert!(with(Some(&large)) - alone >= 2000);
        let _others = vec![large.clone(); 98];
        assert!((40..60).contains(&(with(Some(&large)) - alone)));
    }

    #[test]
    fn spans_of_a_kept_job_come_back_sampled_for_certain() {
        let spans = job_spans(10, 1 << 20);
        spans.begin(id(1));
        assert!(spans.started(id(2), id(1)));
        assert!(spans.started(id(3), id(2)), "a span beneath a span");
        assert_eq!(spans.ended(span(3, "inner")), None);
        assert_eq!(spans.ended(span(2, "outer")), None);
        let kept = spans.decide(id(1), true, NOW);
        let ids: Vec<_> = kept.iter().map(|span| span.span_id).collect();
        assert_eq!(ids, [id(3), id(2)]);
        assert!(kept.iter().all(|span| span.flags.is_sampled()));
        assert!(
            kept.iter()
                .all(|span| span.trace_state.get("ot") == Some("th:0"))
        );
        assert_eq!(spans.bytes(), 0);
    }

    #[test]
    fn spans_of_a_job_that_is_not_kept_are_gone() {
        let spans = job_spans(10, 1 << 20);
        spans.begin(id(1));
        spans.started(id(2), id(1));
        spans.ended(span(2, "x"));
        assert!(spans.decide(id(1), false, NOW).is_empty());
        assert_eq!(spans.above(id(1)), Beneath::Nothing);
        assert_eq!((spans.bytes(), drops(&spans)), (0, 0));
        assert_eq!(spans.known.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn late_spans_follow_the_decision_for_a_minute() {
        for kept in [true, false] {
            let spans = job_spans(10, 1 << 20);
            spans.begin(id(1));
            spans.started(id(2), id(1));
            spans.started(id(3), id(1));
            spans.decide(id(1), kept, NOW);
            assert_eq!(spans.ended(span(2, "late")).is_some(), kept);
            spans.forget(NOW + FOLLOWED_FOR);
            assert_eq!(spans.ended(span(3, "too late")), None);
            assert_eq!(spans.known.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn what_is_beneath_no_job_is_left_alone() {
        let spans = job_spans(10, 1 << 20);
        assert_eq!(spans.above(id(9)), Beneath::Nothing);
        spans.begin(id(1));
        assert_eq!(spans.above(id(9)), Beneath::Nothing);
        assert!(!spans.started(id(2), id(9)));
        assert_eq!(spans.ended(span(2, "x")), None);
    }

    #[test]
    fn a_trace_has_a_bound_and_says_what_it_lost() {
        let spans = job_spans(2, 1 << 20);
        spans.begin(id(1));
        let started: Vec<bool> = (2..6).map(|nth| spans.started(id(nth), id(1))).collect();
        assert_eq!(started, [true, true, false, false]);
        assert_eq!(drops(&spans), 2);
    }

    #[test]
    fn a_process_has_a_bound_and_says_what_it_lost() {
        let spans = job_spans(1000, 4096);
        spans.begin(id(1));
        for nth in 2..12 {
            spans.started(id(nth), id(1));
            spans.ended(span(nth, &"x".repeat(1000)));
        }
        assert!(spans.bytes() <= 4096);
        let kept = spans.decide(id(1), true, NOW).len() as u64;
        assert!(kept > 0);
        assert_eq!(kept + drops(&spans), 10);
    }
}
