//! Jobs that come from another store: those that come one after the other lie in a ledger of their own,
//! which is created with them, so that either all of them are there or none.
//!
//! Their ids are of another store, so each is reserved before. A reservation names the ledger; should
//! whoever writes that vanish, the next who brings the job bars the ledger, by an empty one in its
//! place, and takes the reservation over.

mod names;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use longshore_core::{
    ErrorKind, Imported, Job, JobId, NewJob, Place, QueueName, StoreError, Timestamp,
};

use super::attempts::MAX_RESULT_WITHIN;
use super::enqueue::shard;
use super::load::{At, Seen, State};
use super::parallel::all;
use super::{ObjectStore, restless};
use crate::batch::Batch;
use crate::batch_key::{BatchKey, BatchName, Line};
use crate::job_row::JobRow;
use crate::key::{Key, PointerKey};
use crate::ledger::{Ledger, Standing};
use crate::mutation::{Judged, Made, Mutation};
use crate::objects::Landing;

/// As many bytes of args, checkpoints and attempts are enough for a ledger.
const BYTES_TOGETHER: usize = 1 << 20;
/// How often jobs are brought under another name, since another call had barred the one they had.
const NAMES: usize = 5;

/// A job that can be brought: the number of its answer, and the call that would have enqueued it.
struct Incoming {
    item: usize,
    job: Job,
    new: NewJob,
}

/// Jobs that will share a ledger.
struct Group {
    line: Line,
    queue: QueueName,
    /// The due time of its entry, if a job waits.
    due: Option<u64>,
    bytes: usize,
    /// Its job has a unique key, and stays alone.
    is_alone: bool,
    jobs: Vec<Incoming>,
}

type Answer = Result<Imported, StoreError>;

impl ObjectStore {
    pub(super) async fn import_jobs(&self, jobs: Vec<Job>) -> Result<Vec<Answer>, StoreError> {
        let mut answers: Vec<Option<Answer>> = Vec::new();
        answers.resize_with(jobs.len(), || None);
        let mut rest = Vec::new();
        for (item, job) in jobs.into_iter().enumerate() {
            match job.check_import() {
                Ok(new) => rest.push(Incoming { item, job, new }),
                Err(error) => put(&mut answers, item, Err(error)),
            }
        }
        // What comes twice is brought twice, so that the second one meets the first.
        while !rest.is_empty() {
            let mut met: HashSet<JobId> = HashSet::new();
            let (first, again) = rest
                .into_iter()
                .partition(|incoming| met.insert(incoming.job.id.clone()));
            for group in self.groups(first).await? {
                let told = self.bring(&group).await;
                answer(&mut answers, &group, told);
            }
            rest = again;
        }
        let missing = || StoreError::new(ErrorKind::Internal, "a job has no answer");
        let answers = answers.into_iter();
        Ok(answers
            .map(|answer| answer.unwrap_or_else(|| Err(missing())))
            .collect())
    }

    /// Jobs in the order of the call, as many together as may be: the names of their ledgers are in the
    /// order of listings, so nothing stands between two of them.
    async fn groups(&self, jobs: Vec<Incoming>) -> Result<Vec<Group>, StoreError> {
        let places: Vec<Place> = jobs.iter().map(|incoming| incoming.new.place()).collect();
        let queues = self.queues_with(&places).await?;
        let mut groups: Vec<Group> = Vec::new();
        let mut ties: HashMap<(u32, Timestamp), u64> = HashMap::new();
        for incoming in jobs {
            let job = &incoming.job;
            let queue = queues.get(&job.queue);
            let queue = queue.ok_or_else(|| restless(&Key::Queues))?;
            let due = (!job.state.is_final()).then(|| BatchKey::due_millis(job.available_at));
            let tied = (queue.code, job.available_at);
            let open = groups.last_mut().filter(|group| {
                group.jobs.len() < self.tuning.together
                    && group.has_room_for(job)
                    && group.keeps_order(due, ties.get(&tied).copied())
            });
            let group = match open {
                Some(group) => group,
                None => {
                    groups.push(Group {
                        line: Line {
                            queue: queue.code,
                            shard: shard(queue.shards, self.token()),
                            priority: job.priority,
                        },
                        queue: job.queue.clone(),
                        due: None,
                        bytes: 0,
                        is_alone: job.unique_key.is_some(),
                        jobs: Vec::new(),
                    });
                    let Some(group) = groups.last_mut() else {
                        return Err(restless(&Key::Queues));
                    };
                    group
                }
            };
            group.due = group.due.or(due);
            group.bytes += bytes_of(job);
            if let (Some(_), Some(entry)) = (due, group.due) {
                let tie = ties.entry(tied).or_default();
                *tie = entry.max(*tie);
            }
            group.jobs.push(incoming);
        }
        Ok(groups)
    }

