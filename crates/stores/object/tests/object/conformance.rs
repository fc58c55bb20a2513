//! The store holds the contract, and does what the memory store does.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock, Import, Random, Store};
use longshore_memory::MemoryStore;
use longshore_object::{ObjectStore, Tuning};

use crate::server::{Actor, Server};

async fn fresh(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<dyn Store> {
    store(clock, random, 100).await
}

async fn store(
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    together: usize,
) -> Arc<ObjectStore> {
    let server = Arc::new(Server::new(clock));
    let actor = Arc::new(Actor::of(&server));
    // What a process knows itself is enough, however long it does not list anything.
    let tuning = Tuning {
        gather: Duration::ZERO,
        together,
        ..Tuning::default()
    };
    let store = ObjectStore::open_with(actor, random, tuning);
    Arc::new(store.await.unwrap())
}

async fn memory(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<dyn Store> {
    Arc::new(MemoryStore::with(clock, random))
}

async fn memory_target(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<dyn Import> {
    Arc::new(MemoryStore::with(clock, random))
}

async fn target(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<dyn Import> {
    store(clock, random, 100).await
}

async fn one_by_one(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<dyn Import> {
    store(clock, random, 1).await
}

longshore_testkit::store_conformance!(fresh);
longshore_testkit::import_conformance!(target);

#[test]
fn a_store_that_was_moved_here_goes_on_as_before() {
    longshore_testkit::model::check_moved(16, 3, memory, one_by_one);
    // Those that came together are pruned together.
    longshore_testkit::model::check_moved_unpruned(16, 4, memory, target);
}

#[test]
fn a_store_that_was_moved_from_here_goes_on_as_before() {
    longshore_testkit::model::check_moved(16, 2, fresh, memory_target);
}

#[test]
fn it_is_the_memory_store_over_any_calls() {
    longshore_testkit::model::check(48, 1, memory, fresh);
}
