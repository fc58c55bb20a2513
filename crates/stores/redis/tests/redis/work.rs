//! What calls cost the server, counted by the server.

use longshore_core::{JobFilter, JobState, Store};

use crate::jobs::{complete, enqueue, new_jobs, settlement, wish};
use crate::server::{Server, Stores as _};

/// Commands that the server did since the last time it was asked.
fn commands(server: &Server) -> u64 {
    let all = server.calls().iter().map(|(_, calls)| calls).sum();
    server.command(&["CONFIG", "RESETSTAT"]).unwrap();
    all
}

/// A call costs the same few commands whether it is of one job or of a hundred.
#[tokio::test]
async fn a_batch_costs_no_more_commands_than_a_job() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = server.store();
    enqueue(&store, 1).await;
    let mut costs = Vec::new();
    for batch in [1, 100] {
        let jobs = new_jobs(&store, batch).await;
        commands(&server);
        store.enqueue(jobs).await.unwrap();
        let enqueued = commands(&server);
        let claimed = store.claim(&wish(batch)).await.unwrap();
        let taken = commands(&server);
        assert_eq!(claimed.len(), batch);
        let settlements = claimed
            .iter()
            .map(|claimed| settlement(claimed, complete()))
            .collect();
        store.settle(settlements).await.unwrap();
        costs.push([enqueued, taken, commands(&server)]);
    }
    let most = [8, 16, 11];
    for cost in &costs {
        let each = cost.iter().zip(most);
        assert!(
            each.into_iter().all(|(has, most)| *has <= most),
            "{costs:?}"
        );
    }
}

/// A page of a queue or a state reads what it shows, however many other jobs there are.
#[tokio::test]
async fn a_page_of_a_queue_or_a_state_looks_at_no_others() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = server.store();
    let mut first = new_jobs(&store, 20).await;
    for job in &mut first {
        job.queue = "rare".parse().unwrap();
    }
    store.enqueue(first).await.unwrap();
    let mut rare = wish(15);
    rare.queues = vec!["rare".parse().unwrap()];
    let claimed = store.claim(&rare).await.unwrap();
    let failed = claimed.iter().take(12).map(|claimed| {
        let error = longshore_core::AttemptError::new("bad", "no such order");
        settlement(claimed, longshore_core::Outcome::Discard { error })
    });
    store.settle(failed.collect()).await.unwrap();
    for _ in 0..3 {
        let jobs = new_jobs(&store, 1000).await;
        store.enqueue(jobs).await.unwrap();
    }

    let of_queue = JobFilter {
        queue: Some("rare".parse().unwrap()),
        ..JobFilter::default()
    };
    let of_state = |state| JobFilter {
        states: vec![state],
        ..JobFilter::default()
    };
    for (filter, there) in [
        (of_queue, 20),
        (of_state(JobState::Discarded), 12),
        (of_state(JobState::Running), 3),
        (of_state(JobState::Cancelled), 0),
    ] {
        let (mut cursor, mut found) = (None, 0);
        loop {
            commands(&server);
            let page = store.list(&filter, cursor.as_deref(), 10).await.unwrap();
            // Envelopes and attempts of the page and the job after it, its records, and each shelf.
            let cost = commands(&server);
            assert!(cost <= 2 * 11 + 10, "{filter:?}: {cost}");
            found += page.jobs.len();
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, there, "{filter:?}");
    }
    commands(&server);
    store.queue_stats().await.unwrap();
    assert!(commands(&server) <= 12);
}
