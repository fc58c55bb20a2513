//! A batch: jobs that were enqueued together, as they were enqueued. It never changes.

use std::time::Duration;

use bytes::Bytes;
use longshore_core::{
    Job, JobId, NewJob, OnConflict, QueueName, Timestamp, TraceEnvelope, UniqueKey, UniqueScope,
};

use crate::batch_key::{BatchKey, BatchName, Line};
use crate::format::{Format, FormatError};
use crate::message::{BatchMessage, JobMessage, KeyMessage, SlotMessage, UniqueMessage};
use crate::minted_id::{MintedId, StoreMark};

/// A job as a batch has it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredJob {
    /// The job as it was enqueued.
    pub job: Job,
    /// If its args lie in an object of their own, and `job` has none, the token in that key.
    pub args_token: Option<u64>,
    /// What is to happen if another job has its unique key.
    pub on_conflict: OnConflict,
}

/// Jobs of one queue, priority and due time that were enqueued together.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Where it waits; the keys of its objects follow from it.
    pub key: BatchKey,
    /// The mark of the store that minted the ids.
    pub mark: StoreMark,
    /// The name of the queue.
    pub queue: QueueName,
    /// When the jobs were enqueued.
    pub enqueued_at: Timestamp,
    /// Random: tells whoever wrote the batch from whoever wrote another under its name.
    pub writer: u64,
    /// The batch of the job that these follow.
    pub origin: Option<BatchKey>,
    /// As many as the batch's name says. One that was left out is `None`.
    pub jobs: Vec<Option<StoredJob>>,
}

impl Batch {
    /// Longest args of a job, in bytes, that lie in its batch: 64 KiB.
    pub const MAX_ARGS_WITHIN: usize = 64 << 10;
    /// Most bytes of the args of a batch together: 1 MiB. A batch ends before the job that would
    /// take it beyond.
    pub const MAX_ARGS_TOGETHER: usize = 1 << 20;

    /// A batch without its jobs.
    #[must_use]
    pub fn new(key: BatchKey, mark: StoreMark, queue: QueueName, enqueued_at: Timestamp) -> Self {
        Self {
            key,
            mark,
            queue,
            enqueued_at,
            writer: 0,
            origin: None,
            jobs: vec![None; usize::from(key.name.jobs())],
        }
    }

    /// Puts a new job into its slot; `false` if the batch has none for it. `args_token` says that
    /// its args lie elsewhere.
    pub fn put(&mut self, index: u16, new: NewJob, args_token: Option<u64>) -> bool {
        self.put_brought(index, new, self.enqueued_at, args_token)
    }

    /// The same for a job that was enqueued at another time, since it comes from another store.
    pub fn put_brought(
        &mut self,
        index: u16,
        new: NewJob,
        enqueued_at: Timestamp,
        args_token: Option<u64>,
    ) -> bool {
        let Some(slot) = self.jobs.get_mut(usize::from(index)) else {
            return false;
        };
        let on_conflict = new.on_conflict;
        let mut job = Job::from_new(new, enqueued_at);
        if args_token.is_some() {
            job.args = Bytes::new();
        }
        *slot = Some(StoredJob {
            job,
            args_token,
            on_conflict,
        });
        true
    }

    /// The job of this index as it would be handed in again.
    #[must_use]
    pub fn new_job(&self, index: u16) -> Option<NewJob> {
        let StoredJob {
            job, on_conflict, ..
        } = self.job(index)?;
        let (kind, args) = (job.kind.clone(), job.args.clone());
        let mut new = NewJob::new(job.id.clone(), job.queue.clone(), kind, args);
        new.priority = job.priority;
        new.scheduled_at = Some(job.available_at).filter(|due| *due != job.enqueued_at);
        new.unique_key.clone_from(&job.unique_key);
        new.on_conflict = *on_conflict;
        Some(new)
    }

    /// The job of this index.
    #[must_use]
    pub fn job(&self, index: u16) -> Option<&StoredJob> {
        self.jobs.get(usize::from(index))?.as_ref()
    }

