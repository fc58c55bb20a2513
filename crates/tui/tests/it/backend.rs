//! The shop as a backend.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use longshore_api::job::{
    ChangeJobs, ChangedJob, Enqueue, Enqueued, Holder, Job, JobsPage, JobsQuery,
};
use longshore_api::queue::{Bar, Histogram, KindTimes, Latency, LatencyQuery, Pause, Queue};
use longshore_api::schedule::{ChangeSchedule, Schedule};
use longshore_api::trace::{
    Completions, Diff, DiffQuery, Story, StoryOf, Suggestion, TracesPage, TracesQuery,
};
use longshore_api::worker::Worker;
use longshore_api::{About, ApiError, Backend};
use longshore_core::{SpanId, TraceId};
use longshore_instrument::Span;
use longshore_trace::TraceSummary;
use longshore_trace::query::{self, Jump};

use crate::differences::differences;
use crate::shop::{
    CHARGE, IMPORT, LABEL, NOW, STUCK, ago, label, label_record, tell_of_waiting, waiting_label,
};
use crate::tale::{Tale, tales};

/// The shop. It answers at once, or not at all.
#[derive(Debug, Default)]
pub(crate) struct Shop {
    pub(crate) gone: bool,
    pub(crate) empty: bool,
    pub(crate) read_only: bool,
    /// What fails, although the rest works.
    pub(crate) broken: Option<&'static str>,
    /// Whether there are more jobs than are listed, unless some states alone are asked for.
    pub(crate) more_jobs: bool,
    /// Whether there are older traces than those of a first page.
    pub(crate) older: bool,
    /// Whether there are traces that are not read yet.
    pub(crate) reading: bool,
    /// Whether nothing that failed is on a first page of all traces.
    pub(crate) fine: bool,
    /// Whether the clock of the machine that takes orders is behind that of the worker.
    pub(crate) skewed: bool,
    /// Whether the job that failed for good waits for another attempt instead.
    pub(crate) retries: bool,
    /// Who paused the queue of orders.
    pub(crate) pause: Option<Pause>,
    /// What holds each job back.
    pub(crate) held_back: Vec<&'static str>,
    /// The jobs and workers that these words name.
    pub(crate) held_by: Vec<Holder>,
    /// What order the charge is for, if not the usual one.
    pub(crate) order: Option<&'static str>,
    /// Whether the charge had a label printed, by a job of another queue.
    pub(crate) label: bool,
    /// In how many milliseconds the label is due that the charge enqueued, and that no worker had yet.
    pub(crate) label_due: Option<i64>,
    /// In how many milliseconds a reminder is due, if there is one.
    pub(crate) reminder_due: Option<i64>,
    /// How many more lines the stack of the last failure has.
    pub(crate) frames: usize,
    /// In how many more places two traces differ.
    pub(crate) differences: u64,
    /// What was changed.
    pub(crate) changes: Mutex<Vec<String>>,
    /// Traces that came since.
    pub(crate) fresh: Mutex<Vec<TraceSummary>>,
}

impl Shop {
    fn asked(&self, what: &str) -> Result<(), ApiError> {
        if self.broken == Some(what) {
            let text = format!("the {what} are unreadable");
            return Err(match what {
                "changes of traces" => ApiError::Conflict(text),
                _ => ApiError::Internal(text),
            });
        }
        if self.gone {
            let text = "nothing listens on 127.0.0.1:7419: start `longshore serve` there";
            return Err(ApiError::Unavailable(text.to_owned()));
        }
        Ok(())
    }

    fn tales(&self) -> Vec<Tale> {
        let mut tales = if self.empty { Vec::new() } else { tales() };
        tell_of_waiting(&mut tales, self.label_due, self.reminder_due);
        for tale in tales.iter_mut().filter(|_| self.skewed) {
            tale.skew();
        }
        for tale in tales.iter_mut().filter(|_| self.retries) {
            tale.try_again();
        }
        for tale in &mut tales {
            tale.tell_more(self.order, self.frames);
            if self.label && tale.trace() == CHARGE.trace_id() {
                tale.spans.extend(label());
            }
        }
        tales
    }

    /// A job with what holds it back, if it is due.
    fn whole(&self, job: Job) -> Job {
        if job.state != "available" {
            return job;
        }
        Job {
            held_back: self.held_back.iter().map(|&why| why.to_owned()).collect(),
            held_by: self.held_by.clone(),
            ..job
        }
    }

