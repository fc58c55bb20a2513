//! Calls that are given up half-way, as by a time limit or a client that is gone.

use longshore_core::{JobFilter, Store};
use longshore_postgres::{Pooler, PostgresStore};
use longshore_testkit::given_up::{check, steps};

use crate::server;
use crate::support::jobs;

#[tokio::test]
async fn what_comes_after_a_call_that_was_given_up_is_stored() {
    let Some(server) = server::shared() else {
        return;
    };
    for pooler in [Pooler::None, Pooler::Transaction] {
        let options = server::options(&server.url()).with_pooler(pooler);
        let other = PostgresStore::open(options.clone()).unwrap();
        let store = PostgresStore::open(options.with_connections(1)).unwrap();
        let new = jobs(&store, 1).await;
        store.enqueue(new).await.unwrap();
        // Where the answer is there at once nothing is given up, so that it is done again.
        let mut passes = 0..100;
        while given_up_listings(&store, &other, pooler).await < 3 {
            assert!(passes.next().is_some(), "{pooler:?}: nothing was given up");
        }
        check(&store, &other, || {}).await;
    }
}

/// Gives up a listing after each number of steps; gives back how many it took.
async fn given_up_listings(store: &PostgresStore, other: &PostgresStore, pooler: Pooler) -> usize {
    let mut most = 0;
    while steps(store.list(&JobFilter::default(), None, 10), most)
        .await
        .is_none()
    {
        // On each connection there is: one for calls, and one that might listen.
        for _ in 0..2 {
            for job in jobs(store, 1).await {
                let id = job.id.clone();
                store.enqueue(vec![job]).await.unwrap();
                let there = other.get(&id).await.unwrap();
                assert!(there.is_some(), "{pooler:?}, given up after {most} steps");
            }
        }
        most += 1;
    }
    most
}
