//! The memory store holds the contract.

use std::sync::Arc;

use longshore_core::Store;
use longshore_memory::MemoryStore;

longshore_testkit::store_conformance!(|clock, random| async move {
    Arc::new(MemoryStore::with(clock, random)) as Arc<dyn Store>
});
