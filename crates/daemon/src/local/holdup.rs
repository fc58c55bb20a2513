//! What keeps a job that is due from being run.

use std::sync::Arc;

use longshore_api::job::Holder;
use longshore_api::queue::Pause;
use longshore_core::limit::Scope;
use longshore_core::register::{WorkerEntry, WorkerState};
use longshore_core::{Job, JobFilter, JobId, JobState, Store, Timestamp};
use longshore_queue::{Admin, LimitUse, Workers};
use longshore_trace::duration;

/// Most jobs that are named for what they hold.
const MOST_NAMED: usize = 3;

/// Most running jobs that are looked through for those that hold a limit.
const MOST_RUNNING: usize = 100;

/// What keeps a job from being run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldBack {
    /// In words for people.
    pub why: Vec<String>,
    /// The jobs and workers that these words name, in their order.
    pub by: Vec<Holder>,
}

/// What keeps a job that is due from being run: the pause of its queue or its kind, every limit that
/// is full with the jobs that hold it, and that no worker takes it or has room for it. Nothing of a
/// job that runs, is over or is not due. What cannot be read is left out.
pub async fn held_back(store: &Arc<dyn Store>, job: &Job) -> HeldBack {
    let mut held = HeldBack::default();
    if !job.state.is_waiting() {
        return held;
    }
    let Ok(now) = store.now().await else {
        return held;
    };
    if job.available_at > now {
        return held;
    }
    let admin = Admin::new(Arc::clone(store));
    let pauses = admin.pauses().await.unwrap_or_default();
    let rests = |what: &str, scope: &Scope| match pauses.get(scope) {
        Some(pause) => format!("the {what} was {}", Pause::of(pause).words(now)),
        None => format!("the {what} is paused"),
    };
    let queues = store.queue_stats().await.unwrap_or_default();
    if (queues.iter()).any(|one| one.paused && one.queue == job.queue) {
        let why = rests("queue", &Scope::Queue(job.queue.clone()));
        held.why.push(why);
    }
    for limit in admin.limits().full_for(job).await.unwrap_or_default() {
        match limit.limit.paused {
            true => held.why.push(rests("kind", &limit.scope)),
            false => held.full(&**store, &limit, now).await,
        }
    }
    if let Ok(workers) = Workers::list(&**store).await {
        held.unserved(&workers, job);
    }
    held
}

impl HeldBack {
    /// A limit that leaves no room, and who has the room there is.
    async fn full(&mut self, store: &dyn Store, held: &LimitUse, now: Timestamp) {
        let (scope, limit) = (&held.scope, held.limit.words().join(", "));
        if (held.limit.concurrency).is_none_or(|most| held.permits < most) {
            self.why
                .push(format!("the limit of {scope} is used up: {limit}"));
            return;
        }
        let jobs = running(store, scope).await;
        let named = jobs.iter().map(|job| {
            let claimed_at = job.claimed_at.unwrap_or(now);
            let since = duration::format(now.since(claimed_at));
            format!("job {} {} for {since}", job.kind, job.id)
        });
        let by = some(named.collect(), jobs.len());
        let by = by.unwrap_or_else(|| counted(held.holders, "worker"));
        let permits = held.permits;
        self.why.push(format!(
            "the limit of {scope} is full: {limit}; {permits} held by {by}"
        ));
        self.by.extend(holders(jobs.iter().map(|job| &job.id)));
    }

    /// What workers have to do with it; if nothing else is known to hold a job back, also that they
    /// had room.
    fn unserved(&mut self, workers: &Workers, job: &Job) {
        let (queue, kind) = (&job.queue, &job.kind);
        let now = workers.as_of;
        let takers = workers.entries.iter().filter(|one| takes(one, job, now));
        let takers: Vec<&WorkerEntry> = takers.collect();
        let Some(first) = takers.first() else {
            let since = duration::format(now.since(job.available_at));
            return self.why.push(format!(
                "no worker that is seen takes {kind} from {queue}, and it has waited {since}: start \
                 one, such as `longshore worker --queue {queue} --exec PROGRAM`"
            ));
        };
        if !self.why.is_empty() {
            return;
        }
        let named = |worker: &WorkerEntry| Holder::Worker(worker.id.to_string());
        let roomy = takers.iter().find(|one| one.running < one.concurrency);
        if let Some(worker) = roomy {
            if now.since(job.available_at) >= WorkerEntry::EVERY {
                let seen = duration::format(now.since(worker.seen_at));
                let id = &worker.id;
                self.why.push(format!(
                    "not known: {id} takes it and had room when it was seen {seen} ago"
                ));
                self.by.push(named(worker));
            }
            return;
        }
        let ids: Vec<&JobId> = takers.iter().flat_map(|one| &one.jobs).collect();
        let jobs = some(ids.iter().map(ToString::to_string).collect(), ids.len());
        let jobs = jobs.map_or_else(String::new, |jobs| format!(": {jobs}"));
        self.why.push(match takers.len() {
            1 => {
                self.by.push(named(first));
                format!("the only worker that takes it, {}, is busy{jobs}", first.id)
            }
            count => format!("all {count} workers that take it are busy{jobs}"),
        });
        self.by.extend(holders(ids.into_iter()));
    }
}

/// The jobs that are named.
fn holders<'a>(ids: impl Iterator<Item = &'a JobId>) -> impl Iterator<Item = Holder> {
    ids.take(MOST_NAMED).map(|id| Holder::Job(id.to_string()))
}

/// Jobs that run in a scope, those that do so longest first.
async fn running(store: &dyn Store, scope: &Scope) -> Vec<Job> {
    let mut filter = JobFilter {
        states: vec![JobState::Running],
        ..JobFilter::default()
    };
    match scope {
        Scope::Queue(queue) => filter.queue = Some(queue.clone()),
        Scope::Kind(kind) => filter.kind = Some(kind.clone()),
        Scope::Tenant(tenant) => filter.tenant_id = Some(tenant.clone()),
        Scope::EveryTenant => return Vec::new(),
    }
    let page = store.list(&filter, None, MOST_RUNNING).await;
    let mut jobs = page.map_or_else(|_| Vec::new(), |page| page.jobs);
    jobs.sort_by_key(|job| job.claimed_at);
    jobs
}

/// Whether a worker that is there takes such jobs. Of long lists only the beginning is known.
fn takes(worker: &WorkerEntry, job: &Job, now: Timestamp) -> bool {
    let is_there = worker.state == WorkerState::Running && worker.unseen_for(now).is_none();
    let kinds = worker.kinds.as_ref();
    let kind = kinds.is_none_or(|kinds| worker.more_kinds > 0 || kinds.contains(&job.kind));
    is_there && kind && (worker.more_queues > 0 || worker.queues.contains(&job.queue))
}

/// The first of some names, and how many there are more; nothing if there is none.
fn some(mut names: Vec<String>, of: usize) -> Option<String> {
    names.truncate(MOST_NAMED);
    let first = names.join(", ");
    match of - names.len() {
        _ if names.is_empty() => None,
        0 => Some(first),
        more => Some(format!("{first} and {more} more")),
    }
}

fn counted(count: usize, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}
