//! Schedules: what a person or program does to them.

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::schedule::{Directory, Schedule, Scheduled, Shard};
use longshore_core::{Enqueued, ErrorKind, ScheduleName, Store, StoreError, Timestamp};
use longshore_instrument::facts::AdminSubject;

use crate::admin::{About, Admin};
use crate::producer::Producer;
use crate::request::{JobRequest, invalid};

/// How often a document that others write too is tried.
const TRIES: usize = 32;

/// The schedules of a store: each has a job enqueued at every tick of its timetable, by whichever
/// worker is there. Cheap to clone.
///
/// A schedule lives in the store. [`Schedules::put`] may be called by every process at its start:
/// one that is there already and says the same is left as it is.
///
/// ```no_run
/// # async fn example(producer: longshore_queue::Producer) -> Result<(), Box<dyn std::error::Error>> {
/// use longshore_core::schedule::Schedule;
/// use longshore_queue::Schedules;
///
/// let schedules = Schedules::new(producer);
/// schedules
///     .put(Schedule {
///         zone: "Europe/Berlin".parse()?,
///         ..Schedule::new(
///             "nightly".parse()?,
///             "30 2 * * *".parse()?,
///             "reports".parse()?,
///             "report".parse()?,
///         )
///     })
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// What a call changes is in its `queue.admin` span, where the producer has telemetry;
/// [`Admin::schedules`] says on whose behalf.
#[derive(Clone, Debug)]
pub struct Schedules {
    admin: Admin,
}

/// What became of a schedule that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// There was none of this name.
    Added,
    /// There was one that said something else.
    Changed,
    /// It was there already, just so.
    Unchanged,
}

impl Schedules {
    /// The schedules of the producer's store; the producer enqueues what a person fires.
    #[must_use]
    pub const fn new(producer: Producer) -> Self {
        Self::of(Admin::of(producer))
    }

    pub(crate) const fn of(admin: Admin) -> Self {
        Self { admin }
    }

    /// Adds a schedule, or gives the one of its name another definition. Its first tick is later
    /// than now. One that rests goes on resting, and the next tick of one whose timetable and zone
    /// stay the same does, too.
    ///
    /// # Errors
    /// `Invalid` if a value is not allowed, or a sixty-fourth part of all schedules takes more
    /// than 256 KiB.
    pub async fn put(&self, schedule: Schedule) -> Result<Put, StoreError> {
        let answers = self.put_many(vec![schedule]).await?;
        let answer = answers.into_iter().next();
        answer.unwrap_or(Ok(Put::Unchanged))
    }

    /// Adds or changes many schedules, in one write for each sixty-fourth part of the names. One
    /// answer for each, in order; if there are several of a name, the last counts.
    ///
    /// # Errors
    /// Of the whole call, if the store could not be asked; some may be put then, and repeating is
    /// safe.
    pub async fn put_many(
        &self,
        schedules: Vec<Schedule>,
    ) -> Result<Vec<Result<Put, StoreError>>, StoreError> {
        self.admin.watched(self.put_all(schedules)).await
    }

    async fn put_all(
        &self,
        schedules: Vec<Schedule>,
    ) -> Result<Vec<Result<Put, StoreError>>, StoreError> {
        let started_at = self.admin.now();
        let names: Vec<ScheduleName> = schedules.iter().map(|one| one.name.clone()).collect();
        let mut answers = Vec::with_capacity(schedules.len());
        let mut shards: BTreeMap<u8, Vec<(usize, Schedule)>> = BTreeMap::new();
        for (place, schedule) in schedules.into_iter().enumerate() {
            answers.push(match schedule.validate() {
                Ok(()) => Ok(Put::Unchanged),
                Err(problem) => Err(invalid(problem)),
            });
            if answers.last().is_some_and(Result::is_ok) {
                let shard = shards.entry(Shard::of(&schedule.name)).or_default();
                shard.push((place, schedule));
            }
        }
        let named: BTreeSet<u8> = shards.keys().copied().collect();
        self.announce(&named, Announced::New).await?;
        let mut changed = BTreeSet::new();
        for (number, wanted) in shards {
            let put = self.change(number, |shard, now| {
                let one = |(place, schedule): &(usize, Schedule)| {
                    (*place, put_into(shard, schedule.clone(), now))
                };
                let puts: Vec<(usize, Put)> = wanted.iter().map(one).collect();
                let changes = puts.iter().any(|(_, put)| *put != Put::Unchanged);
                if changes {
                    shard.check_room()?;
                }
                Ok((changes, puts))
            });
            let puts = match put.await {
                Ok(puts) => puts
                    .into_iter()
                    .map(|(place, put)| (place, Ok(put)))
                    .collect(),
                Err(error) if error.kind() == ErrorKind::Invalid => refused(&wanted, &error),
                Err(error) => return Err(error),
            };
            for (place, put) in puts {
                if matches!(put, Ok(Put::Added | Put::Changed)) {
                    changed.insert(number);
                }
                if let Some(answer) = answers.get_mut(place) {
                    *answer = put;
                }
            }
        }
        self.announce(&changed, Announced::Changed).await?;
        let done = answers.iter().zip(&names);
        let done = done.filter(|(put, _)| matches!(put, Ok(Put::Added | Put::Changed)));
        self.record("put", done.map(|(_, name)| name), started_at);
        Ok(answers)
    }

