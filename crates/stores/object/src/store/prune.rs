//! Deleting what is over: first it is said in the ledger that the jobs are gone, so that nobody
//! revives one, then whatever else there is goes, and the ledger last.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use longshore_core::{JobState, PruneRequest, StoreError, Timestamp};

use super::ObjectStore;
use super::load::At;
use super::parallel::all;
use super::survey::{Over, Summary};
use crate::batch::Batch;
use crate::batch_key::{BatchKey, BatchName};
use crate::key::Key;
use crate::ledger::Ledger;
use crate::mutation::Mutation;
use crate::objects::Landing;
use crate::prune::{self, MIN_RETENTION};

/// Where in each shard's ledgers the next call goes on.
pub(super) type Cursors = Mutex<HashMap<u16, String>>;

impl ObjectStore {
    /// Most ledgers that a call reads to find out whether they are over.
    const MAX_PRUNE_READS: usize = 1000;
    /// Most listings of a shard's ledgers in a call.
    const MAX_PRUNE_PAGES: usize = 5;
    /// Most ledgers of which a call counts the newest.
    const MAX_NEWEST: usize = 100_000;

    pub(super) async fn prune_jobs(&self, request: &PruneRequest) -> Result<usize, StoreError> {
        let wanted = request.final_states()?;
        let mut reads = Self::MAX_PRUNE_READS;
        let mut going = BTreeMap::new();
        let mut cursors = HashMap::new();
        if let Some(before) = request.before {
            for shard in 0..self.shards().await? {
                let (old, cursor) = self.ledgers_over(shard, before, &mut reads).await?;
                let old = old
                    .into_iter()
                    .filter(|(_, over)| over.finished_at < before);
                going.extend(old.map(|(at, over)| ((over.finished_at, at.name), (at, over))));
                cursors.insert(shard, cursor);
            }
        }
        going.retain(|_, (_, over)| over.states.iter().all(|state| wanted.contains(state)));
        let are_too_old: BTreeSet<_> = going.keys().copied().collect();
        if let Some(most) = request.keep_newest {
            let too_many = self.beyond_newest(most, &wanted, &are_too_old, &mut reads);
            let too_many = too_many.await?.into_iter();
            going.extend(too_many.map(|(at, over)| ((over.finished_at, at.name), (at, over))));
        }
        let least = self.bounds().least;
        let is_kept = |over: &Over| over.finished_at.after(MIN_RETENTION) >= least;
        let mut chosen = Vec::new();
        let mut jobs = 0;
        let mut is_full = false;
        for (at, over) in going.into_values().filter(|(_, over)| !is_kept(over)) {
            is_full |= jobs + over.states.len() > request.limit;
            if jobs + over.states.len() <= request.limit {
                jobs += over.states.len();
                chosen.push((at, over.states.len()));
            }
        }
        // What was found and is still to go is found again.
        if !is_full {
            let mut known = self.cursors();
            for (shard, cursor) in cursors {
                match cursor {
                    Some(cursor) => known.insert(shard, cursor),
                    None => known.remove(&shard),
                };
            }
        }
        let ends = chosen.iter().map(|(at, _)| self.prune_ledger(*at));
        let ended = all(self.tuning.parallel, ends.collect()).await;
        let mut pruned = 0;
        for ((_, jobs), ended) in chosen.into_iter().zip(ended) {
            pruned += if ended? { jobs } else { 0 };
        }
        Ok(pruned)
    }

    fn cursors(&self) -> MutexGuard<'_, HashMap<u16, String>> {
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ledgers of a shard that are over, from where the last call ended on, from old to new; and
    /// where to go on. Those named after `before` cannot have been over before.
    async fn ledgers_over(
        &self,
        shard: u16,
        before: Timestamp,
        reads: &mut usize,
    ) -> Result<(Vec<(At, Over)>, Option<String>), StoreError> {
        // The server's clock and the one that named a batch may differ.
        let end = before.unix_millis().saturating_add(60_000);
        let end = format!("l/{shard}/{:012x}", u64::try_from(end).unwrap_or(0));
        let mut after = self.cursors().get(&shard).cloned();
        let mut found = Vec::new();
        for _ in 0..Self::MAX_PRUNE_PAGES {
            let (ledgers, next) = self.list_ledgers(shard, after.as_deref(), &end).await?;
            for (at, summary) in self.summaries(&ledgers, true, reads).await? {
                if let Summary::Over(over) = summary {
                    found.push((at, over));
                }
            }
            if next.is_none() {
                return Ok((found, None));
            }
            if *reads == 0 {
                // Some of these were not read.
                return Ok((found, after));
            }
            after = next;
        }
        Ok((found, after))
    }

