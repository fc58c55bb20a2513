//! Two workers under limits, cut short at every point: what they held is free again in time, and
//! before that nobody has it besides.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore::{
    Attempt, JobRequest, Limit, LimitControl, Producer, Rate, RawArgs, RawResult, Store, Worker,
};
use longshore_core::Clock as _;

use tokio::task::JoinSet;

use super::{World, at_most};
use crate::points::{self, Dies};
use crate::process::{self, Death, End};
use crate::subject::Kind;

const JOBS: u64 = 4;
/// Starts a second, one at a time.
const RATE: u32 = 2;

/// How long nobody works. Permits of workers with a lease of 1 s last for up to 8.5 s.
const NEXT_AFTER: Duration = Duration::from_millis(7_500);

/// When handlers began.
type Starts = Arc<Mutex<Vec<Duration>>>;

/// What outlives a process.
#[derive(Clone)]
struct Scene {
    world: Arc<World>,
    starts: Starts,
}

impl Scene {
    /// Makes sure of limits and jobs, and works with these workers until nothing is left.
    async fn live(self, store: Arc<dyn Store>, names: &[&str]) {
        let limits = LimitControl::new(store.clone());
        let set = async |scope: &str, limit| limits.set(scope.parse().unwrap(), limit).await;
        let rate: Rate = format!("{RATE}/s").parse().unwrap();
        let rate = Limit {
            rate: Some(rate.with_burst(1).unwrap()),
            ..Limit::default()
        };
        set("kind:order", at_most(1)).await.unwrap();
        set("queue:orders", rate).await.unwrap();
        let (clock, random) = (self.world.clock.clone(), self.world.random.clone());
        let producer = Producer::new(store.clone()).with_clock(clock, random);
        let job = |number| JobRequest::new("orders", "order").id(format!("order-{number}"));
        let answers = producer.enqueue_many((0..JOBS).map(job).collect()).await;
        assert!(answers.unwrap().iter().all(Result::is_ok));
        let mut workers = JoinSet::new();
        for name in names {
            workers.spawn(self.worker(name, store.clone()).run(pending()));
        }
        for report in workers.join_all().await {
            assert_eq!(report.unwrap().leases_lost, 0);
        }
    }

    fn worker(&self, name: &str, store: Arc<dyn Store>) -> Worker {
        let Self { world, starts } = self.clone();
        let handler = move |_: RawArgs, attempt: Attempt| {
            let at_work = world.gauge.enter(&attempt);
            starts.lock().unwrap().push(world.clock.monotonic());
            async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                drop(at_work);
                Ok::<_, longshore::JobError>(RawResult(None))
            }
        };
        let worker = self.world.worker(name, store).drain(true);
        worker.fallback(handler).build().unwrap()
    }
}

/// Over any time no more jobs have started than the limit's rate is promised to allow.
fn keep_to_the_rate(starts: &[Duration]) {
    for (index, first) in starts.iter().enumerate() {
        for (count, last) in (1u32..).zip(starts.iter().skip(index)) {
            let seconds = (*last - *first).as_secs_f64();
            let allowed = 1.0 + f64::from(RATE) * (seconds + 1.0);
            assert!(f64::from(count) <= allowed, "{count} in {seconds} s");
        }
    }
}

fn play(kind: Kind, dies: Dies) -> End {
    let scene = Scene {
        world: Arc::new(World::new(kind, 7)),
        starts: Starts::default(),
    };
    let Scene { world, starts } = scene.clone();
    let first = |store| scene.clone().live(store, &["a", "b"]);
    let end = points::mortal(world.store.clone(), &world.clock, dies, first);
    process::runtime(61).block_on(async {
        world.clock.enter();
        // What the dead held lasts a while longer; the next meets it, and has not long to wait.
        tokio::time::sleep(NEXT_AFTER).await;
        let next = scene.live(world.store.clone(), &["c"]);
        let ended = tokio::time::timeout(process::LIFETIME, next).await;
        assert!(ended.is_ok(), "jobs are left that nobody can finish");
        world.all_are_completed(JOBS).await;
        assert_eq!(world.gauge.most("kind:order"), 1);
        keep_to_the_rate(&starts.lock().unwrap());
        world.nothing_is_held().await;
    });
    end
}

pub(crate) fn crash_everywhere(kind: Kind) {
    let variable = "LONGSHORE_SIM_LIMIT_POINTS";
    let cut = points::crash_everywhere(variable, kind, Death::OfProcess, |dies| play(kind, dies));
    cut.includes(&["claim", "read_document", "settle", "write_document"]);
}

#[test]
fn limits_hold_wherever_two_workers_die() {
    crash_everywhere(Kind::MemoryInTurn);
}