    /// A schedule and how it stands.
    ///
    /// # Errors
    /// The store could not be asked.
    pub async fn get(&self, name: &ScheduleName) -> Result<Option<Scheduled>, StoreError> {
        let (mut shard, _) = read(&**self.admin.store(), Shard::of(name)).await?;
        Ok(shard.schedules.remove(name.as_str()))
    }

    /// All schedules, by name.
    ///
    /// # Errors
    /// The store could not be asked.
    pub async fn list(&self) -> Result<Vec<Scheduled>, StoreError> {
        let store = &**self.admin.store();
        let mut all = BTreeMap::new();
        for (number, _) in directory(store).await?.0.shards() {
            let (shard, _) = read(store, number).await?;
            for name in shard.unread() {
                tracing::warn!(
                    schedule = name,
                    "a schedule of another version cannot be read"
                );
            }
            all.extend(shard.schedules);
        }
        Ok(all.into_values().collect())
    }

    /// Removes a schedule; its jobs stay. Whether it was there.
    ///
    /// # Errors
    /// The store could not be asked.
    pub async fn remove(&self, name: &ScheduleName) -> Result<bool, StoreError> {
        self.admin.watched(self.remove_one(name)).await
    }

    async fn remove_one(&self, name: &ScheduleName) -> Result<bool, StoreError> {
        let started_at = self.admin.now();
        let number = Shard::of(name);
        let removed = self.change(number, |shard, _now| {
            let there = shard.remove(name);
            Ok((there, there))
        });
        let there = self.told(number, removed.await?).await?;
        self.record("remove", there.then_some(name), started_at);
        Ok(there)
    }

    /// Lets a schedule rest: its ticks pass, and are not caught up later. Whether there is one of
    /// this name.
    ///
    /// # Errors
    /// The store could not be asked.
    pub async fn pause(&self, name: &ScheduleName) -> Result<bool, StoreError> {
        let paused = self.alter("pause", name, |scheduled, _now| scheduled.pause());
        self.admin.watched(paused).await
    }

    /// Lets a schedule go on with the first tick from now. Whether there is one of this name.
    ///
    /// # Errors
    /// The store could not be asked.
    pub async fn resume(&self, name: &ScheduleName) -> Result<bool, StoreError> {
        let resumed = self.alter("resume", name, Scheduled::resume);
        self.admin.watched(resumed).await
    }

    /// The job of a schedule as a request, to be enqueued now by whoever asks, resting or not. It
    /// says which schedule it is of, and counts as none of its ticks.
    ///
    /// # Errors
    /// `Invalid` if there is no schedule of this name.
    pub async fn request(&self, name: &ScheduleName) -> Result<JobRequest, StoreError> {
        match self.get(name).await? {
            Some(scheduled) => Ok(JobRequest::of_schedule(&scheduled.schedule, None)),
            None => Err(no_such(name)),
        }
    }

    /// Enqueues the job of a schedule now, as a child of the span that the calls are made for, else
    /// of the span that is current.
    ///
    /// # Errors
    /// As [`Schedules::request`] and [`Producer::enqueue`].
    pub async fn trigger(&self, name: &ScheduleName) -> Result<Enqueued, StoreError> {
        self.trigger_with(name, |request| request).await
    }

    /// [`Schedules::trigger`] of what `change` makes of the request, such as one that comes from the
    /// span of another process.
    ///
    /// # Errors
    /// As [`Schedules::trigger`].
    pub async fn trigger_with(
        &self,
        name: &ScheduleName,
        change: impl FnOnce(JobRequest) -> JobRequest,
    ) -> Result<Enqueued, StoreError> {
        self.admin.watched(self.fire_one(name, change)).await
    }

    async fn fire_one(
        &self,
        name: &ScheduleName,
        change: impl FnOnce(JobRequest) -> JobRequest,
    ) -> Result<Enqueued, StoreError> {
        let started_at = self.admin.now();
        let mut request = change(self.request(name).await?);
        if let Some(caller) = self.admin.caller()
            && !request.names_a_context()
        {
            request = request.context(caller.clone());
        }
        let enqueued = self.admin.producer().enqueue(request).await?;
        // That the job cannot be read for the span is no reason to fail the call.
        if let Ok(Some(job)) = self.admin.store().get(enqueued.id()).await {
            let subject = AdminSubject::Firing { name, job: &job };
            self.admin
                .record("trigger", About::Job(&job), subject, started_at);
        }
        Ok(enqueued)
    }

