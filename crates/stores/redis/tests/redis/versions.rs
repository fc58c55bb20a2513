//! Stores of other versions, and servers that are too old.

use longshore_core::{
    AttemptOutcome, ErrorKind, JobFilter, JobState, PruneRequest, StopRequest, Store,
};

use crate::server::{Server, Stores as _};
use crate::wake::PATIENCE;
use longshore_redis::RedisStore;

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    let Some(server) = Server::start() else {
        return;
    };
    server.command(&["SET", "{newer}:layout", "3"]).unwrap();
    let store = RedisStore::open(server.options().with_prefix("newer").unwrap());
    let jobs = crate::jobs::new_jobs(&store, 1).await;
    let error = store.enqueue(jobs).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("layout 3"), "{error}");
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

/// A store as the first version of the layout wrote it, with a job of each state, is brought up to
/// date and worked on.
#[tokio::test]
async fn a_store_of_the_first_version_is_brought_up_to_date() {
    let Some(server) = Server::start() else {
        return;
    };
    write_the_first_version(&server);
    let store = RedisStore::open(server.options().with_prefix("first").unwrap());
    let get = async |id: &str| store.get(&id.parse().unwrap()).await.unwrap().unwrap();

    let over = get("over").await;
    assert_eq!(over.state, JobState::Completed);
    assert_eq!(over.result.as_deref(), Some(&b"done"[..]));
    assert_eq!((over.history.len(), over.claim), (2, 2));
    assert_eq!(over.history[0].error.as_ref().unwrap().class, "timeout");
    assert_eq!(over.history[1].outcome, AttemptOutcome::Completed);
    assert_eq!(over.trace.keep.as_ref().unwrap().reason, "error");
    assert_eq!(over.tags, ["red"]);

    let runs = get("runs").await;
    assert_eq!(runs.checkpoint.as_deref(), Some(&b"half"[..]));
    assert_eq!((runs.progress, runs.priority.get()), (Some(7), 1));
    assert_eq!(runs.stop_requested, Some(StopRequest::Cancel));
    let retries = get("retries").await;
    assert_eq!(retries.checkpoint.as_deref(), Some(&b"page 1"[..]));
    assert_eq!((retries.history.len(), retries.attempt), (2, 2));
    let failed = get("failed").await;
    assert_eq!(failed.state, JobState::Discarded);
    assert_eq!(failed.history.len(), 1);
    assert_eq!(get("stopped").await.state, JobState::Cancelled);

    let all = store.list(&JobFilter::default(), None, 9).await.unwrap();
    let ids: Vec<&str> = all.jobs.iter().map(|job| job.id.as_str()).collect();
    let newest_first = [
        "stopped", "failed", "later", "runs", "retries", "waits", "over",
    ];
    assert_eq!(ids, newest_first);
    let document = store.read_document("d").await.unwrap().unwrap();
    assert_eq!((document.version, &document.body[..]), (1, &b"body"[..]));

    // The lease of the first version's worker is over by now, and its job is to be cancelled.
    let rescued = store.rescue(9).await.unwrap();
    assert_eq!(rescued.len(), 1);
    assert_eq!(rescued[0].job.state, JobState::Cancelled);
    // What is scheduled is due by now too.
    let mut wish = crate::jobs::wish(9);
    wish.queues.push("slow".parse().unwrap());
    let claimed = store.claim(&wish).await.unwrap();
    let ids: Vec<&str> = claimed
        .iter()
        .map(|claimed| claimed.job.id.as_str())
        .collect();
    assert_eq!(ids, ["waits", "retries", "later"]);
    assert_eq!(claimed[0].job.args, &b"{\"to\":\"ann\"}"[..]);
    assert_eq!(claimed[0].job.tenant_id.as_deref(), Some("t-17"));
    for claimed in &claimed {
        crate::jobs::settle(&store, claimed).await.unwrap();
    }
    assert_eq!(get("retries").await.history.len(), 3);

    let stats = store.queue_stats().await.unwrap();
    let completed: u64 = stats.iter().map(|queue| queue.completed).sum();
    assert_eq!((stats.len(), completed), (4, 4));
    // Nothing of a job outlives it.
    let everything = PruneRequest::before(store.now().await.unwrap().after(PATIENCE), 99);
    assert_eq!(store.prune(&everything).await.unwrap(), 7);
    let left = server.command(&["KEYS", "{first}:*"]).unwrap();
    let mut left: Vec<&str> = left
        .lines()
        .filter_map(|line| line.strip_prefix("{first}:"))
        .collect();
    left.sort_unstable();
    // The unique key is held until its window is over, which is long ago.
    assert_eq!(left, ["doc:d", "docs", "layout", "paused", "seq"]);
}

/// Programs that open an old store at the same time do not disturb each other, and one of the old
/// version is kept out.
#[tokio::test]
async fn many_programs_may_bring_a_store_up_to_date_at_once() {
    let Some(server) = Server::start() else {
        return;
    };
    write_the_first_version(&server);
    let stores: Vec<RedisStore> = (0..4)
        .map(|_| RedisStore::open(server.options().with_prefix("first").unwrap()))
        .collect();
    let listed = stores
        .iter()
        .map(async |store| store.list(&JobFilter::default(), None, 9).await);
    for page in futures_util::future::join_all(listed).await {
        assert_eq!(page.unwrap().jobs.len(), 7);
    }
    let layout = server.command(&["GET", "{first}:layout"]).unwrap();
    assert!(layout.contains('2'), "{layout}");
}

/// Writes the frozen file, which the first version's own program made.
fn write_the_first_version(server: &Server) {
    for line in include_str!("version_1.txt").lines() {
        let words: Vec<String> = words_of(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = server.command(&words).unwrap();
        assert!(!said.starts_with('-'), "{line}: {said}");
    }
}

/// The words of a line, which tabs part; `\\n` and `\\0` stand for what they do in Rust.
fn words_of(line: &str) -> Vec<String> {
    let words = line.split('\t');
    words
        .map(|word| word.replace("\\n", "\n").replace("\\0", "\0"))
        .collect()
}
