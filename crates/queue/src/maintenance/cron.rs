//! Has jobs enqueued at the ticks of schedules.
//!
//! Any number of workers do this for one store, and no lock tells them apart. Each tick has one
//! job id, so enqueueing it again is a hit; and the shard's document moves on only after that, from
//! the version that was read. So a worker that dies in between leaves a tick that the next one
//! fires again, to no effect, and of two that do the same one is refused and looks anew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::schedule::{Due, Scheduled, Shard};
use longshore_core::{Enqueued, ErrorKind, JobId, NewJob, Store, StoreError, Timestamp};
use tokio::time::sleep;

use crate::schedules::{directory, read, write};
use crate::worker::Shared;

/// How often a worker asks whether a person or program changed schedules.
const LOOK: Duration = Duration::from_secs(1);
/// How often it reads all of them anew: someone may have died before they could say that they had
/// changed one.
const LOOK_AT_ALL: Duration = Duration::from_secs(60);
/// Most jobs of one call.
const BATCH: usize = 500;
/// How often a shard that others write too is tried before the others have their turn.
const TRIES: usize = 16;

/// Fires until the task is dropped.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut clerk = Clerk::new(shared);
    loop {
        let rest = match clerk.round().await {
            Ok(rest) => rest,
            Err(error) => {
                if clerk.shared.complaints.is_due("schedules", error.kind()) {
                    let kind = error.kind().as_str();
                    tracing::warn!(error.kind = kind, %error, "schedules could not be looked after");
                }
                LOOK
            }
        };
        sleep(rest).await;
    }
}

/// What a worker knows of the schedules.
#[derive(Debug)]
struct Clerk {
    shared: Arc<Shared>,
    shards: BTreeMap<u8, Known>,
    /// When it looked for changes, and at everything, by its own clock.
    looked: Option<Duration>,
    looked_at_all: Option<Duration>,
    /// The store's time then.
    as_of: Timestamp,
}

/// What a worker knows of a shard.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// How often people had changed it.
    changes: u64,
    /// The version of its document.
    version: u64,
    /// When it has something to do.
    due_at: Option<Timestamp>,
}

