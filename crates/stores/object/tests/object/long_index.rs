//! An index of more entries than one listing has.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock as _, JobFilter, JobId, Store as _};
use longshore_object::{BatchKey, BatchName, Key, ObjectStore, Tuning};
use longshore_testkit::{ManualClock, SeededRandom};

use crate::script::{new_job, place};
use crate::server::{Actor, Server, Write};

/// The newest job is listed though it lies last in the index.
#[tokio::test]
async fn the_newest_job_is_listed_however_long_the_index_is() {
    let clock = Arc::new(ManualClock::default());
    let server = Arc::new(Server::new(clock.clone()));
    let random = Arc::new(SeededRandom::new(1));
    let actor = Arc::new(Actor::of(&server));
    let open = |listings| {
        let tuning = Tuning {
            listings,
            ..Tuning::default()
        };
        ObjectStore::open_with(actor.clone(), random.clone(), tuning)
    };
    let store = open(3).await.unwrap();
    enqueue(&store, Duration::ZERO).await;
    let Key::Batch(first) = server.keys("i/").remove(0) else {
        panic!("that is a batch");
    };
    let (bytes, _) = server.peek(&Key::Batch(first)).unwrap();
    for _ in 0..2500 {
        let name = BatchName::mint(clock.now(), 1, &*random);
        let key = Key::Batch(BatchKey { name, ..first });
        server.apply(&Write::Create(key.to_string(), bytes.clone()));
    }
    clock.advance(Duration::from_secs(1));
    let last = enqueue(&store, Duration::from_secs(60)).await;
    let page = store.list(&JobFilter::default(), None, 1).await.unwrap();
    assert_eq!(page.jobs[0].id, last);
    // One that may not ask as often says so, instead of leaving it out.
    let store = open(2).await.unwrap();
    let refused = store.list(&JobFilter::default(), None, 1).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("list one queue at a time"), "{refused}");
}

async fn enqueue(store: &ObjectStore, delay: Duration) -> JobId {
    let mut place = place();
    let at = store.now().await.unwrap().after(delay);
    place.scheduled_at = (!delay.is_zero()).then_some(at);
    let id = store.mint(&[place.clone()]).await.unwrap().remove(0);
    let mut new = new_job(id.clone());
    new.scheduled_at = place.scheduled_at;
    assert!(store.enqueue(vec![new]).await.unwrap()[0].is_ok());
    id
}
