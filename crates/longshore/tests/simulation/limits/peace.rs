//! What limits do where nothing goes wrong: they are used in full, and hold nobody else up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore::{
    ErrorKind, JobFilter, JobRequest, JobState, Limit, LimitControl, LimitRefused, MemoryStore,
    Producer,
};
use longshore_core::Clock;
use longshore_testkit::way::Around;

use super::{World, at_most};
use crate::process;
use crate::subject::Kind;

pub(super) fn in_peace<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    process::runtime(61).block_on(async {
        let world = World::new(Kind::Memory, 1);
        world.faulty.heal();
        test(world).await;
    });
}

#[test]
fn a_limit_is_used_in_full_and_jobs_rarely_go_back() {
    in_peace(|world| async move {
        world.limit("queue:orders", at_most(4)).await;
        world.produce(300, 250).await;
        let began = world.clock.monotonic();
        let lives = ["a", "b", "c"].map(|name| world.start(name));
        world.finish().await;
        let took = world.clock.monotonic() - began;
        assert_eq!(world.gauge.most("queue:orders"), 4);
        // 240 jobs of 125 ms on average, four at a time.
        assert!(took < Duration::from_secs(15), "{took:?}");
        for life in lives {
            life.shutdown.notify_one();
            assert_eq!(life.worker.await.unwrap().over_limit, 0);
        }
    });
}

#[test]
fn jobs_of_tenants_that_nobody_knew_rarely_go_back() {
    in_peace(|world| async move {
        world.limit("tenants", at_most(1)).await;
        world.produce(300, 250).await;
        let report = world.finish().await;
        assert_eq!(report.completed, 300);
        assert_eq!(world.gauge.most("tenant:tenant-1"), 1);
        assert_eq!(report.over_limit, 0);
    });
}

#[test]
fn a_rate_is_kept_across_workers_and_used() {
    in_peace(|world| async move {
        let rate = Limit {
            rate: Some("20/s".parse().unwrap()),
            ..Limit::default()
        };
        world.limit("queue:orders", rate).await;
        world.produce(300, 250).await;
        let began = world.clock.monotonic();
        let lives = ["a", "b"].map(|name| world.start(name));
        world.finish().await;
        let took = (world.clock.monotonic() - began).as_secs_f64();
        // 240 jobs: 20 at once, then 20 a second; what lies unused with one for a second is lost.
        assert!((10.9..16.0).contains(&took), "{took}");
        for life in lives {
            life.shutdown.notify_one();
            life.worker.await.unwrap();
        }
    });
}

#[test]
fn a_paused_kind_waits_while_others_run_and_then_goes_on() {
    in_peace(|world| async move {
        let limits = LimitControl::new(world.store.clone());
        limits.pause_kind("letter".parse().unwrap()).await.unwrap();
        world.produce(60, 250).await;
        let life = world.start("a");
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(world.gauge.most("kind:letter"), 0);
        assert!(world.gauge.most("kind:order") > 0);
        limits.resume_kind("letter".parse().unwrap()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        world.all_are_completed(60).await;
        life.shutdown.notify_one();
        assert_eq!(life.worker.await.unwrap().completed, 60);
    });
}

#[test]
fn a_lower_limit_stops_nothing_that_runs_and_holds_for_what_starts() {
    in_peace(|world| async move {
        world.limit("queue:orders", at_most(5)).await;
        world.produce(300, 250).await;
        let life = world.start("a");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(world.gauge.most("queue:orders"), 5);
        world.limit("queue:orders", at_most(2)).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        world.gauge.forget();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(world.gauge.most("queue:orders"), 2);
        world.limit("queue:orders", Limit::default()).await;
        world.finish().await;
        life.shutdown.notify_one();
        assert_eq!(life.worker.await.unwrap().leases_lost, 0);
    });
}

#[test]
fn fair_tenants_take_turns() {
    in_peace(|world| async move {
        let fair = Limit {
            fair: true,
            ..Limit::default()
        };
        world.limit("queue:other", fair).await;
        let producer = Producer::new(world.store.clone())
            .with_clock(world.clock.clone(), world.random.clone());
        let request = |tenant: &str| {
            JobRequest::new("other", "order")
                .raw_args(vec![100])
                .tenant_id(tenant)
        };
        let flood = (0..500).map(|_| request("loud"));
        producer.enqueue_many(flood.collect()).await.unwrap();
        let few = (0..5).map(|_| request("quiet"));
        producer.enqueue_many(few.collect()).await.unwrap();
        let life = world.start("a");
        tokio::time::sleep(Duration::from_millis(700)).await;
        let filter = JobFilter {
            states: vec![JobState::Completed],
            tenant_id: Some("quiet".to_owned()),
            ..JobFilter::default()
        };
        let page = world.store.list(&filter, None, 1000).await.unwrap();
        assert_eq!(page.jobs.len(), 5);
        life.worker.abort();
    });
}

#[test]
fn a_worker_without_limits_reads_no_document_for_a_claim() {
    in_peace(|world| async move {
        let reads = Arc::new(Counting::default());
        let memory = MemoryStore::with(world.clock.clone(), world.random.clone());
        let store = Arc::new(Around::through(Arc::new(memory), Calls(reads.clone())));
        let producer =
            Producer::new(store.clone()).with_clock(world.clock.clone(), world.random.clone());
        let requests = (0..200).map(|_| JobRequest::new("orders", "order").raw_args(vec![10]));
        producer.enqueue_many(requests.collect()).await.unwrap();
        reads.0.lock().unwrap().clear();
        let worker = world.worker("a", store).claim_ahead(0).build().unwrap();
        let run = tokio::spawn(worker.run(std::future::pending()));
        tokio::time::sleep(Duration::from_millis(9_900)).await;
        run.abort();
        let calls = reads.0.lock().unwrap().clone();
        assert!(calls["claim"] >= 40, "{calls:?}");
        // One a second for the limits, one for the schedules.
        assert!(calls["read_document"] <= 23, "{calls:?}");
        // The pruner's, that it is its turn.
        let writes = calls.get("write_document").copied();
        assert!(writes.unwrap_or_default() <= 2, "{calls:?}");
    });
}

#[derive(Debug, Default)]
struct Counting(Mutex<BTreeMap<&'static str, u32>>);

#[derive(Debug)]
struct Calls(Arc<Counting>);

impl longshore_testkit::way::Way for Calls {
    async fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        effect: longshore_testkit::way::Effect<'_, T>,
    ) -> Result<T, longshore::StoreError> {
        *self.0.0.lock().unwrap().entry(method).or_default() += 1;
        effect.await
    }
}

fn refused(answer: Result<longshore::Enqueued, longshore::StoreError>) -> LimitRefused {
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limited);
    LimitRefused::of(&error).unwrap().clone()
}

