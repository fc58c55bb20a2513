//! Servers that speak TLS.

use std::path::PathBuf;

use longshore_core::{ErrorKind, Store};
use longshore_redis::{RedisOptions, RedisStore};
use longshore_testkit::untrusted::Untrusted;

use crate::jobs::{enqueue, settle, wish};
use crate::server::{Server, next_number};

/// A file with a text, gone with the test.
struct File(PathBuf);

impl File {
    fn of(text: &str) -> Self {
        let name = format!("{}-{}.pem", std::process::id(), next_number());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // It lies in the folder of the build.
        let _left = std::fs::remove_file(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_authority_is_given_is_trusted() {
    let Some(server) = Server::start() else {
        return;
    };
    let front = Untrusted::before(([127, 0, 0, 1], server.port).into()).unwrap();
    let at = front.endpoint().replace("https://", "rediss://");
    let stranger = RedisStore::open(RedisOptions::from_url(&at).unwrap());
    let error = stranger.get(&"none".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("`cacert=FILE`"), "{error}");

    let file = File::of(front.authority());
    let url = format!("{at}?cacert={}", file.0.display());
    let store = RedisStore::open(RedisOptions::from_url(&url).unwrap());
    enqueue(&store, 2).await;
    let claimed = store.claim(&wish(1)).await.unwrap();
    settle(&store, &claimed[0]).await.unwrap();
    // Who listens comes by TLS too.
    let queues = wish(1).queues;
    let waiting = store.wait(&queues, crate::wake::LONG);
    let sending = async {
        crate::wake::somebody_listens(&server).await;
        store.claim(&wish(9)).await.unwrap();
        enqueue(&store, 1).await;
    };
    let both = async { tokio::join!(waiting, sending) };
    tokio::time::timeout(crate::wake::PATIENCE, both)
        .await
        .unwrap();
}

#[test]
fn files_that_do_not_fit_the_url_are_refused() {
    let file = File::of("");
    let file = file.0.display();
    for (url, word) in [
        (format!("redis://there?cacert={file}"), "rediss://"),
        (format!("rediss://there?cert={file}"), "key"),
        (format!("rediss://there?cacert={file}.not"), "cacert"),
    ] {
        let error = RedisOptions::from_url(&url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}
