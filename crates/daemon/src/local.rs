//! A store of this machine and its traces, asked without HTTP.

mod enqueue;
mod holdup;
mod jobs;
mod latency;
mod story;
pub(crate) mod traces;
mod workers;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use longshore_api::job::{
    ChangeJobs, ChangedJob, Enqueue, Enqueued, Job, JobsPage, JobsQuery, Redact,
};
use longshore_api::queue::{Latency, LatencyQuery, Queue};
use longshore_api::schedule::{ChangeSchedule, Schedule, ScheduleChange};
use longshore_api::trace::{Completions, Diff, DiffQuery, Story, StoryOf, TracesPage, TracesQuery};
use longshore_api::worker::Worker;
use longshore_api::{About, ApiError, Backend};
use longshore_core::limit::Scope;
use longshore_core::{
    Clock, QueueName, QueueStats, Random, ScheduleName, SpanContext, SpanId, Store, SystemClock,
    SystemRandom, TraceId,
};
use longshore_instrument::table::key;
use longshore_instrument::{Attribute, AttributeValue, Recorder, Span};
use longshore_queue::{Admin, Producer, Schedules};
use longshore_telemetry::{RedactionPolicy, Redactor};
use longshore_tracestore::TraceStore;

pub use self::holdup::{HeldBack, held_back};
use self::traces::Traces;

/// What a view of a store may see and do, and where its own telemetry goes.
pub struct LocalOptions {
    /// Where the spans of what is enqueued and changed go; nowhere if not given.
    pub recorder: Option<Arc<dyn Recorder>>,
    /// Takes out of errors what may not be shown.
    pub redactor: Redactor,
    /// The traces of this machine, if any are kept.
    pub traces: Option<Arc<TraceStore>>,
    /// The store as the resource of spans names it (`longshore.store`): traces that have to do with
    /// other stores alone are not listed then. Nothing if all are to be.
    pub store_name: Option<String>,
    /// The template of addresses of the tracing back end, with `{trace_id}` in it.
    pub trace_url: Option<String>,
    /// Where sealed traces are copied to, if anywhere: what is not found here may be there.
    pub archive: Option<String>,
    /// Most spans of a story, which is cut beyond them and says so. 1 000 000.
    pub max_story_spans: usize,
    /// Whether changes are allowed. Yes, if not said otherwise.
    pub may_change: bool,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What ids are made of.
    pub random: Arc<dyn Random>,
}

impl Default for LocalOptions {
    fn default() -> Self {
        let mut policy = RedactionPolicy::default();
        // The store bounds what is shown, and it is the end that says what went wrong.
        policy.max_attribute_length = usize::MAX;
        Self {
            recorder: None,
            redactor: Redactor::new(&policy).0,
            traces: None,
            store_name: None,
            trace_url: None,
            archive: None,
            max_story_spans: 1_000_000,
            may_change: true,
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
        }
    }
}

impl fmt::Debug for LocalOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalOptions")
            .field("recorder", &self.recorder)
            .field("trace_url", &self.trace_url)
            .field("archive", &self.archive)
            .field("may_change", &self.may_change)
            .finish_non_exhaustive()
    }
}

/// A store of this machine as a [`Backend`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LocalBackend {
    store: Arc<dyn Store>,
    options: Arc<LocalOptions>,
    traces: Option<Traces>,
    /// The names of the store, as they were and as they may be told.
    own: Arc<[String]>,
    caller: Option<SpanContext>,
}

impl LocalBackend {
    /// The view of a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, options: LocalOptions) -> Self {
        let traces = options.traces.clone().map(Traces::new);
        let own = own_names(&options).into();
        Self {
            store,
            traces,
            own,
            options: Arc::new(options),
            caller: None,
        }
    }

    /// The same on behalf of this span, which becomes the parent of those of enqueued jobs and of
    /// changes.
    #[must_use]
    pub fn called_by(&self, caller: SpanContext) -> Self {
        Self {
            caller: Some(caller),
            ..self.clone()
        }
    }

    fn producer(&self) -> Producer {
        let options = &self.options;
        let producer = Producer::new(Arc::clone(&self.store))
            .with_clock(Arc::clone(&options.clock), Arc::clone(&options.random));
        match &options.recorder {
            Some(recorder) => producer.with_recorder(Arc::clone(recorder)),
            None => producer,
        }
    }

    fn admin(&self) -> Admin {
        let options = &self.options;
        let admin = Admin::new(Arc::clone(&self.store))
            .with_clock(Arc::clone(&options.clock), Arc::clone(&options.random));
        let admin = match &options.recorder {
            Some(recorder) => admin.with_recorder(Arc::clone(recorder)),
            None => admin,
        };
        match &self.caller {
            Some(caller) => admin.called_by(caller.clone()),
            None => admin,
        }
    }

    /// Most spans of a story.
    pub(crate) fn max_story_spans(&self) -> usize {
        self.options.max_story_spans
    }

    /// Whether changes are allowed.
    fn check_may_change(&self) -> Result<(), ApiError> {
        if self.options.may_change {
            return Ok(());
        }
        Err(ApiError::Forbidden(
            "this view is for reading alone: start it so that it may change jobs".to_owned(),
        ))
    }

    fn redact(&self) -> impl Fn(&str) -> String + Sync + '_ {
        |text| self.options.redactor.text(text).into_owned()
    }

    fn shown(&self, job: &longshore_core::Job) -> Job {
        let redact: Redact<'_> = &self.redact();
        Job::of(job, redact)
    }

    /// A job with what holds it back.
    async fn whole(&self, job: &longshore_core::Job) -> Job {
        let held = held_back(&self.store, job).await;
        Job {
            held_back: held.why,
            held_by: held.by,
            ..self.shown(job)
        }
    }
}