#[test]
fn a_full_queue_refuses_what_is_too_much_and_takes_jobs_again_once_there_is_room() {
    in_peace(|world| async move {
        let length = Limit {
            length: Some(10),
            ..Limit::default()
        };
        world.limit("queue:orders", length).await;
        let producer = Producer::new(world.store.clone())
            .with_clock(world.clock.clone(), world.random.clone());
        let request = || JobRequest::new("orders", "order").raw_args(vec![1]);
        let many = (0..15).map(|_| request()).collect();
        let answers = producer.enqueue_many(many).await.unwrap();
        let (taken, too_many) = answers.split_at(10);
        assert!(taken.iter().all(Result::is_ok));
        let says = |answer: &Result<_, longshore::StoreError>| {
            let error = answer.as_ref().unwrap_err().to_string();
            error.contains("has 10 unfinished jobs and may have 10")
        };
        assert!(too_many.iter().all(says));
        let LimitRefused::QueueFull { limit, length, .. } =
            refused(producer.clone().enqueue(request()).await)
        else {
            panic!("refused for another reason");
        };
        assert_eq!((limit, length), (10, 10));
        let other = JobRequest::new("other", "order").raw_args(vec![1]);
        producer.enqueue(other).await.unwrap();
        world.finish().await;
        // A length that refuses is at most so old.
        tokio::time::sleep(Duration::from_millis(100)).await;
        producer.enqueue(request()).await.unwrap();
    });
}

#[test]
fn producers_share_a_rate() {
    in_peace(|world| async move {
        let rate = Limit {
            enqueue_rate: Some("10/s".parse().unwrap()),
            ..Limit::default()
        };
        world.limit("queue:orders", rate).await;
        let producers = [1, 2].map(|_| {
            Producer::new(world.store.clone()).with_clock(world.clock.clone(), world.random.clone())
        });
        let request = || JobRequest::new("orders", "order").raw_args(vec![1]);
        let mut taken = 0;
        for _ in 0..400 {
            for producer in &producers {
                let answer = producer.enqueue(request()).await;
                if answer.is_ok() {
                    taken += 1;
                    continue;
                }
                let refused = refused(answer);
                let soon = Duration::from_millis(100);
                assert!(
                    matches!(refused, LimitRefused::RateLimited { retry_after, .. } if retry_after <= soon)
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Ten at once, and ten a second for four seconds.
        assert!((45..=50).contains(&taken), "{taken}");
    });
}

#[test]
fn each_of_many_tenants_has_its_limit() {
    in_peace(|world| async move {
        world.limit("tenants", at_most(1)).await;
        let producer = Producer::new(world.store.clone())
            .with_clock(world.clock.clone(), world.random.clone());
        for first in [0, 300] {
            let jobs = (first..first + 300).map(|tenant| {
                JobRequest::new("orders", "order")
                    .raw_args(vec![20])
                    .tenant_id(format!("tenant-{tenant}"))
            });
            producer.enqueue_many(jobs.collect()).await.unwrap();
        }
        let worker = |name| {
            let worker = world.worker(name, world.store.clone());
            let worker = worker.concurrency(100).drain(true).build().unwrap();
            worker.run(std::future::pending())
        };
        let (one, other) = tokio::join!(worker("one"), worker("other"));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one.completed + other.completed, 600);
        assert_eq!(one.over_limit + other.over_limit, 0);
        tokio::time::sleep(Duration::from_secs(10)).await;
        let held = LimitControl::new(world.store.clone()).in_use().await;
        assert!(held.unwrap().is_empty());
    });
}
