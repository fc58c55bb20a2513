//! What the calls and attempts of a job hand on to the spans that are made of them later, by others
//! or somewhere else: each fact must arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use longshore::instrument::Span;
use longshore::{
    Attempt, Batch, ErrorKind, JobError, JobRequest, JobState, Producer, RawArgs, RawResult,
    RetryPolicy, SpanBuffer, Worker,
};
use longshore_core::{NewJob, SpanContext};
use longshore_instrument::table::{key, name};
use longshore_instrument::{
    AttributeValue, HandlerScope, HandlerStart, PropagationFailure, Recorder, RootDecision,
    RootRequest,
};
use longshore_testkit::way::Around;
use tokio::time::sleep;

use crate::settles::LateSettles;
use crate::world::{World, order, succeed};

type Raw = Result<RawResult, JobError>;

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203332-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn from(caller: &str) -> JobRequest {
    order().traceparent(caller, "", "")
}

fn context(caller: &str) -> SpanContext {
    SpanContext::from_traceparent(caller).unwrap()
}

fn named(world: &World, name: &str) -> Vec<Span> {
    let mut spans = world.spans.spans();
    spans.retain(|span| span.name == name);
    spans.sort_by_key(|span| span.start);
    spans
}

fn seconds(seconds: f64) -> AttributeValue {
    AttributeValue::Double(seconds)
}

/// A trace is not to grow by hundreds of attempts: those of a large call have their own.
#[tokio::test(start_paused = true)]
async fn of_a_large_call_how_large_it_is() {
    let many = || (0..101).map(|_| from(CALLER)).collect();
    for is_prepared in [false, true] {
        let world = World::new();
        if is_prepared {
            let jobs: Vec<NewJob> = world.producer().prepare(many()).unwrap();
            world.store.enqueue(jobs).await.unwrap();
        } else {
            world.producer().enqueue_many(many()).await.unwrap();
        }
        world.drain(succeed).await;
        let attempts = named(&world, name::PROCESS);
        let traces: BTreeSet<_> = attempts.iter().map(|span| span.trace_id).collect();
        assert_eq!(traces.len(), 101, "prepared: {is_prepared}");
        assert!(!traces.contains(&context(CALLER).trace_id));
    }
}

/// A span that another process may have written is told from one of this process.
#[tokio::test(start_paused = true)]
async fn whether_the_caller_is_elsewhere() {
    let world = World::new();
    let producer = world.producer();
    producer.enqueue(from(CALLER)).await.unwrap();
    let batch = Batch::new([from(CALLER)]).id("b");
    producer.enqueue_batch(batch).await.unwrap();
    world
        .drain(|_args: RawArgs, attempt: Attempt| async move {
            if attempt.job().kind.as_str() == "place_order" {
                attempt.enqueue_on_success(JobRequest::new("orders", "receipt"))?;
            }
            Raw::Ok(RawResult(None))
        })
        .await;
    let calls = named(&world, name::ENQUEUE);
    assert_eq!(calls.len(), 4);
    assert!(calls.iter().all(|call| call.parent_is_remote), "{calls:?}");
    let here = SpanBuffer::default().with_current(context(CALLER));
    let world = World::with_spans(here);
    world.enqueue(order()).await;
    let batch = Batch::new([order()]).id("b");
    world.producer().enqueue_batch(batch).await.unwrap();
    let calls = named(&world, name::ENQUEUE);
    assert_eq!(calls.len(), 2);
    for call in calls {
        assert_eq!(call.parent_span_id, Some(context(CALLER).span_id));
        assert!(!call.parent_is_remote, "{call:?}");
    }
}