impl Clerk {
    const fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            shards: BTreeMap::new(),
            looked: None,
            looked_at_all: None,
            as_of: Timestamp::UNIX_EPOCH,
        }
    }

    /// Looks for changes if it is time to, fires what is due, and gives back how long to rest.
    async fn round(&mut self) -> Result<Duration, StoreError> {
        let clock = Arc::clone(&self.shared.clock);
        let passed = |since: Option<Duration>, span| {
            since.is_none_or(|since| clock.monotonic().saturating_sub(since) >= span)
        };
        if passed(self.looked, LOOK) {
            let all = passed(self.looked_at_all, LOOK_AT_ALL);
            self.look(all).await?;
            self.looked = Some(clock.monotonic());
            self.looked_at_all = self.looked_at_all.filter(|_| !all).or(self.looked);
        }
        let Some(mut due_at) = self.due_at() else {
            return Ok(LOOK);
        };
        let mut now = self.shared.store.now().await?;
        if due_at <= now {
            self.fire_due(now).await?;
            now = self.shared.store.now().await?;
            due_at = self.due_at().unwrap_or(Timestamp::MAX);
        }
        Ok(due_at.since(now).min(LOOK))
    }

    fn due_at(&self) -> Option<Timestamp> {
        self.shards.values().filter_map(|known| known.due_at).min()
    }

    /// Reads the shards that were changed, or all.
    async fn look(&mut self, all: bool) -> Result<(), StoreError> {
        let store = &*self.shared.store;
        let shards = directory(store).await?.0;
        let mut is_set_back = false;
        if all && shards.shards().next().is_some() {
            let now = store.now().await?;
            is_set_back = now < self.as_of;
            self.as_of = now;
        }
        for (number, changes) in shards.shards() {
            let known = self.shards.get(&number).copied();
            if !all && known.is_some_and(|known| known.changes == changes) {
                continue;
            }
            let seen = known.filter(|_| !is_set_back).map(|known| known.version);
            let found = usable(number, examine(store, number, seen).await)?;
            match (found, self.shards.get_mut(&number)) {
                (Some(None), Some(known)) => known.changes = changes,
                (found, _) => {
                    let (version, due_at) = found.flatten().unwrap_or_default();
                    let known = Known {
                        changes,
                        version,
                        due_at,
                    };
                    self.shards.insert(number, known);
                }
            }
        }
        Ok(())
    }

    /// Fires what is due. Workers begin at different shards, so that they seldom do the same.
    async fn fire_due(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let is_due = |known: &Known| known.due_at.is_some_and(|due_at| due_at <= now);
        let due = self.shards.iter().filter(|(_, known)| is_due(known));
        let mut due: Vec<u8> = due.map(|(number, _)| *number).collect();
        let many = u64::try_from(due.len()).unwrap_or(1).max(1);
        let first = self.shared.random.next_u64() % many;
        due.rotate_left(usize::try_from(first).unwrap_or_default());
        for number in due {
            let fired = usable(number, self.fire(number).await)?;
            if let Some(known) = self.shards.get_mut(&number) {
                (known.version, known.due_at) = fired.unwrap_or_default();
            }
        }
        Ok(())
    }

    /// Fires what is due of a shard, and gives back its version and when it has something to do
    /// next.
    async fn fire(&self, number: u8) -> Result<Found, StoreError> {
        let shared = &*self.shared;
        let mut found = Found::default();
        for _ in 0..TRIES {
            let (mut shard, version) = read(&*shared.store, number).await?;
            let now = shared.store.now().await?;
            let batch = Batch::of(&shard, shared, now);
            if batch.rounds.is_empty() {
                return Ok((version, shard.due_at()));
            }
            let answers = match batch.jobs.is_empty() {
                true => Vec::new(),
                false => shared.producer.fire(batch.jobs).await?,
            };
            settle(&mut shard, batch.rounds, answers, now)?;
            let due_at = shard.due_at();
            match write(&*shared.store, number, version, &shard).await {
                Ok(version) => found = (version, due_at),
                Err(error) if error.kind() == ErrorKind::Conflict => found = (0, Some(now)),
                Err(error) => return Err(error),
            }
            if found.1.is_none_or(|due_at| due_at > now) {
                break;
            }
        }
        Ok(found)
    }
}

/// What was found of a shard: its version, 0 if that is not known, and when it has something to do.
type Found = (u64, Option<Timestamp>);

/// Reads a shard and mends it. `None` if its version is the one `seen`, so that nothing is new.
async fn examine(
    store: &dyn Store,
    number: u8,
    seen: Option<u64>,
) -> Result<Option<Found>, StoreError> {
    let Some(document) = store.read_document(&Shard::document(number)).await? else {
        return Ok(Some(Found::default()));
    };
    let mut version = document.version;
    if seen == Some(version) {
        return Ok(None);
    }
    let mut shard = Shard::decode(&document.body)?;
    if mend(&mut shard, store.now().await?) {
        // Whoever changed it meanwhile has mended it too, or will be seen to.
        let written = write(store, number, version, &shard).await;
        version = written.unwrap_or_default();
    }
    Ok(Some((version, shard.due_at())))
}

/// The answer about a shard. One that cannot be used does not hold up the others: it is left alone
/// until everything is looked at again.
fn usable<T>(number: u8, answer: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
        Err(error) => {
            let document = Shard::document(number);
            tracing::warn!(document, %error, "schedules that lie together cannot be looked after");
            Ok(None)
        }
    }
}

fn mend(shard: &mut Shard, now: Timestamp) -> bool {
    let mut mended = false;
    for scheduled in shard.schedules.values_mut() {
        if scheduled.mend(now) {
            let name = scheduled.schedule.name.as_str();
            tracing::warn!(
                schedule = name,
                "the store's clock was set back; the next tick was found anew"
            );
            mended = true;
        }
    }
    mended
}

