//! The size of the log: bounded, unless somebody holds an old state of the file open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use longshore_core::Store;
use longshore_sqlite::rusqlite::Connection;
use longshore_sqlite::{Examination, SqliteStore};

use crate::support::{Folder, jobs};

/// Enqueues a job of 4 MiB.
async fn write(store: &SqliteStore) {
    let mut new = jobs(store, 1).await.remove(0);
    new.args = vec![b'x'; 4 << 20].into();
    store.enqueue(vec![new]).await.unwrap()[0].as_ref().unwrap();
}

fn log_bytes(folder: &Folder) -> u64 {
    std::fs::metadata(folder.log()).unwrap().len()
}

#[tokio::test]
async fn the_log_is_bounded() {
    let folder = Folder::new();
    let store = folder.store();
    for _ in 0..40 {
        write(&store).await;
        assert!(log_bytes(&folder) <= Examination::LOG_LIMIT);
    }
}

/// A transaction that reads the file as it is now.
fn reading(folder: &Folder) -> Connection {
    let conn = Connection::open(folder.file()).unwrap();
    conn.execute_batch("BEGIN; SELECT count(*) FROM longshore_job;")
        .unwrap();
    conn
}

#[tokio::test]
async fn a_reader_that_stays_lets_the_log_grow_until_it_leaves() {
    let folder = Folder::new();
    let store = folder.store();
    write(&store).await;
    let reader = reading(&folder);
    while log_bytes(&folder) <= Examination::LOG_LIMIT {
        write(&store).await;
    }
    let found = store.examine().await.unwrap();
    assert!(found.log_bytes > Examination::LOG_LIMIT, "{found:?}");
    assert!(found.damage.is_empty(), "{found:?}");
    drop(reader);
    for _ in 0..8 {
        write(&store).await;
    }
    assert!(log_bytes(&folder) <= Examination::LOG_LIMIT);
}

/// There is always somebody who reads, but each for a moment only.
#[tokio::test(flavor = "multi_thread")]
async fn readers_that_follow_each_other_do_not_let_the_log_grow() {
    let folder = Folder::new();
    let store = folder.store();
    write(&store).await;
    let done = Arc::new(AtomicBool::new(false));
    let file = folder.file();
    let stop = Arc::clone(&done);
    let readers = std::thread::spawn(move || {
        let begin = "BEGIN; SELECT count(*) FROM longshore_job;";
        let open = || Connection::open(&file).unwrap();
        let (one, other) = (open(), open());
        one.execute_batch(begin).unwrap();
        while !stop.load(Ordering::Relaxed) {
            other.execute_batch(begin).unwrap();
            one.execute_batch("COMMIT").unwrap();
            one.execute_batch(begin).unwrap();
            other.execute_batch("COMMIT").unwrap();
        }
    });
    let mut largest = 0;
    for _ in 0..40 {
        write(&store).await;
        largest = largest.max(log_bytes(&folder));
    }
    done.store(true, Ordering::Relaxed);
    readers.join().unwrap();
    assert!(largest <= Examination::LOG_LIMIT, "{largest} bytes");
}
