//! Jobs that do not get on: queues that nobody serves or that rest, leases that nobody takes back,
//! schedules that nobody fires, limits in the way.

use std::sync::Arc;
use std::time::Duration;

use longshore_api::job::Holder;
use longshore_core::limit::Scope;
use longshore_core::pause::Pauses;
use longshore_core::{Job, JobFilter, JobPage, JobState, Kind, QueueStats, Store, StoreError};
use longshore_queue::{Admin, LimitControl, LimitUse, Producer, Schedules, StoreCopy};

use super::{Finding, Grade, NO_STORE};
use crate::commands::queues::pause_of;
use crate::session::Session;
use crate::text;

/// A queue whose oldest job waits longer than this while nothing runs is stuck: a worker that is
/// there claims within seconds.
const STUCK: Duration = Duration::from_secs(60);
/// A limit that holds a job back for longer than this may do so by mistake.
const HELD: Duration = Duration::from_secs(300);
/// A lease that expired longer ago than this would have been taken back by any worker.
const EXPIRED: Duration = Duration::from_secs(60);
/// A schedule that is later than this would have been fired by any worker.
const LATE: Duration = Duration::from_secs(60);
/// Most pages that are looked at for one check.
const PAGES: usize = 10;
/// Most waiting jobs of a queue of which it is found out whether a limit holds them back.
const LOOKED_AT: usize = 20;
/// Most names in a message.
const NAMES: usize = 5;

/// The same where nothing can be looked at, and why.
pub(super) fn blind(why: &str) -> Vec<Finding> {
    let names = ["queues", "paused", "leases", "schedules", "limits"];
    names
        .map(|name| Finding::new(name, Grade::Warning, why.to_owned()))
        .into()
}

/// The checks of the work, each with its name.
pub(super) async fn checks(session: &Session<'_>) -> Vec<Finding> {
    let Ok(store) = session.store() else {
        return blind(NO_STORE);
    };
    let queues = match store.queue_stats().await {
        Ok(queues) => queues,
        Err(error) => return vec![Finding::new("queues", Grade::Problem, error.to_string())],
    };
    let failed = |check, error: StoreError| Finding::new(check, Grade::Problem, error.to_string());
    let leases = leases(&*store).await;
    let schedules = Schedules::new(Producer::new(store.clone()));
    let schedules = late(&*store, &schedules, &queues).await;
    // Notes that cannot be read are no reason not to look at what rests.
    let pauses = Admin::new(store.clone()).pauses().await.unwrap_or_default();
    let limits = limits(&store, &LimitControl::new(store.clone()), &queues, &pauses).await;
    let mut findings = vec![
        unserved(&queues),
        paused(&queues, &pauses),
        leases.unwrap_or_else(|error| failed("leases", error)),
        schedules.unwrap_or_else(|error| failed("schedules", error)),
        limits.unwrap_or_else(|error| failed("limits", error)),
    ];
    match StoreCopy::unfinished(&*store).await {
        Ok(from) => findings.extend(from.as_deref().map(half_copied)),
        Err(error) => findings.push(failed("copy", error)),
    }
    findings
}

/// A copy that was interrupted, or found that something had changed meanwhile.
fn half_copied(from: &str) -> Finding {
    let message = format!(
        "a copy of {from} into this store is not whole: jobs, schedules and documents may be missing. \
         Start no worker here before the copy was repeated and has found both stores to be the same"
    );
    Finding::new("copy", Grade::Warning, message).mended_by("longshore store copy FROM TO --wait")
}

/// Queues whose jobs nobody seems to take.
fn unserved(queues: &[QueueStats]) -> Finding {
    const CHECK: &str = "queues";
    let stuck = queues
        .iter()
        .filter(|queue| !queue.paused && queue.running == 0 && queue.available > 0)
        .filter_map(|queue| Some((queue, queue.as_of.since(queue.oldest_available_at?))))
        .filter(|(_, age)| *age > STUCK);
    let (names, ages): (Vec<&str>, Vec<String>) = stuck
        .map(|(queue, age)| (queue.queue.as_str(), text::duration(age)))
        .map(|(name, age)| (name, format!("{name} for {age}")))
        .unzip();
    if names.is_empty() {
        let message = format!("{}, none stuck", text::counted(queues.len(), "queue"));
        return Finding::new(CHECK, Grade::Ok, message);
    }
    let message = format!("jobs wait and nothing runs: {}", some(&ages));
    Finding::new(CHECK, Grade::Warning, message).mended_by(worker(&names.join(",")))
}

