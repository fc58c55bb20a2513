//! Every row of a store once all is over, and what must be true of each whatever went wrong.

use std::collections::{BTreeMap, HashMap};

use longshore::{AttemptOutcome, Job, JobFilter, JobId, JobState, SpanBuffer, Store};
use longshore_core::SpanId;
use longshore_core::id::SpanPart;
use longshore_instrument::Span;
use longshore_instrument::table::key;

/// Every row, whole.
pub(crate) async fn all(store: &dyn Store) -> BTreeMap<JobId, Job> {
    let mut rows = BTreeMap::new();
    let mut cursor = None;
    loop {
        let filter = JobFilter::default();
        let page = store.list(&filter, cursor.as_deref(), 100).await.unwrap();
        for job in page.jobs {
            let row = store.get(&job.id).await.unwrap().unwrap();
            let twice = rows.insert(job.id, row);
            assert_eq!(twice, None, "a job is listed twice");
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return rows;
        }
    }
}

/// The counts of the store are those of its rows.
pub(crate) async fn are_counted(rows: &BTreeMap<JobId, Job>, store: &dyn Store) {
    for mut stats in store.queue_stats().await.unwrap() {
        for state in JobState::ALL {
            let is_it = |job: &&Job| job.queue == stats.queue && job.state == state;
            let count = rows.values().filter(is_it).count() as u64;
            assert_eq!(*stats.count_mut(state), count, "{state} jobs");
        }
    }
}

/// A job that is over has the history of what happened, once.
pub(crate) fn is_over(job: &Job) {
    let id = &job.id;
    assert!(job.state.is_final(), "{id} is {}", job.state);
    assert!(job.attempt <= job.max_attempts, "{id} was tried too often");
    let claims: Vec<u32> = job.history.iter().map(|record| record.claim).collect();
    let expected: Vec<u32> = (1..=job.claim).collect();
    assert_eq!(claims, expected, "the claims of {id}");
    for record in &job.history {
        let class = record.error.as_ref().map(|error| error.class.as_ref());
        assert_ne!(class, Some("panic"), "{id}: {:?}", record.error);
    }
    let ends = |outcome| job.history.iter().filter(move |one| one.outcome == outcome);
    let completions = ends(AttemptOutcome::Completed).count();
    let expected = usize::from(job.state == JobState::Completed);
    assert_eq!(completions, expected, "{id} completed");
    if ends(AttemptOutcome::Lost).next().is_some() {
        let keep = &job.trace.keep;
        assert!(keep.is_some(), "the trace of {id} must be kept");
    }
}

/// Jobs that were enqueued with the success of this one.
pub(crate) fn follow_ups(job: &Job, rows: &BTreeMap<JobId, Job>) -> usize {
    let correlation = Some(job.correlation_id.as_str());
    let is_child = |other: &&Job| other.parent_correlation_id.as_deref() == correlation;
    rows.values().filter(is_child).count()
}

/// How often each span was recorded. What is written of lost attempts is written again by whoever
/// cannot know of it; the same counts once.
pub(crate) fn span_counts(spans: &SpanBuffer) -> HashMap<SpanId, usize> {
    let mut counts = HashMap::new();
    for span in once(spans.spans()) {
        *counts.entry(span.span_id).or_default() += 1;
    }
    counts
}

/// Without what was written again of lost attempts, and is the same.
pub(crate) fn once(spans: Vec<Span>) -> Vec<Span> {
    let mut rebuilt: HashMap<SpanId, Vec<Span>> = HashMap::new();
    let mut is_new = |span: &Span| {
        let same = rebuilt.entry(span.span_id).or_default();
        let is_known = same.contains(span);
        same.push(span.clone());
        !is_known
    };
    let is_rebuilt = |span: &Span| span.attribute(key::REBUILT).is_some();
    let spans = spans.into_iter();
    spans
        .filter(|span| !is_rebuilt(span) || is_new(span))
        .collect()
}

/// The span of the attempt of a claim.
pub(crate) fn attempt_span(job: &Job, claim: u32) -> SpanId {
    job.id.derive_span_id(claim, SpanPart::Process)
}
