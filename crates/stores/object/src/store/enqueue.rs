//! Minting ids and storing jobs: a batch is put whole, by one create.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use longshore_core::{
    Enqueued, ErrorKind, Job, JobId, NewJob, Place, QueueName, SpanContext, StoreError, Timestamp,
};

use super::load::{At, State};
use super::parallel::all;
use super::{ObjectStore, restless};
use crate::batch::Batch;
use crate::batch_key::{BatchKey, BatchName, Line};
use crate::draft::Draft;
use crate::key::Key;
use crate::meeting::{Presence, presence};
use crate::minted_id::MintedId;
use crate::mutation::{Judged, Made, Mutation};
use crate::queues::Queue;

/// Most jobs that share a batch: a ledger is a point of contention.
const JOBS_TOGETHER: usize = 100;

/// What became of a batch that was to be put.
#[derive(Debug)]
pub(super) enum Placed {
    /// It is there, by this call.
    Created,
    /// It, or another of its name, was there.
    There(Box<State>),
    /// It is not there and never will be.
    Never,
}

/// A job on its way into a batch: the number of its answer, and its index.
pub(super) type Slotted = (usize, u16, NewJob);

/// The answer for a job of a call, and its number.
type Numbered = (usize, Result<Enqueued, StoreError>);

/// A batch in the making: its jobs with the numbers of their answers.
struct Group {
    key: BatchKey,
    queue: QueueName,
    jobs: Vec<Slotted>,
}

/// A job that is put by itself, the number of its answer, and the batch that will hold it.
struct Single {
    item: usize,
    key: BatchKey,
    job: NewJob,
}

impl ObjectStore {
    pub(super) async fn mint_ids(&self, places: &[Place]) -> Result<Vec<JobId>, StoreError> {
        let queues = self.queues_with(places).await?;
        // One reading for due times and stamps: an id whose two differ would not count as minted.
        let now = self.bounds().middle();
        let mut groups: Vec<(Line, u64, Vec<usize>)> = Vec::new();
        let mut last: HashMap<(Line, u64), usize> = HashMap::new();
        for (item, place) in places.iter().enumerate() {
            let Some(queue) = queues.get(&place.queue) else {
                return Err(restless(&Key::Queues));
            };
            let line = Line {
                queue: queue.code,
                shard: shard(queue.shards, self.token()),
                priority: place.priority,
            };
            let due = due_of(place.scheduled_at, now);
            let open = last
                .get(&(line, due))
                .and_then(|place| groups.get_mut(*place));
            match open.filter(|(.., items)| items.len() < JOBS_TOGETHER) {
                Some((.., items)) => items.push(item),
                None => {
                    last.insert((line, due), groups.len());
                    groups.push((line, due, vec![item]));
                }
            }
        }
        let mut ids: Vec<Option<JobId>> = vec![None; places.len()];
        for (line, due, items) in groups {
            let jobs = u16::try_from(items.len()).unwrap_or(BatchName::MAX_JOBS);
            let name = self.new_name(now, jobs);
            self.note_fresh(name);
            let (batch, mark) = (BatchKey { name, line, due }, self.mark);
            for (index, item) in (0..).zip(items) {
                if let Some(id) = ids.get_mut(item) {
                    *id = MintedId { batch, index, mark }.to_job_id();
                }
            }
        }
        Ok(ids.into_iter().flatten().collect())
    }

