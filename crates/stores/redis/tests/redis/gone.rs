//! Jobs whose record the server evicted, or somebody deleted, are told by `doctor`, and all others go
//! on.

use std::time::Duration;

use longshore_core::{JobId, Outcome, QueueStats, Store};
use longshore_redis::RedisStore;

use crate::jobs::{enqueue, new_jobs, settlement, wish};
use crate::server::{Server, Stores as _};

/// Both ways in which a server runs the functions.
fn stores(server: &Server) -> [RedisStore; 2] {
    let options = |prefix: &str| server.options().with_prefix(prefix).unwrap();
    [options("g0"), options("g1").with_script()].map(RedisStore::open)
}

fn delete(server: &Server, prefix: usize, id: &JobId) {
    let key = format!("{{g{prefix}}}:j:{id}");
    let said = server.command(&["DEL", &key]).unwrap();
    assert!(said.starts_with(":1"), "{said}");
}

/// What `doctor` says of jobs that are gone, with the command after which it is quiet.
async fn told(store: &RedisStore) -> Option<(String, String)> {
    let found = store.examine().await.unwrap();
    let mut said = found.complaints.into_iter();
    let of_gone = said.find(|complaint| complaint.message.contains("lost jobs"))?;
    Some((of_gone.message, of_gone.remedy))
}

async fn stats(store: &RedisStore) -> QueueStats {
    store.queue_stats().await.unwrap().remove(0)
}

#[tokio::test]
async fn a_lease_of_a_job_that_is_gone_keeps_no_other_from_its_rescue() {
    let Some(server) = Server::start() else {
        return;
    };
    for (number, store) in stores(&server).into_iter().enumerate() {
        let ids = enqueue(&store, 3).await;
        let mut short = wish(3);
        short.lease = Duration::ZERO;
        assert_eq!(store.claim(&short).await.unwrap().len(), 3);
        delete(&server, number, &ids[0]);

        let mut rescued = Vec::new();
        // A lease ends once the server's clock has gone on.
        while rescued.len() < 2 {
            rescued.extend(store.rescue(10).await.unwrap());
        }
        let of_rescued: Vec<_> = rescued.iter().map(|one| &one.job.id).collect();
        assert_eq!(of_rescued, [&ids[1], &ids[2]]);
        assert!(store.rescue(10).await.unwrap().is_empty());
        let counted = stats(&store).await;
        assert_eq!((counted.running, counted.available), (0, 2));

        let (message, remedy) = told(&store).await.unwrap();
        assert!(message.starts_with("lost jobs: 1"), "{message}");
        assert!(message.contains(ids[0].as_str()), "{message}");
        let key = remedy.strip_prefix("redis-cli DEL ").unwrap();
        server.command(&["DEL", key.trim_matches('\'')]).unwrap();
        assert_eq!(told(&store).await, None);
    }
}

#[tokio::test]
async fn a_waiting_job_that_is_gone_keeps_no_other_from_being_claimed() {
    let Some(server) = Server::start() else {
        return;
    };
    for (number, store) in stores(&server).into_iter().enumerate() {
        let ids = enqueue(&store, 3).await;
        let later = store.now().await.unwrap().after(Duration::from_secs(3600));
        let mut delayed = new_jobs(&store, 1).await;
        delayed[0].scheduled_at = Some(later);
        store.enqueue(delayed).await.unwrap();
        delete(&server, number, &ids[0]);
        delete(&server, number, &ids[1]);

        let claimed = store.claim(&wish(2)).await.unwrap();
        assert_eq!(claimed.len(), 0);
        let claimed = store.claim(&wish(2)).await.unwrap();
        assert_eq!(claimed.len(), 1);
        assert_eq!(claimed[0].job.id, ids[2]);
        let counted = stats(&store).await;
        let counted = [counted.scheduled, counted.available, counted.running];
        assert_eq!(counted, [1, 0, 1]);
        let (message, _) = told(&store).await.unwrap();
        assert!(message.starts_with("lost jobs: 2"), "{message}");
    }
}

#[tokio::test]
async fn a_job_that_is_gone_keeps_no_other_from_becoming_due() {
    let Some(server) = Server::start() else {
        return;
    };
    for (number, store) in stores(&server).into_iter().enumerate() {
        let ids = enqueue(&store, 2).await;
        let claimed = store.claim(&wish(2)).await.unwrap();
        let now = store.now().await.unwrap();
        let wait = |one| settlement(one, Outcome::Snooze { available_at: now });
        store
            .settle(claimed.iter().map(wait).collect())
            .await
            .unwrap();
        delete(&server, number, &ids[0]);
        assert_eq!(store.promote(10).await.unwrap(), 2);
        let claimed = store.claim(&wish(2)).await.unwrap();
        assert_eq!(claimed.len(), 1);
        assert_eq!(claimed[0].job.id, ids[1]);
        let counted = stats(&store).await;
        let counted = [counted.scheduled, counted.available, counted.running];
        assert_eq!(counted, [0, 0, 1]);
        assert!(told(&store).await.unwrap().0.contains(ids[0].as_str()));
    }
}

/// Where its id came again, the lease of the job that is gone is not taken for that of the new one.
#[tokio::test]
async fn a_lease_of_a_job_that_is_gone_is_not_that_of_a_later_one_with_its_id() {
    let Some(server) = Server::start() else {
        return;
    };
    let [store, _] = stores(&server);
    let jobs = new_jobs(&store, 1).await;
    store.enqueue(jobs.clone()).await.unwrap();
    let mut short = wish(1);
    short.lease = Duration::ZERO;
    store.claim(&short).await.unwrap();
    delete(&server, 0, &jobs[0].id);
    store.enqueue(jobs.clone()).await.unwrap();
    while told(&store).await.is_none() {
        assert!(store.rescue(10).await.unwrap().is_empty());
    }
    let claimed = store.claim(&wish(1)).await.unwrap();
    assert_eq!(claimed[0].job.attempt, 1);
    assert_eq!(claimed[0].job.id, jobs[0].id);
}
