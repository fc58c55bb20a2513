//! What was acknowledged outlives the server.

use longshore_core::{ErrorKind, JobState, Store};
use longshore_redis::{Durability, RedisOptions, RedisStore};

use crate::jobs::{complete, enqueue, patiently, settle, settlement, wish};
use crate::server::{DURABLE, Server, Stores as _};

async fn survives(server: &mut Server, options: RedisOptions) {
    let store = RedisStore::open(options);
    let ids = enqueue(&store, 20).await;
    let claimed = store.claim(&wish(6)).await.unwrap();
    settle(&store, &claimed[0]).await.unwrap();
    store.write_document("d", 0, "body".into()).await.unwrap();
    store.pause(&"other".parse().unwrap()).await.unwrap();
    let mut before = Vec::new();
    for id in &ids {
        before.push(store.get(id).await.unwrap().unwrap());
    }

    server.kill();
    let error = store.get(&ids[0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    server.revive();

    for (id, before) in ids.iter().zip(before) {
        let after = patiently(async || store.get(id).await).await;
        assert_eq!(after.unwrap(), before);
    }
    // Leases hold, and there are no others beside them.
    let settled = store
        .settle(vec![settlement(&claimed[1], complete())])
        .await
        .unwrap();
    assert_eq!(settled[0].as_ref().unwrap().state, JobState::Completed);
    let rest = store.claim(&wish(100)).await.unwrap();
    assert_eq!(rest.len(), 14);
    assert_eq!(store.read_document("d").await.unwrap().unwrap().version, 1);
    let stats = store.queue_stats().await.unwrap();
    assert!(
        stats
            .iter()
            .any(|queue| queue.paused && queue.queue.as_str() == "other")
    );
}

#[tokio::test]
async fn jobs_and_leases_survive_a_server_that_is_killed() {
    let Some(mut server) = Server::start_with(&DURABLE) else {
        return;
    };
    let options = server.options();
    survives(&mut server, options).await;
}

#[tokio::test]
async fn a_server_that_lost_its_scripts_gets_them_again() {
    let Some(mut server) = Server::start_with(&DURABLE) else {
        return;
    };
    let options = server.options().with_script();
    survives(&mut server, options).await;
}

#[tokio::test]
async fn functions_that_were_flushed_are_loaded_again() {
    let Some(server) = Server::start() else {
        return;
    };
    for options in [server.options().with_script(), server.options()] {
        let store = RedisStore::open(options);
        enqueue(&store, 2).await;
        server.command(&["FUNCTION", "FLUSH"]).unwrap();
        server.command(&["SCRIPT", "FLUSH"]).unwrap();
        assert_eq!(store.claim(&wish(1)).await.unwrap().len(), 1);
        // Who comes later finds them, and who has a connection too.
        assert_eq!(store.claim(&wish(9)).await.unwrap().len(), 1);
    }
    if server.has_functions() {
        let said = server.command(&["FUNCTION", "LIST"]).unwrap();
        assert!(said.contains("longshore_"), "{said}");
    }
}

#[tokio::test]
async fn a_write_that_no_replica_has_is_not_acknowledged() {
    let Some(server) = Server::start() else {
        return;
    };
    let timeout = std::time::Duration::from_millis(400);
    let options = server
        .options()
        .with_durability(Durability::Replica)
        .with_response_timeout(timeout);
    let store = RedisStore::open(options);
    // On a slow machine the server itself may not answer in its time.
    loop {
        let jobs = crate::jobs::new_jobs(&store, 1).await;
        let error = store.enqueue(jobs).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        if error.to_string().contains("not confirmed") {
            break;
        }
    }
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &server.port.to_string()]);
    assert!(replica.is_some());
    let jobs = crate::jobs::new_jobs(&store, 1).await;
    patiently(async || store.enqueue(jobs.clone()).await).await;
}

#[tokio::test]
async fn a_server_that_cannot_wait_for_its_file_is_refused() {
    let Some(server) = Server::start() else {
        return;
    };
    let waits = server.knows("WAITAOF");
    let store = RedisStore::open(server.options().with_durability(Durability::Aof));
    let answer = store.get(&"none".parse().unwrap()).await;
    assert_eq!(answer.is_ok(), waits, "{answer:?}");
}

/// A server that can wait for its file confirms each write, and without a file none.
#[tokio::test]
async fn a_write_is_acknowledged_once_it_is_in_the_file() {
    let everysec = ["--save", "", "--appendonly", "yes"];
    let Some(server) = Server::of("valkey-server", &everysec) else {
        return;
    };
    let store = RedisStore::open(server.options().with_durability(Durability::Aof));
    enqueue(&store, 3).await;
    let claimed = store.claim(&wish(3)).await.unwrap();
    settle(&store, &claimed[0]).await.unwrap();
    let calls = server.calls();
    assert!(calls.contains(&("waitaof".to_owned(), 5)), "{calls:?}");

    server.command(&["CONFIG", "SET", "appendonly", "no"]);
    let error = settle(&store, &claimed[1]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("appendonly"), "{error}");
}
