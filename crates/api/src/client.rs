//! A daemon elsewhere, asked over HTTP.

mod transport;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use longshore_core::{SpanId, TraceId};
use longshore_instrument::Span;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::transport::{Call, Transport};
use crate::answer::{
    Answer, ChangedJobs, EnqueuedMany, NamedSchedule, Nothing, Paused, Queues, Schedules, Workers,
};
use crate::backend::{About, Backend};
use crate::error::ApiError;
use crate::job::{ChangeJobs, ChangedJob, Enqueue, Enqueued, Job, JobsPage, JobsQuery};
use crate::otlp::TracesData;
use crate::query::{CompleteQuery, Query, TraceQuery};
use crate::queue::{Latency, LatencyQuery, Queue};
use crate::schedule::{ChangeSchedule, Schedule, ScheduleChange};
use crate::trace::{Completions, Diff, DiffQuery, Story, StoryOf, TracesPage, TracesQuery};
use crate::worker::Worker;

/// The bounds of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// Most time for a connection to be made. 5 s.
    pub connect: Duration,
    /// Most time in which nothing of an answer comes. 30 s; one that is large may take longer
    /// altogether, as long as it goes on.
    pub silence: Duration,
    /// Most bytes of an answer. 512 MiB, which holds a trace of a million spans.
    pub answer_bytes: usize,
    /// Whether traces are listed and compared that have to do with other stores than the daemon's
    /// alone, whatever is asked. No.
    pub all_stores: bool,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            silence: Duration::from_secs(30),
            answer_bytes: 512 << 20,
            all_stores: false,
        }
    }
}

/// A daemon, `longshore serve`, at an address.
#[derive(Clone)]
pub struct HttpClient {
    transport: Transport,
    all_stores: bool,
}

impl HttpClient {
    /// The daemon at `url`, such as `http://127.0.0.1:7350`; nothing is sent yet. The token is the
    /// one the daemon was started with, if any.
    ///
    /// # Errors
    /// `Invalid` if the address or the token cannot be used.
    pub fn new(url: &str, token: Option<&str>, options: ClientOptions) -> Result<Self, ApiError> {
        let all_stores = options.all_stores;
        let transport = Transport::new(url, token, options)?;
        Ok(Self {
            transport,
            all_stores,
        })
    }

    async fn get<T: DeserializeOwned + Send + 'static>(
        &self,
        path: &str,
        query: &str,
    ) -> Result<T, ApiError> {
        self.transport
            .call(Call::new(Method::GET, path, query))
            .await
    }

    async fn send<T: DeserializeOwned + Send + 'static>(
        &self,
        method: Method,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ApiError> {
        let body = serde_json::to_vec(body).map_err(|error| {
            ApiError::Internal(format!("the question cannot be written as JSON: {error}"))
        })?;
        let call = Call::new(method, path, "").with_body(body);
        self.transport.call(call).await
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpClient")
            .field(&self.transport.base())
            .finish()
    }
}

#[async_trait]
impl Backend for HttpClient {
    async fn about(&self) -> Result<About, ApiError> {
        self.get("about", "").await
    }

    async fn jobs(&self, query: &JobsQuery) -> Result<JobsPage, ApiError> {
        self.get("jobs", &query.to_address()).await
    }

    async fn job(&self, id: &str) -> Result<Job, ApiError> {
        self.get(&format!("jobs/{}", segment(id)), "").await
    }

    async fn enqueue(&self, jobs: &[Enqueue]) -> Result<Vec<Result<Enqueued, ApiError>>, ApiError> {
        #[derive(Serialize)]
        struct Many<'a> {
            jobs: &'a [Enqueue],
        }
        let answers: EnqueuedMany = self.send(Method::POST, "jobs/many", &Many { jobs }).await?;
        Ok(answers.jobs.into_iter().map(Answer::into_result).collect())
    }

    async fn change_jobs(&self, change: &ChangeJobs) -> Result<Vec<ChangedJob>, ApiError> {
        let changed: ChangedJobs = self.send(Method::PATCH, "jobs", change).await?;
        Ok(changed.jobs)
    }

    async fn queues(&self) -> Result<Vec<Queue>, ApiError> {
        let queues: Queues = self.get("queues", "").await?;
        Ok(queues.queues)
    }

    async fn pause_queue(&self, queue: &str, paused: bool) -> Result<(), ApiError> {
        let verb = if paused { "pause" } else { "resume" };
        let path = format!("queues/{}/{verb}", segment(queue));
        let _paused: Paused = self.send(Method::POST, &path, &Nothing {}).await?;
        Ok(())
    }

    async fn latency(&self, query: &LatencyQuery) -> Result<Latency, ApiError> {
        self.get("latency", &query.to_address()).await
    }

    async fn workers(&self) -> Result<Vec<Worker>, ApiError> {
        let workers: Workers = self.get("workers", "").await?;
        Ok(workers.workers)
    }

    async fn schedules(&self) -> Result<Vec<Schedule>, ApiError> {
        let schedules: Schedules = self.get("schedules", "").await?;
        Ok(schedules.schedules)
    }

    async fn change_schedule(&self, change: &ChangeSchedule) -> Result<(), ApiError> {
        let name = segment(&change.name);
        let (method, path) = match change.change {
            ScheduleChange::Pause => (Method::POST, format!("schedules/{name}/pause")),
            ScheduleChange::Resume => (Method::POST, format!("schedules/{name}/resume")),
            ScheduleChange::Trigger => (Method::POST, format!("schedules/{name}/trigger")),
            ScheduleChange::Remove => (Method::DELETE, format!("schedules/{name}")),
        };
        let _changed: NamedSchedule = self.send(method, &path, &Nothing {}).await?;
        Ok(())
    }

    async fn traces(&self, query: &TracesQuery) -> Result<TracesPage, ApiError> {
        let query = TracesQuery {
            all_stores: query.all_stores || self.all_stores,
            ..query.clone()
        };
        self.get("traces", &query.to_address()).await
    }

    async fn story(&self, of: &StoryOf) -> Result<Story, ApiError> {
        match of {
            StoryOf::Job(id) => self.get(&format!("jobs/{}/story", segment(id)), "").await,
            StoryOf::Trace(id) => self.get(&format!("traces/{id}"), "").await,
            StoryOf::TraceAlone(id) => {
                let alone = TraceQuery { alone: true }.to_address();
                self.get(&format!("traces/{id}"), &alone).await
            }
        }
    }

    async fn span(&self, trace: TraceId, span: SpanId) -> Result<Span, ApiError> {
        let path = format!("traces/{trace}/spans/{span}");
        let data: TracesData = self.get(&path, "").await?;
        let spans = data.into_spans();
        let found = spans.into_iter().find(|one| one.span_id == span);
        found.ok_or_else(|| ApiError::NotFound(format!("there is no span {span} in {trace}")))
    }

    async fn diff(&self, query: &DiffQuery) -> Result<Diff, ApiError> {
        let query = DiffQuery {
            all_stores: query.all_stores || self.all_stores,
            ..query.clone()
        };
        self.send(Method::POST, "diff", &query).await
    }

    async fn complete(&self, text: &str, cursor: usize) -> Result<Completions, ApiError> {
        let query = CompleteQuery {
            text: text.to_owned(),
            cursor: Some(cursor),
        };
        self.get("complete", &query.to_address()).await
    }
}

/// A part of a path, whatever it holds.
fn segment(text: &str) -> String {
    use std::fmt::Write as _;
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                written.push(char::from(byte));
            }
            _ => {
                let _infallible = write!(written, "%{byte:02X}");
            }
        }
    }
    written
}
