//! Whose turn it is: workers that list the same line begin with different batches, so that they do
//! not all go for the first one, and one of them looks after the leases of the others.
//!
//! Turns save requests. That two workers differ about who is there is no harm.

use std::sync::Arc;

use longshore_core::register::{PREFIX, WorkerEntry};
use longshore_core::{StoreError, Timestamp, WorkerId};

use super::ObjectStore;
use crate::batch_key::BatchName;
use crate::key::Key;
use crate::objects::Range;

/// The workers that are there, and which one asks.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    workers: Arc<Vec<u64>>,
    own: u64,
}

impl Turns {
    /// How many workers take turns.
    pub(super) fn of(&self) -> usize {
        self.workers.len().max(1)
    }

    /// Whether a batch is this worker's; in every round it may be another's.
    pub(super) fn is_own(&self, name: BatchName, round: u64) -> bool {
        let low = (name.uuid() & u128::from(u64::MAX)) as u64;
        let rank = |worker: u64| mix(mix(worker ^ low) ^ round);
        let first = self
            .workers
            .iter()
            .copied()
            .max_by_key(|worker| rank(*worker));
        first.is_none_or(|first| first == self.own)
    }

    /// An order of a queue's shards that is this worker's.
    pub(super) fn order(&self, shard: u16) -> u64 {
        match self.workers.len() {
            0 => shard.into(),
            _ => mix(self.own ^ u64::from(shard)),
        }
    }
}

/// Spreads bits (the finisher of SplitMix64).
const fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn number(name: &str) -> u64 {
    let bytes = name.bytes();
    bytes.fold(0xcbf2_9ce4_8422_2325, |number, byte| {
        mix(number ^ u64::from(byte))
    })
}

/// What is known of the workers, and since when.
pub(super) type Register = std::sync::Mutex<Option<(Arc<Vec<u64>>, Timestamp)>>;

impl ObjectStore {
    /// The turns of a worker, by the register of workers. One that is not in it takes all.
    pub(super) async fn turns(&self, worker: Option<&WorkerId>) -> Result<Turns, StoreError> {
        let Some(worker) = worker.filter(|_| self.tuning.turns) else {
            return Ok(Turns::default());
        };
        let own = number(&WorkerEntry::document(worker));
        let workers = self.workers().await?;
        let workers = match workers.contains(&own) {
            true => workers,
            false => Arc::default(),
        };
        Ok(Turns { workers, own })
    }

    async fn workers(&self) -> Result<Arc<Vec<u64>>, StoreError> {
        let now = self.bounds().least;
        let fresh = |read_at: Timestamp| now < read_at.after(WorkerEntry::UNSEEN_AFTER);
        let known = {
            let known = self.register.lock();
            known
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .clone()
        };
        if let Some((workers, _)) = known.filter(|(_, read_at)| fresh(*read_at)) {
            return Ok(workers);
        }
        let range = Range {
            prefix: &Key::documents(PREFIX),
            after: None,
            end: None,
            limit: super::lines::Lines::PAGE,
        };
        let listed = self.objects.list(range).await?;
        let alive = listed.iter().filter(|listed| fresh(listed.modified));
        let names = alive.filter_map(|listed| match listed.key.parse() {
            Ok(Key::Document(name)) => Some(number(&name)),
            _ => None,
        });
        let workers = Arc::new(names.collect::<Vec<u64>>());
        let mut known = self.register.lock();
        let slot = match &mut known {
            Ok(known) => known,
            Err(poisoned) => poisoned.get_mut(),
        };
        **slot = Some((Arc::clone(&workers), now));
        Ok(workers)
    }
}