/// Queues that somebody has paused and perhaps forgotten.
fn paused(queues: &[QueueStats], pauses: &Pauses) -> Finding {
    const CHECK: &str = "paused";
    let resting = || queues.iter().filter(|queue| queue.paused);
    let (names, said): (Vec<&str>, Vec<String>) = resting()
        .filter(|queue| queue.available > 0)
        .map(|queue| {
            let name = queue.queue.as_str();
            let jobs = text::counted(queue.available, "job");
            let noted = pause_of(pauses, queue).map(|pause| text::pause(pause, queue.as_of));
            let noted = noted.map_or_else(String::new, |pause| format!(", {pause}"));
            (name, format!("{name} with {jobs}{noted}"))
        })
        .unzip();
    if names.is_empty() {
        let message = match resting().count() {
            0 => "no queue is paused".to_owned(),
            count => format!(
                "{} paused, with nothing to run",
                text::counted(count, "queue")
            ),
        };
        return Finding::new(CHECK, Grade::Ok, message);
    }
    let message = format!("jobs wait in paused queues: {}", some_of(&said, "; "));
    let remedy = format!("longshore queues resume {}", names.join(" "));
    Finding::new(CHECK, Grade::Warning, message).mended_by(remedy)
}

/// Jobs of workers that vanished and that nobody takes back.
async fn leases(store: &dyn Store) -> Result<Finding, StoreError> {
    const CHECK: &str = "leases";
    let filter = JobFilter {
        states: vec![JobState::Running],
        ..JobFilter::default()
    };
    let by = store.now().await?.before(EXPIRED);
    let (mut running, mut expired, mut cursor) = (0_usize, Vec::new(), None::<String>);
    for _ in 0..PAGES {
        let page = store
            .list(&filter, cursor.as_deref(), JobPage::MAX_JOBS)
            .await?;
        running += page.jobs.len();
        let old = |at: Option<_>| at.is_some_and(|at| at < by);
        expired.extend(
            page.jobs
                .into_iter()
                .filter(|job| old(job.lease_expires_at)),
        );
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let Some(first) = expired.first() else {
        let message = format!(
            "{} running, none of a worker that vanished",
            text::counted(running, "job")
        );
        return Ok(Finding::new(CHECK, Grade::Ok, message));
    };
    let message = format!(
        "{} of workers that vanished more than a minute ago, such as {}: any worker of this store \
         takes them back, and none runs",
        text::counted(expired.len(), "job"),
        first.id
    );
    Ok(Finding::new(CHECK, Grade::Warning, message).mended_by(worker(first.queue.as_str())))
}

/// Schedules that should have fired.
async fn late(
    store: &dyn Store,
    schedules: &Schedules,
    queues: &[QueueStats],
) -> Result<Finding, StoreError> {
    const CHECK: &str = "schedules";
    let all = schedules.list().await?;
    let by = store.now().await?.before(LATE);
    let late: Vec<_> = all
        .iter()
        .filter(|one| one.due_at().is_some_and(|due_at| due_at < by))
        .collect();
    if let Some(first) = late.first() {
        let names: Vec<String> = late
            .iter()
            .map(|one| one.schedule.name.to_string())
            .collect();
        let message = format!(
            "{} should have fired: {}; any worker of this store fires them, and none runs",
            text::counted(late.len(), "schedule"),
            some(&names)
        );
        let remedy = worker(first.schedule.queue.as_str());
        return Ok(Finding::new(CHECK, Grade::Warning, message).mended_by(remedy));
    }
    let resting = all.iter().filter(|one| one.standing.paused);
    let resting: Vec<String> = resting.map(|one| one.schedule.name.to_string()).collect();
    let into_paused = all.iter().find(|one| {
        let paused = |queue: &&QueueStats| queue.paused && queue.queue == one.schedule.queue;
        !one.standing.paused && queues.iter().any(|queue| paused(&queue))
    });
    if let Some(one) = into_paused {
        let (name, queue) = (&one.schedule.name, &one.schedule.queue);
        let message = format!("{name} fires into the queue {queue}, which is paused");
        let remedy = format!("longshore queues resume {queue}");
        return Ok(Finding::new(CHECK, Grade::Warning, message).mended_by(remedy));
    }
    let mut message = format!("{}, none late", text::counted(all.len(), "schedule"));
    if !resting.is_empty() {
        message = format!("{message}; paused: {}", some(&resting));
    }
    Ok(Finding::new(CHECK, Grade::Ok, message))
}

/// Limits that let nothing pass, and those of what is not there.
async fn limits(
    store: &Arc<dyn Store>,
    control: &LimitControl,
    queues: &[QueueStats],
    pauses: &Pauses,
) -> Result<Finding, StoreError> {
    const CHECK: &str = "limits";
    let limits = control.read().await?;
    for (scope, limit) in limits.iter() {
        match &scope {
            Scope::Kind(kind) if limit.paused => {
                if let Some(jobs) = waiting(&**store, kind).await? {
                    let now = store.now().await?;
                    let paused = match pauses.get(&scope) {
                        Some(pause) => format!("was {}", text::pause(pause, now)),
                        None => "is paused".to_owned(),
                    };
                    let message = format!("the kind {kind} has {jobs} waiting and {paused}");
                    return Ok(Finding::new(CHECK, Grade::Warning, message)
                        .mended_by(format!("longshore kinds resume {kind}")));
                }
            }
            Scope::Queue(name) => {
                let found = queues.iter().find(|queue| queue.queue == *name);
                let Some(found) = found else {
                    let message =
                        format!("{scope} is limited, and nothing was ever enqueued there");
                    return Ok(Finding::new(CHECK, Grade::Warning, message)
                        .mended_by(format!("longshore limits remove {scope}")));
                };
                let unfinished =
                    found.available + found.scheduled + found.retryable + found.running;
                if limit.length.is_some_and(|most| unfinished >= most) {
                    let jobs = text::counted(unfinished, "unfinished job");
                    let message = format!("{scope} is full with {jobs}: producers are refused");
                    return Ok(Finding::new(CHECK, Grade::Warning, message)
                        .mended_by(worker(name.as_str())));
                }
            }
            Scope::Kind(_) | Scope::Tenant(_) | Scope::EveryTenant => {}
        }
    }
    if !limits.is_empty()
        && let Some(finding) = held(store, control, queues).await?
    {
        return Ok(finding);
    }
    let message = match limits.iter().count() {
        0 => "nothing is limited".to_owned(),
        count => format!("{}, none in the way", text::counted(count, "limit")),
    };
    Ok(Finding::new(CHECK, Grade::Ok, message))
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
        let filter = JobFilter {
            states: vec![JobState::Available],
            queue: Some(queue.queue.clone()),
            ..JobFilter::default()
        };
        let page = store.list(&filter, None, LOOKED_AT).await?;
        for job in &page.jobs {
            let limits = control.full_for(job).await?;
            if let (false, Some(since)) = (limits.is_empty(), queue.oldest_available_at) {
                oldest = oldest.max(queue.as_of.since(since));
            }
            let new = |one: &LimitUse| full.iter().all(|known| known.scope != one.scope);
            let new: Vec<LimitUse> = limits.into_iter().filter(new).collect();
            if !new.is_empty() {
                holders.extend(held_by(store, job).await);
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
        return Ok(Some(Finding::new("limits", Grade::Ok, message)));
    }
    let message = format!("{message}; the oldest for {}", text::duration(oldest));
    let finding = Finding::new("limits", Grade::Warning, message);
    Ok(Some(finding.mended_by("longshore limits list")))
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

fn worker(queues: &str) -> String {
    format!("longshore worker --queue {queues} --exec PROGRAM")
}

/// The first of some names, and how many more there are.
fn some(names: &[String]) -> String {
    some_of(names, ", ")
}

/// The same, with something else between them.
fn some_of(names: &[String], between: &str) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES).map(String::as_str).collect();
    let more = names.len().saturating_sub(NAMES);
    match more {
        0 => shown.join(between),
        more => format!("{} and {more} more", shown.join(between)),
    }
}