    fn changed(&self, what: String) -> Result<(), ApiError> {
        if self.read_only {
            let text = "this token is for reading alone";
            return Err(ApiError::Forbidden(text.to_owned()));
        }
        self.changes.lock().unwrap().push(what);
        Ok(())
    }
}

fn times(kind: &str, (jobs, failed): (u64, u64), (wait, run): (u64, u64)) -> KindTimes {
    KindTimes {
        kind: kind.to_owned(),
        jobs,
        failed,
        wait_p90: Duration::from_millis(wait),
        run_p90: Duration::from_millis(run),
    }
}

fn histogram(bars: &[(u64, u64, u64)], trace: TraceId) -> Histogram {
    let millis = Duration::from_millis;
    let bars = bars.iter().map(|(to, count, failed)| Bar {
        from: millis(to / 2),
        to: millis(*to),
        count: *count,
        failed: *failed,
        trace_id: (*count > 0).then_some(trace),
    });
    Histogram {
        bars: bars.collect(),
        p50: millis(31),
        p90: millis(240),
        p99: millis(1_470),
        max: millis(2_882_000),
    }
}

#[async_trait]
impl Backend for Shop {
    async fn about(&self) -> Result<About, ApiError> {
        self.asked("about")?;
        Ok(About {
            version: "0.1.0".to_owned(),
            store: "sqlite:shop.db".to_owned(),
            traces: Some("/var/lib/longshore/spans".to_owned()),
            trace_url: Some("jaeger=https://traces.example".to_owned()),
            archive: None,
            may_change: true,
        })
    }

    async fn jobs(&self, query: &JobsQuery) -> Result<JobsPage, ApiError> {
        self.asked("jobs")?;
        let tales = self.tales();
        let jobs = tales.iter().map(Tale::job).filter(|job| {
            let state = query.states.is_empty() || query.states.contains(&job.state);
            let queue = query.queue.as_ref().is_none_or(|queue| *queue == job.queue);
            let kind = query.kind.as_ref().is_none_or(|kind| *kind == job.kind);
            let text = query.text.as_ref().is_none_or(|text| {
                job.id.contains(text)
                    || job.tenant_id.as_ref().is_some_and(|of| of.contains(text))
                    || job.metadata.values().any(|of| of.contains(text))
            });
            state && queue && kind && text
        });
        let is_label = self.label && query.kind.as_deref() == Some("label");
        let label = is_label.then(|| Job::of(&label_record(), &|text| text.to_owned()));
        let cut = self.more_jobs && query.states.is_empty();
        Ok(JobsPage {
            jobs: jobs
                .chain(label)
                .filter(|job| !cut || job.state == "completed")
                .collect(),
            next_cursor: cut.then(|| "older".to_owned()),
            as_of: Some(NOW),
        })
    }

    async fn job(&self, id: &str) -> Result<Job, ApiError> {
        self.asked("job")?;
        if let Some(due) = self.label_due.filter(|_| id == LABEL.id) {
            return Ok(self.whole(Job::of(&waiting_label(due), &|text| text.to_owned())));
        }
        if self.label && id == LABEL.id {
            return Ok(Job::of(&label_record(), &|text| text.to_owned()));
        }
        let tale = self
            .tales()
            .into_iter()
            .find(|tale| tale.record.id.as_str() == id);
        tale.map(|tale| self.whole(tale.job()))
            .ok_or_else(|| ApiError::NotFound(format!("there is no job {id}")))
    }

    async fn enqueue(&self, _: &[Enqueue]) -> Result<Vec<Result<Enqueued, ApiError>>, ApiError> {
        Err(ApiError::Internal("the UI enqueues nothing".to_owned()))
    }

    async fn change_jobs(&self, change: &ChangeJobs) -> Result<Vec<ChangedJob>, ApiError> {
        self.asked("changes")?;
        self.changed(format!("{:?} {}", change.change, change.ids.join(" ")))?;
        Ok(Vec::new())
    }

    async fn queues(&self) -> Result<Vec<Queue>, ApiError> {
        self.asked("queues")?;
        let queue = |queue: &str, paused: bool, counts: [u64; 5]| Queue {
            queue: queue.to_owned(),
            paused,
            pause: self.pause.clone().filter(|_| paused),
            scheduled: counts[0],
            available: counts[1],
            running: counts[2],
            retryable: counts[3],
            completed: 1_204,
            cancelled: 0,
            discarded: counts[4],
            oldest_available_at: (counts[1] > 0).then(|| ago(2_900_000)),
            as_of: NOW,
        };
        if self.empty {
            return Ok(Vec::new());
        }
        Ok(vec![
            queue("orders", self.pause.is_some(), [3, 1_214, 8, 2, 17]),
            queue("emails", false, [0, 0, 1, 0, 0]),
            queue("imports", true, [1, 40, 0, 0, 0]),
        ])
    }

