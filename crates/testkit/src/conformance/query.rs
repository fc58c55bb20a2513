//! Clauses Q: looking at jobs. Stores whose listings may lag are asked when nothing is in motion.

use std::time::Duration;

use longshore_core::{ErrorKind, JobFilter, JobId, JobState};

use crate::harness::{Harness, assert_refused, complete, name};

/// a job is found by its id alone, exactly as it is at that moment, and no other.
pub async fn get_is_exact(h: &Harness) {
    let unknown = h.unused_id("q").await;
    assert_eq!(h.store.get(&unknown).await.unwrap(), None);
    let mut chosen = h.new_job("q").await;
    chosen.id = "order-17/mail".parse().unwrap();
    let id = h.enqueue(chosen).await;
    assert_eq!(h.row(&id).await.state, JobState::Available);
    let claimed = h.claim_one("q").await;
    assert_eq!(h.row(&id).await, claimed.job);
    h.settle(&claimed, complete()).await;
    assert_eq!(h.row(&id).await.state, JobState::Completed);
    let near: JobId = "order-17".parse().unwrap();
    assert_eq!(h.store.get(&near).await.unwrap(), None);
}

/// pages follow each other from the newest job to the oldest, none twice and none left out,
/// even if jobs are added between pages.
pub async fn lists_newest_first_in_pages(h: &Harness) {
    let mut expected = Vec::new();
    for _ in 0..7 {
        expected.insert(0, h.enqueue_plain("q").await);
    }
    for limit in [1, 3, 7, 1000, usize::MAX] {
        let filter = JobFilter::default();
        let mut listed = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..10 {
            let page = h.store.list(&filter, cursor.as_deref(), limit);
            let page = page.await.unwrap();
            assert!(page.jobs.len() <= limit);
            assert_eq!(page.as_of, h.now());
            listed.extend(page.jobs.into_iter().map(|job| job.id));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(cursor, None, "the listing must come to an end");
        assert_eq!(listed, expected, "pages of {limit}");
    }

    let filter = JobFilter::default();
    let first = h.store.list(&filter, None, 3).await.unwrap();
    h.enqueue_plain("q").await;
    let cursor = first.next_cursor.unwrap();
    let second = h.store.list(&filter, Some(&cursor), 3).await.unwrap();
    let ids: Vec<_> = second.jobs.into_iter().map(|job| job.id).collect();
    assert_eq!(ids, expected[3..6]);
}

/// every filter that is set must match.
pub async fn lists_by_each_filter(h: &Harness) {
    let id = wanted_and_similar(h).await;
    let any = JobFilter::default;
    let wanted = || Some("wanted".to_owned());
    let pair = Some(("key".to_owned(), "wanted".to_owned()));
    let queue = Some(name("wanted"));
    let kind = Some("wanted".try_into().unwrap());
    let states = vec![JobState::Completed, JobState::Running];
    let each = [
        JobFilter { states, ..any() },
        JobFilter {
            queue: queue.clone(),
            ..any()
        },
        JobFilter { kind, ..any() },
        JobFilter {
            tag: wanted(),
            ..any()
        },
        JobFilter {
            metadata: pair,
            ..any()
        },
        JobFilter {
            tenant_id: wanted(),
            ..any()
        },
        JobFilter {
            namespace: wanted(),
            ..any()
        },
        JobFilter {
            correlation_id: wanted(),
            ..any()
        },
        JobFilter {
            queue: queue.clone(),
            tag: wanted(),
            ..any()
        },
    ];
    for filter in each {
        assert_eq!(
            listed(h, &filter).await,
            std::slice::from_ref(&id),
            "{filter:?}"
        );
    }
    let tag = Some("missing".to_owned());
    let none = JobFilter {
        queue,
        tag,
        ..any()
    };
    assert!(listed(h, &none).await.is_empty());
    assert_eq!(listed(h, &any()).await.len(), 2);
}

/// each queue's jobs are counted by the state they are shown in.
pub async fn counts_every_state(h: &Harness) {
    for state in JobState::ALL {
        h.job_in(state).await;
    }
    let paused = name("only-paused");
    h.store.pause(&paused).await.unwrap();
    let mut stats = h.store.queue_stats().await.unwrap();
    stats.sort_by(|a, b| a.queue.cmp(&b.queue));
    assert_eq!(stats.len(), JobState::ALL.len() + 1);
    for mut stats in stats {
        assert_eq!(stats.as_of, h.now());
        assert_eq!(stats.paused, stats.queue == paused);
        let own = JobState::ALL
            .into_iter()
            .find(|state| state.as_str() == stats.queue.as_str());
        let due = own == Some(JobState::Available);
        assert_eq!(stats.oldest_available_at.is_some(), due);
        for state in JobState::ALL {
            let expected = u64::from(own == Some(state));
            let count = *stats.count_mut(state);
            assert_eq!(count, expected, "{state} in {}", stats.queue);
        }
    }

    h.advance(Duration::from_secs(7200));
    let stats = h.store.queue_stats().await.unwrap();
    for queue in ["scheduled", "retryable"] {
        let row = stats.iter().find(|stats| stats.queue.as_str() == queue);
        let row = row.unwrap();
        assert_eq!((row.available, row.unfinished()), (1, 1), "{queue}");
        let due_for = h.now().since(row.oldest_available_at.unwrap());
        assert!(due_for >= Duration::from_secs(3000), "{queue}: {due_for:?}");
    }
}

/// a cursor that this store did not make is refused.
pub async fn refuses_a_foreign_cursor(h: &Harness) {
    h.enqueue_plain("q").await;
    let filter = JobFilter::default();
    let answer = h.store.list(&filter, Some("\u{1f6a2} no cursor"), 10).await;
    assert_refused(answer, ErrorKind::Invalid);
}

async fn listed(h: &Harness, filter: &JobFilter) -> Vec<JobId> {
    let page = h.store.list(filter, None, 100).await.unwrap();
    page.jobs.into_iter().map(|job| job.id).collect()
}

/// Enqueues a job that every filter of the check wants, claims it, and enqueues one that is nearly
/// but nowhere the same; gives back the id of the first.
async fn wanted_and_similar(h: &Harness) -> JobId {
    let mut job = h.new_job("wanted").await;
    job.kind = "wanted".try_into().unwrap();
    job.tags = vec!["other".to_owned(), "wanted".to_owned()];
    job.metadata = [("key", "wanted"), ("other", "x")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    job.tenant_id = Some("wanted".to_owned());
    job.namespace = Some("wanted".to_owned());
    job.correlation_id = Some("wanted".to_owned());
    let id = h.enqueue(job).await;
    h.claim_one("wanted").await;
    let mut similar = h.new_job("wanted-not").await;
    similar.tags = vec!["wanted-not".to_owned(), "wante_".to_owned()];
    similar.metadata = [("key".to_owned(), "wanted-not".to_owned())].into();
    h.enqueue(similar).await;
    id
}
