//! The memory store holds the contract, and the model test holds its own: a store equals itself.

use std::sync::Arc;

use longshore_core::{Clock, Import, Random, Store};
use longshore_memory::MemoryStore;

async fn fresh(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<dyn Store> {
    Arc::new(MemoryStore::with(clock, random))
}

async fn fresh_target(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<dyn Import> {
    Arc::new(MemoryStore::with(clock, random))
}

longshore_testkit::store_conformance!(fresh);
longshore_testkit::import_conformance!(fresh_target);

#[test]
fn a_store_that_was_moved_goes_on_as_before() {
    longshore_testkit::model::check_moved(64, 1, fresh, fresh_target);
}

#[test]
fn a_store_equals_itself_over_any_calls() {
    longshore_testkit::model::check(64, 1, fresh, fresh);
}

#[test]
#[should_panic(expected = "the stores differ")]
fn a_store_whose_time_stands_still_is_found_out() {
    let still = |_, random| fresh(Arc::new(longshore_testkit::ManualClock::default()), random);
    longshore_testkit::model::check(64, 1, fresh, still);
}