    pub(super) async fn enqueue_jobs(
        &self,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        let places: Vec<Place> = jobs.iter().map(NewJob::place).collect();
        let queues = self.queues_with(&places).await?;
        let mut answers: Vec<Option<Result<Enqueued, StoreError>>> = Vec::new();
        answers.resize_with(jobs.len(), || None);
        let mut groups: Vec<Group> = Vec::new();
        let mut met: HashSet<JobId> = HashSet::new();
        let mut single = Vec::new();
        // Named before anything is asked: what is put at once is in the order of the call.
        let now = self.bounds().middle();
        for (item, job) in jobs.into_iter().enumerate() {
            if let Err(error) = job.validate() {
                answer(&mut answers, item, Err(error.into()));
                continue;
            }
            let Some(queue) = queues.get(&job.queue) else {
                answer(&mut answers, item, Err(restless(&Key::Queues)));
                continue;
            };
            let minted = MintedId::read(&job.id, self.mark);
            let minted = minted.filter(|minted| is_of(minted, queue.code, &job));
            let is_first = met.insert(job.id.clone());
            match minted.filter(|_| job.unique_key.is_none() && is_first) {
                None => {
                    let key = self.single_key(&job, queue, now);
                    single.push(Single { item, key, job });
                }
                Some(minted) => {
                    let found = groups
                        .iter_mut()
                        .rev()
                        .find(|group| group.key == minted.batch);
                    let entry = (item, minted.index, job);
                    match found {
                        Some(group) => group.jobs.push(entry),
                        None => groups.push(Group {
                            key: minted.batch,
                            queue: entry.2.queue.clone(),
                            jobs: vec![entry],
                        }),
                    }
                }
            }
        }
        let batches = groups.into_iter().map(|group| self.enqueue_group(group));
        for told in all(self.tuning.parallel, batches.collect()).await {
            put_all(&mut answers, told);
        }
        for run in apart(single) {
            let jobs = run
                .into_iter()
                .map(|one| async move { (one.item, self.enqueue_single(one.job, one.key).await) });
            put_all(
                &mut answers,
                all(self.tuning.parallel, jobs.collect()).await,
            );
        }
        let missing = || StoreError::new(ErrorKind::Internal, "a job has no answer");
        let answers = answers.into_iter();
        Ok(answers
            .map(|answer| answer.unwrap_or_else(|| Err(missing())))
            .collect())
    }

    /// Stores the jobs of one batch; gives back the answers by their numbers.
    async fn enqueue_group(&self, group: Group) -> Vec<Numbered> {
        let items: Vec<(usize, u16, JobId)> = group
            .jobs
            .iter()
            .map(|(item, index, job)| (*item, *index, job.id.clone()))
            .collect();
        let placed = match self.pack(group.key, group.queue, group.jobs).await {
            Ok(batch) => {
                let is_fresh = self.take_fresh(group.key.name);
                let placed = self.place_batch(&batch, is_fresh).await;
                placed.map(|placed| (placed, batch.enqueued_at))
            }
            Err(error) => Err(error),
        };
        let told = |(item, index, id): (usize, u16, JobId)| {
            let told = match &placed {
                Ok((Placed::Created, at)) => Ok(Enqueued::Created { id, at: *at }),
                Ok((Placed::There(state), _)) => {
                    job_of(state, index).map_or_else(|| Err(left_out(&id)), |job| Ok(hit(&job)))
                }
                Ok((Placed::Never, _)) => Err(too_late(&id)),
                Err(error) => Err(StoreError::new(error.kind(), error.to_string())),
            };
            (item, told)
        };
        items.into_iter().map(told).collect()
    }

    /// A job that has a unique key or an id that the caller chose, or comes twice in a call.
    async fn enqueue_single(&self, job: NewJob, key: BatchKey) -> Result<Enqueued, StoreError> {
        // The id is asked first, unless nobody can have used it: it was named here, and not put. Of
        // a batch of several jobs, others may still be put together.
        let minted = MintedId::read(&job.id, self.mark).map(|minted| minted.batch.name);
        let is_new = minted.is_some_and(|name| match name.jobs() {
            1 => self.take_fresh(name),
            _ => self.is_fresh(name),
        });
        if !is_new && let Some(there) = self.get_job(&job.id).await? {
            return Ok(hit(&there));
        }
        let slotted = vec![(0, 0, job.clone())];
        let batch = self.pack(key, job.queue.clone(), slotted).await?;
        self.place_reserved(&batch, &job).await
    }

