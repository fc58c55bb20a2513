//! What the store asks the server for is in the traces of the jobs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::Store;
use longshore_postgres::PostgresStore;
use longshore_testkit::faulty_line::{Fault, FaultyLine};
use longshore_testkit::storage::{
    assert_no_connection_shows, assert_tree, assert_trouble_shows, spans_of, waited,
};

use crate::server;

#[tokio::test]
async fn each_call_has_its_requests_beneath_it() {
    let Some(server) = server::shared() else {
        return;
    };
    let store: Arc<dyn Store> =
        Arc::new(PostgresStore::open(server::options(&server.url())).unwrap());
    let tree = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres/requests.txt");
    let spans = spans_of(&store).await;
    assert_tree(&spans, Path::new(tree));
    // The first one has waited for its connection.
    assert_eq!(
        waited(&spans).first(),
        Some(&"SELECT document"),
        "{spans:?}"
    );
}

#[tokio::test]
async fn a_broken_connection_is_in_the_trace_of_the_job() {
    let Some(server) = server::shared() else {
        return;
    };
    for fault in [Fault::ResetRequest(0), Fault::ResetAnswer(0)] {
        let line = FaultyLine::to(([127, 0, 0, 1], server.port).into()).unwrap();
        let through = server::options(&server::url(line.address().port()));
        let store = Arc::new(PostgresStore::open(through).unwrap());
        assert_trouble_shows(store, Arc::new(line), fault).await;
    }
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_is_in_the_trace_of_the_job() {
    let Some(server) = server::shared() else {
        return;
    };
    let line = FaultyLine::to(([127, 0, 0, 1], server.port).into()).unwrap();
    let through = server::options(&server::url(line.address().port()));
    let through = through.with_timeout(Duration::from_secs(2));
    let store = Arc::new(PostgresStore::open(through).unwrap());
    assert_no_connection_shows(store, &line).await;
}
