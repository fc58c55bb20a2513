//! A queue with more jobs than anyone should look at one by one: 100 000 of them, or as many as
//! `LONGSHORE_MANY_JOBS` says.

use std::collections::HashSet;

use longshore_core::{
    AttemptError, JobFilter, JobId, JobPage, JobState, Outcome, PruneRequest, Settlement, Store,
    Timestamp,
};
use longshore_sqlite::SqliteStore;
use longshore_sqlite::rusqlite::{Connection, StatementStatus, params};

use crate::support::{Folder, claim, complete, job, jobs, queue};

/// Steps of SQLite's machine that a look at few jobs may take, however many there are.
const FEW_STEPS: i32 = 5_000;

fn how_many() -> usize {
    let given = std::env::var_os("LONGSHORE_MANY_JOBS");
    given.map_or(100_000, |given| given.to_str().unwrap().parse().unwrap())
}

async fn listed(store: &SqliteStore, states: &[JobState]) -> JobPage {
    let filter = JobFilter {
        states: states.to_vec(),
        ..JobFilter::default()
    };
    store.list(&filter, None, 50).await.unwrap()
}

/// Every job that matches, and how many pages it took to say so.
async fn all(store: &SqliteStore, filter: &JobFilter) -> (Vec<JobId>, usize) {
    let (mut found, mut cursor, mut pages) = (Vec::new(), None::<String>, 0);
    loop {
        let asked = store.list(filter, cursor.as_deref(), 50).await;
        let page = asked.unwrap();
        pages += 1;
        found.extend(ids(&page));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return (found, pages);
        }
    }
}

fn ids(page: &JobPage) -> Vec<JobId> {
    page.jobs.iter().map(|job| job.id.clone()).collect()
}