    /// Ledgers that are not among those which hold the newest so many jobs of each state. None, as
    /// long as not all that may be newer were read.
    async fn beyond_newest(
        &self,
        most: u64,
        wanted: &[JobState],
        too_old: &BTreeSet<(Timestamp, BatchName)>,
        reads: &mut usize,
    ) -> Result<Vec<(At, Over)>, StoreError> {
        let mut over = Vec::new();
        let mut walk = self.backwards(self.newest()).await?;
        let mut looked = 0;
        while looked < Self::MAX_NEWEST
            && let Some(ledgers) = self.next_ledgers(&mut walk).await?
        {
            looked += ledgers.len();
            let known = self.summaries(&ledgers, true, reads).await?;
            if *reads == 0 {
                return Ok(Vec::new());
            }
            over.extend(known.into_iter().filter_map(|(at, summary)| match summary {
                Summary::Over(over) => Some((at, over)),
                Summary::Open(_) => None,
            }));
        }
        over.sort_by_key(|(at, over)| std::cmp::Reverse((over.finished_at, at.name)));
        let mut kept: BTreeMap<JobState, u64> = BTreeMap::new();
        over.retain(|(at, over)| {
            let is_old = too_old.contains(&(over.finished_at, at.name));
            let mut all_go = true;
            for state in &over.states {
                let count = kept.entry(*state).or_default();
                *count += 1;
                all_go &= wanted.contains(state) && (*count > most || is_old);
            }
            all_go
        });
        Ok(over)
    }

    /// Deletes a ledger if everything allows it; whether jobs went by this call.
    async fn prune_ledger(&self, at: At) -> Result<bool, StoreError> {
        let least = self.bounds().least;
        let Some((ledger, version, modified)) = self.get_ledger(at).await? else {
            self.summaries.forget(at.name);
            return Ok(false);
        };
        let found = prune::conditions(&ledger, modified, MIN_RETENTION, least);
        let Some(conditions) = found else {
            return Ok(false);
        };
        let looks = match Mutation::EntryOnly.is_on() {
            true => 1,
            false => conditions.absent.len(),
        };
        for entry in conditions.absent.iter().take(looks) {
            if Mutation::LedgerFirst.is_on() {
                break;
            }
            if self.objects.get(&entry.to_string()).await?.is_some() {
                return Ok(false);
            }
        }
        if let Some(origin) = conditions.origin
            && self.names_follow_up(origin, ledger.key).await?
        {
            return Ok(false);
        }
        let mut marked = ledger.clone();
        if !marked.pruned && !Mutation::NoMark.is_on() {
            marked.pruned = true;
            marked.generation = marked.generation.saturating_add(1);
            marked.writer = self.token();
            let key = at.ledger();
            let bytes = marked.encode().map_err(|error| error.of(&key))?;
            let landing = self
                .objects
                .replace(&key.to_string(), bytes, &version)
                .await?;
            if !matches!(landing, Landing::Landed(_)) {
                return Ok(false);
            }
        }
        self.let_go(&marked).await?;
        for key in payloads(&marked) {
            self.objects.delete(&key.to_string()).await?;
        }
        self.objects.delete(&at.ledger().to_string()).await?;
        self.cells.forget(at.name);
        self.summaries.forget(at.name);
        Ok(!ledger.pruned)
    }

    async fn names_follow_up(&self, origin: BatchKey, of: BatchKey) -> Result<bool, StoreError> {
        let found = self.get_ledger(At::batch(origin)).await?;
        Ok(found
            .is_some_and(|(ledger, ..)| ledger.outbox.iter().any(|outgoing| outgoing.key == of)))
    }

    /// Says in a unique key's reservation until when a job that goes still has it.
    async fn let_go(&self, ledger: &Ledger) -> Result<(), StoreError> {
        let Some(batch) = &ledger.carried else {
            return Ok(());
        };
        let now = self.bounds().middle();
        for (index, slot) in (0..).zip(&batch.jobs) {
            let Some(stored) = slot else {
                continue;
            };
            let job = match ledger.row(index) {
                Some(row) => row.on(stored),
                None => stored.job.clone(),
            };
            self.stub_reservation(batch.key, &job, now).await?;
        }
        Ok(())
    }
}

/// The objects that a ledger and its jobs name.
fn payloads(ledger: &Ledger) -> Vec<Key> {
    let name = ledger.key.name;
    let slots = ledger
        .carried
        .iter()
        .flat_map(|batch: &std::sync::Arc<Batch>| batch.jobs.iter());
    let mut keys = Vec::new();
    for (index, slot) in (0..).zip(slots) {
        let row = ledger.row(index);
        let first = slot.as_ref().and_then(|stored| stored.args_token);
        let replaced = row.and_then(|row| row.replaced.as_ref());
        let replaced = replaced.and_then(|replaced| replaced.args_token);
        for token in first.into_iter().chain(replaced) {
            keys.push(Key::Args {
                batch: name,
                index,
                token,
            });
        }
        if let Some(token) = row.and_then(|row| row.result_token) {
            keys.push(Key::Outcome {
                batch: name,
                index,
                token,
            });
        }
    }
    keys
}