    /// The object.
    ///
    /// # Errors
    /// The batch is too long.
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        Format::BATCH.seal(&self.to_message())
    }

    /// Reads an object.
    ///
    /// # Errors
    /// It is none, a newer one, or damaged.
    pub fn decode(bytes: &Bytes) -> Result<Self, FormatError> {
        Self::from_message(Format::BATCH.open(bytes)?)
    }

    pub(crate) fn to_message(&self) -> BatchMessage {
        let slots = self.jobs.iter().enumerate().map(|(index, stored)| {
            let own_id = self.minted(index);
            let message = |stored: &StoredJob| {
                let at = stored.job.enqueued_at;
                Box::new(JobMessage {
                    enqueued_at: (at != self.enqueued_at).then(|| at.unix_nanos()),
                    ..job_message(stored, own_id.as_ref())
                })
            };
            let job = stored.as_ref().map(message);
            SlotMessage { job }
        });
        BatchMessage {
            key: key_message(&self.key),
            mark: self.mark.get(),
            queue: self.queue.as_str().to_owned(),
            enqueued_at: self.enqueued_at.unix_nanos(),
            origin: self.origin.as_ref().map(key_message),
            slots: slots.collect(),
            writer: self.writer,
        }
    }

    pub(crate) fn from_message(message: BatchMessage) -> Result<Self, FormatError> {
        let key = key_from(&message.key)?;
        let queue = message.queue.parse();
        let queue = queue.map_err(|_ignored| FormatError::damaged("the queue has no name"))?;
        let mark = StoreMark::from_bits(message.mark);
        let enqueued_at = Timestamp::from_unix_nanos(message.enqueued_at);
        let mut batch = Self::new(key, mark, queue, enqueued_at);
        batch.writer = message.writer;
        batch.origin = message.origin.as_ref().map(key_from).transpose()?;
        if message.slots.len() != batch.jobs.len() {
            return Err(FormatError::damaged("the number of jobs is not the name's"));
        }
        for (index, slot) in message.slots.into_iter().enumerate() {
            let Some(message) = slot.job else {
                continue;
            };
            let stored = batch.job_from(index, *message)?;
            if let Some(slot) = batch.jobs.get_mut(index) {
                *slot = Some(stored);
            }
        }
        Ok(batch)
    }

    /// Gives jobs that had the ids of the batch `old` those of this one.
    pub(crate) fn rename_minted(&mut self, old: &Self) {
        for index in 0..self.jobs.len() {
            let (before, after) = (old.minted(index), self.minted(index));
            let stored = self.jobs.get_mut(index).and_then(Option::as_mut);
            if let (Some(stored), Some(after)) = (stored, after)
                && Some(&stored.job.id) == before.as_ref()
            {
                if stored.job.correlation_id == stored.job.id.as_str() {
                    stored.job.correlation_id = after.as_str().to_owned();
                }
                stored.job.id = after;
            }
        }
    }

    /// The id that was minted for a slot.
    fn minted(&self, index: usize) -> Option<JobId> {
        let index = u16::try_from(index).ok()?;
        let (batch, mark) = (self.key, self.mark);
        MintedId { batch, index, mark }.to_job_id()
    }

    fn job_from(&self, index: usize, message: JobMessage) -> Result<StoredJob, FormatError> {
        let bad = |what: &str| FormatError::damaged(format!("job {index} has no {what}"));
        let id = match message.id.is_empty() {
            true => self.minted(index).ok_or_else(|| bad("id"))?,
            false => message.id.parse().map_err(|_ignored| bad("id"))?,
        };
        let kind = message.kind.parse().map_err(|_ignored| bad("kind"))?;
        let trace: TraceEnvelope =
            serde_json::from_slice(&message.trace).map_err(|_ignored| bad("trace part"))?;
        let unique = message.unique.map(|unique| unique_from(*unique));
        let enqueued_at = message.enqueued_at.map(Timestamp::from_unix_nanos);
        let enqueued_at = enqueued_at.unwrap_or(self.enqueued_at);
        let mut new = NewJob::new(id, self.queue.clone(), kind, message.args);
        new.priority = self.key.line.priority;
        new.scheduled_at = message.due.map(Timestamp::from_unix_nanos);
        new.max_attempts = message.max_attempts;
        new.timeout = message.timeout.map(Duration::from_nanos);
        new.unique_key = unique.transpose()?;
        new.tags = message.tags;
        new.metadata = message.metadata;
        new.correlation_id = message.correlation_id;
        new.parent_correlation_id = message.parent_correlation_id;
        new.tenant_id = message.tenant_id;
        new.namespace = message.namespace;
        new.trace = trace;
        let on_conflict = at(message.on_conflict).ok_or_else(|| bad("known wish on conflict"))?;
        Ok(StoredJob {
            job: Job::from_new(new, enqueued_at),
            args_token: message.args_token,
            on_conflict,
        })
    }
}

