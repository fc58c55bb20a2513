//! The store holds the contract, and does what the memory store does.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock, Random, Store};
use longshore_memory::MemoryStore;
use longshore_object::{ObjectStore, Tuning};

use crate::server::{Actor, Server};

async fn fresh(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<dyn Store> {
    let server = Arc::new(Server::new(clock));
    let actor = Arc::new(Actor::of(&server));
    // What a process knows itself is enough, however long it does not list anything.
    let tuning = Tuning {
        gather: Duration::ZERO,
        ..Tuning::default()
    };
    let store = ObjectStore::open_with(actor, random, tuning);
    Arc::new(store.await.unwrap())
}

async fn memory(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<dyn Store> {
    Arc::new(MemoryStore::with(clock, random))
}

longshore_testkit::store_conformance!(fresh);

#[test]
fn it_is_the_memory_store_over_any_calls() {
    longshore_testkit::model::check(48, 1, memory, fresh);
}
