//! Thousands of tenants with a limit each, and whole workers that serve them by turns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore::{Attempt, JobRequest, Limit, Producer, RawArgs, RawResult, Worker};

use super::peace::in_peace;
use super::{World, at_most};

/// Tenants with one job each.
const QUIET: usize = 2_000;
/// Tenants that were there before them, with many.
const LOUD: usize = 10;
const JOBS_OF_LOUD: usize = 15;
const WORKERS: [&str; 2] = ["a", "b"];

/// What was served.
#[derive(Debug, Default)]
struct Served {
    /// Of each tenant how many jobs are at work, and how many have started.
    tenants: HashMap<String, (usize, usize)>,
    /// For each start how many of the same tenant came before it.
    turns: Vec<usize>,
}

type Shared = Arc<Mutex<Served>>;

fn worker(world: &World, name: &str, served: &Shared) -> Worker {
    let served = Arc::clone(served);
    let handler = move |_: RawArgs, attempt: Attempt| {
        let tenant = attempt.job().tenant_id.clone().unwrap();
        let mut now = served.lock().unwrap();
        let (at_work, started) = now.tenants.entry(tenant.clone()).or_default();
        assert_eq!(*at_work, 0, "two jobs of {tenant} at once");
        let turn = *started;
        (*at_work, *started) = (1, turn + 1);
        now.turns.push(turn);
        drop(now);
        let served = Arc::clone(&served);
        async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            served.lock().unwrap().tenants.entry(tenant).or_default().0 = 0;
            Ok::<_, longshore::JobError>(RawResult(None))
        }
    };
    let worker = world.worker(name, world.store.clone()).concurrency(100);
    worker.drain(true).fallback(handler).build().unwrap()
}

#[test]
fn thousands_of_tenants_are_served_by_turns_within_their_limits() {
    in_peace(|world| async move {
        world.limit("tenants", at_most(1)).await;
        let fair = Limit {
            fair: true,
            ..Limit::default()
        };
        world.limit("queue:orders", fair).await;
        let producer = Producer::new(world.store.clone())
            .with_clock(world.clock.clone(), world.random.clone());
        let of_tenant = |tenant: String| JobRequest::new("orders", "order").tenant_id(tenant);
        let loud = (0..LOUD * JOBS_OF_LOUD).map(|job| format!("loud-{}", job % LOUD));
        let quiet = (0..QUIET).map(|tenant| format!("quiet-{tenant:04}"));
        let jobs: Vec<JobRequest> = loud.chain(quiet).map(of_tenant).collect();
        for part in jobs.chunks(1000) {
            let answers = producer.enqueue_many(part.to_vec()).await.unwrap();
            assert!(answers.iter().all(Result::is_ok));
        }
        let served = Shared::default();
        let [a, b] = WORKERS.map(|name| worker(&world, name, &served));
        let (a, b) = tokio::join!(a.run(std::future::pending()), b.run(std::future::pending()));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a.completed + b.completed, jobs.len() as u64);
        assert!(a.completed > 0 && b.completed > 0, "{a:?} {b:?}");
        assert_eq!(
            (a.retried, b.retried, a.leases_lost, b.leases_lost),
            (0, 0, 0, 0)
        );
        let turns = served.lock().unwrap().turns.clone();
        let last_quiet = turns.iter().rposition(|turn| *turn == 0);
        let last_loud = turns.iter().position(|turn| *turn == JOBS_OF_LOUD - 1);
        assert!(last_quiet < last_loud, "{last_quiet:?} {last_loud:?}");
        world.nothing_is_held().await;
    });
}
