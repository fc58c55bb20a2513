//! The store holds the contract, and behaves as the reference does over any calls.

use std::sync::Arc;

use longshore_core::{Clock, Import, Random, Store};
use longshore_memory::MemoryStore;
use longshore_sqlite::{SqliteOptions, SqliteStore};

use crate::support::Folder;

async fn fresh(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> (Arc<dyn Store>, Folder) {
    let folder = Folder::new();
    (Arc::new(open(&folder, clock, random)), folder)
}

fn open(folder: &Folder, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> SqliteStore {
    let options = SqliteOptions::at(folder.file())
        .with_clock(clock)
        .with_random(random);
    SqliteStore::open(options).unwrap()
}

async fn reference(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<dyn Store> {
    Arc::new(MemoryStore::with(clock, random))
}

async fn fresh_target(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> (Arc<dyn Import>, Folder) {
    let folder = Folder::new();
    (Arc::new(open(&folder, clock, random)), folder)
}

async fn memory_target(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<dyn Import> {
    Arc::new(MemoryStore::with(clock, random))
}

longshore_testkit::store_conformance!(fresh);
longshore_testkit::import_conformance!(fresh_target);

#[tokio::test]
async fn what_comes_after_a_call_that_was_given_up_is_stored() {
    let folder = Folder::new();
    let open = || SqliteStore::open(SqliteOptions::at(folder.file())).unwrap();
    longshore_testkit::given_up::check(&open(), &open(), || {}).await;
}

#[test]
fn a_store_that_was_moved_here_goes_on_as_before() {
    longshore_testkit::model::check_moved(24, 1, reference, fresh_target);
}

/// What is here goes into other stores too.
#[test]
fn a_store_that_was_moved_from_here_goes_on_as_before() {
    longshore_testkit::model::check_moved(8, 2, fresh, memory_target);
}

#[test]
fn the_store_equals_the_reference_over_any_calls() {
    longshore_testkit::model::check(48, 1, reference, fresh);
}