/// A member that was there already is no new job, and a batch that is refused says why.
#[tokio::test(start_paused = true)]
async fn of_the_members_of_a_batch_what_became_of_them() {
    let world = World::new();
    world.enqueue(order().id("there")).await;
    let members = [order().id("there"), order()];
    let batch = Batch::new(members).id("b");
    world.producer().enqueue_batch(batch).await.unwrap();
    world.assert_tree("batch_hit");
    let world = World::new();
    world.limit(r#"{"length":1}"#).await;
    let batch = Batch::new([order(), order()]).id("b");
    let refused = world.producer().enqueue_batch(batch).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Limited);
    world.assert_tree("batch_refused");
}

#[tokio::test(start_paused = true)]
async fn of_a_batch_where_its_first_member_comes_from() {
    let world = World::new();
    let batch = Batch::new([from(CALLER), from(OTHER)]).id("b");
    world.producer().enqueue_batch(batch).await.unwrap();
    let calls = named(&world, name::ENQUEUE);
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].parent_span_id, Some(context(CALLER).span_id));
    assert_eq!(calls[0].trace_id, context(CALLER).trace_id);
}

/// The span that a job carries is told to who enqueues it, also where it is only passed on.
#[tokio::test(start_paused = true)]
async fn of_a_call_which_span_its_jobs_carry() {
    let world = World::new();
    let producer = world.producer();
    let sent = producer.enqueue_with_spans(vec![order()]);
    let sent = sent.await.unwrap().remove(0).unwrap();
    let calls = named(&world, name::ENQUEUE);
    assert_eq!(sent.span, Some(calls[0].context()));
    let without = Producer::new(world.store.clone());
    let sent = without.enqueue_with_spans(vec![from(CALLER)]);
    let sent = sent.await.unwrap().remove(0).unwrap();
    assert_eq!(sent.span, Some(context(CALLER)));
    let job = world.job(sent.enqueued.id()).await;
    assert_eq!(job.trace.traceparent.as_deref(), Some(CALLER));
}

/// A worker without telemetry hands on the span that its job came with.
#[tokio::test(start_paused = true)]
async fn of_a_job_its_span_where_nobody_makes_another() {
    let world = World::new();
    let without = Producer::new(world.store.clone());
    without.enqueue(from(CALLER)).await.unwrap();
    let (clock, random) = world.clock();
    let worker = Worker::builder(world.store.clone())
        .queue("orders")
        .clock(clock, random)
        .drain(true)
        .fallback(|_args: RawArgs, attempt: Attempt| async move {
            assert_eq!(attempt.context(), Some(&context(CALLER)));
            let mut headers = BTreeMap::new();
            attempt.inject(|name, value| {
                headers.insert(name.to_owned(), value.to_owned());
            });
            assert_eq!(headers.get("traceparent").unwrap(), CALLER);
            Raw::Ok(RawResult(None))
        });
    let report = worker.build().unwrap().run(std::future::pending()).await;
    assert_eq!(report.unwrap().completed, 1);
}

/// A child knows whose it is.
#[tokio::test(start_paused = true)]
async fn of_a_parent_to_its_child() {
    let world = World::new();
    let parent = world.enqueue(order().namespace("eu").id("parent")).await;
    world
        .drain(|_args: RawArgs, attempt: Attempt| async move {
            if attempt.job().kind.as_str() == "place_order" {
                let child = JobRequest::new("orders", "charge").id("child");
                attempt.enqueue(child).await?;
            }
            Raw::Ok(RawResult(None))
        })
        .await;
    let (parent, child) = (world.job(&parent).await, "child".parse().unwrap());
    let child = world.job(&child).await;
    assert_eq!(child.parent_correlation_id, Some(parent.correlation_id));
    assert_eq!(child.namespace.as_deref(), Some("eu"));
}

/// Who has something done to a queue may be another process.
#[tokio::test(start_paused = true)]
async fn whether_it_is_done_for_another() {
    let world = World::new();
    let queue = "orders".parse().unwrap();
    world.admin().pause(&queue).await.unwrap();
    let called = world.admin().called_by(context(CALLER));
    called.resume(&queue).await.unwrap();
    let calls = named(&world, name::ADMIN);
    let mut are_remote: Vec<bool> = calls.iter().map(|call| call.parent_is_remote).collect();
    are_remote.sort_unstable();
    assert_eq!(are_remote, [false, true]);
}