fn job_message(stored: &StoredJob, minted: Option<&JobId>) -> JobMessage {
    let StoredJob {
        job,
        args_token,
        on_conflict,
    } = stored;
    let id = match minted == Some(&job.id) {
        true => String::new(),
        false => job.id.as_str().to_owned(),
    };
    let own = job.correlation_id == job.id.as_str();
    let due = Some(job.available_at).filter(|due| *due != job.enqueued_at);
    JobMessage {
        id,
        kind: job.kind.as_str().to_owned(),
        args: job.args.clone(),
        args_token: *args_token,
        due: due.map(Timestamp::unix_nanos),
        max_attempts: job.max_attempts,
        timeout: job.timeout.map(nanos),
        unique: job.unique_key.as_ref().map(unique_message).map(Box::new),
        tags: job.tags.clone(),
        metadata: job.metadata.clone(),
        correlation_id: (!own).then(|| job.correlation_id.clone()),
        parent_correlation_id: job.parent_correlation_id.clone(),
        tenant_id: job.tenant_id.clone(),
        namespace: job.namespace.clone(),
        // Strings and numbers always have a form in JSON.
        trace: serde_json::to_vec(&job.trace).unwrap_or_default().into(),
        on_conflict: match on_conflict {
            OnConflict::Reject => 0,
            OnConflict::Keep => 1,
            OnConflict::Replace { priority } => 2 + u32::from(*priority),
        },
        enqueued_at: None,
    }
}

/// The wish with this number.
const fn at(number: u32) -> Option<OnConflict> {
    match number {
        0 => Some(OnConflict::Reject),
        1 => Some(OnConflict::Keep),
        2 => Some(OnConflict::Replace { priority: false }),
        3 => Some(OnConflict::Replace { priority: true }),
        _ => None,
    }
}

/// A duration in nanoseconds; one beyond 584 years is cut there.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn unique_message(unique: &UniqueKey) -> UniqueMessage {
    let (scope, window) = match unique.scope {
        UniqueScope::Unfinished => (0, 0),
        UniqueScope::Waiting => (1, 0),
        UniqueScope::Window(window) => (2, nanos(window)),
    };
    UniqueMessage {
        key: unique.key.clone(),
        hash: unique.hash,
        scope,
        window,
    }
}

fn unique_from(message: UniqueMessage) -> Result<UniqueKey, FormatError> {
    let scope = match message.scope {
        0 => UniqueScope::Unfinished,
        1 => UniqueScope::Waiting,
        2 => UniqueScope::Window(Duration::from_nanos(message.window)),
        _ => return Err(FormatError::damaged("a unique key of unknown scope")),
    };
    let (key, hash) = (message.key, message.hash);
    Ok(UniqueKey { key, hash, scope })
}

pub(crate) fn key_message(key: &BatchKey) -> KeyMessage {
    KeyMessage {
        uuid: Bytes::copy_from_slice(&key.name.uuid().to_be_bytes()),
        jobs: key.name.jobs().into(),
        queue: key.line.queue,
        shard: key.line.shard.into(),
        priority: key.line.priority.get().into(),
        due: key.due,
    }
}

