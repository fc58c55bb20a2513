//! Stores of other versions, and servers that are too old.

use longshore_core::{ErrorKind, Store};

use crate::server::Server;
use longshore_redis::RedisStore;

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    let Some(server) = Server::start() else {
        return;
    };
    server.command(&["SET", "{newer}:layout", "2"]).unwrap();
    let store = RedisStore::open(server.options().with_prefix("newer").unwrap());
    let jobs = crate::jobs::new_jobs(&store, 1).await;
    let error = store.enqueue(jobs).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("layout 2"), "{error}");
    let keys = server.command(&["KEYS", "{newer}:*"]).unwrap();
    assert!(keys.starts_with("*1"), "{keys}");
}

/// Stores of different prefixes share a server and nothing else.
#[tokio::test]
async fn prefixes_keep_stores_apart() {
    let Some(server) = Server::start() else {
        return;
    };
    let [one, other] = [server.store(), server.store()];
    let id = crate::jobs::enqueue(&one, 1).await.remove(0);
    assert!(other.get(&id).await.unwrap().is_none());
    assert!(other.claim(&crate::jobs::wish(9)).await.unwrap().is_empty());
    assert!(other.queue_stats().await.unwrap().is_empty());
}

/// The first version of the layout, as it was written, is read.
#[tokio::test]
async fn a_store_of_the_first_version_is_read() {
    let Some(server) = Server::start() else {
        return;
    };
    for line in include_str!("version_1.txt").lines() {
        let words: Vec<String> = words_of(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = server.command(&words).unwrap();
        assert!(!said.starts_with('-'), "{line}: {said}");
    }
    let store = RedisStore::open(server.options().with_prefix("first").unwrap());
    let stats = store.queue_stats().await.unwrap();
    assert_eq!(stats.len(), 1);
    assert_eq!((stats[0].available, stats[0].completed), (1, 1));
    let over = store.get(&"over".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(over.result.as_deref(), Some(&b"done"[..]));
    assert_eq!((over.history.len(), over.claim), (2, 2));
    assert_eq!(over.history[0].error.as_ref().unwrap().class, "timeout");
    let claimed = store.claim(&crate::jobs::wish(9)).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].job.args, &b"{\"to\":\"ann\"}"[..]);
    assert_eq!(claimed[0].job.tenant_id.as_deref(), Some("t-17"));
    crate::jobs::settle(&store, &claimed[0]).await.unwrap();
    let document = store.read_document("d").await.unwrap().unwrap();
    assert_eq!((document.version, &document.body[..]), (3, &b"body"[..]));
}

/// The words of a line, which tabs part; `\\n` and `\\0` stand for what they do in Rust.
fn words_of(line: &str) -> Vec<String> {
    let words = line.split('\t');
    words
        .map(|word| word.replace("\\n", "\n").replace("\\0", "\0"))
        .collect()
}
