//! Files that are damaged or were altered by hand: refused by name, with what is wrong and what
//! to do about it, and written to no more.

use longshore_core::{ErrorKind, Store, StoreError};
use longshore_sqlite::rusqlite::Connection;
use longshore_sqlite::{SqliteOptions, SqliteStore};

use crate::support::{Folder, claim, jobs, try_claim};

/// SQLite's page size.
const PAGE: usize = 4096;

/// The bytes of a sound file with 400 waiting jobs, all of them in the file and none in its log.
async fn sound() -> Vec<u8> {
    let folder = Folder::new();
    let store = folder.store();
    store.enqueue(jobs(&store, 400).await).await.unwrap();
    folder.checkpoint();
    std::fs::read(folder.file()).unwrap()
}

/// Opens a store on `bytes`, which must be refused and left as they are.
fn refused(bytes: &[u8]) -> StoreError {
    let folder = Folder::new();
    std::fs::write(folder.file(), bytes).unwrap();
    let error = SqliteStore::open(SqliteOptions::at(folder.file())).unwrap_err();
    assert!(std::fs::read(folder.file()).unwrap() == bytes, "{error}");
    let text = error.to_string();
    let file = folder.file().display().to_string();
    assert_eq!(text.matches(&file).count(), 1, "{text}");
    error
}

fn altered(sound: &[u8], sql: &str) -> Vec<u8> {
    let folder = Folder::new();
    std::fs::write(folder.file(), sound).unwrap();
    let conn = Connection::open(folder.file()).unwrap();
    conn.execute_batch(sql).unwrap();
    drop(conn);
    std::fs::read(folder.file()).unwrap()
}

