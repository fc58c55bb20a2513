//! A ledger: what became of the jobs of one batch.

use std::sync::Arc;

use bytes::Bytes;
use longshore_core::Timestamp;

use crate::batch::{Batch, key_from, key_message};
use crate::batch_key::{BatchKey, Line};
use crate::format::{Format, FormatError};
use crate::job_row::JobRow;
use crate::key::{Key, PointerKey};
use crate::message::{LedgerMessage, OutgoingMessage, PointerMessage};
use crate::row_message::{Workers, standing_from, standing_message};

/// How a job of a batch stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// As it was enqueued, if it was not left out of its batch.
    AsEnqueued,
    /// It was left out of its batch: there is no such job.
    Absent,
    /// It was claimed, cancelled or replaced.
    Changed(Box<JobRow>),
}

/// Jobs that a settle named to follow.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// Their batch.
    pub key: BatchKey,
    /// The batch itself, until it is known to be there.
    pub batch: Option<Arc<Batch>>,
}

/// What became of the jobs of one batch. Made by the first claim, then rewritten, each time on the
/// version that was read; of two who rewrite one version, one wins.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger {
    /// Its batch.
    pub key: BatchKey,
    /// Counts up with every write, from 0. A ledger of generation 0 proves nothing: it may have been
    /// made after its batch had gone.
    pub generation: u64,
    /// Random at every write, so that no two versions are equal: servers tell versions apart by a
    /// hash of the bytes.
    pub writer: u64,
    /// The index entry that leads here, if that is no longer the batch.
    pub entry: Option<PointerKey>,
    /// How each job stands.
    pub standings: Vec<Standing>,
    /// The jobs themselves, copied in before their batch goes.
    pub carried: Option<Arc<Batch>>,
    /// Batches that settles named to follow. They stay named for as long as the ledger is there, so
    /// that none of them is pruned before it.
    pub outbox: Vec<Outgoing>,
    /// The jobs were pruned: nobody may make one of them wait again, and the ledger goes next.
    pub pruned: bool,
    /// The jobs came from another store: there never was a batch, and the ledger was created with them,
    /// at generation 1.
    pub brought: bool,
}

impl Ledger {
    /// A ledger that nobody has written yet: every job as it was enqueued.
    #[must_use]
    pub fn blank(key: BatchKey, writer: u64) -> Self {
        Self {
            key,
            generation: 0,
            writer,
            entry: None,
            standings: vec![Standing::AsEnqueued; usize::from(key.name.jobs())],
            carried: None,
            outbox: Vec::new(),
            pruned: false,
            brought: false,
        }
    }

    /// A ledger in the place of one with jobs of another store, which therefore can never come.
    #[must_use]
    pub fn barred(batch: Batch, writer: u64) -> Self {
        Self {
            generation: 1,
            standings: vec![Standing::Absent; usize::from(batch.key.name.jobs())],
            pruned: true,
            ..Self::blank(batch.key, writer)
        }
        .carrying(batch)
    }

    fn carrying(mut self, batch: Batch) -> Self {
        self.carried = Some(Arc::new(batch));
        self
    }

    /// Whether it came too late to count, with its jobs: the server dates it `modified`, and nobody has
    /// written it since.
    #[must_use]
    pub fn is_void(&self, modified: Timestamp) -> bool {
        self.brought && self.generation == 1 && self.key.name.is_void(modified)
    }

    /// The key of the index entry that leads here.
    #[must_use]
    pub const fn entry_key(&self) -> Key {
        match self.entry {
            None => Key::Batch(self.key),
            Some(pointer) => Key::Pointer(pointer),
        }
    }

    /// Line and due time, in milliseconds, of the index entry.
    #[must_use]
    pub const fn entry_place(&self) -> (Line, u64) {
        match self.entry {
            None => (self.key.line, self.key.due),
            Some(pointer) => (pointer.line, pointer.due),
        }
    }

    /// Whether this version is the other one.
    #[must_use]
    pub fn is_same_version(&self, other: &Self) -> bool {
        (self.key, self.generation, self.writer) == (other.key, other.generation, other.writer)
    }

    /// The row of a job, if it is not as it was enqueued.
    #[must_use]
    pub fn row(&self, index: u16) -> Option<&JobRow> {
        match self.standings.get(usize::from(index))? {
            Standing::Changed(row) => Some(row),
            Standing::AsEnqueued | Standing::Absent => None,
        }
    }

    /// Whether every job is over. One that is as it was enqueued is not, unless `batch` shows that
    /// it was left out.
    #[must_use]
    pub fn is_over(&self, batch: Option<&Batch>) -> bool {
        let left_out = |index: usize| {
            let slot = batch.and_then(|batch| batch.jobs.get(index));
            slot.is_some_and(Option::is_none)
        };
        let mut standings = self.standings.iter().enumerate();
        standings.all(|(index, standing)| match standing {
            Standing::Absent => true,
            Standing::AsEnqueued => left_out(index),
            Standing::Changed(row) => row.state.is_final() || left_out(index),
        })
    }

