//! What there is beside the index: ledgers, from new to old, and what those that are over hold.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::{JobState, QueueName, StoreError, Timestamp};

use super::ObjectStore;
use super::lines::Lines;
use super::load::At;
use super::parallel::all;
use crate::batch_key::{BatchName, VOID_AFTER};
use crate::key::Key;
use crate::objects::{Listed, Range};
use crate::prune;

/// What a ledger was found to hold.
#[derive(Clone, Debug)]
pub(super) enum Summary {
    /// A job that is not over; seen at this time.
    Open(Timestamp),
    /// Only jobs that are over.
    Over(Over),
}

/// What is left of a batch that is over.
#[derive(Clone, Debug)]
pub(super) struct Over {
    pub(super) queue: QueueName,
    /// When the last of its jobs was over.
    pub(super) finished_at: Timestamp,
    pub(super) states: Vec<JobState>,
}

/// A ledger in a listing.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    pub(super) at: At,
    version: ListedVersion,
}

/// Tells the versions of a ledger apart: its ETag, if the listing has one, and its date.
type ListedVersion = (Option<String>, Timestamp);

/// The summaries that are remembered, each with the version that was listed before it was made, so
/// that a ledger that is over is read once for as long as nobody runs one of its jobs again. The
/// oldest are forgotten first.
#[derive(Debug, Default)]
pub(super) struct Summaries(Mutex<BTreeMap<BatchName, (ListedVersion, Summary)>>);

impl Summaries {
    const MAX: usize = 100_000;
    /// For how long a ledger is taken to be open still.
    const OPEN_FOR: Duration = Duration::from_secs(60);

    fn map(&self) -> MutexGuard<'_, BTreeMap<BatchName, (ListedVersion, Summary)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, ledger: &Sighting, now: Timestamp) -> Option<Summary> {
        let map = self.map();
        let (version, summary) = map.get(&ledger.at.name)?;
        let holds = match summary {
            Summary::Open(seen_at) => now < seen_at.after(Self::OPEN_FOR),
            Summary::Over(_) => *version == ledger.version,
        };
        holds.then(|| summary.clone())
    }

    fn put(&self, ledger: &Sighting, summary: Summary) {
        let mut map = self.map();
        if map.len() >= Self::MAX {
            map.pop_first();
        }
        map.insert(ledger.at.name, (ledger.version.clone(), summary));
    }

    pub(super) fn forget(&self, name: BatchName) {
        self.map().remove(&name);
    }
}

/// A walk through the ledgers of a store, from new to old: through windows of time, since listings go
/// from old to new.
#[derive(Debug)]
pub(super) struct Backwards {
    /// In milliseconds since the Unix epoch: what was named before is still to come.
    until: u64,
    width: u64,
    shards: u16,
}

impl Backwards {
    /// The first window: 2 hours.
    const WIDTH: u64 = 7_200_000;
}

fn key_from(shard: u16, millis: u64) -> String {
    // A name begins with 48 bits of milliseconds.
    format!("l/{shard}/{millis:012x}")
}

impl ObjectStore {
    /// A walk that begins with the ledgers that were named before this time.
    pub(super) async fn backwards(&self, before: Timestamp) -> Result<Backwards, StoreError> {
        let millis = u64::try_from(before.unix_millis()).unwrap_or(0);
        Ok(Backwards {
            until: millis.min((1 << 48) - 1),
            width: Backwards::WIDTH,
            shards: self.shards().await?,
        })
    }

    /// How many shards the widest queue has.
    pub(super) async fn shards(&self) -> Result<u16, StoreError> {
        let queues = self.queues().await?;
        let shards = queues.all().iter().map(|queue| queue.shards);
        Ok(shards.max().unwrap_or(1))
    }

    /// After which time no ledger is named yet, whoever's clock is asked.
    pub(super) fn newest(&self) -> Timestamp {
        self.bounds().most.after(VOID_AFTER)
    }

