//! Calls that are given up half-way, as by a time limit or a client that is gone.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use longshore_core::{JobFilter, Store};
use longshore_postgres::{Pooler, PostgresStore};

use crate::server;
use crate::support::jobs;

/// Goes on with a call for so many steps, and gives it up then; `None` if it was.
async fn steps<T>(call: impl Future<Output = T>, most: usize) -> Option<T> {
    let mut call = pin!(call);
    let mut taken = 0;
    poll_fn(|cx| {
        if taken == most {
            return Poll::Ready(None);
        }
        taken += 1;
        call.as_mut().poll(cx).map(Some)
    })
    .await
}

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
        let mut most = 0;
        while steps(store.list(&JobFilter::default(), None, 10), most)
            .await
            .is_none()
        {
            // On each connection there is: one for calls, and one that might listen.
            for _ in 0..2 {
                let new = jobs(&store, 1).await;
                let id = new[0].id.clone();
                store.enqueue(new).await.unwrap();
                let there = other.get(&id).await.unwrap();
                assert!(there.is_some(), "{pooler:?}, given up after {most} steps");
            }
            most += 1;
        }
        assert!(most > 2, "{pooler:?}: {most}");
    }
}
