//! Unique keys in the file: in the caller's own transaction, and what is left behind.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{
    Clock, Enqueued, NewJob, OnConflict, PruneRequest, Store, UniqueKey, UniqueScope,
};
use longshore_sqlite::rusqlite::{Connection, Transaction, TransactionBehavior};
use longshore_sqlite::{SqliteOptions, SqliteStore};
use longshore_testkit::ManualClock;

use crate::support::{Folder, claim, complete, jobs};

async fn keyed(store: &SqliteStore, args: &[u8], scope: UniqueScope) -> NewJob {
    let mut new = jobs(store, 1).await.remove(0);
    new.args = bytes::Bytes::copy_from_slice(args);
    new.unique_key = Some(UniqueKey::new("k", &new.kind, args).with_scope(scope));
    new
}

fn transaction(conn: &mut Connection) -> Transaction<'_> {
    conn.transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap()
}

fn count(folder: &Folder, of: &str) -> i64 {
    let conn = Connection::open(folder.file()).unwrap();
    conn.query_row(&format!("SELECT count(*) FROM {of}"), [], |row| row.get(0))
        .unwrap()
}

#[tokio::test]
async fn a_key_shares_the_fate_of_the_callers_transaction() {
    let folder = Folder::new();
    let store = folder.store();
    let scope = UniqueScope::Unfinished;
    let first = keyed(&store, b"1", scope).await;
    let again = keyed(&store, b"1", scope).await;
    let mut other = keyed(&store, b"2", scope).await;
    other.on_conflict = OnConflict::Replace { priority: false };
    let now = store.now().await.unwrap();
    let mut conn = Connection::open(folder.file()).unwrap();
    let all = [first.clone(), again.clone(), other.clone()];
    let enqueue = |transaction: &Transaction<'_>| -> Vec<&str> {
        let answers = SqliteStore::enqueue_in(transaction, &all, now).unwrap();
        let answers = answers.iter().flatten();
        answers.map(Enqueued::as_str).collect()
    };

    let undone = transaction(&mut conn);
    assert_eq!(enqueue(&undone), ["created", "hit", "replaced"]);
    undone.rollback().unwrap();
    let free = store.enqueue(vec![again.clone()]).await.unwrap().remove(0);
    assert_eq!(free.unwrap().as_str(), "created");

    let done = transaction(&mut conn);
    assert_eq!(enqueue(&done), ["hit", "hit", "replaced"]);
    done.commit().unwrap();
    let row = store.get(&again.id).await.unwrap().unwrap();
    assert_eq!(row.args, "2");
    assert_eq!(store.get(&first.id).await.unwrap(), None);
    assert_eq!(store.queue_stats().await.unwrap()[0].available, 1);
}

#[tokio::test]
async fn args_that_were_replaced_leave_nothing_behind() {
    let folder = Folder::new();
    let store = folder.store();
    let large = vec![b'x'; 50_000];
    for (args, blobs) in [(&large[..], 1), (b"small", 0), (&large[..], 1)] {
        let mut new = keyed(&store, args, UniqueScope::Waiting).await;
        new.on_conflict = OnConflict::Replace { priority: false };
        store.enqueue(vec![new]).await.unwrap().remove(0).unwrap();
        assert_eq!(count(&folder, "longshore_blob"), blobs);
    }
    assert_eq!(count(&folder, "longshore_job"), 1);
    assert_eq!(claim(&store, 1).await[0].job.args, large);
    assert_eq!(store.examine().await.unwrap().damage, [] as [String; 0]);
}

/// What is kept of a pruned job goes once its window is over, and the store may be opened anew in
/// between.
#[tokio::test]
async fn windows_outlive_the_process_and_leave_nothing_behind() {
    let folder = Folder::new();
    let clock = Arc::new(ManualClock::default());
    let open = || {
        let options = SqliteOptions::at(folder.file()).with_clock(clock.clone());
        SqliteStore::open(options).unwrap()
    };
    let prune = async |store: &SqliteStore| {
        let request = PruneRequest::before(clock.now(), 10);
        store.prune(&request).await.unwrap()
    };
    let store = open();
    let window = UniqueScope::Window(Duration::from_secs(60));
    let new = keyed(&store, b"1", window).await;
    let id = new.id.clone();
    store.enqueue(vec![new]).await.unwrap().remove(0).unwrap();
    let claimed = claim(&store, 1).await;
    store.settle(vec![complete(&claimed[0])]).await.unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(prune(&store).await, 1);
    drop(store);

    let store = open();
    let met = keyed(&store, b"1", window).await;
    let met = store.enqueue(vec![met]).await.unwrap().remove(0).unwrap();
    assert_eq!(met, Enqueued::Hit { id, span: None });
    assert_eq!(prune(&store).await, 0);
    assert_eq!(count(&folder, "longshore_reservation"), 1);
    clock.advance(Duration::from_secs(60));
    assert_eq!(prune(&store).await, 0);
    assert_eq!(count(&folder, "longshore_reservation"), 0);
    assert_eq!(count(&folder, "longshore_job"), 0);
}
