//! Jobs that are enqueued.

use std::time::Duration;

use longshore_api::ApiError;
use longshore_api::job::{Enqueue, Enqueued};
use longshore_core::StoreError;
use longshore_queue::{JobRequest, Sent};

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
                    requests.push(self.on_behalf(job, request));
                    answers.push(None);
                }
                Err(error) => answers.push(Some(Err(error))),
            }
        }
        let sent = self.producer().enqueue_with_spans(requests).await?;
        let mut sent = sent.into_iter();
        let told = answers.into_iter();
        Ok(told
            .map(|refused| refused.unwrap_or_else(|| answer(sent.next())))
            .collect())
    }

    /// A request of whom this view acts for, unless the job names another.
    fn on_behalf(&self, job: &Enqueue, request: JobRequest) -> JobRequest {
        let baggage = job.baggage.as_deref().unwrap_or_default();
        match (&job.traceparent, &self.caller) {
            (Some(traceparent), _) => {
                let state = job.tracestate.as_deref().unwrap_or_default();
                request.traceparent(traceparent, state, baggage)
            }
            (None, Some(caller)) => {
                let state = caller.trace_state.as_str();
                request.traceparent(&caller.traceparent(), state, baggage)
            }
            (None, None) => request,
        }
    }
}

fn answer(sent: Option<Result<Sent, StoreError>>) -> Answer {
    let sent = sent.ok_or_else(|| {
        ApiError::Internal("the store gave fewer answers than there were jobs".to_owned())
    })??;
    Ok(Enqueued {
        enqueued: sent.enqueued.as_str().to_owned(),
        id: sent.enqueued.id().to_string(),
        trace_id: sent.span.map(|span| span.trace_id),
    })
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
