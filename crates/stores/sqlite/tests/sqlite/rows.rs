//! Rows as they are stored: whatever a job holds comes back, and a damaged value is `Corrupt`,
//! never a panic and never a job that differs from the stored one without saying so.

use std::time::Duration;

use longshore_core::{
    AttemptError, ErrorKind, JobFilter, JobId, JobState, NewJob, Outcome, PruneRequest, Settlement,
    Store, StoreError, Timestamp, TraceState, UniqueKey, UniqueScope, WorkerId,
};
use longshore_sqlite::SqliteStore;
use longshore_sqlite::rusqlite::Connection;
use longshore_sqlite::rusqlite::types::Value;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::support::{Folder, claim, complete, job};

/// The columns of a job, and whether each holds text.
const COLUMNS: [(&str, bool); 27] = [
    ("id", true),
    ("queue", true),
    ("kind", true),
    ("priority", false),
    ("state", false),
    ("attempt", false),
    ("claim", false),
    ("max_attempts", false),
    ("enqueued_at", false),
    ("available_at", false),
    ("first_available_at", false),
    ("finished_at", false),
    ("lease_token", false),
    ("lease_expires_at", false),
    ("claimed_at", false),
    ("worker", true),
    ("progress", false),
    ("cancel_requested", false),
    ("timeout", false),
    ("unique_key", true),
    ("unique_hash", false),
    ("unique_for", false),
    ("outside", false),
    ("envelope", true),
    ("keep", true),
    ("history", true),
    ("seq", false),
];

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        -9..9i64,
        Just(i64::MIN),
        Just(i64::MAX),
        Just(i64::from(u32::MAX)),
        Just(i64::from(u32::MAX) + 1),
    ]
}

/// Text that may not even be UTF-8, and text that is nearly right.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..60),
        any::<String>().prop_map(String::into_bytes),
        "\\[\"00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]\"(,[0-9]{1,3}|,\"(a=1|[0-9a-f]{16}|=)?\"|,){0,6}\\]?"
            .prop_map(String::into_bytes),
        "(\\[1,1,[0-9]{1,9},[0-9]{1,9},-?[0-9]{1,9},\"(completed|lost)\",\"w\"(,null|,\"=\"|,\"[0-9a-f]{16}\"|,\\[\"a\",\"b\"\\]){0,3}\\]\n?){1,3}"
            .prop_map(String::into_bytes),
        "(\\{\"[tmcpnsx]\":(\"a\"|\\[\"b\"\\]|\\{\\}|1|null)\\}|\\[1,1,\"w\",0,0,0,\"lost\",null,null,null\\]\n?){1,3}"
            .prop_map(String::into_bytes),
        (1..3000usize).prop_map(|depth| "[".repeat(depth).into_bytes()),
    ]
}

fn new_job(id: JobId) -> impl Strategy<Value = NewJob> {
    let text = || option::of("[ -~]{1,40}");
    (
        prop_oneof![vec(any::<u8>(), 0..40), vec(any::<u8>(), 1000..3000)],
        vec("[a-z]{1,9}", 0..4),
        btree_map("[a-z]{1,9}", ".{0,20}", 0..4),
        (text(), text(), text(), text()),
        option::of(("[a-z]{1,20}", any::<u64>())),
        option::of(1..u64::from(u32::MAX)),
        option::of(any::<i64>()),
        (1..100u32, 1..3000u32),
    )
        .prop_map(
            move |(args, tags, metadata, texts, unique, timeout, at, (attempts, batch))| {
                let mut new = job(id.clone(), args);
                new.tags = tags;
                new.metadata = metadata;
                (new.correlation_id, new.parent_correlation_id) = (texts.0, texts.1);
                (new.tenant_id, new.namespace) = (texts.2, texts.3);
                new.unique_key = unique.map(|(key, hash)| UniqueKey {
                    key,
                    hash,
                    scope: UniqueScope::default(),
                });
                new.timeout = timeout.map(Duration::from_millis);
                new.scheduled_at = at.map(Timestamp::from_unix_nanos);
                new.max_attempts = attempts;
                new.trace.tracestate = TraceState::parse("a=1").0;
                new.trace.batch_size = batch;
                new
            },
        )
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work)
}

/// What a caller may be told of a damaged file: not that the program is at fault, and not to try
/// again.
fn told<T>(what: &str, answer: Result<T, StoreError>) -> Option<T> {
    match answer {
        Ok(value) => Some(value),
        Err(error) => {
            let bad = [ErrorKind::Internal, ErrorKind::Unavailable].contains(&error.kind());
            assert!(!bad, "{what}: {error}");
            None
        }
    }
}

/// Calls everything that reads rows.
async fn use_all(store: &SqliteStore, ids: &[JobId]) {
    for id in ids {
        told("get", store.get(id).await);
    }
    for states in [vec![], JobState::ALL.to_vec(), vec![JobState::Discarded]] {
        let filter = JobFilter {
            states,
            ..JobFilter::default()
        };
        told("list", store.list(&filter, None, 9).await);
    }
    let stats = told("queue_stats", store.queue_stats().await).unwrap_or_default();
    for stats in stats {
        let _bounded = stats.unfinished();
    }
    told("promote", store.promote(9).await);
    told("rescue", store.rescue(9).await);
    let queues = vec![crate::support::queue()];
    let (worker, lease) = (WorkerId::new("tester"), Duration::from_secs(30));
    let request = longshore_core::ClaimRequest::new(worker, queues, 9, lease);
    let claimed = told("claim", store.claim(&request).await).unwrap_or_default();
    let settled = store.settle(claimed.iter().map(complete).collect()).await;
    told("settle", settled);
    for id in ids {
        let id = std::slice::from_ref(id);
        told("cancel", store.cancel(id).await);
        told("discard", store.discard(id).await);
        told("retry_now", store.retry_now(id).await);
    }
    let all = PruneRequest::before(Timestamp::MAX, 9);
    told("prune", store.prune(&all).await);
}