#[track_caller]
fn says(error: &StoreError, kind: ErrorKind, words: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[tokio::test]
async fn a_file_that_was_cut_is_refused() {
    let sound = sound().await;
    for pages in [1, 2, sound.len() / PAGE - 1] {
        let error = refused(&sound[..pages * PAGE]);
        says(
            &error,
            ErrorKind::Corrupt,
            &["damaged", "backup", ".recover"],
        );
    }
    let error = refused(&sound[..50]);
    assert!(error.to_string().contains("backup"), "{error}");
}

#[tokio::test]
async fn tables_altered_by_hand_are_refused_by_their_names() {
    let sound = sound().await;
    for (sql, words) in [
        (
            "ALTER TABLE longshore_job DROP COLUMN keep",
            ["table longshore_job", "is not as Longshore made it"],
        ),
        (
            "ALTER TABLE longshore_job RENAME COLUMN worker TO labourer",
            ["table longshore_job", "is not as Longshore made it"],
        ),
        (
            "DROP TABLE longshore_queue",
            ["table longshore_queue", "is missing"],
        ),
        (
            "DROP INDEX longshore_job_unique_key",
            ["index longshore_job_unique_key", "is missing"],
        ),
    ] {
        let error = refused(&altered(&sound, sql));
        says(&error, ErrorKind::Corrupt, &words);
        says(&error, ErrorKind::Corrupt, &["by hand", "backup"]);
    }
}

#[tokio::test]
async fn what_others_keep_in_the_file_is_no_damage() {
    let folder = Folder::new();
    let theirs = altered(
        &sound().await,
        "CREATE TABLE orders (id TEXT PRIMARY KEY); \
         CREATE INDEX theirs ON longshore_job (kind);
         CREATE TRIGGER theirs AFTER INSERT ON longshore_job BEGIN \
         SELECT raise(abort, 'closed on Sundays'); END",
    );
    std::fs::write(folder.file(), theirs).unwrap();
    let store = folder.store();
    assert_eq!(claim(&store, 500).await.len(), 400);
    let error = store.enqueue(jobs(&store, 1).await).await.unwrap_err();
    says(
        &error,
        ErrorKind::Invalid,
        &["trigger", "closed on Sundays"],
    );
}

#[tokio::test]
async fn an_empty_file_becomes_a_store() {
    let folder = Folder::new();
    std::fs::write(folder.file(), "").unwrap();
    let store = folder.store();
    store.enqueue(jobs(&store, 1).await).await.unwrap();
    assert_eq!(claim(&store, 5).await.len(), 1);
}

/// Whatever page is damaged: calls either work or say so, and once the damage is found nothing is
/// acknowledged any more, since the file must be restored.
#[tokio::test]
async fn damage_within_the_file_ends_all_writing_once_it_is_found() {
    let sound = sound().await;
    let mut found = 0;
    for page in 1..sound.len() / PAGE {
        let folder = Folder::new();
        let mut bytes = sound.clone();
        bytes[page * PAGE..(page + 1) * PAGE].fill(0xa5);
        std::fs::write(folder.file(), bytes).unwrap();
        let store = folder.store();
        let Err(error) = try_claim(&store, 500).await else {
            continue;
        };
        found += 1;
        let file = folder.file().display().to_string();
        says(&error, ErrorKind::Corrupt, &[&file, "damaged", "backup"]);
        let error = store.enqueue(jobs(&store, 1).await).await.unwrap_err();
        says(&error, ErrorKind::Corrupt, &[&file, "damaged", "backup"]);
        assert!(!store.examine().await.unwrap().damage.is_empty());
    }
    assert!(found > 10, "only {found} damaged pages were found");
}

/// What SQLite can know of a log are its whole transactions, up to the first that is not.
#[tokio::test]
async fn a_torn_log_gives_the_whole_calls_before_the_tear() {
    let folder = Folder::new();
    let store = folder.store();
    let mut ends = Vec::new();
    for _ in 0..6 {
        store.enqueue(jobs(&store, 10).await).await.unwrap();
        ends.push(std::fs::metadata(folder.log()).unwrap().len());
    }
    let (main, log) = (
        std::fs::read(folder.file()).unwrap(),
        std::fs::read(folder.log()).unwrap(),
    );
    for (calls, end) in ends.iter().enumerate().skip(1) {
        let torn = Folder::new();
        std::fs::write(torn.file(), &main).unwrap();
        let whole = usize::try_from(*end).unwrap();
        std::fs::write(torn.log(), &log[..whole - 100]).unwrap();
        let store = torn.store();
        let there = store.queue_stats().await.unwrap()[0].available;
        assert_eq!(there, 10 * u64::try_from(calls).unwrap());
        assert_eq!(claim(&store, 500).await.len(), 10 * calls);
        assert_eq!(store.examine().await.unwrap().damage, [] as [String; 0]);
    }
}

#[tokio::test]
async fn a_log_whose_file_is_gone_is_kept() {
    let folder = Folder::new();
    let store = folder.store();
    store.enqueue(jobs(&store, 10).await).await.unwrap();
    let log = std::fs::read(folder.log()).unwrap();
    for emptied in [false, true] {
        let lost = Folder::new();
        std::fs::write(lost.log(), &log).unwrap();
        if emptied {
            std::fs::write(lost.file(), "").unwrap();
        }
        let error = SqliteStore::open(SqliteOptions::at(lost.file())).unwrap_err();
        says(
            &error,
            ErrorKind::Corrupt,
            &["jobs.db-wal", "put the file back"],
        );
        assert!(std::fs::read(lost.log()).unwrap() == log);
    }
}

/// A file that is cut while it is open must not take the process with it.
#[tokio::test]
async fn a_file_that_is_cut_under_a_running_process_is_an_error() {
    let folder = Folder::new();
    std::fs::write(folder.file(), sound().await).unwrap();
    let store = folder.store();
    // With something in the log, SQLite takes the file's size from there.
    store.enqueue(jobs(&store, 1).await).await.unwrap();
    let all = store.list(&Default::default(), None, 500).await.unwrap();
    assert_eq!(all.jobs.len(), 401);
    let file = std::fs::File::options()
        .write(true)
        .open(folder.file())
        .unwrap();
    file.set_len(8192).unwrap();
    for job in &all.jobs {
        if let Err(error) = store.get(&job.id).await {
            assert_ne!(error.kind(), ErrorKind::Internal, "{error}");
        }
    }
    let error = store.examine().await;
    assert!(error.is_err() || !error.unwrap().damage.is_empty());
}
