//! Claims with quotas and turns take the same jobs as the reference's, in the same order, also
//! where there are so many that this store goes other ways than among few.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{
    ClaimRequest, Clock, Group, JobId, NewJob, QueueName, Quota, Spread, Store, Timestamp, WorkerId,
};
use longshore_memory::MemoryStore;
use longshore_sqlite::{SqliteOptions, SqliteStore};
use longshore_testkit::{ManualClock, SeededRandom};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::support::Folder;

const QUEUES: u8 = 3;
const KINDS: u8 = 4;
const TENANTS: u8 = 6;

/// Queue, kind, tenant, priority and seconds until it is due, and how many alike.
type Alike = ((u8, u8, Option<u8>, u8), Option<u64>, usize);

/// Bits of queues, limit and turn; quotas; after whom and how many each.
type Wish = (
    (u8, usize, u64),
    Vec<(u8, usize)>,
    Option<(Option<u8>, usize)>,
);

fn alike() -> impl Strategy<Value = Alike> {
    let which = (0..QUEUES, 0..KINDS, option::of(0..TENANTS), 1..=4u8);
    let many = prop_oneof![6 => 1..8usize, 2 => 20..80usize, 1 => 300..1500usize];
    (which, option::weighted(0.2, 0..20u64), many)
}

fn wish() -> impl Strategy<Value = Wish> {
    let at_most = prop_oneof![3 => Just(0usize), 2 => 1..40usize, 1 => 1000..2000usize];
    let quotas = vec((0..QUEUES + KINDS + TENANTS + 1, at_most), 0..6);
    let spread = (option::of(0..=TENANTS), 0..20usize);
    let limit = prop_oneof![4 => 0..40usize, 1 => 100..1200usize];
    ((1..8u8, limit, 0..16u64), quotas, option::of(spread))
}

fn queue(number: u8) -> QueueName {
    format!("queue-{number}").parse().unwrap()
}

/// The last one is nobody.
fn tenant(number: u8) -> String {
    if number == TENANTS {
        return String::new();
    }
    format!("tenant-{number}")
}

fn jobs(of: &[Alike], now: Timestamp) -> Vec<NewJob> {
    let mut jobs = Vec::new();
    for ((at, kind, whose, priority), delay, many) in of {
        for _ in 0..*many {
            let id: JobId = format!("job-{}", jobs.len()).parse().unwrap();
            let kind = format!("kind-{kind}").parse().unwrap();
            let mut new = NewJob::new(id, queue(*at), kind, "");
            new.tenant_id = whose.map(tenant);
            new.priority = (*priority).try_into().unwrap();
            new.scheduled_at = delay.map(|delay| now.after(Duration::from_secs(delay)));
            jobs.push(new);
        }
    }
    jobs
}

fn request(((bits, limit, turn), quotas, spread): &Wish) -> ClaimRequest {
    let queues = (0..QUEUES).filter(|queue| bits & (1 << queue) != 0);
    let queues = queues.map(queue).collect();
    let lease = Duration::from_secs(3600);
    let mut request = ClaimRequest::new(WorkerId::new("w"), queues, *limit, lease);
    request.turn = *turn;
    let quota = |(number, at_most): &(u8, usize)| Quota {
        group: match *number {
            at if at < QUEUES => Group::Queue(queue(at)),
            kind if kind < QUEUES + KINDS => {
                Group::Kind(format!("kind-{}", kind - QUEUES).parse().unwrap())
            }
            whose => Group::Tenant(tenant(whose - QUEUES - KINDS)),
        },
        at_most: *at_most,
    };
    request.quotas = quotas.iter().map(quota).collect();
    request.spread = spread.map(|(after, each)| Spread {
        after: after.map(tenant),
        each,
    });
    request
}

async fn taken(store: &dyn Store, request: &ClaimRequest) -> Vec<JobId> {
    let claimed = store.claim(request).await.unwrap();
    claimed.into_iter().map(|claimed| claimed.job.id).collect()
}

async fn equal(of: &[Alike], wishes: &[Wish]) -> Result<(), TestCaseError> {
    let (folder, clock) = (Folder::new(), Arc::new(ManualClock::default()));
    let random = |seed| Arc::new(SeededRandom::new(seed));
    let reference = MemoryStore::with(clock.clone(), random(1));
    let options = SqliteOptions::at(folder.file())
        .with_clock(clock.clone())
        .with_random(random(2));
    let store = SqliteStore::open(options).unwrap();
    let jobs = jobs(of, clock.now());
    reference.enqueue(jobs.clone()).await.unwrap();
    store.enqueue(jobs).await.unwrap();
    for wish in wishes {
        clock.advance(Duration::from_secs(3));
        let request = request(wish);
        let (expected, got) = (
            taken(&reference, &request).await,
            taken(&store, &request).await,
        );
        prop_assert_eq!(expected, got, "{:?}", request);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn equal_those_of_the_reference(of in vec(alike(), 1..40), wishes in vec(wish(), 1..8)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(equal(&of, &wishes))?;
    }
}
