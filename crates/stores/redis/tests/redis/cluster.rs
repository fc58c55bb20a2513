//! A cluster of three masters: each store lies on the one that has its slot.

use std::time::Duration;

use longshore_core::Store;
use longshore_redis::{RedisOptions, RedisStore};

use crate::jobs::{enqueue, patiently, settle, wish};
use crate::server::Server;

const SETTINGS: [&str; 6] = [
    "--save",
    "",
    "--cluster-enabled",
    "yes",
    "--cluster-node-timeout",
    "2000",
];

async fn cluster() -> Option<Vec<Server>> {
    let mut nodes = Vec::new();
    for slots in [0..=5460, 5461..=10922, 10923..=16383] {
        let node = Server::start_with(&SETTINGS)?;
        let slots: Vec<String> = slots.map(|slot: u16| slot.to_string()).collect();
        let add = ["CLUSTER", "ADDSLOTS"];
        let words: Vec<&str> = add
            .into_iter()
            .chain(slots.iter().map(String::as_str))
            .collect();
        let said = node.command(&words).unwrap();
        assert!(said.starts_with("+OK"), "{said}");
        nodes.push(node);
    }
    for node in &nodes[1..] {
        let port = node.port.to_string();
        nodes[0]
            .command(&["CLUSTER", "MEET", "127.0.0.1", &port])
            .unwrap();
    }
    for node in &nodes {
        for _ in 0..600 {
            let info = node.command(&["CLUSTER", "INFO"]).unwrap();
            if info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Some(nodes)
}

#[tokio::test]
async fn each_store_is_found_where_its_slot_is() {
    let Some(nodes) = cluster().await else {
        return;
    };
    let mut used = 0;
    for prefix in ["a", "b", "c", "d", "e", "f"] {
        // Any node will do, and one of those named may be away.
        let url = format!(
            "redis-cluster://127.0.0.1:1,127.0.0.1:{}?prefix={prefix}",
            nodes[0].port
        );
        let store = RedisStore::open(RedisOptions::from_url(&url).unwrap());
        let jobs = crate::jobs::new_jobs(&store, 2).await;
        patiently(async || store.enqueue(jobs.clone()).await).await;
        let claimed = store.claim(&wish(9)).await.unwrap();
        assert_eq!(claimed.len(), 2);
        settle(&store, &claimed[0]).await.unwrap();
        let again = RedisStore::open(RedisOptions::from_url(&url).unwrap());
        assert!(again.get(&jobs[1].id).await.unwrap().is_some());
    }
    for node in &nodes {
        let size = node.command(&["DBSIZE"]).unwrap();
        used += usize::from(!size.starts_with(":0"));
    }
    assert!(used > 1, "the stores share one node");
}

/// A slot that moves to another node takes its store with it.
#[tokio::test]
async fn a_store_is_followed_to_another_node() {
    let Some(nodes) = cluster().await else {
        return;
    };
    let url = format!("redis-cluster://127.0.0.1:{}?prefix=empty", nodes[0].port);
    let store = RedisStore::open(RedisOptions::from_url(&url).unwrap());
    patiently(async || store.get(&"none".parse().unwrap()).await).await;
    let slot = nodes[0]
        .command(&["CLUSTER", "KEYSLOT", "{empty}:"])
        .unwrap();
    let slot = slot.trim().trim_start_matches(':').to_owned();
    let owner = nodes
        .iter()
        .position(|node| !node.command(&["DBSIZE"]).unwrap().starts_with(":0"))
        .unwrap();
    let next = (owner + 1) % nodes.len();
    let id = nodes[next].command(&["CLUSTER", "MYID"]).unwrap();
    let id = id.lines().nth(1).unwrap().to_owned();
    nodes[owner].command(&["DEL", "{empty}:layout"]).unwrap();
    for node in &nodes {
        node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &id])
            .unwrap();
    }
    let jobs = crate::jobs::new_jobs(&store, 1).await;
    patiently(async || store.enqueue(jobs.clone()).await).await;
    let size = nodes[next].command(&["DBSIZE"]).unwrap();
    assert!(!size.starts_with(":0"), "{size}");
    enqueue(&store, 1).await;
}

/// On a cluster a user needs the rights of the guide and those to ask where a slot is.
#[tokio::test]
async fn a_user_with_the_rights_of_the_guide_works_on_a_cluster() {
    let Some(nodes) = cluster().await else {
        return;
    };
    for node in &nodes {
        let more = ["+cluster|slots", "+cluster|keyslot"];
        crate::doctor::grant_what_the_guide_says(node, &more);
    }
    let at = format!("jobs:secret@127.0.0.1:{}", nodes[0].port);
    let options = RedisOptions::from_url(&format!("redis-cluster://{at}")).unwrap();
    let store = RedisStore::open(options);
    let jobs = crate::jobs::new_jobs(&store, 2).await;
    patiently(async || store.enqueue(jobs.clone()).await).await;
    let claimed = store.claim(&wish(9)).await.unwrap();
    settle(&store, &claimed[0]).await.unwrap();
}
