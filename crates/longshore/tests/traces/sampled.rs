//! Rules, callers and routes, from a real producer with real telemetry.

use std::sync::Arc;

use longshore::otel::{Config, Environment, Telemetry};
use longshore::{Attempt, JobError, JobRequest, Producer, RawArgs, RawResult, SpanBuffer};
use longshore_core::{NewJob, SpanContext, SystemClock, TraceState};
use longshore_testkit::SeededRandom;

use crate::world::World;

/// The randomness of this trace is just above one half.
const CALLER: &str = "00-0af7651916cd43dd8488eb211c80319c-b7ad6b7169203331-01";

/// A producer that samples by these rules, else all.
fn producer(world: &World, rules: &str) -> Producer {
    let environment = Environment::from_pairs([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ("LONGSHORE_TELEMETRY_SAMPLING_RULES", rules),
    ]);
    let config = Config::load(&[], &environment, &[]).unwrap();
    let clock = Arc::new(SystemClock::new());
    let (telemetry, warnings) = Telemetry::init(&config.telemetry(), clock.clone());
    assert_eq!((config.warnings(), &*warnings), (&[][..], &[][..]));
    Producer::new(world.store.clone())
        .with_recorder(telemetry.recorder())
        .with_clock(clock, Arc::new(SeededRandom::new(4)))
}

fn contexts(producer: &Producer, requests: Vec<JobRequest>) -> Vec<SpanContext> {
    let jobs: Vec<NewJob> = producer.prepare(requests).unwrap();
    let context = |job: NewJob| job.trace.context().unwrap().unwrap();
    jobs.into_iter().map(context).collect()
}

fn one(producer: &Producer, request: JobRequest) -> SpanContext {
    contexts(producer, vec![request]).remove(0)
}

fn order() -> JobRequest {
    JobRequest::new("orders", "place_order")
}

#[tokio::test(start_paused = true)]
async fn beneath_a_caller_a_rule_only_lowers() {
    let cases = [
        ("queue=other -> 0", "ot=th:4,a=b", true, "ot=th:4,a=b"),
        ("queue=orders -> 1", "ot=th:4", true, "ot=th:4"),
        ("queue=orders -> 0.5", "ot=th:4,a=b", true, "ot=th:8,a=b"),
        ("queue=orders -> 0.5", "a=b", true, "a=b"),
        ("queue=orders -> 0.1", "ot=th:4,a=b", false, "a=b"),
        (
            "queue=orders -> 0.1",
            "ot=th:4;rv:ffffffffffffff",
            true,
            "ot=th:e666;rv:ffffffffffffff",
        ),
        // It contradicts the caller's own decision.
        ("queue=other -> 0", "ot=th:c,a=b", true, "a=b"),
    ];
    let world = World::new();
    for (rules, state, sampled, expected) in cases {
        let producer = producer(&world, rules);
        let context = one(&producer, order().traceparent(CALLER, state, ""));
        assert_eq!(context.flags.is_sampled(), sampled, "{rules} {state}");
        assert_eq!(
            context.trace_state,
            TraceState::parse(expected).0,
            "{rules} {state}"
        );
        let unsampled = CALLER.replace("-01", "-00");
        let context = one(&producer, order().traceparent(&unsampled, "", ""));
        assert!(!context.flags.is_sampled(), "{rules}");
    }
}

#[tokio::test(start_paused = true)]
async fn rules_see_all_that_a_job_says() {
    let world = World::new();
    let producer = producer(
        &world,
        "route=/health -> 0; tenant=acme namespace=eu -> 0; priority=4 -> 0; kind=send_* -> 0",
    );
    let sampled = |request| one(&producer, request).flags.is_sampled();
    assert!(sampled(order()));
    assert!(!sampled(order().route("/health")));
    assert!(sampled(order().route("/orders/{id}")));
    assert!(!sampled(order().tenant_id("acme").namespace("eu")));
    assert!(sampled(order().tenant_id("acme").namespace("us")));
    assert!(!sampled(order().priority(4)));
    assert!(!sampled(JobRequest::new("orders", "send_mail")));
}

