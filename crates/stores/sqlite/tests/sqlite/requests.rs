//! What the store asks the file for is in the traces of the jobs.

use std::path::Path;
use std::sync::Arc;

use longshore_core::Store;
use longshore_testkit::storage::{assert_tree, spans_of, waited};

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
