//! Stories: the spans of all traces of a job joined with the record of the job.

mod diff;
mod findings;
mod related;
mod slim;
mod waited;

use std::sync::Arc;
use std::time::Duration;

use longshore_api::ApiError;
use longshore_api::job::{ran, trace_of};
use longshore_api::trace::{Story, StoryOf, TimeSpent};
use longshore_core::{Job, JobFilter, JobId, Timestamp};
use longshore_instrument::Span;
use longshore_trace::{Chart, CriticalPath, TraceSummary};
use longshore_tracestore::{StoryOf as Of, Told, TraceStore};

use super::LocalBackend;
use super::traces::until_found;

/// Most jobs of a story whose records are looked at.
const MOST_JOBS: usize = 100;

/// Most jobs of a kind that say what is usual.
const USUAL_OF: usize = 200;

impl LocalBackend {
    pub(super) async fn tell(&self, of: &StoryOf) -> Result<Story, ApiError> {
        let about = match of {
            StoryOf::Job(id) => self.look_up(id).await?,
            StoryOf::Trace(_) | StoryOf::TraceAlone(_) => None,
        };
        let Spans {
            spans,
            summary,
            jobs,
            cut,
        } = self.spans_of(of).await?;
        if spans.is_empty() && about.is_none() {
            return Err(self.missing(of));
        }
        let as_of = self.store.now().await?;
        let jobs = self.jobs_of(about, jobs).await?;
        let about = subject(of, summary.as_ref(), &jobs).cloned();
        let usual = match &about {
            Some(job) => self.usual(job).await?,
            None => Vec::new(),
        };
        let recorded = about.as_ref().map(|job| from_record(job, as_of));
        let related = self.related(about.as_ref(), &jobs).await?;
        let job = match &about {
            Some(job) => Some(self.whole(job).await),
            None => None,
        };
        let cut = cut.then(|| findings::cut(self.options.max_story_spans));
        let asked = match of {
            StoryOf::Job(id) => Some(id.clone()),
            StoryOf::Trace(_) | StoryOf::TraceAlone(_) => None,
        };
        let jobs = Arc::new(jobs);
        let records = Arc::clone(&jobs);
        let build = move || {
            let chart = Chart::of(&spans, &records, as_of);
            let whole = CriticalPath::of(&chart);
            let asked = asked.as_deref().and_then(|id| path_of(&chart, id));
            let path = asked.as_ref().unwrap_or(&whole);
            let time = spent(path, &chart);
            let found = findings::find(&chart, path, about.as_ref(), &usual, as_of);
            let findings = cut.into_iter().chain(found).collect();
            // Of a job without spans its record says all.
            let recorded = recorded.map(|recorded| TraceSummary {
                wait: time.wait,
                run: time.run,
                ..recorded
            });
            Some(Story {
                chart,
                summary: summary.or(recorded)?,
                time,
                critical: whole.by_row(),
                findings,
                job,
                related,
                as_of,
            })
        };
        // A trace may have a million spans.
        let built = tokio::task::spawn_blocking(build).await;
        let failed = |error| ApiError::Internal(format!("the story could not be told: {error}"));
        let mut story = built.map_err(failed)?.ok_or_else(|| self.missing(of))?;
        let mut findings = story.findings.iter_mut();
        if let Some(wait) = findings.find(|finding| finding.what == "waited") {
            // Where limits cannot be read, what is known of the wait stands as it is.
            let _ = waited::explain(&self.store, wait, &story.chart, &jobs).await;
        }
        Ok(story)
    }

    /// How long the last attempts of other jobs of the same kind ran.
    async fn usual(&self, job: &Job) -> Result<Vec<Duration>, ApiError> {
        let filter = JobFilter {
            queue: Some(job.queue.clone()),
            kind: Some(job.kind.clone()),
            ..JobFilter::default()
        };
        let page = self.store.list(&filter, None, USUAL_OF).await?;
        let others = page.jobs.iter().filter(|other| other.id != job.id);
        Ok(others
            .filter_map(|other| other.last_attempt().map(ran))
            .collect())
    }

