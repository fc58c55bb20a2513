//! A master that dies, and the replica that the sentinel puts in its place.

use std::time::Duration;

use longshore_core::{JobState, Store};
use longshore_redis::{Durability, RedisOptions, RedisStore};

use crate::jobs::{enqueue, new_jobs, patiently, settle, wish};
use crate::server::{DURABLE, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_replica_confirmed_outlives_the_master() {
    let Some(mut master) = Server::start_with(&DURABLE) else {
        return;
    };
    let port = master.port.to_string();
    let replica = Server::start_with(&["--save", "", "--replicaof", "127.0.0.1", &port]).unwrap();
    let file = replica.folder().join("watch.conf");
    let text = format!(
        "sentinel monitor shop 127.0.0.1 {port} 1\n\
         sentinel down-after-milliseconds shop 1000\n\
         sentinel failover-timeout shop 5000\n"
    );
    std::fs::write(&file, text).unwrap();
    let sentinel = Server::start_with(&[file.to_str().unwrap(), "--sentinel"]).unwrap();

    let url = format!("redis-sentinel://127.0.0.1:{}/shop", sentinel.port);
    let options = RedisOptions::from_url(&url)
        .unwrap()
        .with_durability(Durability::Replica)
        .with_response_timeout(Duration::from_secs(4));
    let store = RedisStore::open(options);
    let first = new_jobs(&store, 1).await;
    patiently(async || store.enqueue(first.clone()).await).await;
    let ids = enqueue(&store, 10).await;
    let claimed = store.claim(&wish(3)).await.unwrap();
    settle(&store, &claimed[0]).await.unwrap();
    // The sentinel hears of the replica from the master.
    for _ in 0..600 {
        let said = sentinel.command(&["SENTINEL", "REPLICAS", "shop"]).unwrap();
        if said.contains(&replica.port.to_string()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    master.kill();
    for id in &ids {
        let job = patiently(async || store.get(id).await).await;
        assert!(job.is_some(), "{id} is lost");
    }
    // The new master has no replica, so that writes are done and not confirmed: another wish will do.
    let url = format!("redis-sentinel://127.0.0.1:{}/shop", sentinel.port);
    let store = RedisStore::open(RedisOptions::from_url(&url).unwrap());
    patiently(async || settle(&store, &claimed[1]).await).await;
    let job = store.get(&claimed[1].job.id).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Completed);
    assert_eq!(store.claim(&wish(100)).await.unwrap().len(), 8);
}
