//! Limits that let nothing pass, and those of what is not there.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use longshore_api::job::Holder;
use longshore_core::limit::Scope;
use longshore_core::pause::Pauses;
use longshore_core::{Job, JobFilter, JobPage, JobState, Kind, QueueStats, Store, StoreError};
use longshore_queue::{LimitControl, LimitUse};

use super::super::{Finding, Grade};
use super::{PAGES, some, worker};
use crate::text;

/// What the check is called.
const CHECK: &str = "limits";
/// A limit that holds a job back for longer than this may do so by mistake.
const HELD: Duration = Duration::from_secs(300);
/// Most waiting jobs of a queue of which it is found out whether a limit holds them back: of each
/// kind and tenant one.
const LOOKED_AT: usize = 20;
/// Most things in the way that a message tells of.
const TOLD: usize = 3;

/// What is in the way, the gravest first.
pub(super) async fn check(
    store: &Arc<dyn Store>,
    queues: &[QueueStats],
    pauses: &Pauses,
) -> Result<Finding, StoreError> {
    let control = LimitControl::new(Arc::clone(store));
    let limits = control.read().await?;
    let (mut found, mut odd) = (Vec::new(), Vec::new());
    for (scope, limit) in limits.iter() {
        match &scope {
            Scope::Kind(kind) if limit.paused => {
                found.extend(paused(&**store, &scope, kind, pauses).await?);
            }
            Scope::Queue(name) => {
                let Some(queue) = queues.iter().find(|queue| queue.queue == *name) else {
                    let message =
                        format!("{scope} is limited, and nothing was ever enqueued there");
                    let remedy = format!("longshore limits remove {scope}");
                    odd.push(Finding::new(CHECK, Grade::Warning, message).mended_by(remedy));
                    continue;
                };
                let full = limit.length.and_then(|most| full(queue, most));
                found.extend(full);
            }
            Scope::Kind(_) | Scope::Tenant(_) | Scope::EveryTenant => {}
        }
    }
    if !limits.is_empty() {
        found.extend(held(store, &control, queues).await?);
    }
    found.extend(odd);
    Ok(joined(found).unwrap_or_else(|| {
        let message = match limits.iter().count() {
            0 => "nothing is limited".to_owned(),
            count => format!("{}, none in the way", text::counted(count, "limit")),
        };
        Finding::new(CHECK, Grade::Ok, message)
    }))
}

/// What was found as one: as grave as the gravest, whose remedy comes first.
fn joined(found: Vec<Finding>) -> Option<Finding> {
    let grade = found.iter().map(|one| one.grade).max()?;
    let (messages, remedies): (Vec<String>, Vec<Option<String>>) = found
        .into_iter()
        .map(|one| (one.message, one.remedy))
        .unzip();
    Some(Finding {
        check: CHECK,
        grade,
        message: text::some(&messages, TOLD, "; "),
        remedy: remedies.into_iter().flatten().next(),
    })
}

/// A paused kind with jobs that wait.
async fn paused(
    store: &dyn Store,
    scope: &Scope,
    kind: &Kind,
    pauses: &Pauses,
) -> Result<Option<Finding>, StoreError> {
    let Some(jobs) = waiting(store, kind).await? else {
        return Ok(None);
    };
    let paused = match pauses.get(scope) {
        Some(pause) => format!("was {}", text::pause(pause, store.now().await?)),
        None => "is paused".to_owned(),
    };
    let message = format!("the kind {kind} has {jobs} waiting and {paused}");
    let remedy = format!("longshore kinds resume {kind}");
    Ok(Some(
        Finding::new(CHECK, Grade::Warning, message).mended_by(remedy),
    ))
}

/// A queue that takes no more jobs.
fn full(queue: &QueueStats, most: u64) -> Option<Finding> {
    let unfinished = queue.available + queue.scheduled + queue.retryable + queue.running;
    if unfinished < most {
        return None;
    }
    let scope = Scope::Queue(queue.queue.clone());
    let jobs = text::counted(unfinished, "unfinished job");
    let message = format!("{scope} is full with {jobs}: producers are refused");
    let remedy = worker(queue.queue.as_str());
    Some(Finding::new(CHECK, Grade::Warning, message).mended_by(remedy))
}