    /// The next ledgers of a walk, from new to old; `None` after the oldest.
    pub(super) async fn next_ledgers(
        &self,
        walk: &mut Backwards,
    ) -> Result<Option<Vec<Sighting>>, StoreError> {
        while walk.until > 0 {
            let from = walk.until.saturating_sub(walk.width);
            let mut found = Vec::new();
            let mut is_cut = false;
            for shard in 0..walk.shards {
                let (ledgers, cut) = self.ledgers_between(shard, from, walk.until).await?;
                found.extend(ledgers);
                is_cut |= cut;
            }
            if is_cut {
                walk.width = (walk.width / 8).max(1);
                continue;
            }
            walk.until = from;
            if found.len() < Lines::PAGE / 8 {
                walk.width = walk.width.saturating_mul(8);
            }
            if !found.is_empty() {
                found.sort_by_key(|ledger: &Sighting| std::cmp::Reverse(ledger.at.name));
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The ledgers that were named in a window of time; whether there are more than a listing has, so
    /// that the window has to be smaller.
    async fn ledgers_between(
        &self,
        shard: u16,
        from: u64,
        until: u64,
    ) -> Result<(Vec<Sighting>, bool), StoreError> {
        let end = key_from(shard, until);
        let mut after = Some(key_from(shard, from));
        let mut found = Vec::new();
        loop {
            let (ledgers, next) = self.list_ledgers(shard, after.as_deref(), &end).await?;
            if next.is_some() && until - from > 1 {
                return Ok((Vec::new(), true));
            }
            found.extend(ledgers);
            if next.is_none() {
                return Ok((found, false));
            }
            after = next;
        }
    }

    /// A listing of a shard's ledgers, and after which key the next one goes on.
    pub(super) async fn list_ledgers(
        &self,
        shard: u16,
        after: Option<&str>,
        end: &str,
    ) -> Result<(Vec<Sighting>, Option<String>), StoreError> {
        let range = Range {
            prefix: &format!("l/{shard}/"),
            after,
            end: Some(end),
            limit: Lines::PAGE,
        };
        let mut listed = self.objects.list(range).await?;
        let ledgers = listed.iter().filter_map(ledger_of);
        let ledgers = ledgers.collect();
        let is_cut = listed.len() == Lines::PAGE;
        let last = listed.pop().filter(|_| is_cut);
        Ok((ledgers, last.map(|last| last.key)))
    }

    /// What these ledgers hold, of which at most `reads` are read; the others are not among them.
    /// `open_too` says that one which was open a moment ago need not be read again.
    pub(super) async fn summaries(
        &self,
        ledgers: &[Sighting],
        open_too: bool,
        reads: &mut usize,
    ) -> Result<Vec<(At, Summary)>, StoreError> {
        let now = self.bounds().least;
        let mut known = Vec::new();
        let mut unknown = Vec::new();
        for ledger in ledgers {
            let summary = self.summaries.get(ledger, now);
            match summary.filter(|summary| open_too || matches!(summary, Summary::Over(_))) {
                Some(summary) => known.push((ledger.at, summary)),
                None if unknown.len() < *reads => unknown.push(ledger),
                None => {}
            }
        }
        *reads -= unknown.len();
        let looks = unknown.iter().map(|ledger| self.summarize(ledger));
        let found = all(self.tuning.parallel, looks.collect()).await;
        for (ledger, found) in unknown.into_iter().zip(found) {
            if let Some(summary) = found? {
                known.push((ledger.at, summary));
            }
        }
        Ok(known)
    }

    async fn summarize(&self, sighting: &Sighting) -> Result<Option<Summary>, StoreError> {
        let now = self.bounds().least;
        let Some((ledger, _, modified)) = self.get_ledger(sighting.at).await? else {
            return Ok(None);
        };
        let carried = ledger
            .carried
            .as_ref()
            .filter(|_| !ledger.is_void(modified));
        let summary = match prune::ends(&ledger).zip(carried) {
            Some(((finished_at, states), batch)) => Summary::Over(Over {
                queue: batch.queue.clone(),
                finished_at,
                states,
            }),
            None => Summary::Open(now),
        };
        self.summaries.put(sighting, summary.clone());
        Ok(Some(summary))
    }
}

/// The ledger with this key.
fn ledger_of(listed: &Listed) -> Option<Sighting> {
    let Key::Ledger { shard, batch } = listed.key.parse().ok()? else {
        return None;
    };
    Some(Sighting {
        at: At {
            shard,
            name: batch,
            batch: None,
        },
        version: (listed.e_tag.clone(), listed.modified),
    })
}
