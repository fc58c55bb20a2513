//! What a look at what holds a job back asks for: the calls that `jobs show` and the terminal UI make
//! of a store for it, among many jobs.

use std::time::Duration;

use longshore_core::{Document, JobFilter, JobState, Store};

use crate::costs::{Bench, SECOND, enqueue};
use crate::script::wish;

const WORKERS: usize = 20;

/// One look: the clock, pauses, counts, limits and their permits, and the register of workers.
async fn look(store: &dyn Store) {
    store.now().await.unwrap();
    store.read_document("pauses").await.unwrap();
    store.queue_stats().await.unwrap();
    for name in ["limits", "limits/q", "limits/k", "limits/t"] {
        store.read_document(name).await.unwrap();
    }
    let workers = store
        .list_documents("workers/", None, Document::MAX_LISTED)
        .await
        .unwrap();
    assert_eq!(workers.len(), WORKERS);
    for worker in workers {
        store.read_document(&worker.name).await.unwrap().unwrap();
    }
}

/// Who has the room of a limit that is full.
async fn holders(store: &dyn Store) {
    let running = JobFilter {
        states: vec![JobState::Running],
        queue: Some("q".parse().unwrap()),
        ..JobFilter::default()
    };
    store.list(&running, None, 100).await.unwrap();
}

/// GETs and LISTs of the second look, and of the second time that the holders are asked for.
async fn costs(batches: usize) -> [(u64, u64); 2] {
    let bench = Bench::new();
    let (producer, worker) = (bench.process(1).await, bench.process(2).await);
    for number in 0..WORKERS {
        let name = format!("workers/{number}");
        worker.write_document(&name, 0, "{}".into()).await.unwrap();
    }
    enqueue(&producer, batches, 1).await;
    bench.pass(SECOND);
    assert_eq!(worker.claim(&wish("worker-1", 10)).await.unwrap().len(), 10);
    // The terminal UI looks every two seconds.
    let looker = bench.process(3).await;
    look(&looker).await;
    holders(&looker).await;
    bench.pass(Duration::from_secs(2));
    bench.begin();
    look(&looker).await;
    let looked = bench.take_sent();
    holders(&looker).await;
    let held = bench.take_sent();
    [looked, held].map(|sent| {
        assert_eq!((sent.put, sent.delete), (0, 0), "{sent:?}");
        (sent.get, sent.list)
    })
}

/// As the guide of object storage has it.
#[tokio::test]
async fn a_look_at_what_holds_a_job_back_is_bounded() {
    for batches in [100, 10_000] {
        let [(get, list), (of_holders, lists)] = costs(batches).await;
        let documents = 5 + 2 * WORKERS as u64;
        assert!(get <= documents && list <= 20, "{get} GET, {list} LIST");
        let most = 2 * batches.min(500) as u64;
        assert!(
            of_holders <= most && lists <= 12,
            "{of_holders} GET, {lists} LIST for holders"
        );
    }
}