    /// Brings the jobs of a group; gives back the answer for each.
    async fn bring(&self, group: &Group) -> Result<Vec<Answer>, StoreError> {
        for _ in 0..NAMES {
            let jobs = u16::try_from(group.jobs.len()).unwrap_or(BatchName::MAX_JOBS);
            let now = self.bounds().middle();
            let key = BatchKey {
                name: self.new_name(now, jobs),
                line: group.line,
                due: group.due.unwrap_or_else(|| BatchKey::due_millis(now)),
            };
            if let Some(answers) = self.bring_as(key, group).await? {
                return Ok(answers);
            }
        }
        let line = group.line;
        Err(StoreError::new(
            ErrorKind::Unavailable,
            format!("another call brings the same jobs of line {line}: let one of them end"),
        ))
    }

    /// The same under a name; `None` if that cannot be used any more.
    async fn bring_as(
        &self,
        key: BatchKey,
        group: &Group,
    ) -> Result<Option<Vec<Answer>>, StoreError> {
        let takes = (0..).zip(&group.jobs);
        let takes = takes.map(|(index, incoming)| self.take_names(key, index, incoming));
        let mut taken = all(self.tuning.parallel, takes.collect()).await;
        let mine: Vec<bool> = taken
            .iter()
            .map(|taken| matches!(taken, Ok(Imported::Stored)))
            .collect();
        if mine.contains(&true) {
            let ledger = self.ledger_with(key, group, &mine).await?;
            if !self.place_brought(ledger).await? {
                return Ok(None);
            }
        }
        Ok(Some(std::mem::take(&mut taken)))
    }

    /// The ledger of those jobs of a group that are to be written; long args and results are stored.
    async fn ledger_with(
        &self,
        key: BatchKey,
        group: &Group,
        mine: &[bool],
    ) -> Result<Ledger, StoreError> {
        let now = self.bounds().middle();
        let mut batch = Batch::new(key, self.mark, group.queue.clone(), now);
        batch.writer = self.token();
        let mut ledger = Ledger::blank(key, self.token());
        (ledger.generation, ledger.brought) = (1, true);
        ledger.standings = vec![Standing::Absent; group.jobs.len()];
        let jobs = (0..).zip(&group.jobs).zip(mine).zip(&mut ledger.standings);
        for (((index, incoming), mine), standing) in jobs {
            if !mine {
                continue;
            }
            let mut job = incoming.job.clone();
            job.state = job.state_when_imported(now);
            let mut new = incoming.new.clone();
            let is_long = job.args.len() > Batch::MAX_ARGS_WITHIN;
            let mut args_token = None;
            if is_long {
                args_token = Some(self.put_args(key.name, index, job.args.clone()).await?);
                (job.args, new.args) = Default::default();
            }
            batch.put_brought(index, new, job.enqueued_at, args_token);
            let long = job
                .result
                .take_if(|result| result.len() > MAX_RESULT_WITHIN);
            let result_token = match &long {
                Some(result) => {
                    let key = |token| Key::Outcome {
                        batch: key.name,
                        index,
                        token,
                    };
                    Some(self.put_part(result, key).await?)
                }
                None => None,
            };
            let Some(stored) = batch.job(index) else {
                continue;
            };
            *standing = match job == stored.job && job.trace.keep.is_none() {
                true => Standing::AsEnqueued,
                false => {
                    let mut row = JobRow::of(&job, stored, None);
                    row.result_token = result_token;
                    Standing::Changed(Box::new(row))
                }
            };
        }
        ledger.carried = Some(Arc::new(batch));
        Ok(ledger)
    }

