//! `longshore jobs show`: the life of a job.

use longshore_api::Backend as _;
use longshore_api::job::{ran, span_of, waited};
use longshore_api::trace::StoryOf;
use longshore_core::batch::{METADATA_BATCH, METADATA_ENDED};
use longshore_core::schedule::{METADATA_SCHEDULE, METADATA_TICK};
use longshore_core::{
    AttemptOutcome, AttemptRecord, Job, JobId, JobState, StopRequest, StoreError, Timestamp,
    UniqueKey, UniqueScope,
};
use longshore_daemon::{LocalBackend, held_back};
use longshore_telemetry::Redactor;

use super::requests;
use crate::args::Names;
use crate::commands::traces::{Look, draw, told as story_of};
use crate::exit::{Exit, told};
use crate::named;
use crate::output::{Output, Paint};
use crate::record;
use crate::record::requests::{RequestsJson, ShownJson};
use crate::session::Session;
use crate::text;
use crate::view::{self, Purpose};

/// Most characters of a value on a line.
const VALUE: usize = 200;

/// Columns of the bar of a progress.
const BAR: usize = 20;

/// Most bytes of args or a result that are looked at.
const BODY: usize = 1024;

/// Where the rest of args or a result is.
const JSON_HAS_ALL: &str = "--json has all";

pub(crate) async fn run(session: &Session<'_>, ids: Names<JobId>) -> anyhow::Result<Exit> {
    let (store, redactor) = (session.store()?, session.redactor()?);
    let view = view::of_store(session)?;
    let are_billed = requests::are_billed(&store.info());
    let traces = (!ids.json || are_billed).then(|| traces_of(session));
    let traces = traces.flatten();
    let mut exit = Exit::Done;
    for (index, id) in ids.names.iter().enumerate() {
        let id = &named::job(&view, id).await?;
        let Some(job) = store.get(id).await? else {
            let error =
                anyhow::Error::new(StoreError::not_found(id)).context(store.info().location);
            exit = crate::exit::report(session.output, &error);
            continue;
        };
        if ids.json {
            let mut record = record::job(&job, redactor);
            let held = held_back(&store, &job).await;
            (record.held_back, record.held_by) = (held.why, held.by);
            let requests = match &traces {
                Some(traces) => requests_of(traces, &job).await,
                None => None,
            };
            let shown = ShownJson {
                job: record,
                requests,
            };
            session.output.json(&shown)?;
            continue;
        }
        if index > 0 {
            session.output.data("")?;
        }
        life(session.output, &job, redactor, store.now().await?)?;
        for why in held_back(&store, &job).await.why {
            let back = session.output.paint(Paint::Yellow, "held back");
            let line = format!("  {back}: {}", text::tame(&why));
            session.output.data(&line)?;
        }
        if let Some(traces) = &traces {
            story(session.output, traces, &job, are_billed).await?;
        }
    }
    Ok(exit)
}

/// The traces of this machine. That they cannot be read is no reason not to show jobs.
fn traces_of(session: &Session<'_>) -> Option<LocalBackend> {
    match view::local(session, Purpose::Look, true) {
        Ok(traces) => Some(traces),
        Err(error) => {
            let said = format!("traces are not drawn: {}", told(&error));
            session.output.warn(&said);
            None
        }
    }
}

/// What a job asked object storage for.
async fn requests_of(traces: &LocalBackend, job: &Job) -> Option<RequestsJson> {
    let of = StoryOf::Job(job.id.as_str().to_owned());
    let story = traces.story(&of).await.ok()?;
    Some(requests::of_job(traces, &story.chart, job).await)
}

/// Where the job's time went, drawn; and before that what it asked for, where that is billed.
async fn story(
    output: &Output,
    traces: &LocalBackend,
    job: &Job,
    are_billed: bool,
) -> anyhow::Result<()> {
    let of = StoryOf::Job(job.id.as_str().to_owned());
    match story_of(traces, &of).await {
        Ok(story) => {
            if are_billed {
                let asked = requests::of_job(traces, &story.chart, job).await;
                requests::print(output, &asked)?;
            }
            output.data("")?;
            draw(output, &story, Look::default())
        }
        Err(error) => {
            output.warn(&format!("{} is not drawn: {error}", job.id));
            Ok(())
        }
    }
}