    /// Whether follow-ups may still have to be made.
    #[must_use]
    pub fn has_open_outbox(&self) -> bool {
        self.outbox.iter().any(|outgoing| outgoing.batch.is_some())
    }

    /// Notes that follow-ups are there.
    pub fn note_made(&mut self, key: &BatchKey) {
        for outgoing in &mut self.outbox {
            if outgoing.key == *key {
                outgoing.batch = None;
            }
        }
    }

    /// The object.
    ///
    /// # Errors
    /// The ledger is too long.
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        Format::LEDGER.seal(&self.to_message())
    }

    /// Reads an object.
    ///
    /// # Errors
    /// It is none, a newer one, or damaged.
    pub fn decode(bytes: &Bytes) -> Result<Self, FormatError> {
        Self::from_message(Format::LEDGER.open(bytes)?)
    }

    fn to_message(&self) -> LedgerMessage {
        let mut workers = Workers::default();
        let rows = self.standings.iter();
        let rows = rows.map(|standing| standing_message(standing, &mut workers));
        let pointer = |pointer: PointerKey| PointerMessage {
            priority: pointer.line.priority.get().into(),
            due: pointer.due,
            generation: pointer.generation,
            token: pointer.token,
        };
        let outgoing = |outgoing: &Outgoing| OutgoingMessage {
            key: key_message(&outgoing.key),
            batch: outgoing.batch.as_deref().map(boxed),
        };
        LedgerMessage {
            key: key_message(&self.key),
            generation: self.generation,
            writer: self.writer,
            pointer: self.entry.map(pointer),
            rows: rows.collect(),
            workers: workers.into_names(),
            carried: self.carried.as_deref().map(boxed),
            outbox: self.outbox.iter().map(outgoing).collect(),
            pruned: self.pruned,
            brought: self.brought,
        }
    }

    fn from_message(message: LedgerMessage) -> Result<Self, FormatError> {
        let key = key_from(&message.key)?;
        let entry = message.pointer.map(|pointer| pointer_from(&key, &pointer));
        let workers = Workers::from_names(&message.workers);
        let standings = message.rows.into_iter();
        let standings = standings.map(|row| standing_from(row, &workers));
        let standings: Vec<Standing> = standings.collect::<Result<_, _>>()?;
        if standings.len() != usize::from(key.name.jobs()) {
            return Err(FormatError::damaged("the number of jobs is not the name's"));
        }
        let carried = message.carried.map(|batch| Batch::from_message(*batch));
        let carried = carried.transpose()?.map(Arc::new);
        if carried.as_ref().is_some_and(|batch| batch.key != key) {
            return Err(FormatError::damaged("it carries the jobs of another batch"));
        }
        let outgoing = |message: OutgoingMessage| {
            let batch = message.batch.map(|batch| Batch::from_message(*batch));
            Ok(Outgoing {
                key: key_from(&message.key)?,
                batch: batch.transpose()?.map(Arc::new),
            })
        };
        Ok(Self {
            key,
            generation: message.generation,
            writer: message.writer,
            entry: entry.transpose()?,
            standings,
            carried,
            outbox: message
                .outbox
                .into_iter()
                .map(outgoing)
                .collect::<Result<_, _>>()?,
            pruned: message.pruned,
            brought: message.brought,
        })
    }
}

fn boxed(batch: &Batch) -> Box<crate::message::BatchMessage> {
    Box::new(batch.to_message())
}

