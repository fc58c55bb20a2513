//! Groups: what is acknowledged is there, and one call's trouble stays its own.

use std::collections::HashSet;
use std::sync::Arc;

use longshore_core::{ErrorKind, Store};
use longshore_sqlite::rusqlite::{Connection, TransactionBehavior};
use longshore_sqlite::{SqliteOptions, SqliteStore};

use crate::support::{Folder, claim, jobs};

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_calls_are_all_acknowledged_and_there() {
    let folder = Folder::new();
    let store = Arc::new(folder.store());
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let new = jobs(&*store, 1).await;
                store.enqueue(new).await.unwrap().remove(0).unwrap()
            })
        })
        .collect();
    let mut ids = HashSet::new();
    for call in calls {
        ids.insert(call.await.unwrap().id().clone());
    }
    let there = folder.store().list(&Default::default(), None, 1000).await;
    let there: HashSet<_> = there.unwrap().jobs.into_iter().map(|job| job.id).collect();
    assert_eq!((ids.len(), &ids), (200, &there));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_fails_the_call_that_fills_it_and_no_other() {
    let folder = Folder::new();
    let options = SqliteOptions::at(folder.file()).with_max_pages(600);
    let store = Arc::new(SqliteStore::open(options).unwrap());
    let calls: Vec<_> = (0..40)
        .map(|number: usize| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let size = if number.is_multiple_of(4) {
                    4 << 20
                } else {
                    10
                };
                let mut new = jobs(&*store, 1).await.remove(0);
                new.args = vec![b'x'; size].into();
                let answer = store.enqueue(vec![new]).await;
                (size, answer.map(|mut answers| answers.remove(0)))
            })
        })
        .collect();
    for call in calls {
        match call.await.unwrap() {
            (10, answer) => assert!(answer.unwrap().is_ok()),
            (_, answer) => {
                let error = answer.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                assert!(error.to_string().contains("full"), "{error}");
            }
        }
    }
    assert_eq!(claim(&*store, 100).await.len(), 30);
    assert_eq!(store.queue_stats().await.unwrap()[0].running, 30);
}

#[tokio::test]
async fn jobs_enqueued_in_the_callers_transaction_share_its_fate() {
    let folder = Folder::new();
    let store = folder.store();
    let new = jobs(&store, 2).await;
    let now = store.now().await.unwrap();
    let mut conn = Connection::open(folder.file()).unwrap();
    conn.execute_batch("CREATE TABLE orders (id TEXT)").unwrap();
    for (job, commits) in new.iter().zip([false, true]) {
        let transaction = conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .unwrap();
        transaction
            .execute("INSERT INTO orders VALUES (?1)", [job.id.as_str()])
            .unwrap();
        let jobs = std::slice::from_ref(job);
        let enqueued = SqliteStore::enqueue_in(&transaction, jobs, now).unwrap();
        assert!(enqueued[0].is_ok());
        if commits {
            transaction.commit().unwrap();
        } else {
            transaction.rollback().unwrap();
        }
    }
    assert_eq!(store.get(&new[0].id).await.unwrap(), None);
    let claimed = claim(&store, 5).await;
    let ids: Vec<_> = claimed.iter().map(|claimed| &claimed.job.id).collect();
    assert_eq!(ids, [&new[1].id]);
}

#[tokio::test]
async fn a_store_kept_busy_by_another_is_unavailable() {
    let folder = Folder::new();
    let wait = std::time::Duration::from_millis(1);
    let options = SqliteOptions::at(folder.file()).with_busy_timeout(wait);
    let store = SqliteStore::open(options).unwrap();
    let new = jobs(&store, 1).await;
    let mut conn = Connection::open(folder.file()).unwrap();
    let other = conn
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap();
    let error = store.enqueue(new.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    drop(other);
    store.enqueue(new).await.unwrap()[0].as_ref().unwrap();
}