    async fn pause_queue(&self, queue: &str, paused: bool) -> Result<(), ApiError> {
        self.asked("changes")?;
        self.changed(format!("pause {queue} {paused}"))
    }

    async fn latency(&self, query: &LatencyQuery) -> Result<Latency, ApiError> {
        self.asked("times")?;
        if query.queue.as_deref() == Some("emails") {
            return Ok(Latency {
                wait: histogram(&[(16, 1, 0)], CHARGE.trace_id()),
                run: histogram(&[(32, 1, 0)], CHARGE.trace_id()),
                jobs: 1,
                unseen: None,
                kinds: vec![times("welcome", (1, 0), (16, 32))],
            });
        }
        if query.queue.as_deref() != Some("orders") {
            return Ok(Latency {
                wait: Histogram::default(),
                run: Histogram::default(),
                jobs: 0,
                unseen: None,
                kinds: Vec::new(),
            });
        }
        let wait = [
            (16, 12, 0),
            (64, 40, 0),
            (256, 122, 1),
            (1_024, 31, 0),
            (65_536, 4, 0),
            (3_000_000, 9, 5),
        ];
        let run = [
            (32, 20, 0),
            (64, 150, 0),
            (128, 40, 1),
            (512, 4, 3),
            (2_048, 3, 2),
        ];
        let kinds = vec![
            times("charge", (150, 5), (240, 470)),
            times("ship", (60, 0), (90, 60_000)),
            times("refund", (8, 1), (31, 82)),
        ];
        if let Some(kind) = query.kind.as_deref() {
            let kinds: Vec<_> = kinds.into_iter().filter(|one| one.kind == kind).collect();
            return Ok(Latency {
                wait: histogram(&[(64, 60, 0)], STUCK.trace_id()),
                run: histogram(&[(128, 51, 0), (60_000, 9, 0)], STUCK.trace_id()),
                jobs: kinds.iter().map(|kind| kind.jobs).sum(),
                unseen: None,
                kinds,
            });
        }
        Ok(Latency {
            kinds,
            wait: histogram(&wait, CHARGE.trace_id()),
            run: histogram(&run, CHARGE.trace_id()),
            jobs: 218,
            unseen: Some(31),
        })
    }

    async fn workers(&self) -> Result<Vec<Worker>, ApiError> {
        self.asked("workers")?;
        let worker = |id: &str, state: &str, jobs: &[&str]| Worker {
            id: id.to_owned(),
            host: "node-3".to_owned(),
            pid: 4_711,
            version: "0.1.0".to_owned(),
            queues: ["orders", "emails"]
                .iter()
                .map(|&queue| queue.to_owned())
                .collect(),
            more_queues: 0,
            kinds: Vec::new(),
            more_kinds: 0,
            concurrency: 8,
            running: u32::try_from(jobs.len()).unwrap(),
            state: state.to_owned(),
            started_at: ago(86_400_000),
            seen_at: ago(if state == "lost" { 93_000 } else { 1_000 }),
            unseen_seconds: None,
            jobs: jobs.iter().map(|&job| job.to_owned()).collect(),
        };
        if self.empty {
            return Ok(Vec::new());
        }
        Ok(vec![
            worker("w-7c1e", "running", &[STUCK.id, "0196-mail-0000"]),
            worker("w-90aa", "stopping", &[]),
            worker("w-11f3", "lost", &[]),
        ])
    }

    async fn schedules(&self) -> Result<Vec<Schedule>, ApiError> {
        self.asked("schedules")?;
        let schedule = |name: &str, paused: bool| Schedule {
            name: name.to_owned(),
            cron: "0 3 * * *".to_owned(),
            zone: "Europe/Berlin".to_owned(),
            jitter_seconds: 0.0,
            offset_seconds: 0.0,
            catch_up: "once".to_owned(),
            alone: false,
            queue: "imports".to_owned(),
            kind: "catalogue".to_owned(),
            args: None,
            priority: 2,
            max_attempts: None,
            timeout_seconds: None,
            tags: Vec::new(),
            tenant_id: None,
            namespace: None,
            paused,
            upcoming: vec![NOW.after(Duration::from_secs(59_400))],
            due_at: None,
            last_tick: Some(ago(27_000_000)),
            last_job_id: Some(IMPORT.id.to_owned()),
            last_trace_id: Some(IMPORT.trace_id()),
            fired: 212,
            missed: u64::from(paused),
            held: 0,
        };
        if self.empty {
            return Ok(Vec::new());
        }
        Ok(vec![
            schedule("nightly-catalogue", false),
            schedule("stock-check", true),
        ])
    }