fn pointer_from(key: &BatchKey, message: &PointerMessage) -> Result<PointerKey, FormatError> {
    let priority = u8::try_from(message.priority).ok();
    let priority = priority.and_then(|priority| priority.try_into().ok());
    let priority = priority.filter(|_| message.due <= BatchKey::MAX_DUE);
    let priority = priority.ok_or_else(|| FormatError::damaged("its entry cannot be read"))?;
    Ok(PointerKey {
        batch: key.name,
        line: Line {
            priority,
            ..key.line
        },
        due: message.due,
        generation: message.generation,
        token: message.token,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use longshore_core::{
        AttemptError, AttemptOutcome, AttemptRecord, JobState, Keep, LeaseToken, Priority, SpanId,
        StopRequest, Timestamp, TraceId, WorkerId,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::batch::tests::batches;
    use crate::batch_key::tests::batch_keys;
    use crate::job_row::{Hold, Replaced};

    fn times() -> impl Strategy<Value = Timestamp> {
        (0..i64::MAX / 4).prop_map(Timestamp::from_unix_nanos)
    }

    fn workers() -> impl Strategy<Value = WorkerId> {
        "worker-[1-3]".prop_map(|name| WorkerId::new(&name))
    }

    prop_compose! {
        fn holds()(bits: u64, worker in workers(), claimed_at in times(), lease in 0..u64::MAX / 8) -> Hold {
            let expires_at = claimed_at.after(Duration::from_nanos(lease));
            Hold { token: LeaseToken::from_bits(bits), worker, claimed_at, expires_at }
        }
    }

    fn outcomes() -> impl Strategy<Value = AttemptOutcome> {
        use AttemptOutcome as O;
        prop::sample::select(vec![
            O::Completed,
            O::Retried,
            O::NotYet,
            O::Snoozed,
            O::Cancelled,
            O::Discarded,
            O::HandedBack,
            O::Lost,
        ])
    }

    prop_compose! {
        fn records()(
            attempt: u32, claim: u32, worker in workers(), times in [times(), times(), times()],
            outcome in outcomes(), error: Option<(String, String)>, trace: Option<(u128, u64)>,
        ) -> AttemptRecord {
            let [due_at, claimed_at, ended_at] = times;
            let error = error.map(|(class, message)| AttemptError::new(class, message));
            let trace_id = trace.map(|(id, _)| TraceId::from_u128(id));
            let span_id = trace.map(|(_, id)| SpanId::from_u64(id));
            AttemptRecord {
                attempt, claim, worker, due_at, claimed_at, ended_at, outcome, error, trace_id, span_id,
            }
        }
    }

    prop_compose! {
        fn replacements()(
            args: Vec<u8>, args_token: Option<u64>, hash: u64, priority in 1..=4u8, first in times(),
        ) -> Replaced {
            let priority = Priority::try_from(priority).unwrap();
            Replaced { args: args.into(), args_token, hash, priority, first_available_at: first }
        }
    }

    prop_compose! {
        fn rows()(
            (state, attempt, claim, max_attempts) in (prop::sample::select(JobState::ALL.to_vec()), any::<u32>(), any::<u32>(), any::<Option<u32>>()),
            (available_at, finished_at) in (prop::option::of(times()), prop::option::of(times())),
            stop in prop::option::of(prop::sample::select(vec![StopRequest::Cancel, StopRequest::Discard])),
            hold in prop::option::of(holds()),
            progress: Option<u8>, checkpoint: Option<Vec<u8>>, result: Option<Vec<u8>>, result_token: Option<u64>,
            keep in prop::option::of(("\\PC{0,9}", times())),
            history in prop::collection::vec(records(), 0..3),
            replaced in prop::option::of(replacements()),
        ) -> JobRow {
            JobRow {
                state, attempt, claim, max_attempts, available_at, finished_at,
                stop_requested: stop, hold, progress,
                checkpoint: checkpoint.map(Into::into), result: result.map(Into::into), result_token,
                keep: keep.map(|(reason, at)| Keep { reason, at }), history, replaced,
            }
        }
    }

    prop_compose! {
        fn ledgers()(
            batch in batches(), generation: u64, writer: u64, carry: bool, pruned: bool,
            pointer in prop::option::of((1..=4u8, 0..=BatchKey::MAX_DUE, any::<u64>(), any::<u64>())),
            rows in prop::collection::vec((any::<bool>(), prop::option::of(rows())), 5),
            outbox in prop::collection::vec((batch_keys(), prop::option::of(batches())), 0..2),
        ) -> Ledger {
            let key = batch.key;
            let mut ledger = Ledger::blank(key, writer);
            ledger.generation = generation;
            ledger.pruned = pruned;
            ledger.entry = pointer.map(|(priority, due, generation, token)| PointerKey {
                batch: key.name,
                line: Line { priority: priority.try_into().unwrap(), ..key.line },
                due, generation, token,
            });
            for (standing, (absent, row)) in ledger.standings.iter_mut().zip(rows) {
                *standing = match (absent, row) {
                    (true, _) => Standing::Absent,
                    (false, None) => Standing::AsEnqueued,
                    (false, Some(row)) => Standing::Changed(Box::new(row)),
                };
            }
            ledger.carried = carry.then(|| Arc::new(batch));
            ledger.outbox = outbox.into_iter().map(|(key, batch)| {
                let batch = batch.map(Arc::new);
                Outgoing { key: batch.as_ref().map_or(key, |batch| batch.key), batch }
            }).collect();
            ledger
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_ledger_is_read_as_written(ledger in ledgers()) {
            let bytes = ledger.encode().unwrap();
            prop_assert_eq!(Ledger::decode(&bytes), Ok(ledger));
        }

        #[test]
        fn a_damaged_ledger_is_an_error_or_another_ledger(ledger in ledgers(), at: usize, with: u8) {
            let mut bytes = ledger.encode().unwrap().to_vec();
            let at = at % bytes.len();
            bytes[at] = with;
            if let Ok(read) = Ledger::decode(&Bytes::from(bytes)) {
                prop_assert_eq!(read.standings.len(), usize::from(read.key.name.jobs()));
            }
        }
    }
}