fn life(output: &Output, job: &Job, redactor: &Redactor, now: Timestamp) -> anyhow::Result<()> {
    let state = output.paint(paint_of(job.state), job.state.as_str());
    output.data(&format!(
        "{} {state}",
        output.paint(Paint::Bold, job.id.as_str())
    ))?;
    for (name, value) in facts(job, now) {
        let name = output.paint(Paint::Dim, &format!("{name:<12}"));
        output.data(&format!("  {name} {}", text::one_line(&value, VALUE)))?;
    }
    for record in &job.history {
        attempt(output, job, record, redactor)?;
    }
    if job.state == JobState::Running {
        running(output, job)?;
    }
    Ok(())
}

/// An attempt that has ended.
fn attempt(
    output: &Output,
    job: &Job,
    record: &AttemptRecord,
    redactor: &Redactor,
) -> anyhow::Result<()> {
    let outcome = output.paint(paint_outcome(record.outcome), record.outcome.as_str());
    output.data(&format!(
        "  attempt {} {outcome}: waited {}, ran {}",
        record.attempt,
        text::duration(waited(record)),
        text::duration(ran(record)),
    ))?;
    output.data(&format!(
        "    at {} on {}",
        record.claimed_at,
        text::one_line(record.worker.as_str(), VALUE),
    ))?;
    if let Some(error) = &record.error {
        let error = record::error(error, redactor);
        let class = output.paint(Paint::Red, &text::one_line(&error.class, VALUE));
        output.data(&format!("    {class}"))?;
        for line in error.message.lines() {
            output.data(&format!("      {}", text::one_line(line, VALUE)))?;
        }
    }
    if let Some((trace, _)) = span_of(job, record) {
        output.data(&format!("    trace {trace}"))?;
    }
    Ok(())
}

/// The attempt that has not ended.
fn running(output: &Output, job: &Job) -> anyhow::Result<()> {
    let asked = match job.stop_requested {
        None => String::new(),
        Some(StopRequest::Cancel) => output.paint(Paint::Yellow, ", asked to stop"),
        Some(StopRequest::Discard) => {
            output.paint(Paint::Yellow, ", asked to stop and be discarded")
        }
    };
    output.data(&format!("  attempt {} runs{asked}", job.attempt))?;
    let worker = job.worker.as_ref().map(|worker| worker.as_str());
    let worker = text::one_line(worker.unwrap_or("an unknown worker"), VALUE);
    let since = job.claimed_at.map(|at| format!("since {at} "));
    output.data(&format!("    {}on {worker}", since.unwrap_or_default()))?;
    if let Some(until) = job.lease_expires_at {
        output.data(&format!("    lease until {until}"))?;
    }
    if let Some(percent) = job.progress {
        let bar = text::bar(BAR, percent.into(), 100);
        output.data(&format!("    {bar} {percent} % done"))?;
    }
    Ok(())
}

