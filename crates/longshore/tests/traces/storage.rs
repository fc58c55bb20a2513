//! The requests that a store makes stand beneath the calls they were made for. The trees of each
//! store are in its own tests.

use std::sync::Arc;

use longshore::{MemoryStore, Store};
use longshore_testkit::storage::{is_request, spans_of};

#[tokio::test]
async fn a_store_in_memory_makes_none() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    assert!(!spans_of(&store).await.iter().any(is_request));
}