    async fn change_schedule(&self, change: &ChangeSchedule) -> Result<(), ApiError> {
        self.asked("changes")?;
        self.changed(format!("{:?} {}", change.change, change.name))
    }

    async fn traces(&self, query: &TracesQuery) -> Result<TracesPage, ApiError> {
        self.asked("traces")?;
        if query.cursor.is_some() {
            self.asked("older traces")?;
        }
        if query.changed_since.is_some() {
            self.asked("changes of traces")?;
            return Ok(TracesPage {
                traces: std::mem::take(&mut *self.fresh.lock().unwrap()),
                next_cursor: None,
                as_of: "2".to_owned(),
                jump: None,
                reading: false,
            });
        }
        let search = query::parse(&query.search, NOW)
            .map_err(|error| ApiError::Invalid(error.to_string()))?;
        let jump = search.jump().and_then(|jump| match jump {
            Jump::Trace(trace, _) => Some(StoryOf::Trace(trace)),
            Jump::Job(job) | Jump::Perhaps(job) => {
                let known = self.tales().iter().any(|tale| tale.record.id == job);
                known.then(|| StoryOf::Job(job.to_string()))
            }
        });
        let tales = self.tales();
        let found = tales
            .iter()
            .skip(if self.reading { 30 } else { 0 })
            .filter(|tale| !(self.fine && query.search.is_empty() && tale.summary().failed))
            .filter(|tale| search.matches(&tale.summary(), || &tale.spans));
        // More than are in sight, so that older ones are not asked for yet.
        let many = if self.fine && query.search.is_empty() {
            150
        } else {
            0
        };
        let visits = (0..many).map(|number| TraceSummary {
            name: "GET /".to_owned(),
            ..TraceSummary::unknown(TraceId::from_u128(1_000 + number))
        });
        Ok(TracesPage {
            traces: found.map(Tale::summary).chain(visits).collect(),
            next_cursor: (self.older && query.cursor.is_none()).then(|| "older".to_owned()),
            as_of: "1".to_owned(),
            jump,
            reading: self.reading,
        })
    }

    async fn story(&self, of: &StoryOf) -> Result<Story, ApiError> {
        self.asked("story")?;
        let tales = self.tales();
        let found = tales.iter().find(|tale| match of {
            StoryOf::Job(id) => tale.record.id.as_str() == id,
            StoryOf::Trace(trace) | StoryOf::TraceAlone(trace) => tale.trace() == *trace,
        });
        let alone = matches!(of, StoryOf::TraceAlone(_));
        let missing =
            || ApiError::NotFound("no such trace is kept: not sampled, or already gone".to_owned());
        let story = found.map(|tale| tale.story(alone)).ok_or_else(missing)?;
        Ok(Story {
            job: story.job.map(|job| self.whole(job)),
            ..story
        })
    }

    async fn span(&self, trace: TraceId, span: SpanId) -> Result<Span, ApiError> {
        self.asked("span")?;
        let tales = self.tales();
        let spans = tales
            .iter()
            .filter(|tale| tale.trace() == trace)
            .flat_map(|tale| &tale.spans);
        let found = spans.into_iter().find(|one| one.span_id == span).cloned();
        found.ok_or_else(|| ApiError::NotFound("no such span".to_owned()))
    }

    async fn diff(&self, query: &DiffQuery) -> Result<Diff, ApiError> {
        self.asked("differences")?;
        Ok(differences(self.differences, query))
    }

    async fn complete(&self, text: &str, cursor: usize) -> Result<Completions, ApiError> {
        self.asked("completions")?;
        let values = |key: &str, begun: &str| {
            let queues = ["orders", "emails", "imports"]
                .iter()
                .filter(|queue| queue.starts_with(begun));
            if key == "queue" {
                queues.map(|&queue| queue.to_owned()).collect()
            } else {
                Vec::new()
            }
        };
        let ways = query::complete(text, cursor, values);
        Ok(Completions {
            from: ways.first().map_or(cursor, |way| way.replaces.start),
            suggestions: ways
                .into_iter()
                .map(|way| Suggestion {
                    text: way.text,
                    about: way.doc.to_owned(),
                })
                .collect(),
        })
    }
}