fn facts(job: &Job, now: Timestamp) -> Vec<(&'static str, String)> {
    let join = |pairs: &std::collections::BTreeMap<String, String>| {
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join(" "))
    };
    let enqueue_trace = job.trace.context().and_then(Result::ok);
    let all = [
        ("queue", Some(job.queue.to_string())),
        ("kind", Some(job.kind.to_string())),
        ("args", Some(body(&job.args, JSON_HAS_ALL))),
        ("result", job.result.as_deref().map(result)),
        (
            "checkpoint",
            (job.checkpoint.as_ref()).map(|kept| text::bytes(kept.len())),
        ),
        ("priority", Some(job.priority.to_string())),
        (
            "attempts",
            Some(format!("{} of {}", job.attempt, job.max_attempts)),
        ),
        ("enqueued", Some(job.enqueued_at.to_string())),
        (
            "due",
            job.state.is_waiting().then(|| job.available_at.to_string()),
        ),
        ("finished", job.finished_at.map(|at| at.to_string())),
        ("timeout", job.timeout.map(text::duration)),
        (
            "unique key",
            job.unique_key
                .as_ref()
                .map(|unique| unique_key(job, unique, now)),
        ),
        ("tags", (!job.tags.is_empty()).then(|| job.tags.join(" "))),
        ("metadata", join(&job.metadata)),
        ("schedule", firing(job)),
        ("batch", job.metadata.get(METADATA_BATCH).cloned()),
        (
            "follows",
            job.metadata
                .get(METADATA_ENDED)
                .map(|id| format!("batch {id}")),
        ),
        ("tenant", job.tenant_id.clone()),
        ("namespace", job.namespace.clone()),
        ("correlation", Some(job.correlation_id.clone())),
        ("parent", job.parent_correlation_id.clone()),
        (
            "trace",
            enqueue_trace.map(|context| context.trace_id.to_string()),
        ),
        (
            "kept",
            job.trace.keep.as_ref().map(|keep| keep.reason.clone()),
        ),
    ];
    let known = |(name, value): (_, Option<String>)| value.map(|value| (name, value));
    all.into_iter().filter_map(known).collect()
}

/// The schedule that a job comes from, and for which tick.
fn firing(job: &Job) -> Option<String> {
    let schedule = job.metadata.get(METADATA_SCHEDULE)?;
    Some(match job.metadata.get(METADATA_TICK) {
        Some(tick) => format!("{schedule}, tick {tick}"),
        None => format!("{schedule}, fired by a person"),
    })
}

/// A unique key, and whether another job may have it by now.
fn unique_key(job: &Job, unique: &UniqueKey, now: Timestamp) -> String {
    let key = text::one_line(&unique.key, VALUE - 60);
    if !job.holds_unique_key(now) {
        return format!("{key} (free again)");
    }
    match unique.scope {
        UniqueScope::Unfinished => format!("{key} (held until the job is over)"),
        UniqueScope::Waiting => format!("{key} (held until the job starts)"),
        UniqueScope::Window(window) => {
            format!("{key} (held until {})", job.enqueued_at.after(window))
        }
    }
}

/// A result. One that fills the room there is may have been longer: `--exec` keeps what fits.
fn result(bytes: &[u8]) -> String {
    let is_full = bytes.len() >= Job::MAX_RESULT_BYTES;
    body(bytes, if is_full { "perhaps cut" } else { JSON_HAS_ALL })
}

/// The beginning of args or a result, how long it is, and what to say of the rest; no more of it is
/// touched.
fn body(bytes: &[u8], rest: &str) -> String {
    let shown = bytes.get(..BODY).unwrap_or(bytes);
    let text = text::one_line(&String::from_utf8_lossy(shown), VALUE - 30);
    if bytes.len() <= BODY && !text.ends_with('…') {
        return text;
    }
    let text = text.trim_end_matches('…');
    format!("{text}… ({}; {rest})", text::bytes(bytes.len()))
}

const fn paint_of(state: JobState) -> Paint {
    match state {
        JobState::Completed => Paint::Green,
        JobState::Discarded => Paint::Red,
        JobState::Retryable | JobState::Cancelled => Paint::Yellow,
        JobState::Scheduled | JobState::Available | JobState::Running => Paint::Cyan,
    }
}

const fn paint_outcome(outcome: AttemptOutcome) -> Paint {
    match outcome {
        AttemptOutcome::Completed => Paint::Green,
        AttemptOutcome::Retried | AttemptOutcome::Discarded | AttemptOutcome::Lost => Paint::Red,
        AttemptOutcome::NotYet
        | AttemptOutcome::Snoozed
        | AttemptOutcome::Cancelled
        | AttemptOutcome::HandedBack => Paint::Yellow,
    }
}