    /// A batch of this job alone.
    pub(super) async fn single_batch(&self, job: NewJob) -> Result<Arc<Batch>, StoreError> {
        let queues = self.queues_with(&[job.place()]).await?;
        let queue = queues
            .get(&job.queue)
            .ok_or_else(|| restless(&Key::Queues))?;
        let key = self.single_key(&job, queue, self.bounds().middle());
        self.pack(key, job.queue.clone(), vec![(0, 0, job)]).await
    }

    /// Where a job lies alone: under the name it was minted for, if that is for one job.
    fn single_key(&self, job: &NewJob, queue: &Queue, now: Timestamp) -> BatchKey {
        let minted = MintedId::read(&job.id, self.mark);
        let own =
            minted.filter(|minted| minted.batch.name.jobs() == 1 && is_of(minted, queue.code, job));
        own.map_or_else(
            || BatchKey {
                name: self.new_name(now, 1),
                line: Line {
                    queue: queue.code,
                    shard: shard(queue.shards, self.token()),
                    priority: job.priority,
                },
                due: due_of(job.scheduled_at, now),
            },
            |minted| minted.batch,
        )
    }

    /// A batch of these jobs. Args that are too long for it are stored before.
    pub(super) async fn pack(
        &self,
        key: BatchKey,
        queue: QueueName,
        jobs: Vec<Slotted>,
    ) -> Result<Arc<Batch>, StoreError> {
        let now = self.bounds().middle();
        let mut batch = Batch::new(key, self.mark, queue, now);
        batch.writer = self.token();
        let mut together = 0;
        for (_, index, job) in jobs {
            let has = job.args.len();
            let is_long = has > Batch::MAX_ARGS_WITHIN || together + has > Batch::MAX_ARGS_TOGETHER;
            let token = match is_long {
                true => Some(self.put_args(key.name, index, job.args.clone()).await?),
                false => None,
            };
            together += if is_long { 0 } else { has };
            batch.put(index, job, token);
        }
        Ok(Arc::new(batch))
    }

    pub(super) async fn put_args(
        &self,
        batch: BatchName,
        index: u16,
        args: Bytes,
    ) -> Result<u64, StoreError> {
        let key = |token| Key::Args {
            batch,
            index,
            token,
        };
        self.put_part(&args, key).await
    }

    /// Puts a batch. One that is not `fresh` may have been put before, by this call's like.
    pub(super) async fn place_batch(
        &self,
        batch: &Arc<Batch>,
        fresh: bool,
    ) -> Result<Placed, StoreError> {
        let (name, at, key) = (batch.key.name, At::batch(batch.key), Key::Batch(batch.key));
        let bytes = batch.encode().map_err(|error| error.of(&key))?;
        let mut look = !fresh;
        for _ in 0..Self::TRIES {
            let now = self.bounds();
            if look && let Some(state) = self.load(at).await? {
                return Ok(self.judge_placed(batch, state));
            }
            let now = match Mutation::LateLook(Judged::Batch).is_on() {
                true => self.bounds(),
                false => now,
            };
            if !name.may_be_written(now.most) {
                // Another may have put it long ago, and it may be over.
                if !look {
                    look = true;
                    continue;
                }
                return match presence(name, None, None, now.least) {
                    Presence::Never => Ok(Placed::Never),
                    Presence::There | Presence::NotYet => Err(undecided(batch)),
                };
            }
            let landing = self.objects.create(&key.to_string(), bytes.clone()).await?;
            look = true;
            // An answer that came too late proves nothing: the batch may be void.
            let is_late = !name.may_be_written(self.bounds().most)
                && !Mutation::LateLook(Judged::Landed).is_on();
            if landing.is_ours(Made::Batch) && !is_late {
                self.remember_placed(batch, now.most);
                return Ok(Placed::Created);
            }
        }
        Err(undecided(batch))
    }

