//! What is asked of a backend, and what it answers.

use longshore_api::backend::About;
use longshore_api::job::{ChangeJobs, ChangedJob, Job, JobsPage, JobsQuery};
use longshore_api::queue::{Latency, LatencyQuery, Queue};
use longshore_api::schedule::{ChangeSchedule, Schedule};
use longshore_api::trace::{Completions, Diff, DiffQuery, Story, StoryOf, TracesPage, TracesQuery};
use longshore_api::worker::Worker;
use longshore_api::{ApiError, Backend};
use longshore_core::{SpanId, TraceId};
use longshore_instrument::Span;

use crate::prepared::Prepared;

/// A question for a [`Backend`].
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// What stands behind it.
    About,
    /// A page of traces.
    Traces(TracesQuery),
    /// A story.
    Story(StoryOf),
    /// A story as the clocks said it, none corrected.
    StoryAsRecorded(StoryOf),
    /// A span.
    Span(TraceId, SpanId),
    /// What differs.
    Diff(DiffQuery),
    /// How a search may go on.
    Complete {
        /// The search.
        text: String,
        /// The byte of it where the cursor is.
        cursor: usize,
    },
    /// A page of jobs.
    Jobs(Box<JobsQuery>),
    /// A job.
    Job(String),
    /// Jobs are to be changed.
    ChangeJobs(ChangeJobs),
    /// All queues.
    Queues,
    /// A queue is to rest or to go on.
    PauseQueue(String, bool),
    /// How long jobs waited and ran.
    Latency(LatencyQuery),
    /// The workers.
    Workers,
    /// The schedules.
    Schedules,
    /// A schedule is to be changed.
    ChangeSchedule(ChangeSchedule),
}

/// What came back.
#[derive(Debug)]
pub enum Answer {
    /// To [`Ask::About`].
    About(Result<About, ApiError>),
    /// To [`Ask::Traces`].
    Traces(Result<TracesPage, ApiError>),
    /// To [`Ask::Story`] and [`Ask::StoryAsRecorded`].
    Story(Result<Box<Prepared>, ApiError>),
    /// To [`Ask::Span`].
    Span(Result<Box<Span>, ApiError>),
    /// To [`Ask::Diff`].
    Diff(Result<Diff, ApiError>),
    /// To [`Ask::Complete`].
    Complete(Result<Completions, ApiError>),
    /// To [`Ask::Jobs`].
    Jobs(Result<JobsPage, ApiError>),
    /// To [`Ask::Job`].
    Job(Result<Box<Job>, ApiError>),
    /// To [`Ask::ChangeJobs`].
    ChangeJobs(Result<Vec<ChangedJob>, ApiError>),
    /// To [`Ask::Queues`].
    Queues(Result<Vec<Queue>, ApiError>),
    /// To [`Ask::Latency`].
    Latency(Result<Latency, ApiError>),
    /// To [`Ask::Workers`].
    Workers(Result<Vec<Worker>, ApiError>),
    /// To [`Ask::Schedules`].
    Schedules(Result<Vec<Schedule>, ApiError>),
    /// To [`Ask::PauseQueue`] and [`Ask::ChangeSchedule`].
    Changed(Result<(), ApiError>),
}

impl Ask {
    /// Puts the question. What is costly to derive from the answer is derived here, away from the
    /// loop that draws.
    pub async fn put(self, backend: &dyn Backend) -> Answer {
        match self {
            Self::About => Answer::About(backend.about().await),
            Self::Traces(query) => Answer::Traces(backend.traces(&query).await),
            Self::Story(of) => {
                let story = backend.story(&of).await;
                Answer::Story(story.map(|story| Box::new(Prepared::new(story))))
            }
            Self::StoryAsRecorded(of) => {
                let story = backend.story(&of).await.map(Story::as_recorded);
                Answer::Story(story.map(|story| Box::new(Prepared::new(story))))
            }
            Self::Span(trace, span) => Answer::Span(backend.span(trace, span).await.map(Box::new)),
            Self::Diff(query) => Answer::Diff(backend.diff(&query).await),
            Self::Complete { text, cursor } => {
                Answer::Complete(backend.complete(&text, cursor).await)
            }
            Self::Jobs(query) => Answer::Jobs(backend.jobs(&query).await),
            Self::Job(id) => Answer::Job(backend.job(&id).await.map(Box::new)),
            Self::ChangeJobs(change) => Answer::ChangeJobs(backend.change_jobs(&change).await),
            Self::Queues => Answer::Queues(backend.queues().await),
            Self::PauseQueue(queue, paused) => {
                Answer::Changed(backend.pause_queue(&queue, paused).await)
            }
            Self::Latency(query) => Answer::Latency(backend.latency(&query).await),
            Self::Workers => Answer::Workers(backend.workers().await),
            Self::Schedules => Answer::Schedules(backend.schedules().await),
            Self::ChangeSchedule(change) => Answer::Changed(backend.change_schedule(&change).await),
        }
    }
}

impl Answer {
    /// Why there is none.
    pub(crate) fn error(&self) -> Option<&ApiError> {
        match self {
            Self::About(answer) => answer.as_ref().err(),
            Self::Traces(answer) => answer.as_ref().err(),
            Self::Story(answer) => answer.as_ref().err(),
            Self::Span(answer) => answer.as_ref().err(),
            Self::Diff(answer) => answer.as_ref().err(),
            Self::Complete(answer) => answer.as_ref().err(),
            Self::Jobs(answer) => answer.as_ref().err(),
            Self::Job(answer) => answer.as_ref().err(),
            Self::ChangeJobs(answer) => answer.as_ref().err(),
            Self::Queues(answer) => answer.as_ref().err(),
            Self::Latency(answer) => answer.as_ref().err(),
            Self::Workers(answer) => answer.as_ref().err(),
            Self::Schedules(answer) => answer.as_ref().err(),
            Self::Changed(answer) => answer.as_ref().err(),
        }
    }
}
