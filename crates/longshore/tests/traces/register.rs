//! The register of workers: who is there, who was not seen for long, and no trace of it.

use std::sync::Arc;
use std::time::Duration;

use longshore::{
    Attempt, ErrorKind, JobError, JobRequest, RawArgs, RawResult, Store, StoreError, Worker,
    WorkerBuilder, WorkerEntry, WorkerState, Workers,
};
use longshore_testkit::way::{Around, Effect, Way};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::world::World;

type Raw = Result<RawResult, JobError>;

fn order() -> JobRequest {
    JobRequest::new("orders", "place_order")
}

async fn takes_a_minute(_args: RawArgs, _attempt: Attempt) -> Raw {
    sleep(Duration::from_secs(60)).await;
    Ok(RawResult(None))
}

async fn succeeds(_args: RawArgs, _attempt: Attempt) -> Raw {
    Ok(RawResult(None))
}

async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

async fn register(world: &World) -> Workers {
    Workers::list(&*world.store).await.unwrap()
}

/// The only entry.
async fn only(world: &World) -> WorkerEntry {
    let mut workers = register(world).await.entries;
    assert_eq!(workers.len(), 1, "{workers:?}");
    workers.remove(0)
}

/// A worker that lives until it is told to stop, and the word.
fn start(worker: WorkerBuilder) -> (tokio::task::JoinHandle<()>, oneshot::Sender<()>) {
    let (stop, stopped) = oneshot::channel();
    let worker: Worker = worker.build().unwrap();
    let life = async move {
        let word = async {
            let _told = stopped.await;
        };
        worker.run(word).await.unwrap();
    };
    (tokio::spawn(life), stop)
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_there_from_its_start_to_its_end() {
    let world = World::new();
    let began = register(&world).await;
    assert_eq!(began.entries, []);
    let id = world.enqueue(order()).await;
    let worker = world.worker().queue("mail").concurrency(3);
    let worker = worker.shutdown_grace(Duration::from_secs(120));
    let worker = worker.handler("place_order", takes_a_minute);
    let (life, stop) = start(worker.handler("mail", succeeds));
    seconds(1).await;
    let entry = only(&world).await;
    assert_eq!(entry.started_at, began.as_of);
    assert_eq!((entry.id.as_str(), entry.pid), ("w1", std::process::id()));
    assert_eq!(
        (&*entry.host, &*entry.version),
        (&*entry.host, env!("CARGO_PKG_VERSION"))
    );
    assert!(cfg!(not(unix)) || !entry.host.is_empty());
    let queues: Vec<_> = entry.queues.iter().map(|queue| queue.as_str()).collect();
    assert_eq!(queues, ["orders", "mail"]);
    let kinds = entry.kinds.clone().unwrap();
    let kinds: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(kinds, ["mail", "place_order"]);
    assert_eq!(entry.concurrency, 3);
    assert_eq!(entry.state, WorkerState::Running);
    seconds(10).await;
    let later = only(&world).await;
    assert_eq!((later.running, &later.jobs), (1, &vec![id]));
    assert_eq!(later.started_at, entry.started_at);
    assert_eq!(later.seen_at, entry.seen_at.after(WorkerEntry::EVERY));
    stop.send(()).unwrap();
    seconds(1).await;
    assert_eq!(only(&world).await.state, WorkerState::Stopping);
    // Its last job takes longer than a worker may be silent.
    seconds(40).await;
    let workers = register(&world).await;
    assert_eq!(workers.entries[0].unseen_for(workers.as_of), None);
    life.await.unwrap();
    assert_eq!(register(&world).await.entries, []);
    let of_jobs = ["queue.", "job.", "handler."];
    let is_of_job = |name: &str| of_jobs.iter().any(|prefix| name.starts_with(prefix));
    let spans = world.spans.spans();
    assert!(spans.iter().all(|span| is_of_job(&span.name)) && spans.len() == 6);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_was_killed_is_not_seen_and_then_forgotten() {
    let world = World::new();
    let (killed, _stop) = start(world.worker().id("killed").fallback(succeeds));
    seconds(25).await;
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());
    let (_life, _stop) = start(world.worker().id("alive").fallback(succeeds));
    seconds(10).await;
    let workers = register(&world).await;
    assert_eq!(workers.entries[1].id.as_str(), "killed");
    assert_eq!(workers.entries[1].unseen_for(workers.as_of), None);
    assert_eq!(workers.entries[1].kinds, None, "it ran any");
    seconds(30).await;
    let workers = register(&world).await;
    let unseen = |index: usize| workers.entries[index].unseen_for(workers.as_of);
    assert_eq!(unseen(0), None);
    // Its last sign of life was at 20 s.
    assert_eq!(unseen(1), Some(Duration::from_secs(45)));
    seconds(540).await;
    assert_eq!(register(&world).await.entries.len(), 2);
    seconds(70).await;
    assert_eq!(only(&world).await.id.as_str(), "alive");
}

/// Workers of one name show one entry, and who ends takes out no other's.
#[tokio::test(start_paused = true)]
async fn who_ends_leaves_the_entry_of_the_next_of_its_name() {
    let world = World::new();
    let (first, stop_first) = start(world.worker().fallback(succeeds));
    seconds(5).await;
    let (next, stop_next) = start(world.worker().fallback(succeeds));
    seconds(1).await;
    stop_first.send(()).unwrap();
    first.await.unwrap();
    // The first has written over the entry of the next when it began to stop.
    seconds(10).await;
    assert_eq!(only(&world).await.state, WorkerState::Running);
    stop_next.send(()).unwrap();
    next.await.unwrap();
    assert_eq!(register(&world).await.entries, []);
}

/// Answers no call for a document.
#[derive(Debug)]
struct NoDocuments;

impl Way for NoDocuments {
    async fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        match method {
            "write_document" | "delete_document" | "list_documents" => Err(StoreError::new(
                ErrorKind::Unavailable,
                "no documents today",
            )),
            _ => effect.await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_cannot_be_entered_works_on() {
    let world = World::new();
    world.enqueue(order()).await;
    let store: Arc<dyn Store> = Arc::new(Around::through(world.store.clone(), NoDocuments));
    let worker = world.worker_of(store).drain(true);
    let worker = worker.fallback(takes_a_minute);
    let report = worker.build().unwrap().run(std::future::pending()).await;
    assert_eq!(report.unwrap().completed, 1);
    assert_eq!(register(&world).await.entries, []);
}
