//! The store holds the contract, and behaves as the reference does over any calls: by a library of
//! functions and as a script.

use std::sync::Arc;

use longshore_core::{Clock, Import, Random, Store};
use longshore_memory::MemoryStore;
use longshore_redis::RedisStore;

use crate::server::{Server, shared, tested};

type Fresh = (Arc<dyn Store>, Option<Arc<Server>>);

/// Where there is no server the reference stands in, and the test says that it was skipped.
async fn fresh(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Fresh {
    match shared() {
        Some(server) => {
            let options = tested(&server, clock, random);
            (Arc::new(RedisStore::open(options)), Some(server))
        }
        None => (Arc::new(MemoryStore::with(clock, random)), None),
    }
}

async fn fresh_script(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Fresh {
    match shared() {
        Some(server) => {
            let options = tested(&server, clock, random).with_script();
            (Arc::new(RedisStore::open(options)), Some(server))
        }
        None => (Arc::new(MemoryStore::with(clock, random)), None),
    }
}

async fn reference(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<dyn Store> {
    Arc::new(MemoryStore::with(clock, random))
}

async fn fresh_target(
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> (Arc<dyn Import>, Option<Arc<Server>>) {
    match shared() {
        Some(server) => {
            let options = tested(&server, clock, random);
            (Arc::new(RedisStore::open(options)), Some(server))
        }
        None => (Arc::new(MemoryStore::with(clock, random)), None),
    }
}

async fn memory_target(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<dyn Import> {
    Arc::new(MemoryStore::with(clock, random))
}

longshore_testkit::store_conformance!(fresh);
longshore_testkit::import_conformance!(fresh_target);

#[test]
fn a_store_that_was_moved_here_goes_on_as_before() {
    longshore_testkit::model::check_moved(16, 1, reference, fresh_target);
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

#[test]
fn the_script_equals_the_reference_over_any_calls() {
    longshore_testkit::model::check(24, 2, reference, fresh_script);
}

/// The servers are of one family, and go ways of their own.
#[test]
fn valkey_equals_the_reference_over_any_calls() {
    let Some(server) = Server::valkey() else {
        return;
    };
    let server = Arc::new(server);
    for (seed, script) in [(3, false), (4, true)] {
        let server = Arc::clone(&server);
        let fresh = move |clock: Arc<dyn Clock>, random: Arc<dyn Random>| {
            let options = tested(&server, clock, random);
            let options = match script {
                true => options.with_script(),
                false => options,
            };
            async move { Arc::new(RedisStore::open(options)) as Arc<dyn Store> }
        };
        longshore_testkit::model::check(16, seed, reference, fresh);
    }
}
