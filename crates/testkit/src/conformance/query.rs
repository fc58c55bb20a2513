//! Clauses Q: looking at jobs. Stores whose listings may lag are asked when nothing is in motion.

use std::time::Duration;

use longshore_core::{AttemptError, ErrorKind, JobFilter, JobId, JobState, Outcome};

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

/// jobs are found by when they were enqueued, and by the error that their last attempt ended
/// with, its message as it is stored.
pub async fn lists_by_age_and_error(h: &Harness) {
    let message = "no \"stock\" of 50% C:\\x_\nin the shop, señor";
    let mut ids = Vec::new();
    for (class, message) in [("a", message), ("b", "no stock"), ("a", "")] {
        let claimed = h.running("q").await;
        let error = AttemptError::new(class, message);
        h.settle(&claimed, Outcome::Discard { error }).await;
        ids.push(claimed.job.id);
        h.advance(Duration::from_secs(60));
    }
    // An error before the last attempt is not the last error.
    let claimed = h.running("q").await;
    h.settle(&claimed, crate::harness::retry_at(h.now())).await;
    let again = h.claim_one("q").await;
    h.settle(&again, crate::harness::complete()).await;
    ids.push(claimed.job.id);

    let any = JobFilter::default;
    let text = |text: &str| JobFilter {
        error_text: Some(text.to_owned()),
        ..any()
    };
    for part in [message, "\"stock\"", "C:\\x_\nin", "50% C", "señor", "x_"] {
        assert_eq!(listed(h, &text(part)).await, ids[..1], "{part}");
    }
    assert_eq!(
        listed(h, &text("stock")).await,
        [&ids[1..2], &ids[..1]].concat()
    );
    for part in ["STOCK", "n\\", "no%stock", "wanted this attempt", "\\n"] {
        assert!(listed(h, &text(part)).await.is_empty(), "{part}");
    }
    let class = |class: &str| JobFilter {
        error_class: Some(class.to_owned()),
        ..any()
    };
    assert_eq!(
        listed(h, &class("a")).await,
        [ids[2].clone(), ids[0].clone()]
    );
    assert!(listed(h, &class("check")).await.is_empty());

    let second = h.row(&ids[1]).await.enqueued_at;
    let mut filter = JobFilter {
        enqueued_after: Some(second),
        ..any()
    };
    let newer = [ids[3].clone(), ids[2].clone(), ids[1].clone()];
    assert_eq!(listed(h, &filter).await, newer);
    filter.enqueued_before = h.row(&ids[2]).await.enqueued_at.into();
    assert_eq!(listed(h, &filter).await, ids[1..2]);
    filter.enqueued_before = Some(second);
    assert!(listed(h, &filter).await.is_empty());
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
    let (mut listed, mut cursor) = (Vec::new(), None);
    loop {
        let asked = h.store.list(filter, cursor.as_deref(), 100).await;
        let page = asked.unwrap();
        listed.extend(page.jobs.into_iter().map(|job| job.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return listed;
        }
    }
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
