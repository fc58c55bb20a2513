//! Files that earlier versions left: whatever the newest version is, it brings them up to date,
//! and their jobs are all there and run. Who adds a migration adds the dump of a file before it.

use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{
    ClaimRequest, ErrorKind, Group, Job, JobState, QueueName, Quota, Spread, Store, UniqueKey,
    UniqueScope, WorkerId,
};
use longshore_sqlite::rusqlite::Connection;
use longshore_sqlite::{SqliteOptions, SqliteStore};
use longshore_testkit::ManualClock;

use crate::child::child;
use crate::support::{Folder, complete, job};

/// What each version left, the first first: `sqlite3 FILE .dump` and the two pragmas at its end.
const LEFT: [&str; 5] = [
    include_str!("version_1.sql"),
    include_str!("version_2.sql"),
    include_str!("version_3.sql"),
    include_str!("version_4.sql"),
    include_str!("version_5.sql"),
];

fn left_by(version: usize) -> Folder {
    let folder = Folder::new();
    let conn = Connection::open(folder.file()).unwrap();
    conn.execute_batch(LEFT[version - 1]).unwrap();
    assert_eq!(version_of(&folder), version);
    folder
}

fn version_of(folder: &Folder) -> usize {
    let conn = Connection::open(folder.file()).unwrap();
    let version: i64 = conn
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    usize::try_from(version).unwrap()
}

fn newest() -> usize {
    let folder = Folder::new();
    drop(folder.store());
    version_of(&folder)
}

#[test]
fn every_version_before_the_newest_has_left_a_file() {
    let newest = newest();
    assert!(
        LEFT.len() + 1 >= newest,
        "version {newest} is the newest: add tests/sqlite/version_{}.sql",
        newest - 1
    );
}

/// A day after the dump was made.
fn clock() -> Arc<ManualClock> {
    let clock = ManualClock::default();
    clock.advance(Duration::from_secs(330 * 24 * 3600));
    Arc::new(clock)
}

async fn of_queue(store: &SqliteStore, queue: &str) -> Vec<Job> {
    let page = store.list(&Default::default(), None, 100).await.unwrap();
    let mut jobs = Vec::new();
    for job in page.jobs.iter().rev() {
        if job.queue.as_str() == queue {
            jobs.push(store.get(&job.id).await.unwrap().unwrap());
        }
    }
    jobs
}

#[tokio::test]
async fn what_every_version_left_is_brought_up_to_date_and_runs() {
    for version in 1..=LEFT.len() {
        let folder = left_by(version);
        let options = SqliteOptions::at(folder.file()).with_clock(clock());
        let store = SqliteStore::open(options).unwrap();
        assert_eq!(version_of(&folder), newest());
        has_everything(&store).await;
        if version > 1 {
            has_traces(&store).await;
        }
        if version > 2 {
            has_short_forms(&store).await;
        }
        if version > 3 {
            has_keys_in_windows(&store).await;
        }
        runs_everything(&store).await;
        assert_eq!(store.examine().await.unwrap().damage, [] as [String; 0]);
        drop(store);
        // Nothing is left that a later version would take for a change by hand.
        drop(folder.store());
    }
}

