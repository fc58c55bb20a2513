//! Jobs that are enqueued.

use std::time::Duration;

use longshore_api::ApiError;
use longshore_api::job::{Enqueue, Enqueued, trace_of};
use longshore_core::{StoreError, TraceId};
use longshore_queue::JobRequest;

use super::LocalBackend;

/// Most jobs of one call.
const MOST: usize = 1000;

type Answer = Result<Enqueued, ApiError>;

impl LocalBackend {
    pub(super) async fn enqueue_all(&self, jobs: &[Enqueue]) -> Result<Vec<Answer>, ApiError> {
        if jobs.len() > MOST {
            return Err(ApiError::Invalid(format!(
                "{} jobs are to be enqueued at once: send at most {MOST} in a call",
                jobs.len()
            )));
        }
        let mut answers: Vec<Option<Answer>> = Vec::with_capacity(jobs.len());
        let mut requests = Vec::with_capacity(jobs.len());
        for job in jobs {
            match request(job) {
                Ok(request) => {
                    requests.push(self.on_behalf_unless(request, job.traceparent.is_some()));
                    answers.push(None);
                }
                Err(error) => answers.push(Some(Err(error))),
            }
        }
        let mut stored = self.producer().enqueue_many(requests).await?.into_iter();
        let mut told = Vec::with_capacity(answers.len());
        for answer in answers {
            told.push(match answer {
                Some(refused) => refused,
                None => self.answer(stored.next()).await,
            });
        }
        Ok(told)
    }

    /// A request of whom this view acts for, unless it names another.
    fn on_behalf_unless(&self, request: JobRequest, names_another: bool) -> JobRequest {
        match &self.caller {
            Some(caller) if !names_another => request.context(caller.clone()),
            _ => request,
        }
    }

    async fn answer(&self, answer: Option<Result<longshore_core::Enqueued, StoreError>>) -> Answer {
        let enqueued = answer.ok_or_else(|| {
            ApiError::Internal("the store gave fewer answers than there were jobs".to_owned())
        })??;
        Ok(Enqueued {
            enqueued: enqueued.as_str().to_owned(),
            id: enqueued.id().to_string(),
            trace_id: self.trace_of(&enqueued).await,
        })
    }

    /// The trace of a job that was just enqueued. That it cannot be looked up is no reason to say
    /// that the job was not stored.
    async fn trace_of(&self, enqueued: &longshore_core::Enqueued) -> Option<TraceId> {
        if let Some(span) = enqueued.met_span() {
            return Some(span.trace_id);
        }
        let job = self.store.get(enqueued.id()).await.ok()??;
        trace_of(&job)
    }
}

fn request(job: &Enqueue) -> Result<JobRequest, ApiError> {
    let mut request = JobRequest::new(job.queue.as_str(), job.kind.as_str())
        .raw_args(job.args.as_str().as_bytes().to_vec());
    if let Some(id) = &job.id {
        request = request.id(id);
    }
    if let Some(priority) = job.priority {
        request = request.priority(priority);
    }
    if let Some(most) = job.max_attempts {
        request = request.max_attempts(most);
    }
    request = match (job.available_at, job.delay_seconds) {
        (Some(_), Some(_)) => {
            return Err(ApiError::Invalid(
                "`available_at` and `delay_seconds` both say when the job is due: give one"
                    .to_owned(),
            ));
        }
        (Some(at), None) => request.at(at),
        (None, Some(delay)) => request.delay(seconds("delay_seconds", delay)?),
        (None, None) => request,
    };
    if let Some(timeout) = job.timeout_seconds {
        request = request.timeout(seconds("timeout_seconds", timeout)?);
    }
    if let Some(key) = &job.unique_key {
        request = request.unique_key(key);
    }
    if let Some(id) = &job.correlation_id {
        request = request.correlation_id(id);
    }
    if let Some(tenant) = &job.tenant_id {
        request = request.tenant_id(tenant);
    }
    if let Some(namespace) = &job.namespace {
        request = request.namespace(namespace);
    }
    if let Some(traceparent) = &job.traceparent {
        let text = |header: &Option<String>| header.clone().unwrap_or_default();
        request = request.traceparent(traceparent, &text(&job.tracestate), &text(&job.baggage));
    }
    let request = job.tags.iter().fold(request, JobRequest::tag);
    let pairs = job.metadata.iter();
    Ok(pairs.fold(request, |request, (key, value)| {
        request.metadata(key, value)
    }))
}

fn seconds(key: &str, seconds: f64) -> Result<Duration, ApiError> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| ApiError::Invalid(format!("`{key}` is wrong: {error}")))
}
