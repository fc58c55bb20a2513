//! The file itself: whose it is, which version, what its folder allows.

use longshore_core::{ErrorKind, JobState, Store};
use longshore_sqlite::rusqlite::Connection;
use longshore_sqlite::{SqliteOptions, SqliteStore};

use crate::support::{Folder, claim, complete, jobs};

fn refused(folder: &Folder) -> longshore_core::StoreError {
    SqliteStore::open(SqliteOptions::at(folder.file())).unwrap_err()
}

#[tokio::test]
async fn a_store_opened_again_has_everything() {
    let folder = Folder::new();
    let store = folder.store();
    let large = vec![b'x'; 10 << 20];
    let mut new = jobs(&store, 2).await;
    let mut more = jobs(&store, 1).await.remove(0);
    more.args = large.clone().into();
    new.push(more);
    store.enqueue(new.clone()).await.unwrap();
    let claimed = claim(&store, 1).await;
    store.settle(vec![complete(&claimed[0])]).await.unwrap();
    let before = store
        .list(&Default::default(), None, 10)
        .await
        .unwrap()
        .jobs;
    drop(store);

    let store = folder.store();
    let after = store
        .list(&Default::default(), None, 10)
        .await
        .unwrap()
        .jobs;
    assert_eq!(before, after);
    let first = store.get(&new[0].id).await.unwrap().unwrap();
    assert_eq!((first.state, first.history.len()), (JobState::Completed, 1));
    let last = store.get(&new[2].id).await.unwrap().unwrap();
    assert!(last.args == large);
}

#[test]
fn a_foreign_file_is_refused_and_not_touched() {
    let folder = Folder::new();
    let conn = Connection::open(folder.file()).unwrap();
    conn.execute_batch("CREATE TABLE theirs (a)").unwrap();
    drop(conn);
    let before = std::fs::read(folder.file()).unwrap();
    let error = refused(&folder);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().contains("not made by Longshore"),
        "{error}"
    );
    assert_eq!(std::fs::read(folder.file()).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = Folder::new();
    std::fs::write(folder.file(), "dear diary, ".repeat(1000)).unwrap();
    let error = refused(&folder);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().contains("not a SQLite database"),
        "{error}"
    );
}

#[test]
fn a_newer_schema_is_refused() {
    let folder = Folder::new();
    drop(folder.store());
    let conn = Connection::open(folder.file()).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    let error = refused(&folder);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("version 99"), "{error}");
}

#[test]
fn a_missing_folder_is_named() {
    let folder = Folder::new();
    let file = folder.file().with_file_name("nowhere").join("jobs.db");
    let error = SqliteStore::open(SqliteOptions::at(&file)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[tokio::test]
async fn a_store_that_may_not_be_written_says_so() {
    let folder = Folder::new();
    let store = folder.store();
    let new = jobs(&store, 1).await;
    // Not by permissions: they do not bind every user that runs tests.
    let mut conn = Connection::open(folder.file()).unwrap();
    conn.pragma_update(None, "query_only", true).unwrap();
    let transaction = conn.transaction().unwrap();
    let now = store.now().await.unwrap();
    let error = SqliteStore::enqueue_in(&transaction, &new, now).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("may not be written"), "{error}");
}

#[test]
fn unknown_parameters_of_a_url_are_refused() {
    let error = SqliteOptions::from_url("sqlite:a.db?mode=ro").unwrap_err();
    assert!(error.to_string().contains("durability"), "{error}");
    let error = SqliteOptions::from_url("sqlite:a.db?durability=none").unwrap_err();
    assert!(error.to_string().contains("relaxed"), "{error}");
    assert!(SqliteOptions::from_url("postgres://x").is_err());
    assert!(SqliteOptions::from_url("sqlite:").is_err());
}