#[async_trait]
impl Backend for LocalBackend {
    async fn about(&self) -> Result<About, ApiError> {
        let info = self.store.info();
        Ok(About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            store: format!("{}:{}", info.system, info.location),
            traces: self.options.traces.as_deref().map(folders),
            trace_url: self.options.trace_url.clone(),
            archive: self.options.archive.clone(),
            may_change: self.options.may_change,
        })
    }

    async fn jobs(&self, query: &JobsQuery) -> Result<JobsPage, ApiError> {
        self.list_jobs(query).await
    }

    async fn job(&self, id: &str) -> Result<Job, ApiError> {
        let job = self.find_job(id).await?;
        Ok(self.whole(&job).await)
    }

    async fn enqueue(&self, jobs: &[Enqueue]) -> Result<Vec<Result<Enqueued, ApiError>>, ApiError> {
        self.check_may_change()?;
        self.enqueue_all(jobs).await
    }

    async fn change_jobs(&self, change: &ChangeJobs) -> Result<Vec<ChangedJob>, ApiError> {
        self.check_may_change()?;
        self.change_all(change).await
    }

    async fn queues(&self) -> Result<Vec<Queue>, ApiError> {
        let mut queues = self.store.queue_stats().await?;
        queues.sort_by(|one, other| one.queue.cmp(&other.queue));
        let pauses = self.admin().pauses().await?;
        let noted = |stats: &QueueStats| {
            let scope = Scope::Queue(stats.queue.clone());
            Queue::of(stats).noted(pauses.get(&scope))
        };
        Ok(queues.iter().map(noted).collect())
    }

    async fn pause_queue(&self, queue: &str, paused: bool) -> Result<(), ApiError> {
        self.check_may_change()?;
        let queue: QueueName = queue.parse().map_err(wrong)?;
        match paused {
            true => self.admin().pause(&queue).await?,
            false => self.admin().resume(&queue).await?,
        }
        Ok(())
    }

    async fn latency(&self, query: &LatencyQuery) -> Result<Latency, ApiError> {
        self.measure(query).await
    }

    async fn workers(&self) -> Result<Vec<Worker>, ApiError> {
        self.list_workers().await
    }

    async fn schedules(&self) -> Result<Vec<Schedule>, ApiError> {
        let all = Schedules::new(self.producer()).list().await?;
        Ok(all.iter().map(Schedule::of).collect())
    }

    async fn change_schedule(&self, change: &ChangeSchedule) -> Result<(), ApiError> {
        self.check_may_change()?;
        let name: ScheduleName = change.name.parse().map_err(wrong)?;
        let schedules = self.admin().schedules();
        let there = match change.change {
            ScheduleChange::Pause => schedules.pause(&name).await?,
            ScheduleChange::Resume => schedules.resume(&name).await?,
            ScheduleChange::Remove => schedules.remove(&name).await?,
            ScheduleChange::Trigger => {
                let there = schedules.get(&name).await?.is_some();
                if there {
                    schedules.trigger(&name).await?;
                }
                there
            }
        };
        let missing = || ApiError::NotFound(format!("there is no schedule {name}"));
        there.then_some(()).ok_or_else(missing)
    }

    async fn traces(&self, query: &TracesQuery) -> Result<TracesPage, ApiError> {
        self.search_traces(query).await
    }

    async fn story(&self, of: &StoryOf) -> Result<Story, ApiError> {
        self.tell(of).await
    }

    async fn span(&self, trace: TraceId, span: SpanId) -> Result<Span, ApiError> {
        self.find_span(trace, span).await
    }

    async fn diff(&self, query: &DiffQuery) -> Result<Diff, ApiError> {
        self.compare(self.sides(query).await?).await
    }

    async fn complete(&self, text: &str, cursor: usize) -> Result<Completions, ApiError> {
        self.suggest(text, cursor).await
    }
}

/// What the store is called on spans, before and after what may not be told is taken out.
fn own_names(options: &LocalOptions) -> Vec<String> {
    let Some(name) = &options.store_name else {
        return Vec::new();
    };
    let mut told = vec![Attribute::new(key::STORE, name.clone())];
    options.redactor.attributes(&mut told);
    let told = told.into_iter().filter_map(|one| match one.value {
        AttributeValue::String(told) => Some(told.into_owned()),
        _ => None,
    });
    std::iter::once(name.clone()).chain(told).collect()
}

/// Where traces are.
fn folders(traces: &TraceStore) -> String {
    let folders = traces.folders().iter();
    let folders: Vec<String> = folders.map(|folder| folder.display().to_string()).collect();
    folders.join(", ")
}

/// What cannot be used.
fn wrong(error: impl fmt::Display) -> ApiError {
    ApiError::Invalid(error.to_string())
}
