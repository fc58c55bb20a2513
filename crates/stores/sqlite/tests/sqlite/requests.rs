//! What the store asks the file for is in the traces of the jobs.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use longshore_core::round_trip::{self, RoundTrip, Server};
use longshore_core::{Clock, Store, SystemClock};
use longshore_sqlite::rusqlite::Connection;
use longshore_sqlite::{SqliteOptions, SqliteStore};
use longshore_testkit::ManualClock;
use longshore_testkit::storage::{assert_calls, assert_tree, spans_of, waited};

use crate::support::Folder;

#[tokio::test]
async fn each_call_has_its_request_beneath_it() {
    let folder = Folder::new();
    let store: Arc<dyn Store> = Arc::new(folder.store());
    let tree = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sqlite/requests.txt");
    let spans = spans_of(&store).await;
    assert_tree(&spans, Path::new(tree));
    // Each write waits for the thread that writes.
    let writes = ["INSERT longshore_job", "UPDATE longshore_job"];
    let writes = spans.iter().filter(|span| writes.contains(&&*span.name));
    assert_eq!(waited(&spans).len(), writes.count());
}

#[tokio::test]
async fn each_call_of_the_contract_says_what_it_asks_for() {
    let folder = Folder::new();
    let calls = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sqlite/calls.txt");
    let open = |clock, random| {
        let options = SqliteOptions::at(folder.file()).with_clock(clock);
        SqliteStore::open(options.with_random(random)).unwrap()
    };
    let server = assert_calls(open, Path::new(calls)).await;
    let named = Server {
        system: "sqlite",
        namespace: Some("jobs.db".to_owned()),
        ..Server::default()
    };
    assert_eq!(*server, named);
}

/// Writes a document; gives back the one request for that.
async fn written(store: &SqliteStore, name: &str) -> (bool, RoundTrip) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let written = pin!(async {
        let written = store.write_document(name, 0, "{}".into()).await;
        (written.is_ok(), round_trip::take().list.remove(0))
    });
    round_trip::watch(Some(&clock), written).await
}

/// Two calls are written together; the second one costs both their transaction, so that the first
/// is made once more.
#[tokio::test]
async fn a_call_that_was_made_again_says_how_often() {
    let folder = Folder::new();
    // By this clock the two are never too late to go together.
    let clock = Arc::new(ManualClock::default());
    let options = SqliteOptions::at(folder.file()).with_clock(clock);
    let store = SqliteStore::open(options).unwrap();
    let other = Connection::open(folder.file()).unwrap();
    let refuse =
        "CREATE TRIGGER refuse BEFORE INSERT ON longshore_document WHEN new.name = 'second'
        BEGIN SELECT RAISE(ROLLBACK, 'refused'); END";
    other.execute_batch(refuse).unwrap();
    // Nobody is written before both are there.
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let both_are_there = async { other.execute_batch("COMMIT").unwrap() };
    let (first, second, ()) = tokio::join!(
        biased;
        written(&store, "first"),
        written(&store, "second"),
        both_are_there
    );
    let (is_there, request) = first;
    assert_eq!((is_there, request.repeats), (true, 1), "{request:?}");
    let (is_there, request) = second;
    assert_eq!((is_there, request.repeats), (false, 1), "{request:?}");
}
