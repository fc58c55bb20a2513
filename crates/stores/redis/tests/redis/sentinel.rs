//! A master that dies, and the replica that the sentinel puts in its place.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_core::{JobId, JobState, Store};
use longshore_redis::{Durability, RedisOptions, RedisStore};
use tokio::sync::watch;

use crate::jobs::{enqueue, new_jobs, patiently, settle, wish};
use crate::server::{DURABLE, Server};

/// A sentinel that watches a master.
fn watching(master: &Server) -> Server {
    let file = master.folder().join("watch.conf");
    let port = master.port;
    let text = format!(
        "sentinel monitor shop 127.0.0.1 {port} 1\n\
         sentinel down-after-milliseconds shop 60000\n\
         sentinel failover-timeout shop 5000\n"
    );
    std::fs::write(&file, text).unwrap();
    Server::start_with(&[file.to_str().unwrap(), "--sentinel"]).unwrap()
}

/// Enqueues until a call fails; gives back what was acknowledged, and says how much as it goes.
async fn load(store: RedisStore, acknowledged: watch::Sender<usize>) -> Vec<JobId> {
    let mut ids = Vec::new();
    loop {
        let jobs = new_jobs(&store, 3).await;
        let these: Vec<JobId> = jobs.iter().map(|job| job.id.clone()).collect();
        if store.enqueue(jobs).await.is_err() {
            return ids;
        }
        ids.extend(these);
        acknowledged.send_replace(ids.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_replica_confirmed_outlives_the_master() {
    let Some(mut master) = Server::start_with(&DURABLE) else {
        return;
    };
    let port = master.port.to_string();
    let replica = Server::start_with(&["--save", "", "--replicaof", "127.0.0.1", &port]).unwrap();
    let sentinel = watching(&master);

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

    // The master dies while jobs come.
    let (acknowledged, mut so_far) = watch::channel(0);
    let loading = tokio::spawn(load(store.clone(), acknowledged));
    so_far.wait_for(|count| *count >= 60).await.unwrap();
    master.kill();
    // It is not for the sentinel to take a slow master for a dead one.
    let at_once = ["SENTINEL", "SET", "shop", "down-after-milliseconds", "1000"];
    let said = sentinel.command(&at_once).unwrap();
    assert!(said.starts_with("+OK"), "{said}");
    let loaded = loading.await.unwrap();
    for id in ids.iter().chain(&loaded) {
        let job = patiently(async || store.get(id).await).await;
        assert!(job.is_some(), "{id} is lost");
    }
    // The new master has no replica, so that writes are done and not confirmed: another wish will do.
    let url = format!("redis-sentinel://127.0.0.1:{}/shop", sentinel.port);
    let store = RedisStore::open(RedisOptions::from_url(&url).unwrap());
    patiently(async || settle(&store, &claimed[1]).await).await;
    let job = store.get(&claimed[1].job.id).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Completed);
    let rest = store.claim(&wish(1000)).await.unwrap();
    let rest: BTreeSet<&JobId> = rest.iter().map(|claimed| &claimed.job.id).collect();
    assert!(loaded.iter().all(|id| rest.contains(id)));
}

/// At a sentinel a user needs one right beyond those of the guide at the server.
#[tokio::test]
async fn a_user_with_the_rights_of_the_guide_works_behind_a_sentinel() {
    let Some(master) = Server::start() else {
        return;
    };
    let sentinel = watching(&master);
    crate::doctor::grant_what_the_guide_says(&master, &[]);
    let rights = ["ACL", "SETUSER", "jobs", "on", ">secret", "+sentinel"];
    let said = sentinel.command(&rights).unwrap();
    assert!(said.starts_with("+OK"), "{said}");
    let url = format!(
        "redis-sentinel://jobs:secret@127.0.0.1:{}/shop",
        sentinel.port
    );
    let store = RedisStore::open(RedisOptions::from_url(&url).unwrap());
    enqueue(&store, 2).await;
    let claimed = store.claim(&wish(9)).await.unwrap();
    settle(&store, &claimed[0]).await.unwrap();
}