/// Jobs that waited, run, were retried with a large result, and failed.
async fn some_jobs(store: &SqliteStore) -> Vec<JobId> {
    let mut new = crate::support::jobs(store, 4).await;
    let large = bytes::Bytes::from(vec![b'x'; 4000]);
    if let Some(last) = new.last_mut() {
        last.args = large.clone();
        last.tags = vec!["t".to_owned()];
    }
    let ids = new.iter().map(|job| job.id.clone()).collect();
    store.enqueue(new).await.unwrap();
    let claimed = claim(store, 3).await;
    let error = AttemptError::new("io", "broken");
    let outcomes = [
        Outcome::Complete {
            result: Some(large),
        },
        Outcome::Retry {
            available_at: Timestamp::UNIX_EPOCH,
            error,
        },
    ];
    for (claimed, outcome) in claimed.iter().zip(outcomes) {
        let settlement = Settlement {
            outcome,
            ..complete(claimed)
        };
        store.settle(vec![settlement]).await.unwrap();
    }
    ids
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_job_comes_back_as_it_was(new in new_job("a-job".parse().unwrap())) {
        let folder = Folder::new();
        let store = folder.store();
        block_on(async {
            store.enqueue(vec![new.clone()]).await.unwrap().remove(0).unwrap();
            let row = store.get(&new.id).await.unwrap().unwrap();
            assert_eq!(&row.args, &new.args);
            assert_eq!((&row.tags, &row.metadata), (&new.tags, &new.metadata));
            assert_eq!(row.correlation_id, new.correlation_id.unwrap_or_else(|| "a-job".to_owned()));
            assert_eq!(row.parent_correlation_id, new.parent_correlation_id);
            assert_eq!((row.tenant_id, row.namespace), (new.tenant_id, new.namespace));
            assert_eq!(&row.unique_key, &new.unique_key);
            assert_eq!((row.timeout, row.max_attempts), (new.timeout, new.max_attempts));
            assert_eq!(&row.trace, &new.trace);
            if let Some(at) = new.scheduled_at {
                assert_eq!(row.available_at, at.max(row.enqueued_at));
            }
            if let Some(unique) = new.unique_key {
                let mut again = job("another".parse().unwrap(), "{}");
                again.unique_key = Some(unique);
                let hit = store.enqueue(vec![again]).await.unwrap().remove(0).unwrap();
                assert_eq!(hit.id(), &new.id);
            }
        });
    }

    #[test]
    fn a_damaged_value_is_named_and_nothing_panics(
        damage in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), number(), bytes(), any::<u8>()), 1..4),
        counts in option::weighted(0.2, number()),
        blobs in option::weighted(0.2, bytes()),
    ) {
        let folder = Folder::new();
        let store = folder.store();
        block_on(async {
            let ids = some_jobs(&store).await;
            let conn = Connection::open(folder.file()).unwrap();
            for (column, row, number, bytes, form) in damage {
                let (name, is_text) = *column.get(&COLUMNS);
                let value = match (is_text, form % 8) {
                    (_, 0) => Value::Null,
                    (true, _) => Value::Blob(bytes),
                    (false, _) => Value::Integer(number),
                };
                let cast = if is_text { "CAST(?1 AS TEXT)" } else { "?1" };
                let sql = format!("UPDATE longshore_job SET {name} = {cast} WHERE id = ?2");
                // Some damage the schema itself refuses.
                let _refused = conn.execute(&sql, (value, row.get(&ids).as_str()));
            }
            if let Some(number) = counts {
                conn.execute("UPDATE longshore_queue SET available = ?1, running = ?1", [number]).unwrap();
            }
            match blobs {
                Some(bytes) if bytes.is_empty() => {
                    conn.execute("DELETE FROM longshore_blob", []).unwrap();
                }
                Some(bytes) => {
                    conn.execute("UPDATE longshore_blob SET body = ?1", [bytes]).unwrap();
                }
                None => {}
            }
            drop(conn);
            use_all(&store, &ids).await;
        });
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_is_corrupt() {
    let cases = [
        ("UPDATE longshore_job SET progress = 256", "number"),
        ("UPDATE longshore_job SET timeout = -1", "number"),
        ("UPDATE longshore_job SET attempt = -1", "number"),
        ("UPDATE longshore_job SET priority = 9", "priority"),
        ("UPDATE longshore_job SET state = 7", "state"),
        ("UPDATE longshore_job SET args = NULL", "args"),
        ("UPDATE longshore_job SET outside = 1", "value"),
        ("UPDATE longshore_job SET envelope = '{'", "envelope"),
        ("UPDATE longshore_job SET history = '[1]'", "attempt"),
        ("UPDATE longshore_job SET keep = '[]'", "keep"),
        (
            "UPDATE longshore_job SET queue = CAST(x'ff' AS TEXT)",
            "text",
        ),
    ];
    for (sql, what) in cases {
        let folder = Folder::new();
        let store = folder.store();
        let id: JobId = "a-job".parse().unwrap();
        store.enqueue(vec![job(id.clone(), "{}")]).await.unwrap();
        Connection::open(folder.file())
            .unwrap()
            .execute(sql, [])
            .unwrap();
        let error = store.get(&id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{sql}: {error}");
        assert!(error.to_string().contains(what), "{sql}: {error}");
    }
}