/// One job each that is discarded, retryable, completed and still running, in this order.
async fn one_of_each(store: &SqliteStore) -> Vec<JobId> {
    let later = Timestamp::MAX;
    let error = || AttemptError::new("x", "");
    let claimed = claim(store, 4).await;
    let outcomes = [
        Outcome::Discard { error: error() },
        Outcome::Retry {
            available_at: later,
            error: error(),
        },
        Outcome::Complete { result: None },
    ];
    for (claimed, outcome) in claimed.iter().zip(outcomes) {
        let settlement = Settlement {
            outcome,
            ..complete(claimed)
        };
        store.settle(vec![settlement]).await.unwrap();
    }
    claimed.into_iter().map(|claimed| claimed.job.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_jobs_cost_a_look_no_more_than_a_few() {
    let folder = Folder::new();
    let store = folder.store();
    let many = how_many();

    // The oldest jobs are those of the rare states, at the far end of every listing.
    store.enqueue(jobs(&store, 4).await).await.unwrap();
    let each = one_of_each(&store).await;
    let mut cancelled = jobs(&store, 2).await;
    store.enqueue(cancelled.clone()).await.unwrap();
    for job in &cancelled {
        store.cancel(std::slice::from_ref(&job.id)).await.unwrap();
    }
    let mut other = job("in-another-queue".parse().unwrap(), "{}");
    other.queue = "other".parse().unwrap();
    store.enqueue(vec![other.clone()]).await.unwrap();

    let mut stored = Vec::with_capacity(many);
    while stored.len() < many {
        let batch = jobs(&store, 10_000.min(many - stored.len())).await;
        stored.extend(batch.iter().map(|job| job.id.clone()));
        store.enqueue(batch).await.unwrap();
    }

    few_are_found(&store, &each, &mut cancelled, &other.id).await;
    few_steps_are_taken(&folder);
    no_call_looks_at_very_many(&store, &each, stored.len()).await;
    pages_show_every_job_once(&store, &stored).await;

    let claimed = claim(&store, 500).await;
    let taken: Vec<&JobId> = claimed.iter().map(|claimed| &claimed.job.id).collect();
    assert_eq!(taken, stored.iter().take(500).collect::<Vec<_>>());
    store
        .settle(claimed.iter().map(complete).collect())
        .await
        .unwrap();
    let newest: Vec<JobId> = stored.iter().rev().take(100).cloned().collect();
    for answer in store.cancel(&newest).await.unwrap() {
        assert_eq!(answer.unwrap(), JobState::Cancelled);
    }
    let stats = store.queue_stats().await.unwrap();
    let stats = stats.iter().find(|stats| stats.queue == queue()).unwrap();
    let left = u64::try_from(many - 600).unwrap();
    assert_eq!((stats.available, stats.running), (left, 1));
    assert_eq!((stats.completed, stats.cancelled), (501, 102));
    assert_eq!((stats.discarded, stats.retryable), (1, 1));
    assert_eq!(listed(&store, &[JobState::Cancelled]).await.jobs.len(), 50);
    assert_eq!(
        store
            .prune(&PruneRequest::before(Timestamp::MAX, 1_000))
            .await
            .unwrap(),
        604
    );
}

/// Every rare state, and every combination of them, shows just its jobs.
async fn few_are_found(
    store: &SqliteStore,
    each: &[JobId],
    cancelled: &mut [longshore_core::NewJob],
    other: &JobId,
) {
    use JobState as S;
    let [discarded, retryable, completed, running] = each else {
        unreachable!("four jobs were claimed")
    };
    cancelled.reverse();
    let cancelled: Vec<JobId> = cancelled.iter().map(|job| job.id.clone()).collect();
    let failed = [&cancelled[..], std::slice::from_ref(discarded)].concat();
    let troubled = vec![retryable.clone(), discarded.clone()];
    let cases: [(&[JobState], Vec<JobId>); 8] = [
        (&[S::Retryable, S::Discarded], troubled),
        (&[S::Scheduled], vec![]),
        (&[S::Retryable], vec![retryable.clone()]),
        (&[S::Scheduled, S::Retryable], vec![retryable.clone()]),
        (&[S::Running], vec![running.clone()]),
        (&[S::Completed], vec![completed.clone()]),
        (&[S::Discarded], vec![discarded.clone()]),
        (&[S::Cancelled, S::Discarded], failed),
    ];
    for (states, expected) in cases {
        let page = listed(store, states).await;
        assert_eq!(ids(&page), expected, "{states:?}");
        assert_eq!(page.next_cursor, None, "{states:?}");
    }
    for (name, expected) in [("other", vec![other.clone()]), ("nowhere", vec![])] {
        for states in [vec![], vec![S::Available]] {
            let filter = JobFilter {
                states,
                queue: Some(name.parse().unwrap()),
                ..JobFilter::default()
            };
            let (found, _pages) = all(store, &filter).await;
            assert_eq!(found, expected, "{name}");
        }
    }
}

/// The statements of listings of rare states look at the jobs in them alone.
fn few_steps_are_taken(folder: &Folder) {
    let conn = Connection::open(folder.file()).unwrap();
    let cases = [
        (include_str!("../../src/sql/list_running.sql"), 8, 1),
        (include_str!("../../src/sql/list_failed.sql"), 3, 1),
        (include_str!("../../src/sql/list_failed.sql"), 67, 2),
        (include_str!("../../src/sql/list_over.sql"), 112, 4),
        (include_str!("../../src/sql/list_failed.sql"), 32, 2),
        (include_str!("../../src/sql/list_failed.sql"), 64, 1),
        (include_str!("../../src/sql/list_failed.sql"), 96, 3),
    ];
    for (sql, which, expected) in cases {
        let mut statement = conn.prepare(sql).unwrap();
        let found = statement
            .query_map(params![i64::MAX, which, false, false], |row| {
                row.get::<_, i64>(0)
            })
            .unwrap()
            .count();
        let steps = statement.get_status(StatementStatus::VmStep);
        assert_eq!(found, expected, "{sql}");
        assert!(steps < FEW_STEPS, "{steps} steps: {sql}");
    }
}

/// Where only a job at the far end matches, or none, calls look at 100 000 jobs at most each, and
/// together find it.
async fn no_call_looks_at_very_many(store: &SqliteStore, each: &[JobId], many: usize) {
    let none = || Some("none".to_owned());
    let oldest = store.get(&each[0]).await.unwrap().unwrap().enqueued_at;
    let just_after = Timestamp::from_unix_nanos(oldest.unix_nanos() + 1);
    let [mut class, mut text, mut correlation, mut kind] = [(); 4].map(|()| JobFilter::default());
    let [mut tag, mut metadata, mut tenant, mut age] = [(); 4].map(|()| JobFilter::default());
    class.error_class = Some("x".to_owned());
    text.error_text = none();
    correlation.correlation_id = Some(each[3].to_string());
    kind.kind = Some("none".parse().unwrap());
    (tag.tag, tag.states) = (none(), vec![JobState::Available]);
    metadata.metadata = none().zip(none());
    (tenant.tenant_id, tenant.namespace, tenant.queue) = (none(), none(), Some(queue()));
    age.enqueued_before = Some(just_after);
    let cases = [
        (class, 2),
        (text, 0),
        (correlation, 1),
        (kind, 0),
        (tag, 0),
        (metadata, 0),
        (tenant, 0),
        (age, 4),
    ];
    for (filter, expected) in cases {
        let (found, pages) = all(store, &filter).await;
        assert_eq!(found.len(), expected, "{filter:?}");
        let looks = many / 100_000 + 1;
        assert!((looks..=looks + 1).contains(&pages), "{pages}: {filter:?}");
    }
}

/// Following the cursors of the waiting jobs shows each of them once, the newest first.
async fn pages_show_every_job_once(store: &SqliteStore, stored: &[JobId]) {
    let filter = JobFilter {
        states: vec![JobState::Available],
        queue: Some(queue()),
        ..JobFilter::default()
    };
    let mut cursor: Option<String> = None;
    let mut seen = HashSet::new();
    let mut expected = stored.iter().rev();
    loop {
        let page = store.list(&filter, cursor.as_deref(), 1_000).await.unwrap();
        for job in page.jobs {
            assert_eq!(Some(&job.id), expected.next());
            assert!(seen.insert(job.id));
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), stored.len());
}