/// What is due of a shard.
#[derive(Debug, Default)]
struct Batch {
    /// What each schedule does, and of its ticks the jobs, in order.
    rounds: Vec<Round>,
    jobs: Vec<NewJob>,
}

/// What a schedule does.
#[derive(Debug)]
struct Round {
    name: String,
    due: Due,
    /// The context of each tick's job, in order; none of a tick whose job is not allowed.
    traces: Vec<Option<Stamped>>,
}

/// What is remembered of a job that the store takes.
#[derive(Debug)]
struct Stamped {
    id: JobId,
    traceparent: Option<String>,
}

impl Batch {
    fn of(shard: &Shard, shared: &Shared, now: Timestamp) -> Self {
        let mut batch = Self::default();
        for (name, scheduled) in &shard.schedules {
            let room = BATCH.saturating_sub(batch.jobs.len());
            let due = scheduled.due(now, room);
            if due.next == scheduled.standing.next {
                continue;
            }
            let traces = batch.stamp(scheduled, &due, shared);
            let name = name.clone();
            batch.rounds.push(Round { name, due, traces });
        }
        batch
    }

    fn stamp(&mut self, scheduled: &Scheduled, due: &Due, shared: &Shared) -> Vec<Option<Stamped>> {
        let mut follows = scheduled.standing.last_trace.clone();
        let mut one = |tick: &Timestamp| {
            let schedule = &scheduled.schedule;
            let made = shared.producer.firing(schedule, *tick, follows.clone());
            let job = made
                .inspect_err(|error| refused(schedule.name.as_str(), error))
                .ok()?;
            follows.clone_from(&job.trace.traceparent);
            let stamped = Stamped {
                id: job.id.clone(),
                traceparent: job.trace.traceparent.clone(),
            };
            self.jobs.push(job);
            Some(stamped)
        };
        due.ticks.iter().map(&mut one).collect()
    }
}

/// Notes in the shard what came of its rounds.
///
/// # Errors
/// The store could not take a job now: then nothing is noted, and all is done again.
fn settle(
    shard: &mut Shard,
    rounds: Vec<Round>,
    answers: Vec<Result<Enqueued, StoreError>>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut answers = answers.into_iter();
    for Round { name, due, traces } in rounds {
        let Some(scheduled) = shard.schedules.get_mut(&name) else {
            continue;
        };
        scheduled.settle(&due, now);
        if due.missed > 0 {
            let (missed, schedule) = (due.missed, name.as_str());
            tracing::warn!(
                schedule,
                missed,
                "ticks passed that no worker was there for"
            );
        }
        let standing = &mut scheduled.standing;
        for (tick, stamped) in due.ticks.iter().zip(traces) {
            let Some(stamped) = stamped else {
                standing.missed = standing.missed.saturating_add(1);
                continue;
            };
            match answers.next() {
                Some(Ok(enqueued)) if *enqueued.id() == stamped.id => {
                    standing.fired = standing.fired.saturating_add(1);
                    standing.last = Some(*tick);
                    standing.last_trace = stamped.traceparent;
                }
                Some(Ok(_)) => standing.held = standing.held.saturating_add(1),
                Some(Err(error)) if error.kind() == ErrorKind::Conflict => {
                    standing.held = standing.held.saturating_add(1);
                }
                Some(Err(error)) if error.kind() == ErrorKind::Invalid => {
                    refused(&name, &error);
                    standing.missed = standing.missed.saturating_add(1);
                }
                Some(Err(error)) => return Err(error),
                None => {
                    let problem = "the store gave fewer answers than there were jobs";
                    return Err(StoreError::new(ErrorKind::Internal, problem));
                }
            }
        }
    }
    Ok(())
}

fn refused(schedule: &str, error: &StoreError) {
    tracing::warn!(schedule, %error, "the job of a tick was refused");
}
