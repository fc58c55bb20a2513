//! Counting jobs by queue and state: what waits by the names of batches, what runs and what is over by
//! their ledgers.

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::{Job, JobState, QueueName, QueueStats, StoreError, Timestamp};

use super::ObjectStore;
use super::enqueue::job_of;
use super::load::{At, State};
use super::parallel::all;
use super::survey::{Over, Sighting, Summary};
use crate::batch_key::{BatchName, QueueCode};
use crate::key::Key;
use crate::queues::Queues;

/// The counts so far.
struct Counts {
    as_of: Timestamp,
    queues: BTreeMap<QueueName, QueueStats>,
}

impl Counts {
    fn of(&mut self, queue: &QueueName) -> &mut QueueStats {
        let as_of = self.as_of;
        let empty = || QueueStats::empty(queue.clone(), as_of);
        self.queues.entry(queue.clone()).or_insert_with(empty)
    }

    fn add(&mut self, queue: &QueueName, state: JobState, jobs: u64, due: Timestamp) {
        let stats = self.of(queue);
        *stats.count_mut(state) += jobs;
        if state == JobState::Available {
            let oldest = stats.oldest_available_at.get_or_insert(due);
            *oldest = due.min(*oldest);
        }
    }

    fn add_over(&mut self, over: &Over) {
        for state in &over.states {
            self.add(&over.queue, *state, 1, over.finished_at);
        }
    }

    fn add_job(&mut self, job: &Job) {
        self.add(&job.queue, job.state, 1, job.available_at);
    }
}

impl ObjectStore {
    /// Most listings of the index by which waiting jobs are counted.
    const MAX_LISTINGS: usize = 100;
    /// Most ledgers, the latest ones, that are looked at to count jobs that are over.
    const MAX_COUNTED: usize = 10_000;
    /// Most ledgers that are read for it. What was read once is remembered.
    const MAX_COUNT_READS: usize = 1000;

    pub(super) async fn count_jobs(&self) -> Result<Vec<QueueStats>, StoreError> {
        let as_of = self.bounds().middle();
        let known = self.queues().await?;
        let mut counts = Counts {
            as_of,
            queues: BTreeMap::new(),
        };
        for queue in known.all().iter().filter(|queue| queue.paused) {
            counts.of(&queue.name).paused = true;
        }
        let entries = self.list_entries("i/", Self::MAX_LISTINGS).await?.0;
        let mut reads = Self::MAX_COUNT_READS;
        let mut with_ledger = BTreeSet::new();
        let mut walk = self.backwards(self.newest()).await?;
        let mut looked = 0;
        while looked < Self::MAX_COUNTED
            && let Some(ledgers) = self.next_ledgers(&mut walk).await?
        {
            looked += ledgers.len();
            let (open, over): (Vec<Sighting>, Vec<Sighting>) = ledgers
                .into_iter()
                .partition(|ledger| entries.contains_key(&ledger.at.name));
            with_ledger.extend(open.into_iter().map(|ledger| ledger.at.name));
            for (_, summary) in self.summaries(&over, false, &mut reads).await? {
                if let Summary::Over(over) = summary {
                    counts.add_over(&over);
                }
            }
        }
        let entries = entries.into_values();
        self.count_entries(entries, &with_ledger, &known, &mut counts)
            .await?;
        Ok(counts.queues.into_values().collect())
    }

    async fn count_entries(
        &self,
        entries: impl Iterator<Item = (At, Key)>,
        with_ledger: &BTreeSet<BatchName>,
        known: &Queues,
        counts: &mut Counts,
    ) -> Result<(), StoreError> {
        let mut open = Vec::new();
        for (at, key) in entries {
            let is_pointer = matches!(key, Key::Pointer(_));
            let is_open = is_pointer || with_ledger.contains(&at.name);
            if is_open && open.len() < Self::MAX_COUNT_READS {
                open.push(at);
                continue;
            }
            let (line, due) = match &key {
                Key::Batch(batch) => (batch.line, batch.due_at()),
                Key::Pointer(pointer) => (pointer.line, pointer.due_at()),
                _ => continue,
            };
            let waits = match due <= counts.as_of {
                true => JobState::Available,
                false => JobState::Scheduled,
            };
            if let Some(queue) = name_of(known, line.queue) {
                counts.add(&queue, waits, u64::from(at.name.jobs()), due);
            }
        }
        let looks = open.iter().map(|at| self.recent_state(*at));
        for state in all(self.tuning.parallel, looks.collect()).await {
            let Some(state) = state? else {
                continue;
            };
            let indices = 0..state.batch().key.name.jobs();
            for job in indices.filter_map(|index| job_of(&state, index)) {
                counts.add_job(&job.shown_at(counts.as_of));
            }
        }
        Ok(())
    }

    /// What there is of a batch, as it was not long ago.
    async fn recent_state(&self, at: At) -> Result<Option<State>, StoreError> {
        let now = self.bounds().least;
        match self.cells.known(at.name) {
            Some(State::Ledger(seen)) if now < seen.at.after(Self::TRUSTED_FOR) => {
                Ok(Some(State::Ledger(seen)))
            }
            _ => self.load(at).await,
        }
    }
}

fn name_of(queues: &Queues, code: QueueCode) -> Option<QueueName> {
    let queue = queues.all().iter().find(|queue| queue.code == code);
    queue.map(|queue| queue.name.clone())
}