    /// Creates an entry, if a job is to wait, and the ledger that it leads to; `false` if the name
    /// cannot be used any more.
    async fn place_brought(&self, mut ledger: Ledger) -> Result<bool, StoreError> {
        let Some(batch) = ledger.carried.clone() else {
            return Ok(true);
        };
        let at = At::batch(ledger.key);
        let draft = crate::Draft::of(ledger.clone(), Arc::clone(&batch));
        let first = draft.unfinished().map(|(_, job)| job.available_at).min();
        if let Some(due) = first.map(BatchKey::due_millis) {
            ledger.entry = Some(self.lead_to(ledger.key, due).await?);
        }
        let (key, name) = (at.ledger(), at.name);
        let bytes = ledger.encode().map_err(|error| error.of(&key))?;
        for tried in 0..Self::TRIES {
            let now = self.bounds();
            if !name.may_be_written(now.most) {
                // A try that landed after all may be over and pruned by now.
                return if tried == 0 {
                    Ok(false)
                } else {
                    Err(undecided(&batch))
                };
            }
            let landing = self.objects.create(&key.to_string(), bytes.clone()).await?;
            let is_taken = landing == Landing::Refused && landing.is_ours(Made::Brought);
            if is_taken {
                return Ok(true);
            }
            let is_late = !name.may_be_written(self.bounds().most)
                && !Mutation::LateLook(Judged::Brought).is_on();
            if let Landing::Landed(version) = landing
                && !is_late
            {
                self.remember_brought(Seen {
                    ledger,
                    version,
                    batch,
                    at: now.least,
                });
                return Ok(true);
            }
            // Nobody else creates one with jobs under this name; one that bars it has none.
            if let Some((there, _, modified)) = self.get_ledger(at).await? {
                return match there.is_void(modified) {
                    // Another try may have come in time, and be over and pruned.
                    true if tried > 0 => Err(undecided(&batch)),
                    is_void => Ok(there.brought && !is_void),
                };
            }
        }
        Err(restless(&key))
    }

    /// Creates the entry that leads to a ledger of this name.
    async fn lead_to(&self, key: BatchKey, due: u64) -> Result<PointerKey, StoreError> {
        for _ in 0..Self::TRIES {
            let pointer = PointerKey {
                batch: key.name,
                line: key.line,
                due,
                generation: 1,
                token: self.token(),
            };
            let entry = Key::Pointer(pointer);
            let created = self
                .objects
                .create(&entry.to_string(), bytes::Bytes::new())
                .await?;
            // One of which nobody knows is never named.
            if let Landing::Landed(_) = created {
                return Ok(pointer);
            }
        }
        Err(restless(&Key::Batch(key)))
    }

    /// So that a process that works too claims them without a listing.
    fn remember_brought(&self, seen: Seen) {
        if self.last_worker().is_none() {
            return;
        }
        let (name, entry) = (seen.ledger.key.name, seen.ledger.entry);
        self.cells
            .of(name)
            .learn(Some(State::Ledger(Arc::new(seen))));
        if let Some(entry) = entry {
            self.lines.add(Key::Pointer(entry), self.bounds().most);
        }
    }
}

impl Group {
    fn has_room_for(&self, job: &Job) -> bool {
        let is_alike = self.queue == job.queue && self.line.priority == job.priority;
        is_alike
            && !self.is_alone
            && job.unique_key.is_none()
            && self.bytes + bytes_of(job) <= BYTES_TOGETHER
    }

    /// Whether a job that is due then, and comes last, stays behind those of the call that are due at
    /// the same time. Those of the entry that is due first go first; `tied` is that of the last of
    /// them.
    fn keeps_order(&self, due: Option<u64>, tied: Option<u64>) -> bool {
        match (due, self.due) {
            (None, _) | (Some(_), None) => true,
            (Some(due), Some(entry)) => due >= entry && tied.is_none_or(|tied| tied <= entry),
        }
    }
}

/// How many bytes of a ledger a job takes, roughly.
fn bytes_of(job: &Job) -> usize {
    let args = Some(job.args.len()).filter(|args| *args <= Batch::MAX_ARGS_WITHIN);
    let result = job.result.as_ref().map(bytes::Bytes::len);
    let result = result.filter(|result| *result <= MAX_RESULT_WITHIN);
    let checkpoint = job.checkpoint.as_ref().map(bytes::Bytes::len);
    let errors = job
        .history
        .iter()
        .filter_map(|record| record.error.as_ref());
    let errors = errors.map(|error| error.message.len()).sum();
    let parts = [args, result, checkpoint, Some(errors)];
    parts.into_iter().flatten().sum()
}

fn undecided(batch: &Batch) -> StoreError {
    let first = batch.jobs.iter().flatten().next();
    let first = first.map_or("no job", |stored| stored.job.id.as_str());
    StoreError::new(
        ErrorKind::Unavailable,
        format!("nobody can say whether the jobs from {first} on were brought: bring them again"),
    )
}

/// Notes what became of a group, or of each of its jobs.
fn answer(answers: &mut [Option<Answer>], group: &Group, told: Result<Vec<Answer>, StoreError>) {
    let items = group.jobs.iter().map(|incoming| incoming.item);
    match told {
        Ok(told) => {
            for (item, told) in items.zip(told) {
                put(answers, item, told);
            }
        }
        Err(error) => {
            for item in items {
                let error = StoreError::new(error.kind(), error.to_string());
                put(answers, item, Err(error));
            }
        }
    }
}

fn put(answers: &mut [Option<Answer>], item: usize, answer: Answer) {
    if let Some(slot) = answers.get_mut(item) {
        *slot = Some(answer);
    }
}