/// What only some jobs of a call say is not true of the call.
#[tokio::test(start_paused = true)]
async fn a_call_of_several_kinds_has_none() {
    let world = World::new();
    let producer = producer(&world, "kind=place_order -> 0; tenant=acme -> 0");
    for (second, sampled) in [("place_order", false), ("other", true)] {
        let requests = vec![
            order().id(format!("first-{second}")),
            JobRequest::new("orders", second)
                .id(format!("second-{second}"))
                .tenant_id("acme"),
        ];
        for answer in producer.enqueue_many(requests).await.unwrap() {
            let job = world.job(answer.unwrap().id()).await;
            let context = job.trace.context().unwrap().unwrap();
            assert_eq!(context.flags.is_sampled(), sampled, "{second}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_batch_hands_its_threshold_to_its_jobs_sampled_or_not() {
    let world = World::new();
    let producer = producer(&world, "queue=orders -> 0.5");
    let mut seen = [false, false];
    for _ in 0..40 {
        for (size, of_each) in [(100, None), (101, Some("th:8"))] {
            let requests = (0..size).map(|_| order()).collect();
            let answers = producer.enqueue_many(requests).await.unwrap();
            let job = world.job(answers[0].as_ref().unwrap().id()).await;
            let context = job.trace.context().unwrap().unwrap();
            let sampled = context.flags.is_sampled();
            assert_eq!(context.trace_state.get("longshore"), of_each);
            assert_eq!(context.trace_state.get("ot"), sampled.then_some("th:8"));
            seen[usize::from(sampled)] = true;
        }
    }
    assert_eq!(seen, [true, true]);
}

type Raw = Result<RawResult, JobError>;

async fn succeed(_args: RawArgs, _attempt: Attempt) -> Raw {
    Ok(RawResult(None))
}

async fn second_time_lucky(_args: RawArgs, attempt: Attempt) -> Raw {
    match attempt.number() {
        1 => Err(JobError::retry("flaky", "")),
        _ => Ok(RawResult(None)),
    }
}

/// A world in which nothing is sampled and failures are kept.
fn keeping() -> World {
    let spans = SpanBuffer::default().with_threshold(1 << 56);
    World::with_spans(spans.keeping_failures())
}

/// Spans without those of claims, which jobs share.
fn cost(world: &World) -> usize {
    let spans = world.spans.spans();
    let claims = spans.iter().filter(|span| span.name == "queue.claim");
    spans.len() - claims.count()
}

/// The costs that `docs/guides/sampling.md` states.
#[tokio::test(start_paused = true)]
async fn a_trace_has_as_many_spans_as_the_guide_says() {
    let sampled = World::new();
    sampled.enqueue(order()).await;
    sampled.drain(succeed).await;
    assert_eq!(cost(&sampled), 5, "sampled");

    let not = keeping();
    not.enqueue(order()).await;
    not.drain(succeed).await;
    assert_eq!(not.spans.spans(), [], "not sampled");

    let retried = keeping();
    retried.enqueue(order()).await;
    retried.drain(second_time_lucky).await;
    assert_eq!(cost(&retried), 9, "kept, with the attempt that succeeds");

    let discarded = keeping();
    discarded.enqueue(order().max_attempts(1)).await;
    discarded.drain(second_time_lucky).await;
    assert_eq!(cost(&discarded), 5, "kept, with one attempt");
}

/// How likely it is that any job of a claim is sampled, no threshold says.
#[tokio::test(start_paused = true)]
async fn claims_of_several_jobs_state_a_threshold_only_if_they_leave_for_certain() {
    for (threshold, expected) in [(1 << 55, None), (0, Some("th:0"))] {
        let world = World::with_spans(SpanBuffer::default().with_threshold(threshold));
        for _ in 0..20 {
            world.enqueue(order()).await;
        }
        world.drain(succeed).await;
        let spans = world.spans.spans();
        let claim = spans
            .iter()
            .find(|span| span.name == "queue.claim")
            .unwrap();
        assert!(claim.links.len() > 1);
        assert_eq!(claim.trace_state.get("ot"), expected);
    }
}