/// How long an attempt that failed lets the next one wait is on both.
#[tokio::test(start_paused = true)]
async fn of_a_failed_attempt_when_the_next_one_is_due() {
    let world = World::new();
    world.enqueue(order()).await;
    let worker = world
        .worker()
        .drain(true)
        .retry(RetryPolicy::fixed(Duration::from_secs(7)))
        .fallback(|_args: RawArgs, attempt: Attempt| async move {
            match attempt.number() {
                1 => Err(JobError::retry("flaky", "")),
                _ => Raw::Ok(RawResult(None)),
            }
        });
    let worker = worker.build().unwrap();
    worker.run(std::future::pending()).await.unwrap();
    let attempts = named(&world, name::PROCESS);
    let delay = attempts[0].attribute(key::RETRY_DELAY);
    assert_eq!(delay, Some(&seconds(7.0)));
    let waits = named(&world, name::DEQUEUE);
    assert_eq!(waits[0].attribute(key::BACKOFF), None);
    let backoff = waits[1].attribute(key::BACKOFF);
    assert_eq!(backoff, Some(&seconds(7.0)));
}

/// Someone cancels the job before its worker can have heard of that: the store's word counts.
#[tokio::test(start_paused = true)]
async fn of_a_settle_what_the_store_made_of_it() {
    let world = World::new();
    let id = world.enqueue(order()).await;
    let store = world.store.clone();
    world
        .drain(move |_args: RawArgs, attempt: Attempt| {
            let store = store.clone();
            async move {
                let id = attempt.job().id.clone();
                store.cancel(&[id]).await.unwrap();
                Raw::Err(JobError::retry("flaky", ""))
            }
        })
        .await;
    assert_eq!(world.job(&id).await.state, JobState::Cancelled);
    let attempts = named(&world, name::PROCESS);
    let said = attempts[0].attribute(key::OUTCOME);
    assert_eq!(said, Some(&AttributeValue::from("cancelled")));
}

/// Child jobs appear with the settle, and so does the span of the call: as long as that took.
#[tokio::test(start_paused = true)]
async fn of_a_settle_how_long_it_took() {
    let mut world = World::new();
    world.store = Arc::new(Around::through(world.store, LateSettles));
    world.enqueue(order()).await;
    world
        .drain(|_args: RawArgs, attempt: Attempt| async move {
            if attempt.job().kind.as_str() == "place_order" {
                let receipt = JobRequest::new("orders", "receipt");
                attempt.enqueue_on_success(receipt.clone())?;
                // Nobody asked for a trace of this one.
                attempt.enqueue_on_success(receipt.traceparent(UNSAMPLED, "", ""))?;
            }
            Raw::Ok(RawResult(None))
        })
        .await;
    let calls = named(&world, name::ENQUEUE);
    assert_eq!(calls.len(), 2, "{calls:?}");
    let settles = named(&world, name::SETTLE);
    let (begun, ended) = (settles[0].start, settles[0].end);
    assert_eq!(ended.since(begun), Duration::from_secs(1));
    assert_eq!((calls[1].start, calls[1].end), (begun, ended));
}

/// Jobs that were enqueued together and are kept because they failed, each by a settle of its own,
/// have one enqueue span, written once.
#[tokio::test(start_paused = true)]
async fn of_jobs_that_are_kept_the_call_they_share() {
    let nothing = SpanBuffer::default().with_threshold(1 << 56);
    let world = World::with_spans(nothing.keeping_failures());
    let three = (0..3).map(|_| order().max_attempts(1)).collect();
    world.producer().enqueue_many(three).await.unwrap();
    let fail = |_args: RawArgs, _attempt: Attempt| async {
        sleep(Duration::from_millis(5)).await;
        Raw::Err(JobError::retry("flaky", ""))
    };
    let worker = world.worker().drain(true).concurrency(1).fallback(fail);
    let worker = worker.build().unwrap();
    worker.run(std::future::pending()).await.unwrap();
    assert_eq!(named(&world, name::PROCESS).len(), 3);
    assert_eq!(named(&world, name::ENQUEUE).len(), 1);
    world.assert_one_enqueue_span_each();
}

