//! A server whose memory is full takes no new jobs, says so, and lets work end.

use longshore_core::{ErrorKind, JobState, Outcome, Store};
use longshore_redis::RedisStore;

use crate::jobs::{enqueue, new_jobs, settle, settlement, wish};
use crate::server::{Server, Stores as _};

#[tokio::test]
async fn a_full_server_refuses_new_jobs_and_ends_those_it_has() {
    for script in [false, true] {
        let Some(server) = Server::start() else {
            return;
        };
        let mut options = server.options();
        if script {
            options = options.with_script();
        }
        let store = RedisStore::open(options);
        let ids = enqueue(&store, 4).await;
        let first = store.claim(&wish(1)).await.unwrap().remove(0);
        let written = store.write_document("turns", 0, "ann".into()).await;
        let version = written.unwrap();
        server
            .command(&["CONFIG", "SET", "maxmemory", "100kb"])
            .unwrap();

        let error = store.enqueue(new_jobs(&store, 2).await).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("maxmemory"), "{error}");
        let document = store
            .write_document("d", 0, "body".into())
            .await
            .unwrap_err();
        assert_eq!(document.kind(), ErrorKind::Unavailable, "{document}");

        // Whoever looks after the store and holds permits writes that into documents.
        let rewritten = store.write_document("turns", version, "bob".into());
        assert!(rewritten.await.unwrap() > version);
        // What is there can be looked at, run, made to wait, and pruned.
        assert!(store.get(&ids[3]).await.unwrap().is_some());
        settle(&store, &first).await.unwrap();
        let second = store.claim(&wish(1)).await.unwrap().remove(0);
        let later = store
            .now()
            .await
            .unwrap()
            .after(std::time::Duration::from_secs(60));
        let snooze = Outcome::Snooze {
            available_at: later,
        };
        let snoozed = store
            .settle(vec![settlement(&second, snooze)])
            .await
            .unwrap();
        assert_eq!(snoozed[0].as_ref().unwrap().state, JobState::Scheduled);
        let all = longshore_core::PruneRequest::before(later, 100);
        assert_eq!(store.prune(&all).await.unwrap(), 1);

        server
            .command(&["CONFIG", "SET", "maxmemory", "0"])
            .unwrap();
        enqueue(&store, 1).await;
        for id in &ids[1..] {
            assert!(store.get(id).await.unwrap().is_some(), "{id} is lost");
        }
        assert_eq!(store.claim(&wish(9)).await.unwrap().len(), 3);
    }
}

/// Who comes when memory is full already, as a command that looks or prunes does, or another worker.
#[tokio::test]
async fn a_full_server_is_opened_looked_at_worked_on_and_pruned_by_newcomers() {
    for (script, forgets) in [(false, false), (false, true), (true, false), (true, true)] {
        let Some(server) = Server::start() else {
            return;
        };
        let mut options = server.options();
        let ids = enqueue(&RedisStore::open(options.clone()), 2).await;
        server
            .command(&["CONFIG", "SET", "maxmemory", "100kb"])
            .unwrap();
        if forgets {
            server.command(&["FUNCTION", "FLUSH"]).unwrap();
        }
        if script {
            options = options.with_script();
        }
        let store = RedisStore::open(options);
        assert!(store.get(&ids[0]).await.unwrap().is_some());
        let job = store.claim(&wish(1)).await.unwrap().remove(0);
        settle(&store, &job).await.unwrap();
        let later = store
            .now()
            .await
            .unwrap()
            .after(std::time::Duration::from_secs(60));
        let all = longshore_core::PruneRequest::before(later, 100);
        assert_eq!(store.prune(&all).await.unwrap(), 1);
        let error = store.enqueue(new_jobs(&store, 1).await).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
}