    /// A job, if the store has it; one that was pruned still has a story.
    async fn look_up(&self, id: &str) -> Result<Option<Job>, ApiError> {
        match self.find_job(id).await {
            Ok(job) => Ok(Some(job)),
            Err(ApiError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How many spans a story has at most; none of one that is not known.
    pub(crate) async fn size_of(&self, of: &StoryOf) -> Result<usize, ApiError> {
        let Some(traces) = &self.traces else {
            return Ok(0);
        };
        let (of, most) = (of.clone(), self.options.max_story_spans);
        let ask = move |store: &TraceStore| {
            let known = |store: &TraceStore| {
                let size = store.size_of(of_store(&of));
                Ok((size > 0).then_some(size))
            };
            Ok(until_found(store, known)?.unwrap_or(0).min(most))
        };
        traces.ask(ask).await
    }

    async fn spans_of(&self, of: &StoryOf) -> Result<Spans, ApiError> {
        let Some(traces) = &self.traces else {
            return match of {
                StoryOf::Job(_) => Ok(Spans::default()),
                StoryOf::Trace(_) | StoryOf::TraceAlone(_) => {
                    self.kept_traces().map(|_traces| Spans::default())
                }
            };
        };
        let of = of.clone();
        let most = self.options.max_story_spans;
        let ask = move |store: &TraceStore| {
            let about = of_store(&of);
            let Told { spans, cut } = until_found(store, |store| {
                let told = store.story_as(about, most, slim::slim)?;
                Ok((!told.spans.is_empty()).then_some(told))
            })?
            .unwrap_or_default();
            let spans = own_spans(&of, spans);
            Ok(Spans {
                cut,
                summary: TraceSummary::of_story(&spans),
                jobs: job_ids(&spans),
                spans,
            })
        };
        traces.ask(ask).await
    }

    fn missing(&self, of: &StoryOf) -> ApiError {
        let archive = self.options.archive.as_deref();
        ApiError::NotFound(match (of, archive) {
            (StoryOf::Job(id), None) => format!("there is no job {id} here, and no trace of one"),
            (StoryOf::Job(id), Some(archive)) => format!(
                "there is no job {id} here, and no trace of one; older traces lie in the archive \
                 {archive}: `longshore traces fetch TRACE_ID --into FOLDER` brings one back by its \
                 id, `--since 30d` those of a time"
            ),
            (StoryOf::Trace(trace) | StoryOf::TraceAlone(trace), None) => format!(
                "there is no trace {trace} here: it was not sampled, was not kept for so long, or \
                 has not arrived yet"
            ),
            (StoryOf::Trace(trace) | StoryOf::TraceAlone(trace), Some(archive)) => format!(
                "there is no trace {trace} here: it was not sampled, has not arrived yet, or is so \
                 old that it lies in the archive {archive} alone: `longshore traces fetch {trace} \
                 --into FOLDER` brings it back"
            ),
        })
    }

    /// The records of these jobs, the one that was asked for first.
    async fn jobs_of(&self, about: Option<Job>, ids: Vec<JobId>) -> Result<Vec<Job>, ApiError> {
        let mut jobs: Vec<Job> = about.into_iter().collect();
        for id in ids {
            if jobs.len() >= MOST_JOBS {
                break;
            }
            if jobs.iter().all(|job| job.id != id) {
                jobs.extend(self.store.get(&id).await?);
            }
        }
        Ok(jobs)
    }
}

/// Whose story, as the trace store is asked.
fn of_store(of: &StoryOf) -> Of<'_> {
    match of {
        StoryOf::Job(id) => Of::Job(id),
        StoryOf::Trace(trace) => Of::Trace(*trace),
        StoryOf::TraceAlone(trace) => Of::Alone(*trace),
    }
}

/// The spans of a story, and what is read off them where they were read: they may be a million.
#[derive(Default)]
struct Spans {
    spans: Vec<Span>,
    summary: Option<TraceSummary>,
    /// The jobs that they name, in their order.
    jobs: Vec<JobId>,
    /// Whether there are more.
    cut: bool,
}

fn job_ids(spans: &[Span]) -> Vec<JobId> {
    use longshore_instrument::AttributeValue;
    use longshore_instrument::table::key;
    let mut ids: Vec<JobId> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for span in spans {
        if let Some(AttributeValue::String(id)) = span.attribute(key::JOB_ID)
            && seen.insert(id.as_ref())
        {
            ids.extend(id.parse());
        }
        if seen.len() >= MOST_JOBS {
            break;
        }
    }
    ids
}

/// The job that a story is about.
fn subject<'a>(of: &StoryOf, summary: Option<&TraceSummary>, jobs: &'a [Job]) -> Option<&'a Job> {
    let id = match of {
        StoryOf::Job(id) => id,
        StoryOf::Trace(_) | StoryOf::TraceAlone(_) => summary?.job_ids.first()?,
    };
    jobs.iter().find(|job| job.id.as_str() == id)
}

/// What a job comes down to of which there is no span.
fn from_record(job: &Job, now: Timestamp) -> TraceSummary {
    // Of a job that nobody traced, the id that its trace would have had.
    let trace = trace_of(job).unwrap_or_else(|| job.id.derive_trace_id(job.claim, None));
    let last = job.last_attempt();
    TraceSummary {
        name: job.kind.to_string(),
        start: job.enqueued_at,
        end: job.finished_at.unwrap_or(now),
        failed: last.is_some_and(|record| record.outcome.is_failure()),
        error_type: last
            .and_then(|record| record.error.as_ref())
            .map(|error| error.class.to_string()),
        queue: Some(job.queue.to_string()),
        kind: Some(job.kind.to_string()),
        job_ids: vec![job.id.to_string()],
        correlation_id: Some(job.correlation_id.clone()),
        tenant_id: job.tenant_id.clone(),
        namespace: job.namespace.clone(),
        tags: job.tags.clone(),
        outcome: last.map(|record| record.outcome.as_str().to_owned()),
        attempts: job.attempt,
        kept: job.trace.keep.is_some(),
        ..TraceSummary::unknown(trace)
    }
}

/// The spans of a story without those of jobs that were only enqueued by the same call.
fn own_spans(of: &StoryOf, mut spans: Vec<Span>) -> Vec<Span> {
    let StoryOf::Job(id) = of else { return spans };
    let Ok(id) = id.parse() else { return spans };
    let Some(story) = longshore_trace::Story::of_job(&spans, &id) else {
        return spans;
    };
    let own = story
        .forest()
        .spans()
        .map(|span| (span.trace_id, span.span_id));
    let own: std::collections::HashSet<_> = own.collect();
    drop(story);
    spans.retain(|span| own.contains(&(span.trace_id, span.span_id)));
    spans
}

/// The critical path of the job that was asked for, if the chart has rows of it.
fn path_of(chart: &Chart, id: &str) -> Option<CriticalPath> {
    let place = chart.jobs().iter().position(|job| job == id)?;
    Some(CriticalPath::of_job(chart, u32::try_from(place).ok()?))
}

fn spent(path: &CriticalPath, chart: &Chart) -> TimeSpent {
    let spent = path.spent(chart);
    TimeSpent {
        total: spent.total,
        wait: spent.wait,
        run: spent.run,
        back_off: spent.back_off,
        settle: spent.settle,
    }
}
