//! `parent`, `link` and `auto`, at sampling none, all and in between.

use std::time::Duration;

use longshore::{Attempt, JobError, JobRequest, RawArgs, RawResult, Relation, SpanBuffer};
use longshore_core::SpanContext;

use crate::world::World;

type Raw = Result<RawResult, JobError>;

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED_CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// Fails at the first attempt.
async fn second_time_lucky(_args: RawArgs, attempt: Attempt) -> Raw {
    match attempt.number() {
        1 => Err(JobError::retry("flaky", "")),
        _ => Ok(RawResult(None)),
    }
}

fn order(relation: Relation) -> JobRequest {
    JobRequest::new("orders", "place_order").relation(relation)
}

async fn run(relation: Relation, delay: Duration, caller: &str) -> World {
    let world = World::new();
    let request = order(relation).delay(delay).traceparent(caller, "", "");
    world.enqueue(request).await;
    world.drain(second_time_lucky).await;
    world
}

#[tokio::test(start_paused = true)]
async fn parent() {
    let world = run(Relation::Parent, Duration::from_secs(3600), CALLER).await;
    world.assert_tree("relation_parent");
}

#[tokio::test(start_paused = true)]
async fn link() {
    let world = run(Relation::Link, Duration::ZERO, CALLER).await;
    world.assert_tree("relation_link");
    let spans = world.spans.spans();
    let randomness: std::collections::HashSet<u64> = spans
        .iter()
        .map(|span| span.trace_id.randomness())
        .collect();
    assert_eq!(randomness.len(), 1, "a new root inherits the randomness");
}

#[tokio::test(start_paused = true)]
async fn auto_is_parent_while_young() {
    let world = run(Relation::Auto, Duration::ZERO, CALLER).await;
    world.assert_tree("relation_auto_young");
}

#[tokio::test(start_paused = true)]
async fn auto_is_link_when_old() {
    let world = run(Relation::Auto, Duration::from_secs(16 * 60), CALLER).await;
    world.assert_tree("relation_auto_old");
}

