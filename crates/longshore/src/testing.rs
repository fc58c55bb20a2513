//! Running one job in a test: its outcome and its trace, without a file, a server or a sleep.

use std::sync::Arc;

use longshore_core::{AttemptRecord, Job, Store};
use longshore_instrument::{Span, SpanBuffer};
use longshore_memory::MemoryStore;
use longshore_queue::{Attempt, Handler, JobRequest, Producer, RawArgs, RawResult, Worker};
use tokio::sync::Notify;

/// What came of one attempt of a job.
#[derive(Debug)]
pub struct JobRun {
    /// The job after the attempt.
    pub job: Job,
    /// How the attempt ended.
    pub attempt: AttemptRecord,
    /// The jobs that the handler enqueued, oldest first.
    pub children: Vec<Job>,
    /// Every span of the job's life so far.
    pub spans: Vec<Span>,
}

impl JobRun {
    /// The result, if the handler gave one that is text.
    #[must_use]
    pub fn result(&self) -> Option<&str> {
        std::str::from_utf8(self.job.result.as_deref()?).ok()
    }

    /// The trace as an indented tree.
    #[must_use]
    pub fn tree(&self) -> String {
        longshore_trace::outline::outline(&longshore_trace::Forest::new(&self.spans))
    }
}

/// Why a job could not be run in a test.
#[derive(Debug)]
pub struct RunError(String);

impl std::fmt::Display for RunError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RunError {}

/// Enqueues `request` on a fresh memory store, runs one attempt of it with `handler`, and gives
/// back what came of it.
///
/// # Errors
/// The request is not allowed, or not due yet.
///
/// ```
/// use longshore::testing::run_job;
/// use longshore::{Attempt, JobError, JobRequest};
///
/// async fn double(number: u32, _attempt: Attempt) -> Result<u32, JobError> {
///     Ok(number * 2)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), longshore::testing::RunError> {
/// let run = run_job(double, JobRequest::new("sums", "double").args(&21)).await?;
/// assert_eq!(run.result(), Some("42"));
/// assert_eq!(run.spans.len(), 6);
/// # Ok(())
/// # }
/// ```
pub async fn run_job<M>(handler: impl Handler<M>, request: JobRequest) -> Result<JobRun, RunError> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let spans = Arc::new(SpanBuffer::default());
    let producer = Producer::new(Arc::clone(&store)).with_recorder(spans.clone());
    let enqueued = producer.enqueue(request).await.map_err(told)?;
    let job = row(&*store, enqueued.id()).await?;
    if job.available_at > store.now().await.map_err(told)? {
        return Err(RunError(format!(
            "the job is due at {} only; leave out its delay in this test",
            job.available_at
        )));
    }
    let ended = Arc::new(Notify::new());
    let worker = Worker::builder(Arc::clone(&store))
        .queue(job.queue.as_str())
        .recorder(spans.clone())
        .concurrency(1)
        .fallback(observed(handler, Arc::clone(&ended)))
        .build()
        .map_err(told)?;
    worker.run(ended.notified()).await.map_err(told)?;
    let job = row(&*store, enqueued.id()).await?;
    let attempt = job.last_attempt().cloned();
    Ok(JobRun {
        attempt: attempt.ok_or_else(|| RunError("the attempt was not settled".to_owned()))?,
        children: children(&*store, &job).await?,
        spans: spans.spans(),
        job,
    })
}

/// The handler, telling when it has ended, however it does.
fn observed<M>(handler: impl Handler<M>, ended: Arc<Notify>) -> impl Handler<longshore_queue::Raw> {
    move |args: RawArgs, attempt: Attempt| {
        let (handler, ended) = (handler.clone(), OnDrop(Arc::clone(&ended)));
        async move {
            let result = handler.call(args.0, attempt).await;
            drop(ended);
            result.map(RawResult)
        }
    }
}

struct OnDrop(Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

async fn row(store: &dyn Store, id: &longshore_core::JobId) -> Result<Job, RunError> {
    let job = store.get(id).await.map_err(told)?;
    job.ok_or_else(|| RunError(format!("job {id} is gone")))
}

async fn children(store: &dyn Store, parent: &Job) -> Result<Vec<Job>, RunError> {
    let filter = longshore_core::JobFilter::default();
    let page = store.list(&filter, None, longshore_core::JobPage::MAX_JOBS);
    let mut jobs = page.await.map_err(told)?.jobs;
    jobs.retain(|job| job.parent_correlation_id.as_ref() == Some(&parent.correlation_id));
    jobs.reverse();
    Ok(jobs)
}

fn told(error: impl std::fmt::Display) -> RunError {
    RunError(error.to_string())
}