pub(crate) fn key_from(message: &KeyMessage) -> Result<BatchKey, FormatError> {
    let read = || {
        let uuid = u128::from_be_bytes(message.uuid.as_ref().try_into().ok()?);
        let priority = u8::try_from(message.priority).ok()?;
        let line = Line {
            queue: message.queue,
            shard: message.shard.try_into().ok()?,
            priority: priority.try_into().ok()?,
        };
        let name = BatchName::new(uuid, message.jobs.try_into().ok()?)?;
        let due = Some(message.due).filter(|due| *due <= BatchKey::MAX_DUE)?;
        Some(BatchKey { name, line, due })
    };
    read().ok_or_else(|| FormatError::damaged("the place of a batch cannot be read"))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::batch_key::tests::batch_keys;

    /// A job with every field set from a few numbers, or with none.
    pub(crate) fn new_job(batch: &Batch, index: u16, bits: u32) -> NewJob {
        let id = match bits & 1 {
            0 => batch.minted(index.into()).unwrap(),
            _ => format!("chosen-{index}").parse().unwrap(),
        };
        let args = Bytes::from(vec![0xff; (bits >> 8) as usize % 300]);
        let kind = "check".parse().unwrap();
        let mut new = NewJob::new(id, batch.queue.clone(), kind, args);
        new.priority = batch.key.line.priority;
        let has = |bit: u32| bits >> bit & 1 == 1;
        let text = |bit: u32| has(bit).then(|| format!("text-{bits}"));
        new.scheduled_at = has(1).then(|| {
            batch
                .enqueued_at
                .after(Duration::from_nanos(u64::from(bits)))
        });
        new.timeout = has(2).then(|| Duration::from_nanos(u64::from(bits) + 1));
        new.unique_key = has(3).then(|| {
            let scope = match (has(4), has(5)) {
                (false, false) => UniqueScope::Unfinished,
                (true, false) => UniqueScope::Waiting,
                (_, true) => UniqueScope::Window(Duration::from_secs(u64::from(bits))),
            };
            UniqueKey::new("key", &new.kind, &new.args).with_scope(scope)
        });
        new.tags = text(6).into_iter().collect();
        new.metadata = text(7)
            .into_iter()
            .map(|text| (text, "value".to_owned()))
            .collect();
        new.correlation_id = text(8);
        new.parent_correlation_id = text(9);
        new.tenant_id = text(10);
        new.namespace = text(11);
        new.trace.traceparent = text(12);
        new.on_conflict = at(bits >> 13 & 3).unwrap();
        new.trace.batch_size = bits;
        new
    }

    prop_compose! {
        pub(crate) fn batches()(
            key in batch_keys(), mark: u32, nanos in 0..i64::MAX / 2, from in prop::option::of(batch_keys()),
            bits in prop::collection::vec(prop::option::of(any::<u32>()), 1..5),
        ) -> Batch {
            let jobs = u16::try_from(bits.len()).unwrap();
            let name = BatchName::new(key.name.uuid(), jobs).unwrap();
            let (key, mark) = (BatchKey { name, ..key }, StoreMark::from_bits(mark));
            let enqueued_at = Timestamp::from_unix_nanos(nanos);
            let mut batch = Batch::new(key, mark, "q".parse().unwrap(), enqueued_at);
            batch.origin = from;
            batch.writer = u64::from(mark.get());
            for (index, bits) in (0..).zip(bits) {
                if let Some(bits) = bits {
                    let new = new_job(&batch, index, bits);
                    let token = (bits & 4 == 4).then(|| u64::from(bits));
                    assert!(batch.put(index, new, token));
                }
            }
            batch
        }
    }

    proptest! {
        #[test]
        fn a_batch_is_read_as_written(batch in batches()) {
            let bytes = batch.encode().unwrap();
            prop_assert_eq!(Batch::decode(&bytes), Ok(batch));
        }

        #[test]
        fn a_damaged_batch_is_an_error_or_another_batch(batch in batches(), at: usize, with: u8) {
            let mut bytes = batch.encode().unwrap().to_vec();
            let at = at % bytes.len();
            bytes[at] = with;
            if let Ok(read) = Batch::decode(&Bytes::from(bytes)) {
                prop_assert_eq!(read.jobs.len(), usize::from(read.key.name.jobs()));
            }
        }
    }

    #[test]
    fn there_is_a_slot_for_every_job_and_no_more() {
        let key = BatchKey {
            name: BatchName::new(0x01a1_ff9c_8155_7ed0_84b4_efd9_65fd_1388, 2).unwrap(),
            line: Line::read("7", "0", "2").unwrap(),
            due: 5,
        };
        let mark = StoreMark::from_bits(1);
        let mut batch = Batch::new(key, mark, "q".parse().unwrap(), Timestamp::UNIX_EPOCH);
        let new = new_job(&batch, 1, 0);
        assert!(batch.put(1, new.clone(), None));
        assert!(!batch.put(2, new, None));
        assert!(batch.job(0).is_none() && batch.job(1).is_some() && batch.job(2).is_none());
    }
}
