//! Judges from the rows of the store and from what arrived; shares no code with telemetry, and rebuilds no
//! id: it takes those that stand in the rows.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};
use longshore_core::{AttemptOutcome, AttemptRecord, Job, JobFilter, Store};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

use super::place::Place;
use super::plan::Plan;

/// What was found.
#[derive(Default)]
pub struct Verdict {
    jobs: u64,
    /// Failed or slow.
    notable: u64,
    whole: u64,
    /// Neither failed nor slow, with any span at all.
    others_that_left: u64,
    pub problems: Vec<String>,
}

impl Verdict {
    pub fn jobs(&self) -> u64 {
        self.jobs
    }

    pub fn add(&mut self, other: Self) {
        self.jobs += other.jobs;
        self.notable += other.notable;
        self.whole += other.whole;
        self.others_that_left += other.others_that_left;
        self.problems.extend(other.problems);
    }

    pub fn cells(&self) -> Vec<String> {
        let share =
            |part: u64, all: u64| format!("{:.2} %", part as f64 / all.max(1) as f64 * 100.0);
        let others = self.jobs - self.notable;
        vec![
            self.jobs.to_string(),
            self.notable.to_string(),
            share(self.whole, self.notable),
            others.to_string(),
            share(self.others_that_left, others),
        ]
    }
}

/// The spans that arrived, to be looked up.
struct Arrived<'a> {
    by_id: HashMap<(&'a [u8], &'a [u8]), &'a Span>,
    children: HashMap<&'a [u8], Vec<&'a Span>>,
    waits: HashMap<&'a str, u64>,
    jobs: HashSet<&'a str>,
}

impl<'a> Arrived<'a> {
    fn new(spans: &'a [Span]) -> Self {
        let mut arrived = Self {
            by_id: HashMap::new(),
            children: HashMap::new(),
            waits: HashMap::new(),
            jobs: HashSet::new(),
        };
        for span in spans {
            // What arrives again after a crash counts once.
            let id = (span.trace_id.as_slice(), span.span_id.as_slice());
            if arrived.by_id.insert(id, span).is_some() {
                continue;
            }
            arrived
                .children
                .entry(&span.parent_span_id)
                .or_default()
                .push(span);
            let Some(job) = text(span, "messaging.message.id") else {
                continue;
            };
            // One enqueue call's span names its job whether or not the job is kept.
            if span.name != "queue.enqueue" {
                arrived.jobs.insert(job);
            }
            if span.name == "queue.dequeue" {
                *arrived.waits.entry(job).or_default() += 1;
            }
        }
        arrived
    }

    fn has_child(&self, parent: &[u8], name: &str) -> bool {
        let children = self.children.get(parent);
        children.is_some_and(|children| children.iter().any(|span| span.name == name))
    }
}

fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    let attribute = span.attributes.iter().find(|one| one.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

pub async fn judge(store: &dyn Store, place: &Place, spans: &[Span]) -> Result<Verdict> {
    let arrived = Arrived::new(spans);
    let filter = JobFilter {
        queue: Some(place.queue.clone()),
        ..JobFilter::default()
    };
    let mut verdict = Verdict::default();
    let mut cursor: Option<String> = None;
    loop {
        let page = store.list(&filter, cursor.as_deref(), 500).await?;
        for job in &page.jobs {
            // Pages may leave out args.
            let job = store
                .get(&job.id)
                .await?
                .context("a job of the list is gone")?;
            judge_job(&job, &arrived, &mut verdict)?;
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(verdict);
        }
    }
}

fn judge_job(job: &Job, arrived: &Arrived<'_>, verdict: &mut Verdict) -> Result<()> {
    use AttemptOutcome::{Discarded, Lost, Retried};
    verdict.jobs += 1;
    let plan: Plan = serde_json::from_slice(&job.args)?;
    let failed = |record: &AttemptRecord| matches!(record.outcome, Retried | Discarded | Lost);
    if !job.history.iter().any(failed) && !plan.is_slow() {
        verdict.others_that_left += u64::from(arrived.jobs.contains(job.id.as_str()));
        return Ok(());
    }
    verdict.notable += 1;
    match missing(job, arrived) {
        None => verdict.whole += 1,
        Some(what) => verdict.problems.push(format!("job {}: {what}", job.id)),
    }
    Ok(())
}

/// What a notable job's trace lacks.
fn missing(job: &Job, arrived: &Arrived<'_>) -> Option<String> {
    let Some(parent) = job.trace.traceparent.as_deref() else {
        return Some("its row has no context".to_owned());
    };
    let mut parts = parent.split('-').skip(1).map(unhex);
    let (Some(trace), Some(span)) = (parts.next(), parts.next()) else {
        return Some(format!("its context is {parent}"));
    };
    if !arrived
        .by_id
        .contains_key(&(trace.as_slice(), span.as_slice()))
    {
        return Some("no queue.enqueue".to_owned());
    }
    let waits = arrived.waits.get(job.id.as_str()).copied().unwrap_or(0);
    if waits != job.history.len() as u64 {
        return Some(format!(
            "{waits} queue.dequeue for {} attempts",
            job.history.len()
        ));
    }
    job.history
        .iter()
        .find_map(|record| missing_of(record, arrived))
}

fn missing_of(record: &AttemptRecord, arrived: &Arrived<'_>) -> Option<String> {
    let claim = record.claim;
    let (Some(trace), Some(span)) = (record.trace_id, record.span_id) else {
        // Whoever rescued it knows its ids, the row does not: then it must be a lost one.
        let lost = record.outcome == AttemptOutcome::Lost;
        return (!lost).then(|| format!("the row of claim {claim} has no trace"));
    };
    let (trace, span) = (trace.to_bytes(), span.to_bytes());
    let Some(process) = arrived.by_id.get(&(trace.as_slice(), span.as_slice())) else {
        return Some(format!(
            "no job.process of claim {claim} ({:?})",
            record.outcome
        ));
    };
    let rebuilt = process
        .attributes
        .iter()
        .any(|one| one.key == "longshore.rebuilt");
    if rebuilt || record.outcome == AttemptOutcome::Lost {
        return None;
    }
    let handler = arrived.children.get(span.as_slice()).into_iter().flatten();
    let Some(handler) = handler
        .into_iter()
        .find(|span| span.name == "handler.execution")
    else {
        return Some(format!("no handler.execution of claim {claim}"));
    };
    if !arrived.has_child(&handler.span_id, "work") {
        return Some(format!("no span of the application in claim {claim}"));
    }
    if !arrived.has_child(&span, "job.settle") {
        return Some(format!("no job.settle of claim {claim}"));
    }
    None
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
