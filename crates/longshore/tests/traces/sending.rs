//! One tree for every way a job may be enqueued, or refused.

use std::time::Duration;

use longshore::{Attempt, ErrorKind, JobError, JobRequest, RawArgs, RawResult};
use longshore_testkit::SeededRandom;
use longshore_testkit::faulty::{Faults, FaultyStore};
use tokio::time::sleep;

use crate::world::{World, order, succeed};

type Raw = Result<RawResult, JobError>;

#[tokio::test(start_paused = true)]
async fn submit() {
    let world = World::new();
    world.enqueue(order()).await;
    world.assert_tree("submit");
}

#[tokio::test(start_paused = true)]
async fn queue_full() {
    let world = World::new();
    world.limit(r#"{"length":2}"#).await;
    let orders = (0..3).map(|_| order()).collect();
    let answers = world.producer().enqueue_many(orders).await.unwrap();
    assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 1);
    world.assert_tree("queue_full");
}

#[tokio::test(start_paused = true)]
async fn rate_limited() {
    let world = World::new();
    let rate = r#"{"enqueue_rate":{"count":1,"period_ms":1000,"burst":1}}"#;
    world.limit(rate).await;
    world.enqueue(order()).await;
    let refused = world.producer().enqueue(order()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Limited);
    world.assert_tree("rate_limited");
}

/// A limit shows in nothing but the time at which jobs start; one that is handed back leaves no
/// span.
#[tokio::test(start_paused = true)]
async fn limited() {
    let world = World::new();
    world.limit(r#"{"concurrency":1}"#).await;
    world.enqueue(order()).await;
    world.enqueue(order()).await;
    world.drain(succeed).await;
    world.assert_tree("limited");
}

#[tokio::test(start_paused = true)]
async fn delayed_job() {
    let world = World::new();
    world.enqueue(order().delay(Duration::from_secs(60))).await;
    world.drain(succeed).await;
    world.assert_tree("delayed_job");
}

#[tokio::test(start_paused = true)]
async fn batch() {
    let world = World::new();
    let requests = (0..3).map(|_| order()).collect();
    let answers = world.producer().enqueue_many(requests).await.unwrap();
    assert!(answers.iter().all(Result::is_ok));
    world.drain(succeed).await;
    world.assert_tree("batch");
}

#[tokio::test(start_paused = true)]
async fn child_job() {
    let world = World::new();
    world.enqueue(order().tenant_id("acme")).await;
    world
        .drain(|_args: RawArgs, attempt: Attempt| async move {
            if attempt.job().kind.as_str() == "place_order" {
                let charge = JobRequest::new("orders", "charge");
                attempt.enqueue(charge).await?;
                attempt.enqueue_on_success(JobRequest::new("orders", "receipt"))?;
            }
            sleep(Duration::from_millis(5)).await;
            assert_eq!(attempt.job().tenant_id.as_deref(), Some("acme"));
            Raw::Ok(RawResult(None))
        })
        .await;
    world.assert_tree("child_job");
}

/// Jobs for the caller's own transaction: whoever runs one first writes its enqueue span, once.
#[tokio::test(start_paused = true)]
async fn prepared_jobs() {
    let world = World::new();
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let requests = vec![order().traceparent(caller, "", ""), order()];
    let jobs = world.producer().prepare(requests).unwrap();
    let stub = jobs[0].trace.enqueue_stub.as_ref().unwrap();
    assert!(serde_json::to_string(stub).unwrap().len() <= 160);
    world.store.enqueue(jobs).await.unwrap();
    assert_eq!(world.spans.spans(), [], "who prepares exports nothing");
    world
        .drain(|_args: RawArgs, attempt: Attempt| async move {
            match attempt.number() {
                1 => Err(JobError::retry("flaky", "")),
                _ => Ok(RawResult(None)),
            }
        })
        .await;
    world.assert_tree("prepared_jobs");
    world.assert_one_enqueue_span_each();
}

/// However calls fail and settles are sent again: every job has its enqueue span, and no call that
/// enqueues an id again has the ids of another.
#[tokio::test(start_paused = true)]
async fn every_job_has_one_enqueue_span() {
    let mut world = World::new();
    for _ in 0..20 {
        world.enqueue(order()).await;
    }
    let faults = Faults {
        refused_percent: 10,
        lost_answer_percent: 20,
        repeated_settle_percent: 10,
        latency_max: Duration::from_millis(20),
    };
    let random = std::sync::Arc::new(SeededRandom::new(3));
    world.store = std::sync::Arc::new(FaultyStore::new(world.store, random, faults));
    world
        .drain(|_args: RawArgs, attempt: Attempt| async move {
            if attempt.job().kind.as_str() == "place_order" {
                let receipt = JobRequest::new("orders", "receipt");
                attempt.enqueue_on_success(receipt.clone())?;
                attempt.enqueue_on_success(receipt.clone().id("the-one"))?;
                attempt.enqueue(receipt.id("the-other")).await?;
            }
            Raw::Ok(RawResult(None))
        })
        .await;
    world.assert_one_enqueue_span_each();
}
