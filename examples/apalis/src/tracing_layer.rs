//! What connects apalis with Longshore's telemetry: one function for the producer, one tower layer
//! for the worker. Copy this file; nothing in it knows the application.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use apalis::prelude::{BoxDynError, Task, TaskBuilder, TaskSink};
use apalis_core::backend::finalize::Ephemeral;
use apalis_core::task::metadata::MetadataStore;
use longshore_core::AttemptOutcome;
use longshore_instrument::foreign::{Delivery, Ending, ForeignJob, ForeignQueue};
use tower::{Layer, Service};

/// Says in one word what an error is.
pub type Classify = fn(&BoxDynError) -> &'static str;

/// The jobs of one storage: how they are called in traces.
#[derive(Clone, Debug)]
pub struct Traced {
    queue: ForeignQueue,
    name: &'static str,
    kind: &'static str,
}

impl Traced {
    pub fn new(queue: ForeignQueue, name: &'static str, kind: &'static str) -> Self {
        Self { queue, name, kind }
    }

    /// Pushes a job with the trace that is current here.
    pub async fn push<S, Args>(&self, storage: &mut S, args: Args) -> Result<(), BoxDynError>
    where
        S: TaskSink<Args, Ephemeral>,
        S::Error: Into<BoxDynError>,
        Args: Send + 'static,
    {
        let span = self.queue.enqueue(ForeignJob::new(self.name, self.kind));
        let mut metadata = MetadataStore::new();
        span.inject(|key, value| {
            metadata.insert_if_absent(key, value);
        });
        let task = TaskBuilder::new(args).with_metadata(metadata).build();
        let pushed = storage.push_task(task).await;
        span.end(pushed.is_err().then_some("push_failed"));
        pushed.map_err(Into::into)
    }

    /// The layer for a worker. Put it after `retry`, which is inside it then: every attempt is a
    /// span of its own, and links to the one before.
    pub fn layer(&self, max_attempts: u32, classify: Classify) -> TraceLayer {
        TraceLayer {
            traced: self.clone(),
            max_attempts,
            classify,
        }
    }
}

/// See [`Traced::layer`].
#[derive(Clone, Debug)]
pub struct TraceLayer {
    traced: Traced,
    max_attempts: u32,
    classify: Classify,
}

impl<S> Layer<S> for TraceLayer {
    type Service = TraceService<S>;

    fn layer(&self, inner: S) -> TraceService<S> {
        TraceService {
            inner,
            layer: self.clone(),
        }
    }
}

/// Runs the jobs of a worker as attempts.
#[derive(Clone, Debug)]
pub struct TraceService<S> {
    inner: S,
    layer: TraceLayer,
}

impl<S, Args> Service<Task<Args>> for TraceService<S>
where
    S: Service<Task<Args>, Error = BoxDynError>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxDynError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxDynError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, task: Task<Args>) -> Self::Future {
        let TraceLayer {
            ref traced,
            max_attempts,
            classify,
        } = self.layer;
        let mut job = ForeignJob::new(traced.name, traced.kind);
        job.max_attempts = Some(max_attempts);
        if let Some(id) = task.task_id() {
            job = job.with_id(&id.to_string());
        }
        // apalis counts an attempt when the innermost service is polled first.
        let number = u32::try_from(task.attempt())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        let delivery = Delivery {
            // What is retried has failed, and what fails is kept.
            kept: number > 1,
            ..Delivery::nth(number)
        };
        let attempt = traced
            .queue
            .attempt(job, &delivery, |key| task.metadata().get(key));
        let handler = self.inner.call(task);
        Box::pin(async move {
            let result = attempt.run(handler).await;
            // The text leaves too, redacted. Leave it out if your errors hold what no rule finds.
            let text = result.as_ref().err().map(ToString::to_string);
            let ending = match &result {
                Ok(_) => Ending::completed(),
                Err(error) => {
                    let outcome = match number < max_attempts {
                        true => AttemptOutcome::Retried,
                        false => AttemptOutcome::Discarded,
                    };
                    let failed = Ending::failed(outcome, classify(error));
                    text.as_deref()
                        .map_or(failed, |text| failed.with_message(text))
                }
            };
            // apalis itself acknowledges the job later, so there is no span for that.
            drop(attempt.end(ending).await);
            result
        })
    }
}
