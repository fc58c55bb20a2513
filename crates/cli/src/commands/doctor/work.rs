//! Jobs that do not get on: queues that nobody serves or that rest, leases that nobody takes back,
//! schedules that nobody fires, limits in the way.

mod limits;

use std::time::Duration;

use longshore_core::pause::Pauses;
use longshore_core::{Job, JobFilter, JobPage, JobState, QueueStats, Store, StoreError, Timestamp};
use longshore_queue::{Admin, Producer, Schedules, StoreCopy};

use super::{Finding, Grade, NO_STORE};
use crate::commands::queues::pause_of;
use crate::session::Session;
use crate::text;

/// A queue whose oldest job waits longer than this while nothing runs is stuck: a worker that is
/// there claims within seconds.
const STUCK: Duration = Duration::from_secs(60);
/// A lease that ended longer ago than this would have been taken back by any worker.
const EXPIRED: Duration = Duration::from_secs(60);
/// A schedule that is later than this would have been fired by any worker.
const LATE: Duration = Duration::from_secs(60);
/// Most pages that are looked at for one check.
const PAGES: usize = 10;
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
    let limits = limits::check(&store, &queues, &pauses).await;
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
    let message = format!(
        "jobs wait in paused queues: {}",
        text::some(&said, NAMES, "; ")
    );
    let remedy = format!("longshore queues resume {}", names.join(" "));
    Finding::new(CHECK, Grade::Warning, message).mended_by(remedy)
}

/// Jobs of workers that vanished and that nobody has taken back.
async fn leases(store: &dyn Store) -> Result<Finding, StoreError> {
    const CHECK: &str = "leases";
    let filter = JobFilter {
        states: vec![JobState::Running],
        ..JobFilter::default()
    };
    let now = store.now().await?;
    let (mut running, mut ended, mut cursor) = (0_usize, 0_usize, None::<String>);
    let mut first: Option<(Timestamp, Job)> = None;
    for _ in 0..PAGES {
        let page = store
            .list(&filter, cursor.as_deref(), JobPage::MAX_JOBS)
            .await?;
        running += page.jobs.len();
        for job in page.jobs {
            let Some(at) = job.lease_expires_at.filter(|at| *at < now) else {
                continue;
            };
            ended += 1;
            if first.as_ref().is_none_or(|(earliest, _)| at < *earliest) {
                first = Some((at, job));
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let Some((at, job)) = first else {
        let message = format!(
            "{} running, no lease has ended",
            text::counted(running, "job")
        );
        return Ok(Finding::new(CHECK, Grade::Ok, message));
    };
    let since = now.since(at);
    let message = format!(
        "{} of workers that vanished, such as {}, whose lease ended {} ago: any worker of this store \
         takes them back{}",
        text::counted(ended, "job"),
        job.id,
        text::duration(since),
        if since > EXPIRED {
            ", and none runs"
        } else {
            ""
        }
    );
    Ok(Finding::new(CHECK, Grade::Warning, message).mended_by(worker(job.queue.as_str())))
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

fn worker(queues: &str) -> String {
    format!("longshore worker --queue {queues} --exec PROGRAM")
}

/// The first of some names, and how many more there are.
fn some(names: &[String]) -> String {
    text::some(names, NAMES, ", ")
}
