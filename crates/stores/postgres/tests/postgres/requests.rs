//! What the store asks the server for is in the traces of the jobs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock, JobState, Store, SystemClock, round_trip};
use longshore_postgres::PostgresStore;
use longshore_testkit::faulty_line::{Fault, FaultyLine};
use longshore_testkit::storage::{
    assert_no_connection_shows, assert_tree, assert_trouble_shows, spans_of, waited,
};

use crate::server;
use crate::support::{claim, enqueue};

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

#[tokio::test]
async fn changes_of_many_jobs_take_as_many_requests_as_of_one() {
    let Some(server) = server::shared() else {
        return;
    };
    let store = PostgresStore::open(server::options(&server.url())).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut counts = Vec::new();
    for many in [2, 200] {
        let waiting = enqueue(&store, many / 2).await;
        let changes = Box::pin(async {
            let cancelled = store.cancel(&waiting).await.unwrap();
            let again = store.retry_now(&waiting).await.unwrap();
            claim(&store, many, Duration::from_secs(60)).await.unwrap();
            let asked = store.discard(&waiting).await.unwrap();
            let all = [
                (cancelled, JobState::Cancelled),
                (again, JobState::Available),
                (asked, JobState::Running),
            ];
            for (answers, state) in all {
                for answer in answers {
                    assert_eq!(answer.unwrap(), state);
                }
            }
            round_trip::take().count()
        });
        counts.push(round_trip::watch(Some(&clock), changes).await);
    }
    assert_eq!(counts[0], counts[1]);
}
