//! What the shop did, by queue and kind.

use std::collections::BTreeMap;
use std::time::Duration;

use longshore_api::job::{ran, waited};
use longshore_core::{Job, JobFilter, JobId, JobPage, JobState, Store};
use serde::Serialize;

use crate::table::{Align, Table};
use crate::text;

/// Jobs of one queue and kind.
#[derive(Debug, Default)]
struct Group {
    jobs: u64,
    completed: u64,
    discarded: u64,
    attempts: u64,
    waits: Vec<Duration>,
    runs: Vec<Duration>,
}

/// What the shop did.
#[derive(Debug)]
pub(super) struct Summary {
    url: String,
    took: Duration,
    groups: BTreeMap<(String, String), Group>,
    discarded: Option<JobId>,
}

/// A row of the summary, as `docs/cli.md` documents it.
#[derive(Debug, Serialize)]
struct RowJson<'a> {
    queue: &'a str,
    kind: &'a str,
    jobs: u64,
    completed: u64,
    discarded: u64,
    attempts: u64,
    wait_p50_seconds: f64,
    run_p50_seconds: f64,
}

impl Summary {
    /// Reads all jobs of the store.
    ///
    /// # Errors
    /// As [`Store::list`].
    pub(super) async fn of(store: &dyn Store, url: &str, took: Duration) -> anyhow::Result<Self> {
        let mut summary = Self {
            url: url.to_owned(),
            took,
            groups: BTreeMap::new(),
            discarded: None,
        };
        let mut cursor = None;
        loop {
            let filter = JobFilter::default();
            let page = store
                .list(&filter, cursor.as_deref(), JobPage::MAX_JOBS)
                .await?;
            page.jobs.iter().for_each(|job| summary.add(job));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(summary);
            }
        }
    }

    fn add(&mut self, job: &Job) {
        let group = self
            .groups
            .entry((job.queue.to_string(), job.kind.to_string()))
            .or_default();
        group.jobs += 1;
        group.completed += u64::from(job.state == JobState::Completed);
        group.discarded += u64::from(job.state == JobState::Discarded);
        group.attempts += u64::from(job.claim);
        group.waits.extend(job.history.iter().map(waited));
        group.runs.extend(job.history.iter().map(ran));
        if job.state == JobState::Discarded {
            self.discarded = Some(job.id.clone());
        }
    }

    /// How many jobs there are.
    pub(super) fn jobs(&self) -> u64 {
        self.groups.values().map(|group| group.jobs).sum()
    }

    /// How many attempts they took.
    pub(super) fn attempts(&self) -> u64 {
        self.groups.values().map(|group| group.attempts).sum()
    }

    /// A job that failed for good.
    pub(super) const fn discarded(&self) -> Option<&JobId> {
        self.discarded.as_ref()
    }

    /// The table, as far as it fits.
    pub(super) fn lines(&self, columns: Option<usize>) -> Vec<String> {
        let number = |name| (name, Align::Right);
        let mut table = Table::new(&[
            ("QUEUE", Align::Left),
            ("KIND", Align::Left),
            number("JOBS"),
            number("COMPLETED"),
            number("DISCARDED"),
            number("ATTEMPTS"),
            number("WAITED p50"),
            number("RAN p50"),
        ]);
        for ((queue, kind), group) in &self.groups {
            table.row([
                queue.clone(),
                kind.clone(),
                group.jobs.to_string(),
                group.completed.to_string(),
                group.discarded.to_string(),
                group.attempts.to_string(),
                text::duration(median(&group.waits)),
                text::duration(median(&group.runs)),
            ]);
        }
        table.lines(columns)
    }

    /// The same for programs.
    pub(super) fn to_json(&self, retried: &JobId) -> serde_json::Value {
        let rows: Vec<RowJson<'_>> = self
            .groups
            .iter()
            .map(|((queue, kind), group)| RowJson {
                queue,
                kind,
                jobs: group.jobs,
                completed: group.completed,
                discarded: group.discarded,
                attempts: group.attempts,
                wait_p50_seconds: median(&group.waits).as_secs_f64(),
                run_p50_seconds: median(&group.runs).as_secs_f64(),
            })
            .collect();
        serde_json::json!({
            "store": self.url,
            "seconds": self.took.as_secs_f64(),
            "jobs": self.jobs(),
            "attempts": self.attempts(),
            "groups": rows,
            "retried_order": retried.as_str(),
        })
    }
}

fn median(durations: &[Duration]) -> Duration {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
