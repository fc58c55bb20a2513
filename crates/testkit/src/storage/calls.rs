//! The requests of each call of the contract, whether or not a span of the engine tells of it.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::round_trip::{self, Answer, RoundTrip, Server, Target};
use longshore_core::{
    Beat, Claimed, Clock, Document, Import, Job, JobFilter, JobId, NewJob, PruneRequest, Random,
    SystemClock,
};

use super::assert_file;
use crate::clock::{ManualClock, SeededRandom};
use crate::harness::{Harness, completion, name, retry_at, settlement};

/// How many jobs each call is about.
const TWO: usize = 2;
/// Longer than a lease of the harness.
const LONGER: Duration = Duration::from_secs(3600);

/// Calls of a store, and what it asked for to answer each.
struct Calls {
    store: Arc<dyn Import>,
    harness: Harness,
    watch: Arc<dyn Clock>,
    /// What the requests went to.
    server: Option<Arc<Server>>,
    said: String,
}

/// Makes every call of the contract on a fresh store, one after the other, and compares what each
/// asked for with the file at `path`; with `LONGSHORE_WRITE_TREES` set it is written anew. Gives back
/// what all of it went to.
pub async fn assert_calls<S: Import + 'static>(
    open: impl FnOnce(Arc<dyn Clock>, Arc<dyn Random>) -> S,
    path: &Path,
) -> Arc<Server> {
    let clock = Arc::new(ManualClock::default());
    let store: Arc<dyn Import> = Arc::new(open(clock.clone(), Arc::new(SeededRandom::new(1))));
    let mut calls = Calls {
        store: Arc::clone(&store),
        harness: Harness::around(store, clock, Box::new(())),
        watch: Arc::new(SystemClock::new()),
        server: None,
        said: String::new(),
    };
    calls.of_jobs().await;
    calls.of_people().await;
    calls.of_documents().await;
    assert_file(&calls.said, path);
    calls.server.unwrap()
}

impl Calls {
    /// Makes a call that has this name.
    async fn note<T>(&mut self, call: &str, answer: impl Future<Output = T>) -> T {
        let asked = Box::pin(async { (answer.await, round_trip::take()) });
        let (answer, trips) = round_trip::watch(Some(&self.watch), asked).await;
        writeln!(self.said, "{call}").unwrap();
        for trip in &trips.list {
            let server = self.server.get_or_insert_with(|| Arc::clone(&trip.server));
            assert_eq!(*server, trip.server);
            writeln!(self.said, "  {}", line(trip)).unwrap();
        }
        answer
    }

    async fn claim(&mut self, queue: &str) -> Vec<Claimed> {
        let (store, request) = (Arc::clone(&self.store), Harness::request(queue, TWO));
        let claimed = self.note("claim", store.claim(&request)).await.unwrap();
        assert_eq!(claimed.len(), TWO);
        claimed
    }

    async fn enqueue(&mut self, queue: &str) -> Vec<JobId> {
        let jobs: Vec<NewJob> = self.harness.new_jobs(queue, TWO).await;
        let ids = jobs.iter().map(|job| job.id.clone()).collect();
        let store = Arc::clone(&self.store);
        let answers = self.note("enqueue", store.enqueue(jobs)).await.unwrap();
        assert!(answers.iter().all(Result::is_ok));
        ids
    }

    /// The calls of producers and workers, and of those who look.
    async fn of_jobs(&mut self) {
        let store = Arc::clone(&self.store);
        let ids = self.enqueue("busy").await;
        self.note("wait", store.wait(&[name("busy")], LONGER)).await;
        let claimed = self.claim("busy").await;
        let beat = |one: &Claimed| Beat {
            job_id: one.job.id.clone(),
            token: one.lease.token,
            extend_by: Harness::LEASE,
            progress: None,
            checkpoint: None,
        };
        let beats: Vec<Beat> = claimed.iter().map(beat).collect();
        self.note("heartbeat", store.heartbeat(&beats))
            .await
            .unwrap();
        let later = retry_at(self.harness.now().after(LONGER));
        let again = |one| settlement(one, later.clone());
        let settlements = claimed.iter().map(again).collect();
        self.note("settle", store.settle(settlements))
            .await
            .unwrap();
        self.harness.advance(2 * LONGER);
        self.note("promote", store.promote(TWO)).await.unwrap();
        let claimed = self.claim("busy").await;
        let completed = claimed.iter().map(completion).collect();
        self.note("settle", store.settle(completed)).await.unwrap();
        let job = self.note("get", store.get(&ids[0])).await.unwrap().unwrap();
        let all = JobFilter::default();
        let list = store.list(&all, None, TWO);
        self.note("list", list).await.unwrap();
        self.note("queue_stats", store.queue_stats()).await.unwrap();
        self.enqueue("lost").await;
        self.claim("lost").await;
        self.harness.advance(LONGER);
        let rescued = self.note("rescue", store.rescue(TWO)).await.unwrap();
        assert_eq!(rescued.len(), TWO);
        self.import(&job).await;
    }

    /// A job that came from elsewhere, twice.
    async fn import(&mut self, job: &Job) {
        let store = Arc::clone(&self.store);
        let ids = [
            self.harness.unused_id("busy").await,
            self.harness.unused_id("busy").await,
        ];
        let jobs = ids.map(|id| Job { id, ..job.clone() }).into();
        let answers = self.note("import", store.import(jobs)).await.unwrap();
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }

    /// The calls of people.
    async fn of_people(&mut self) {
        let store = Arc::clone(&self.store);
        let cancelled = self.enqueue("left").await;
        self.note("cancel", store.cancel(&cancelled)).await.unwrap();
        let discarded = self.enqueue("left").await;
        self.note("discard", store.discard(&discarded))
            .await
            .unwrap();
        self.note("retry_now", store.retry_now(&cancelled))
            .await
            .unwrap();
        let queue = name("left");
        self.note("pause", store.pause(&queue)).await.unwrap();
        self.note("resume", store.resume(&queue)).await.unwrap();
        self.harness.outlive_retention();
        let all = PruneRequest::before(self.harness.now(), 100);
        self.note("prune", store.prune(&all)).await.unwrap();
    }

    async fn of_documents(&mut self) {
        let store = Arc::clone(&self.store);
        let (name, body) = ("shop/limits", "{}");
        let written = store.write_document(name, 0, body.into());
        let version = self.note("write_document", written).await.unwrap();
        let refused = store.write_document(name, version + 1, body.into());
        self.note("write_document", refused).await.unwrap_err();
        let large = vec![b' '; Document::MAX_BYTES + 1];
        let refused = store.write_document(name, version, large.into());
        self.note("write_document", refused).await.unwrap_err();
        let read: Option<Document> = self
            .note("read_document", store.read_document(name))
            .await
            .unwrap();
        assert_eq!(read.unwrap().version, version);
        let list = store.list_documents("shop/", None, TWO);
        self.note("list_documents", list).await.unwrap();
        let deleted = store.delete_document(name, version);
        self.note("delete_document", deleted).await.unwrap();
    }
}

/// A request as a line.
fn line(trip: &RoundTrip) -> String {
    let mut line = trip.operation.to_owned();
    match &trip.target {
        Target::Nothing => {}
        Target::Collection(name) | Target::Procedure(name) => {
            line = format!("{line} {name}");
        }
        Target::Object(key) => line = format!("{line} {key}"),
    }
    if trip.items > 0 {
        line = format!("{line} of {}", trip.items);
    }
    match &trip.answer {
        Answer::Good => line,
        Answer::Refused => format!("{line}: refused"),
        Answer::Failed { class, .. } => format!("{line}: {class}"),
    }
}