    /// Remembers a batch that was put, so that jobs are claimed from it without a listing. A process
    /// that never claims has no use for that.
    fn remember_placed(&self, batch: &Arc<Batch>, now: Timestamp) {
        if self.last_worker().is_none() {
            return;
        }
        let cell = self.cells.of(batch.key.name);
        if cell.known().is_none() {
            cell.learn(Some(State::Waiting(Arc::clone(batch))));
        }
        self.lines.add(Key::Batch(batch.key), now);
    }

    fn judge_placed(&self, batch: &Batch, state: State) -> Placed {
        match state.batch().writer == batch.writer {
            true => Placed::Created,
            false => Placed::There(Box::new(state)),
        }
    }
}

/// One of a queue's shards.
pub(super) fn shard(shards: u16, random: u64) -> u16 {
    let shard = random % u64::from(shards.max(1));
    u16::try_from(shard).unwrap_or(0)
}

/// The due time of a place: that of a job that is to run at once is when it was minted.
fn due_of(scheduled_at: Option<Timestamp>, now: Timestamp) -> u64 {
    BatchKey::due_millis(scheduled_at.map_or(now, |at| at.max(now)))
}

/// Whether an id was minted for the place of this job.
fn is_of(minted: &MintedId, queue: u32, job: &NewJob) -> bool {
    let BatchKey { name, line, due } = minted.batch;
    line.queue == queue
        && line.priority == job.priority
        && due == due_of(job.scheduled_at, name.stamp())
}

/// A job as it is, without args that lie elsewhere.
pub(super) fn job_of(state: &State, index: u16) -> Option<Job> {
    match state {
        State::Waiting(batch) => batch.job(index).map(|stored| stored.job.clone()),
        State::Ledger(seen) => Draft::of(seen.ledger.clone(), Arc::clone(&seen.batch)).job(index),
    }
}

pub(super) fn span_of(job: &Job) -> Option<SpanContext> {
    job.trace.context().and_then(Result::ok)
}

pub(super) fn hit(job: &Job) -> Enqueued {
    Enqueued::Hit {
        id: job.id.clone(),
        span: span_of(job),
    }
}

/// The jobs, which are put one by one, in runs within which none meets another: no two of a run have
/// one id, or one unique key of a queue.
fn apart(jobs: Vec<Single>) -> Vec<Vec<Single>> {
    let mut runs: Vec<Vec<Single>> = Vec::new();
    let (mut ids, mut keys) = (HashSet::new(), HashSet::new());
    for one in jobs {
        let job = &one.job;
        let key = job.unique_key.as_ref();
        let key = key.map(|unique| (job.queue.clone(), unique.key.clone()));
        let meets = ids.contains(&job.id) || key.as_ref().is_some_and(|key| keys.contains(key));
        if meets {
            ids.clear();
            keys.clear();
        }
        ids.insert(job.id.clone());
        keys.extend(key);
        match runs.last_mut().filter(|_| !meets) {
            Some(run) => run.push(one),
            None => runs.push(vec![one]),
        }
    }
    runs
}

fn put_all<T>(answers: &mut [Option<T>], told: Vec<(usize, T)>) {
    for (item, told) in told {
        answer(answers, item, told);
    }
}

fn answer<T>(answers: &mut [Option<T>], item: usize, told: T) {
    if let Some(slot) = answers.get_mut(item) {
        *slot = Some(told);
    }
}

fn undecided(batch: &Batch) -> StoreError {
    let first = batch.jobs.iter().flatten().next();
    let first = first.map_or("no job", |stored| stored.job.id.as_str());
    StoreError::new(
        ErrorKind::Unavailable,
        format!(
            "nobody can say whether the jobs from {first} on were enqueued: enqueue them again with the ids they have"
        ),
    )
}

fn too_late(id: &JobId) -> StoreError {
    StoreError::new(
        ErrorKind::Invalid,
        format!(
            "the id {id} was minted more than an hour ago, and its job is not there: mint a new one"
        ),
    )
}

fn left_out(id: &JobId) -> StoreError {
    StoreError::new(
        ErrorKind::Invalid,
        format!(
            "the job {id} was left out when the others of its batch were enqueued: mint a new id for it"
        ),
    )
}