    async fn alter(
        &self,
        verb: &'static str,
        name: &ScheduleName,
        alter: impl Fn(&mut Scheduled, Timestamp) -> bool,
    ) -> Result<bool, StoreError> {
        let started_at = self.admin.now();
        let number = Shard::of(name);
        let altered = self.change(number, |shard, now| {
            match shard.schedules.get_mut(name.as_str()) {
                Some(scheduled) => Ok((alter(scheduled, now), true)),
                None => Ok((false, false)),
            }
        });
        let there = self.told(number, altered.await?).await?;
        self.record(verb, there.then_some(name), started_at);
        Ok(there)
    }

    /// Records the span of a call that changed these schedules.
    fn record<'a>(
        &self,
        verb: &'static str,
        changed: impl IntoIterator<Item = &'a ScheduleName>,
        started_at: Timestamp,
    ) {
        let mut changed = changed.into_iter();
        let Some(first) = changed.next() else {
            return;
        };
        let count = 1 + changed.count();
        let name = (count == 1).then_some(first);
        let subject = AdminSubject::Schedules { name, count };
        self.admin.record(verb, About::Store, subject, started_at);
    }

    /// Announces a change, if the answer says that there is something.
    async fn told(&self, number: u8, there: bool) -> Result<bool, StoreError> {
        if there {
            let touched = BTreeSet::from([number]);
            self.announce(&touched, Announced::Changed).await?;
        }
        Ok(there)
    }

    /// Changes a shard; `change` says whether it did, and what came of it.
    async fn change<T>(
        &self,
        number: u8,
        mut change: impl FnMut(&mut Shard, Timestamp) -> Result<(bool, T), StoreError>,
    ) -> Result<T, StoreError> {
        let store = &**self.admin.store();
        let mut lost = None;
        for _ in 0..TRIES {
            let (mut shard, version) = read(store, number).await?;
            let now = store.now().await?;
            let (changes, answer) = change(&mut shard, now)?;
            if !changes {
                return Ok(answer);
            }
            match write(store, number, version, &shard).await {
                Ok(_) => return Ok(answer),
                Err(error) if error.kind() == ErrorKind::Conflict => lost = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(lost.unwrap_or_else(|| invalid("the schedule could not be written")))
    }

    /// Tells the workers. Shards that are new to them are named before they are written, so that
    /// no crash in between leaves one that nobody looks at.
    async fn announce(&self, touched: &BTreeSet<u8>, what: Announced) -> Result<(), StoreError> {
        let store = &**self.admin.store();
        let mut lost = None;
        for _ in 0..TRIES {
            let (mut all, version) = directory(store).await?;
            let known: BTreeSet<u8> = all.shards().map(|(shard, _)| shard).collect();
            let news = touched
                .iter()
                .filter(|shard| what == Announced::Changed || !known.contains(shard));
            let news: Vec<u8> = news.copied().collect();
            if news.is_empty() {
                return Ok(());
            }
            news.into_iter().for_each(|shard| all.touch(shard));
            let body = all.encode()?.into();
            match store
                .write_document(Directory::DOCUMENT, version, body)
                .await
            {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Conflict => lost = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(lost.unwrap_or_else(|| invalid("the change could not be announced")))
    }
}

/// What workers are told of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Announced {
    /// It is there.
    New,
    /// It was changed.
    Changed,
}

fn put_into(shard: &mut Shard, schedule: Schedule, now: Timestamp) -> Put {
    let name = schedule.name.as_str();
    match shard.schedules.get_mut(name) {
        Some(there) if there.schedule == schedule => Put::Unchanged,
        Some(there) => {
            there.redefine(schedule, now);
            Put::Changed
        }
        None => {
            // One that this version could not read gives way, too.
            shard.remove(&schedule.name);
            let name = name.to_owned();
            shard.schedules.insert(name, Scheduled::new(schedule, now));
            Put::Added
        }
    }
}

fn refused(
    wanted: &[(usize, Schedule)],
    error: &StoreError,
) -> Vec<(usize, Result<Put, StoreError>)> {
    let one = |(place, _): &(usize, Schedule)| (*place, Err(invalid(error)));
    wanted.iter().map(one).collect()
}

fn no_such(name: &ScheduleName) -> StoreError {
    invalid(format!("there is no schedule {name}"))
}

/// A shard and the version of its document, 0 if there is none.
pub(crate) async fn read(store: &dyn Store, number: u8) -> Result<(Shard, u64), StoreError> {
    match store.read_document(&Shard::document(number)).await? {
        Some(document) => Ok((Shard::decode(&document.body)?, document.version)),
        None => Ok((Shard::default(), 0)),
    }
}

/// Writes a shard over the version that was read.
pub(crate) async fn write(
    store: &dyn Store,
    number: u8,
    version: u64,
    shard: &Shard,
) -> Result<u64, StoreError> {
    let body = shard.encode()?.into();
    store
        .write_document(&Shard::document(number), version, body)
        .await
}

/// Which shards there are, and the version of the document that says so.
pub(crate) async fn directory(store: &dyn Store) -> Result<(Directory, u64), StoreError> {
    match store.read_document(Directory::DOCUMENT).await? {
        Some(document) => Ok((Directory::decode(&document.body)?, document.version)),
        None => Ok((Directory::default(), 0)),
    }
}