async fn has_everything(store: &SqliteStore) {
    let done = of_queue(store, "done").await.remove(0);
    assert_eq!(done.state, JobState::Completed);
    assert_eq!(done.result.as_deref(), Some(&b"42\n"[..]));
    assert_eq!(done.tags, ["nightly"]);
    assert_eq!(done.metadata["who"], "ann");
    assert_eq!(done.history.len(), 1);
    let broken = of_queue(store, "broken").await.remove(0);
    assert_eq!(broken.state, JobState::Discarded);
    let error = broken.history[0].error.as_ref().unwrap();
    assert_eq!(error.message, "no such file");
    let flaky = of_queue(store, "flaky").await.remove(0);
    assert_eq!((flaky.attempt, flaky.history.len()), (3, 3));
    assert_eq!(flaky.tenant_id.as_deref(), Some("acme"));
    assert_eq!(flaky.namespace.as_deref(), Some("shop"));
    let later = of_queue(store, "later").await.remove(0);
    assert_eq!(later.timeout, Some(Duration::from_secs(30)));
    let work = of_queue(store, "work").await;
    let states: Vec<_> = work.iter().map(|job| job.state).collect();
    let available = JobState::Available;
    assert_eq!(states, [available, available, JobState::Cancelled]);
    assert_eq!(work[1].args.len(), 1612);
    assert!(work[1].args.starts_with(br#"{"text":"abcdefgh"#));
    let limits = store.read_document("limits").await.unwrap().unwrap();
    assert_eq!((limits.version, &*limits.body), (3, &br#"{"mail":5}"#[..]));
    // The unique key of a waiting job is still taken.
    let mut taken = job("other".parse().unwrap(), "{}");
    taken.unique_key = Some(UniqueKey {
        key: "e".to_owned(),
        hash: 1,
        scope: Default::default(),
    });
    let answer = store.enqueue(vec![taken]).await.unwrap().remove(0);
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Conflict);
}

async fn has_traces(store: &SqliteStore) {
    let traced = of_queue(store, "traced").await.remove(0);
    let context = traced.trace.context().unwrap().unwrap();
    assert_eq!(context.trace_state.as_str(), "ot=rv:6e6d1a75832a2f");
    assert_eq!(traced.trace.batch_size, 100);
    let stub = traced.trace.enqueue_stub.as_ref().unwrap();
    let parent = stub.parent_span_id.map(|id| id.to_string());
    assert_eq!(parent.as_deref(), Some("b7ad6b7169203331"));
    let (retried, completed) = (&traced.history[0], &traced.history[1]);
    let error = retried.error.as_ref().unwrap();
    assert_eq!(error.message, "try \"later\"");
    assert_eq!(retried.span_id.unwrap().to_string(), "c3b2a1908f7e6d5c");
    assert_eq!(completed.trace_id, Some(context.trace_id));
    assert_eq!(completed.ended_at.unix_nanos(), 1_795_278_304_030_566_516);
}

async fn has_short_forms(store: &SqliteStore) {
    let short = of_queue(store, "short").await.remove(0);
    let context = short.trace.context().unwrap().unwrap();
    assert_eq!(context.span_id.to_string(), "23edd9056c66d32a");
    assert_eq!(short.history[0].trace_id, Some(context.trace_id));
    let unique = short.unique_key.unwrap();
    assert_eq!((&*unique.key, unique.scope), ("s", UniqueScope::Unfinished));
    // Its job is over, so the key is free.
    let mut new = job("other-of-s".parse().unwrap(), "{}");
    new.queue = "short".parse().unwrap();
    new.unique_key = Some(UniqueKey::new("s", &new.kind, &new.args));
    let answer = store.enqueue(vec![new]).await.unwrap().remove(0);
    let enqueued = answer.unwrap();
    assert_eq!(enqueued.as_str(), "created");
    let ids = std::slice::from_ref(enqueued.id());
    store.cancel(ids).await.unwrap().remove(0).unwrap();
}

/// The key of a job in its window, and that of one that was pruned, are still taken.
async fn has_keys_in_windows(store: &SqliteStore) {
    for key in ["w", "r"] {
        let mut new = job("other".parse().unwrap(), "{}");
        new.queue = "windowed".parse().unwrap();
        new.unique_key = Some(UniqueKey::new(key, &new.kind, &new.args));
        let answer = store.enqueue(vec![new]).await.unwrap().remove(0);
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Conflict, "{key}");
    }
}

async fn runs_everything(store: &SqliteStore) {
    store.resume(&"paused".parse().unwrap()).await.unwrap();
    store.promote(100).await.unwrap();
    assert_eq!(store.rescue(100).await.unwrap().len(), 1);
    let names = ["flaky", "later", "work", "lost", "paused"];
    let queues: Vec<QueueName> = names.iter().map(|name| name.parse().unwrap()).collect();
    let worker = WorkerId::new("tester");
    let mut request = ClaimRequest::new(worker, queues, 100, Duration::from_secs(30));
    // Those of tenants are found by tenant, too.
    request.spread = Some(Spread {
        after: None,
        each: 1,
    });
    let group = Group::Tenant("acme".to_owned());
    request.quotas = vec![Quota { group, at_most: 0 }];
    let claimed = store.claim(&request).await.unwrap();
    assert_eq!(claimed.len(), 5);
    store
        .settle(claimed.iter().map(complete).collect())
        .await
        .unwrap();
    request.quotas.clear();
    let claimed = store.claim(&request).await.unwrap();
    assert_eq!(claimed.len(), 1);
    let settlements = claimed.iter().map(complete).collect();
    for settled in store.settle(settlements).await.unwrap() {
        settled.unwrap();
    }
    for stats in store.queue_stats().await.unwrap() {
        let open = stats.available + stats.running + stats.scheduled + stats.retryable;
        assert_eq!(open, 0, "{stats:?}");
    }
}

/// Many processes start at the same moment on a file that is not up to date, or not there yet.
#[test]
fn processes_that_open_a_file_at_once_all_find_it_up_to_date() {
    for round in 0..6 {
        let folder = if round % 2 == 0 {
            Folder::new()
        } else {
            left_by(1)
        };
        let children: Vec<_> = (0..6)
            .map(|_| child("permissions::part_open", &folder.file()))
            .collect();
        for (mut child, output) in children {
            let lines: Vec<String> = output.lines().map_while(Result::ok).collect();
            assert!(lines.iter().any(|line| line == "opened"), "{lines:#?}");
            assert!(child.wait().unwrap().success());
        }
        assert_eq!(version_of(&folder), newest());
    }
}
