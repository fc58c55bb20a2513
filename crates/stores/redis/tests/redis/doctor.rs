//! What is wrong with a server is named, with the command that mends it.

use longshore_core::{ErrorKind, Severity, Store};
use longshore_redis::{RedisOptions, RedisStore};

use crate::server::{DURABLE, Server, Stores as _};

#[tokio::test]
async fn a_server_in_order_has_no_complaints() {
    let Some(server) = Server::start_with(&DURABLE) else {
        return;
    };
    server
        .command(&["CONFIG", "SET", "maxmemory", "1gb"])
        .unwrap();
    let found = server.store().examine().await.unwrap();
    assert_eq!(found.complaints, []);
    assert_eq!(found.max_memory_bytes, Some(1 << 30));
    assert!(found.memory_bytes > 0);
    assert!(found.server.starts_with("Redis ") || found.server.starts_with("Valkey "));
}

#[tokio::test]
async fn each_setting_that_loses_jobs_is_named() {
    let Some(server) = Server::start() else {
        return;
    };
    for setting in [["maxmemory", "1gb"], ["maxmemory-policy", "allkeys-lru"]] {
        server
            .command(&["CONFIG", "SET", setting[0], setting[1]])
            .unwrap();
    }
    server
        .command(&[
            "FUNCTION",
            "LOAD",
            "#!lua name=longshore_0123456789ab\nredis.register_function('longshore_0123456789ab_x', \
             function() return 1 end)",
        ])
        .unwrap();
    let found = server.store().examine().await.unwrap();
    let said: Vec<(Severity, &str)> = found
        .complaints
        .iter()
        .map(|complaint| (complaint.severity, complaint.remedy.as_str()))
        .collect();
    let mut expected = vec![
        (
            Severity::Problem,
            "redis-cli CONFIG SET maxmemory-policy noeviction",
        ),
        (Severity::Problem, "redis-cli CONFIG SET appendonly yes"),
    ];
    if server.has_functions() {
        let remedy = "redis-cli FUNCTION DELETE longshore_0123456789ab";
        expected.push((Severity::Warning, remedy));
    }
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_user_without_rights_hears_which_are_missing() {
    let Some(server) = Server::start() else {
        return;
    };
    let rights = [
        "ACL", "SETUSER", "ann", "on", ">secret", "~*", "&*", "+@read", "+info",
    ];
    server.command(&rights).unwrap();
    let url = |user: &str| format!("redis://{user}@127.0.0.1:{}", server.port);
    for (user, word) in [("ann:secret", "rights"), ("ann:wrong", "password")] {
        let store = RedisStore::open(RedisOptions::from_url(&url(user)).unwrap());
        let error = store.get(&"none".parse().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert!(!error.to_string().contains("wrong@"), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    if !server.has_functions() {
        return;
    }
    // Without the right to load functions they run as a script.
    let rights = [
        "ACL",
        "SETUSER",
        "bob",
        "on",
        ">secret",
        "~*",
        "&*",
        "+@all",
        "-function",
    ];
    server.command(&rights).unwrap();
    let store = RedisStore::open(RedisOptions::from_url(&url("bob:secret")).unwrap());
    crate::jobs::enqueue(&store, 1).await;
    let found = store.examine().await.unwrap();
    let remedies: Vec<&str> = found
        .complaints
        .iter()
        .map(|one| one.remedy.as_str())
        .collect();
    assert!(
        remedies.contains(&"redis-cli ACL SETUSER NAME +function +fcall"),
        "{remedies:?}"
    );
}

/// Makes the user of the guide, with what it may do beyond that.
pub(crate) fn grant_what_the_guide_says(server: &Server, more: &[&str]) {
    const GUIDE: &str = include_str!("../../../../../docs/guides/redis.md");
    let command = GUIDE.split("redis-cli ACL SETUSER").nth(1).unwrap();
    let command = command
        .split("```")
        .next()
        .unwrap()
        .replace(['\\', '\''], " ");
    let has_functions = server.has_functions();
    let words: Vec<&str> = ["ACL", "SETUSER"]
        .into_iter()
        .chain(command.split_whitespace())
        .filter(|word| has_functions || !["+function", "+fcall"].contains(word))
        .chain(more.iter().copied())
        .collect();
    let said = server.command(&words).unwrap();
    assert!(said.starts_with("+OK"), "{said}");
}

/// The rights that the guide lists are enough for all that a worker does, and for `doctor`.
#[tokio::test]
async fn the_rights_of_the_guide_are_enough() {
    let Some(server) = Server::start_with(&DURABLE) else {
        return;
    };
    server
        .command(&["CONFIG", "SET", "maxmemory", "1gb"])
        .unwrap();
    grant_what_the_guide_says(&server, &[]);
    let url = format!("redis://jobs:secret@127.0.0.1:{}", server.port);
    for script in [false, true] {
        let mut options = RedisOptions::from_url(&url).unwrap();
        if script {
            options = options.with_script();
        }
        let store = RedisStore::open(options);
        crate::jobs::enqueue(&store, 2).await;
        let claimed = store.claim(&crate::jobs::wish(1)).await.unwrap();
        crate::jobs::settle(&store, &claimed[0]).await.unwrap();
        assert_eq!(store.claim(&crate::jobs::wish(9)).await.unwrap().len(), 1);
        let queues: [longshore_core::QueueName; 1] = ["q".parse().unwrap()];
        let waiting = store.wait(&queues, crate::wake::LONG);
        let both = async { tokio::join!(waiting, listened_and_sent(&server, &store)) };
        tokio::time::timeout(crate::wake::PATIENCE, both)
            .await
            .unwrap();
        let found = store.examine().await.unwrap();
        assert_eq!(found.complaints, []);
    }
}

/// Enqueues once somebody listens, so that who waits is woken.
async fn listened_and_sent(server: &Server, store: &RedisStore) {
    crate::wake::somebody_listens(server).await;
    crate::jobs::enqueue(store, 1).await;
    assert_eq!(store.claim(&crate::jobs::wish(9)).await.unwrap().len(), 1);
}