#[tokio::test(start_paused = true)]
async fn an_unsampled_caller_leaves_no_span() {
    for relation in [Relation::Parent, Relation::Link, Relation::Auto] {
        let world = run(relation, Duration::ZERO, UNSAMPLED_CALLER).await;
        assert_eq!(world.spans.spans(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn sampling_none_leaves_no_span() {
    let world = World::with_spans(SpanBuffer::default().with_threshold(1 << 56));
    world.enqueue(order(Relation::Auto)).await;
    world.drain(second_time_lucky).await;
    assert_eq!(world.spans.spans(), []);
}

/// At one half, a job leaves whole or not at all, and about half of them leave.
#[tokio::test(start_paused = true)]
async fn sampling_in_between_keeps_jobs_whole() {
    for relation in [Relation::Parent, Relation::Link] {
        let world = World::with_spans(SpanBuffer::default().with_threshold(1 << 55));
        let mut sampled = 0;
        for _ in 0..200 {
            let id = world.enqueue(order(relation)).await;
            let context = world.job(&id).await.trace.context().unwrap().unwrap();
            sampled += usize::from(context.flags.is_sampled());
        }
        world.drain(second_time_lucky).await;
        let named = |name: &str| {
            let spans = world.spans.spans();
            spans.iter().filter(|span| span.name == name).count()
        };
        assert!((70..=130).contains(&sampled), "{sampled} of 200");
        assert_eq!(named("queue.enqueue"), sampled);
        assert_eq!(named("job.process"), 2 * sampled);
        assert_eq!(named("handler.execution"), 2 * sampled);
    }
}

/// Of a large batch, the jobs are sampled one by one, and each that leaves takes the enqueue span
/// it links to with it, sampled or not.
#[tokio::test(start_paused = true)]
async fn a_large_batch_is_sampled_job_by_job() {
    let world = World::with_spans(SpanBuffer::default().with_threshold(1 << 55));
    let requests = (0..400).map(|_| order(Relation::Auto)).collect();
    world.producer().enqueue_many(requests).await.unwrap();
    world
        .drain(|_args: RawArgs, _attempt: Attempt| async { Raw::Ok(RawResult(None)) })
        .await;
    let spans = world.spans.spans();
    let enqueue = spans.iter().find(|span| span.name == "queue.enqueue");
    let attempts: Vec<_> = spans.iter().filter(|s| s.name == "job.process").collect();
    assert!((150..=250).contains(&attempts.len()), "{}", attempts.len());
    let enqueue = enqueue.unwrap().context();
    for attempt in attempts {
        assert_eq!(attempt.parent_span_id, None);
        assert_eq!(attempt.links[0].context.span_id, enqueue.span_id);
    }
}

/// The jobs of a large batch leave whole or not at all, too.
#[tokio::test(start_paused = true)]
async fn a_job_of_a_large_batch_is_kept_whole() {
    let world = World::with_spans(SpanBuffer::default().with_threshold(1 << 55));
    let requests = (0..200).map(|_| order(Relation::Auto)).collect();
    world.producer().enqueue_many(requests).await.unwrap();
    world.drain(second_time_lucky).await;
    let mut attempts = std::collections::BTreeMap::new();
    for span in world.spans.spans() {
        if span.name == "job.process" {
            let job = format!("{:?}", span.attribute("messaging.message.id").unwrap());
            *attempts.entry(job).or_insert(0) += 1;
        }
    }
    assert!((70..=130).contains(&attempts.len()), "{}", attempts.len());
    assert!(attempts.values().all(|count| *count == 2), "{attempts:?}");
}

/// An unsampled batch has one enqueue span, and so it leaves once, however many of its jobs do,
/// by chance or since they failed.
#[tokio::test(start_paused = true)]
async fn the_enqueue_span_of_an_unsampled_batch_leaves_once() {
    const MOST: u64 = (1 << 56) / 10 * 9;
    for (jobs, threshold) in [(400, MOST), (400, 1 << 56), (20, 1 << 56)] {
        let spans = SpanBuffer::default().with_threshold(threshold);
        let world = World::with_spans(spans.keeping_failures());
        let requests = (0..jobs).map(|_| order(Relation::Auto)).collect();
        world.producer().enqueue_many(requests).await.unwrap();
        assert_eq!(world.spans.spans(), [], "the batch is not sampled");
        world.drain(some_fail_once).await;
        world.assert_one_enqueue_span_each();
        let spans = world.spans.spans();
        let enqueues = spans.iter().filter(|span| span.name == "queue.enqueue");
        assert_eq!(enqueues.count(), 1);
    }
}

async fn some_fail_once(_args: RawArgs, attempt: Attempt) -> Raw {
    let id = attempt.job().id.as_str().as_bytes();
    match attempt.number() {
        1 if id.last().is_some_and(|last| last % 2 == 0) => Err(JobError::retry("flaky", "")),
        _ => Ok(RawResult(None)),
    }
}

/// What is handed in as W3C text stays within its trace, and a broken text begins a new one and
/// is counted.
#[tokio::test(start_paused = true)]
async fn an_explicit_context_is_the_parent() {
    let world = World::new();
    let request = order(Relation::Auto).traceparent(CALLER, "vendor=1", "");
    let id = world.enqueue(request).await;
    let caller = SpanContext::from_traceparent(CALLER).unwrap();
    let carried = world.job(&id).await.trace.context().unwrap().unwrap();
    assert_eq!(carried.trace_id, caller.trace_id);
    assert_eq!(carried.trace_state.as_str(), "vendor=1");

    let id = world
        .enqueue(order(Relation::Auto).traceparent("00-zz", "", ""))
        .await;
    let carried = world.job(&id).await.trace.context().unwrap().unwrap();
    assert_ne!(carried.trace_id, caller.trace_id);
    let failures = world.spans.propagation_failures();
    assert_eq!(failures.get(&("inject", "malformed")), Some(&1));
}
