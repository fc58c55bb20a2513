//! Files deleted or replaced under a process that has them open: what it would write could never
//! be found again, so it writes no more.

use std::path::Path;

use longshore_core::{ErrorKind, Store, StoreError};
use longshore_sqlite::{SqliteOptions, SqliteStore};

use crate::support::{Folder, claim, jobs, try_claim};

#[track_caller]
fn says_replaced(error: &StoreError, file: &Path) {
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
    assert!(text.contains("deleted or replaced"), "{text}");
    assert!(text.starts_with(&file.display().to_string()), "{text}");
}

async fn is_ended(store: &SqliteStore, file: &Path) {
    let new = jobs(store, 1).await;
    says_replaced(&store.queue_stats().await.unwrap_err(), file);
    says_replaced(&try_claim(store, 5).await.unwrap_err(), file);
    says_replaced(&store.enqueue(new).await.unwrap_err(), file);
}

#[tokio::test]
async fn a_store_whose_files_are_deleted_acknowledges_nothing() {
    let folder = Folder::new();
    let shared = folder.file().with_file_name("jobs.db-shm");
    for deleted in [folder.file(), folder.log(), shared] {
        let folder = Folder::new();
        let deleted = folder.file().with_file_name(deleted.file_name().unwrap());
        let store = folder.store();
        store.enqueue(jobs(&store, 3).await).await.unwrap();
        std::fs::remove_file(&deleted).unwrap();
        is_ended(&store, &deleted).await;
    }
}

#[tokio::test]
async fn a_store_put_back_from_a_backup_is_opened_anew() {
    let folder = Folder::new();
    let store = folder.store();
    store.enqueue(jobs(&store, 3).await).await.unwrap();
    folder.checkpoint();
    let backup = folder.file().with_file_name("backup.db");
    std::fs::copy(folder.file(), &backup).unwrap();
    store.enqueue(jobs(&store, 2).await).await.unwrap();
    for file in [folder.log(), folder.file().with_file_name("jobs.db-shm")] {
        std::fs::remove_file(file).unwrap();
    }
    std::fs::rename(&backup, folder.file()).unwrap();
    is_ended(&store, &folder.file()).await;
    assert_eq!(claim(&folder.store(), 20).await.len(), 3);
}

#[tokio::test]
async fn a_store_behind_a_symbolic_link_is_the_file_it_leads_to() {
    let folder = Folder::new();
    let link = folder.file().with_file_name("link.db");
    std::os::unix::fs::symlink(folder.file(), &link).unwrap();
    let store = SqliteStore::open(SqliteOptions::at(&link)).unwrap();
    store.enqueue(jobs(&store, 3).await).await.unwrap();
    assert_eq!(claim(&folder.store(), 20).await.len(), 3);
    std::fs::remove_file(folder.file()).unwrap();
    is_ended(&store, &folder.file()).await;
}

/// The log and the shared memory stay the same files for as long as somebody has them open.
#[tokio::test]
async fn others_who_come_and_go_replace_nothing() {
    let folder = Folder::new();
    let store = folder.store();
    for _ in 0..3 {
        let other = folder.store();
        other.enqueue(jobs(&store, 1).await).await.unwrap();
        drop(other);
        folder.checkpoint();
        store.enqueue(jobs(&store, 1).await).await.unwrap();
    }
    assert_eq!(claim(&store, 20).await.len(), 6);
}
