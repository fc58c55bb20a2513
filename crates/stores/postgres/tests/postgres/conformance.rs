//! The store holds the contract, and behaves as the reference does over any calls.

use std::sync::Arc;

use longshore_core::{Clock, Random, Store};
use longshore_memory::MemoryStore;
use longshore_postgres::PostgresStore;

use crate::server;

async fn fresh(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<dyn Store> {
    let Some(server) = server::shared() else {
        // Skipped, as was said; there must be a store all the same.
        return Arc::new(MemoryStore::with(clock, random));
    };
    let options = server::options(&server.url())
        .with_clock(clock)
        .with_random(random);
    Arc::new(PostgresStore::open(options.with_connections(4)).unwrap())
}

async fn reference(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<dyn Store> {
    Arc::new(MemoryStore::with(clock, random))
}

longshore_testkit::store_conformance!(fresh);

#[test]
fn the_store_equals_the_reference_over_any_calls() {
    longshore_testkit::model::check(32, 1, reference, fresh);
}
