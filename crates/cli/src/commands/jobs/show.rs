//! `longshore jobs show`: the life of a job.

use longshore_core::{AttemptOutcome, Job, JobState, StoreError};

use crate::args::Named;
use crate::exit::Exit;
use crate::output::{Output, Paint};
use crate::record::{self, JobJson};
use crate::session::Session;
use crate::text;

/// Most characters of a value on a line.
const VALUE: usize = 200;

pub(crate) async fn run(session: &Session<'_>, args: Named) -> anyhow::Result<Exit> {
    let store = session.store()?;
    let mut exit = Exit::Done;
    for (index, id) in args.ids.iter().enumerate() {
        let Some(job) = store.get(id).await? else {
            let error =
                anyhow::Error::new(StoreError::not_found(id)).context(store.info().location);
            exit = crate::exit::report(session.output, &error);
            continue;
        };
        if args.json {
            session.output.json(&JobJson::of(&job))?;
            continue;
        }
        if index > 0 {
            session.output.data("")?;
        }
        life(session.output, &job)?;
    }
    Ok(exit)
}

fn life(output: &Output, job: &Job) -> anyhow::Result<()> {
    let state = output.paint(paint_of(job.state), job.state.as_str());
    output.data(&format!(
        "{} {state}",
        output.paint(Paint::Bold, job.id.as_str())
    ))?;
    for (name, value) in facts(job) {
        let name = output.paint(Paint::Dim, &format!("{name:<12}"));
        output.data(&format!("  {name} {}", text::one_line(&value, VALUE)))?;
    }
    for record in &job.history {
        let outcome = output.paint(paint_outcome(record.outcome), record.outcome.as_str());
        output.data(&format!(
            "  attempt {} {outcome} at {}: waited {}, ran {}, on {}",
            record.attempt,
            record.claimed_at,
            text::duration(record::wait(record)),
            text::duration(record::ran(record)),
            text::one_line(record.worker.as_str(), VALUE),
        ))?;
        if let Some(error) = &record.error {
            let class = output.paint(Paint::Red, &text::one_line(&error.class, VALUE));
            output.data(&format!("    {class}"))?;
            for line in error.message.lines() {
                output.data(&format!("    {}", text::one_line(line, VALUE)))?;
            }
        }
        if let Some((trace, _)) = record::span_of(job, record) {
            output.data(&format!("    trace {trace}"))?;
        }
    }
    if job.state == JobState::Running {
        let worker = job
            .worker
            .as_ref()
            .map_or("an unknown worker", |worker| worker.as_str());
        output.data(&format!("  attempt {} runs on {worker}", job.attempt))?;
    }
    Ok(())
}

fn facts(job: &Job) -> Vec<(&'static str, String)> {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
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
        ("args", Some(lossy(&job.args))),
        ("result", job.result.as_deref().map(lossy)),
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
            job.unique_key.as_ref().map(|unique| unique.key.clone()),
        ),
        ("tags", (!job.tags.is_empty()).then(|| job.tags.join(" "))),
        ("metadata", join(&job.metadata)),
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