/// What an application with telemetry has around its calls: a service, baggage, and a route.
#[derive(Debug)]
struct Application {
    spans: Arc<SpanBuffer>,
    keys: Vec<String>,
    takes_storage_spans: bool,
}

impl Application {
    fn of(world: &World, takes_storage_spans: bool) -> Arc<Self> {
        Arc::new(Self {
            spans: world.spans.clone(),
            keys: vec!["tenant".to_owned()],
            takes_storage_spans,
        })
    }
}

impl Recorder for Application {
    /// Samples what `/orders` asks for.
    fn decide_root(&self, request: &RootRequest<'_>) -> RootDecision {
        RootDecision {
            sampled: request.route == Some("/orders"),
            threshold: None,
        }
    }

    fn current_route(&self) -> Option<Arc<str>> {
        Some("/orders".into())
    }

    fn current(&self) -> Option<SpanContext> {
        None
    }

    fn current_baggage(&self) -> String {
        "tenant=7,secret=x".to_owned()
    }

    fn baggage_keys(&self) -> &[String] {
        &self.keys
    }

    fn service_name(&self) -> &str {
        "a service of more than sixteen letters"
    }

    fn record(&self, spans: Vec<Span>) {
        self.spans.record(spans);
    }

    fn open_handler(&self, _start: HandlerStart) -> Option<Box<dyn HandlerScope>> {
        None
    }

    fn propagation_failed(&self, failure: PropagationFailure) {
        self.spans.propagation_failed(failure);
    }

    fn takes_storage_spans(&self) -> bool {
        self.takes_storage_spans
    }
}

#[tokio::test(start_paused = true)]
async fn of_an_application_what_is_around_the_call() {
    let world = World::new();
    let producer = world
        .producer()
        .with_recorder(Application::of(&world, true));
    let large = format!("tenant={}", "7".repeat(10_000));
    let requests = vec![
        order(),
        order().route("/health"),
        order().traceparent(CALLER, "", "tenant=8,secret=x"),
        order().traceparent(CALLER, "", &large),
    ];
    let jobs = producer.prepare(requests).unwrap();
    let baggage = jobs.iter().map(|job| job.trace.baggage.as_str());
    let baggage: Vec<&str> = baggage.collect();
    assert_eq!(baggage, ["tenant=7", "tenant=7", "tenant=8", ""]);
    let failures = world.spans.propagation_failures();
    assert_eq!(failures.get(&("inject", "truncated")), Some(&1));
    let is_sampled = |job: &NewJob| job.trace.context().unwrap().unwrap().flags.is_sampled();
    assert_eq!([is_sampled(&jobs[0]), is_sampled(&jobs[1])], [true, false]);
    let stub = jobs[0].trace.enqueue_stub.as_ref().unwrap();
    assert_eq!(stub.service, "a service of mor");
}

/// Who wants no spans of requests has none, and nothing is noted for them.
#[tokio::test(start_paused = true)]
async fn of_an_application_whether_it_wants_to_hear_of_requests() {
    for wants in [true, false] {
        let (world, watched) = crate::storage::asking(0);
        let application = Application::of(&world, wants);
        let producer = world.producer().with_recorder(application);
        producer.enqueue(order()).await.unwrap();
        assert_eq!(watched.lock().unwrap().is_empty(), !wants);
        assert_eq!(world.spans.spans().len(), if wants { 4 } else { 1 });
    }
}