/// Limits that hold jobs back just now: that is what they are for, unless one does so for long.
async fn held(
    store: &Arc<dyn Store>,
    control: &LimitControl,
    queues: &[QueueStats],
) -> Result<Option<Finding>, StoreError> {
    let waits = |queue: &&QueueStats| !queue.paused && queue.available > 0;
    let mut oldest = Duration::ZERO;
    let mut full: Vec<LimitUse> = Vec::new();
    let mut holders: Vec<String> = Vec::new();
    for queue in queues.iter().filter(waits) {
        for job in one_of_each(&**store, queue).await? {
            let mut limits = control.full_for(&job).await?;
            // What is paused is told of for itself.
            limits.retain(|one| !one.limit.paused);
            if let (false, Some(since)) = (limits.is_empty(), queue.oldest_available_at) {
                oldest = oldest.max(queue.as_of.since(since));
            }
            let new = |one: &LimitUse| full.iter().all(|known| known.scope != one.scope);
            let new: Vec<LimitUse> = limits.into_iter().filter(new).collect();
            if !new.is_empty() {
                holders.extend(held_by(store, &job).await);
            }
            full.extend(new);
        }
    }
    if full.is_empty() {
        return Ok(None);
    }
    let said = |one: &LimitUse| format!("{} ({})", one.scope, one.limit.words().join(", "));
    let said: Vec<String> = full.iter().map(said).collect();
    holders.sort();
    holders.dedup();
    let by = match holders.as_slice() {
        [] => String::new(),
        holders => format!("; held by {}", some(holders)),
    };
    let message = format!("jobs wait, held back by the limit of {}{by}", some(&said));
    if oldest <= HELD {
        return Ok(Some(Finding::new(CHECK, Grade::Ok, message)));
    }
    let message = format!("{message}; the oldest for {}", text::duration(oldest));
    let finding = Finding::new(CHECK, Grade::Warning, message);
    Ok(Some(finding.mended_by("longshore limits list")))
}

/// Of the jobs that wait in a queue one of each kind and tenant: the same limits hold the others.
async fn one_of_each(store: &dyn Store, queue: &QueueStats) -> Result<Vec<Job>, StoreError> {
    let filter = JobFilter {
        states: vec![JobState::Available],
        queue: Some(queue.queue.clone()),
        ..JobFilter::default()
    };
    let page = store.list(&filter, None, JobPage::MAX_JOBS).await?;
    let mut seen = HashSet::new();
    let mut jobs = page.jobs;
    jobs.retain(|job| seen.insert((job.kind.clone(), job.tenant_id.clone())));
    jobs.truncate(LOOKED_AT);
    Ok(jobs)
}

/// The jobs and workers that hold the limits which hold a job back.
async fn held_by(store: &Arc<dyn Store>, job: &Job) -> Vec<String> {
    let held = longshore_daemon::held_back(store, job).await;
    let named = held.by.into_iter().map(|holder| match holder {
        Holder::Job(id) => format!("job {id}"),
        Holder::Worker(id) => format!("worker {id}"),
    });
    named.collect()
}

/// How many jobs of a kind could run, as far as a look tells.
async fn waiting(store: &dyn Store, kind: &Kind) -> Result<Option<String>, StoreError> {
    let filter = JobFilter {
        states: vec![JobState::Available],
        kind: Some(kind.clone()),
        ..JobFilter::default()
    };
    let mut cursor = None::<String>;
    for _ in 0..PAGES {
        let page = store
            .list(&filter, cursor.as_deref(), JobPage::MAX_JOBS)
            .await?;
        if !page.jobs.is_empty() {
            let more = page.next_cursor.is_some();
            let jobs = text::counted(page.jobs.len(), "job");
            return Ok(Some(if more {
                format!("{jobs} or more")
            } else {
                jobs
            }));
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok(None)
}
