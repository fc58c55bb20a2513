//! The store holds the contract, and behaves as the reference does over any calls.

use std::sync::Arc;

use longshore_core::{Clock, Random, Store};
use longshore_memory::MemoryStore;
use longshore_sqlite::{SqliteOptions, SqliteStore};

use crate::support::Folder;

async fn fresh(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> (Arc<dyn Store>, Folder) {
    let folder = Folder::new();
    let options = SqliteOptions::at(folder.file())
        .with_clock(clock)
        .with_random(random);
    (Arc::new(SqliteStore::open(options).unwrap()), folder)
}

async fn reference(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<dyn Store> {
    Arc::new(MemoryStore::with(clock, random))
}

longshore_testkit::store_conformance!(fresh);

#[test]
fn the_store_equals_the_reference_over_any_calls() {
    longshore_testkit::model::check(48, 1, reference, fresh);
}
