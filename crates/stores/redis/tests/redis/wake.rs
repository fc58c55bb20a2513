//! Who waits for a job hears of it at once.

use std::time::Duration;

use longshore_core::{QueueName, Store};
use longshore_redis::RedisStore;

use crate::jobs::{enqueue, new_jobs};
use crate::server::{Server, Stores as _};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// Waits until the server has a listener.
pub(crate) async fn somebody_listens(server: &Server) {
    for _ in 0..6000 {
        let said = server.command(&["PUBSUB", "CHANNELS"]).unwrap();
        if said.contains("wake") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    unreachable!("nobody listens");
}

#[tokio::test]
async fn who_waits_hears_of_a_job_of_another_process() {
    let Some(server) = Server::start() else {
        return;
    };
    let options = server.options();
    let (waits, sends) = (RedisStore::open(options.clone()), RedisStore::open(options));
    hears_of_a_job(&server, &waits, &sends).await;
}

/// As in a program that makes a runtime for each of its calls.
#[test]
fn who_waits_hears_of_jobs_though_the_runtime_that_listened_has_ended() {
    let Some(server) = Server::start() else {
        return;
    };
    let options = server.options();
    let (waits, sends) = (RedisStore::open(options.clone()), RedisStore::open(options));
    let queues: [QueueName; 1] = ["q".parse().unwrap()];
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    runtime().block_on(async {
        waits.wait(&queues, Duration::from_millis(1)).await;
        somebody_listens(&server).await;
    });
    while server
        .command(&["PUBSUB", "CHANNELS"])
        .unwrap()
        .contains("wake")
    {}
    runtime().block_on(hears_of_a_job(&server, &waits, &sends));
}

/// Resolves when who waits was woken by a job that is sent while it does.
async fn hears_of_a_job(server: &Server, waits: &RedisStore, sends: &RedisStore) {
    let queues: [QueueName; 1] = ["q".parse().unwrap()];
    let waiting = async {
        // The first answer may be that listening has begun.
        while sends.claim(&crate::jobs::wish(1)).await.unwrap().is_empty() {
            waits.wait(&queues, LONG).await;
        }
    };
    let sending = async {
        somebody_listens(server).await;
        enqueue(sends, 1).await;
    };
    let both = async { tokio::join!(waiting, sending) };
    tokio::time::timeout(PATIENCE, both).await.unwrap();
}

#[tokio::test]
async fn who_waits_is_back_when_a_scheduled_job_is_due() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = server.store();
    let mut job = new_jobs(&store, 1).await.remove(0);
    job.scheduled_at = Some(store.now().await.unwrap().after(Duration::from_millis(300)));
    store.enqueue(vec![job]).await.unwrap();
    let queues: [QueueName; 1] = ["q".parse().unwrap()];
    let waiting = async {
        while store.claim(&crate::jobs::wish(1)).await.unwrap().is_empty() {
            store.wait(&queues, LONG).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

/// Only a queue that had nothing to do is announced: otherwise its workers come anyway.
#[tokio::test]
async fn a_queue_that_has_jobs_is_not_announced_again() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = server.store();
    enqueue(&store, 50).await;
    let said = server.command(&["INFO", "commandstats"]).unwrap();
    let published = said
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_publish:calls="));
    assert_eq!(published.and_then(|rest| rest.split(',').next()), Some("1"));
}
