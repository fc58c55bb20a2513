//! Whatever a job holds comes back, as it does from the reference.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{
    AttemptError, Beat, JobId, NewJob, Outcome, Settlement, SpanId, Store, Timestamp, TraceId,
    UniqueKey, UniqueScope, WorkerId,
};
use longshore_memory::MemoryStore;
use longshore_redis::RedisStore;
use longshore_testkit::{ManualClock, SeededRandom};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::server::{shared, tested};

fn new_job() -> impl Strategy<Value = NewJob> {
    let text = || option::of(prop_oneof!["[ -~]{1,40}", ".{1,20}", "\\PC*[\0|\n ]\\PC*"]);
    (
        prop_oneof![vec(any::<u8>(), 0..40), vec(any::<u8>(), 1000..3000)],
        (
            vec("[a-z]{1,9}", 0..4),
            btree_map("[a-z]{1,9}", ".{0,9}", 0..4),
        ),
        (text(), text(), text(), text(), text()),
        (
            1..=4u8,
            1..10_000u32,
            option::of(1..i64::MAX),
            option::of(1..u64::MAX),
        ),
        prop_oneof![
            Just(UniqueScope::Unfinished),
            Just(UniqueScope::Waiting),
            (1_000_000..u64::from(u32::MAX))
                .prop_map(|nanos| UniqueScope::Window(Duration::from_nanos(nanos))),
        ],
    )
        .prop_map(|(args, (tags, metadata), texts, numbers, scope)| {
            let id: JobId = "job".parse().unwrap();
            let mut job = NewJob::new(id, "q".parse().unwrap(), "k".parse().unwrap(), args);
            (job.tags, job.metadata) = (tags, metadata);
            let bounded =
                |text: Option<String>| text.filter(|text| (1..=200).contains(&text.len()));
            job.tenant_id = bounded(texts.0);
            job.namespace = bounded(texts.1);
            job.correlation_id = bounded(texts.2);
            job.parent_correlation_id = bounded(texts.3);
            job.unique_key = bounded(texts.4)
                .map(|key| UniqueKey::new(key, &job.kind, &job.args).with_scope(scope));
            job.priority = numbers.0.try_into().unwrap();
            job.max_attempts = numbers.1;
            // A time is kept to the microsecond.
            job.scheduled_at = numbers
                .2
                .map(|nanos| Timestamp::from_unix_nanos(nanos / (1 << 12) / 1000 * 1000));
            job.timeout = numbers.3.map(Duration::from_nanos);
            job
        })
}

/// What an attempt leaves: worker, class, message, result, checkpoint.
fn attempt() -> impl Strategy<Value = (String, String, String, Vec<u8>, bool)> {
    let text = || prop_oneof!["[ -~\n]{0,40}", ".{0,40}"];
    (
        text(),
        text(),
        text(),
        vec(any::<u8>(), 0..40),
        any::<bool>(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn a_job_comes_back_as_from_the_reference(new in new_job(), attempt in attempt()) {
        let Some(server) = shared() else {
            return Ok(());
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let clock = Arc::new(ManualClock::default());
            let random = || Arc::new(SeededRandom::new(1));
            let options = tested(&server, clock.clone(), random());
            let stores: [Arc<dyn Store>; 2] = [
                Arc::new(MemoryStore::with(clock.clone(), random())),
                Arc::new(RedisStore::open(options)),
            ];
            let mut rows = Vec::new();
            for store in &stores {
                rows.push(life(&**store, &new, &attempt, &clock).await);
            }
            assert_eq!(rows[0], rows[1]);
        });
    }
}

/// Enqueues a job, fails it and completes it; gives back what it looked like meanwhile.
async fn life(
    store: &dyn Store,
    new: &NewJob,
    attempt: &(String, String, String, Vec<u8>, bool),
    clock: &ManualClock,
) -> Vec<longshore_core::Job> {
    let (worker, class, message, bytes, span) = attempt;
    let mut job = new.clone();
    let wanted = job.scheduled_at;
    job.scheduled_at = None;
    store.enqueue(vec![job]).await.unwrap().remove(0).unwrap();
    let mut rows = Vec::new();
    for last in [false, true] {
        let mut request = crate::jobs::wish(1);
        request.worker = WorkerId::new(worker);
        let claimed = store.claim(&request).await.unwrap().remove(0);
        let beat = Beat {
            job_id: new.id.clone(),
            token: claimed.lease.token,
            extend_by: Duration::from_secs(1),
            progress: Some(7),
            checkpoint: Some(bytes.clone().into()),
        };
        store.heartbeat(&[beat]).await.unwrap();
        rows.push(store.get(&new.id).await.unwrap().unwrap());
        let outcome = match last {
            true => Outcome::Complete {
                result: Some(bytes.clone().into()),
            },
            false => Outcome::Retry {
                available_at: clock.now_rounded(),
                error: AttemptError::new(class.clone(), message.clone()),
            },
        };
        let settlement = Settlement {
            span: span.then(|| (TraceId::from_u128(3), SpanId::from_u64(4))),
            ..crate::jobs::settlement(&claimed, outcome)
        };
        store
            .settle(vec![settlement])
            .await
            .unwrap()
            .remove(0)
            .unwrap();
        rows.push(store.get(&new.id).await.unwrap().unwrap());
    }
    let mut later = new.clone();
    later.id = "later".parse().unwrap();
    later.scheduled_at = wanted;
    later.unique_key = None;
    store
        .enqueue(vec![later.clone()])
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    rows.push(store.get(&later.id).await.unwrap().unwrap());
    rows
}

trait Rounded {
    fn now_rounded(&self) -> Timestamp;
}

impl Rounded for ManualClock {
    fn now_rounded(&self) -> Timestamp {
        longshore_core::Clock::now(self)
    }
}
