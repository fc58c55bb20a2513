//! Deleting what is over: first it is said in the ledger that the jobs are gone, so that nobody
//! revives one, then whatever else there is goes, and the ledger last.

use std::collections::BTreeMap;

use longshore_core::{JobState, PruneRequest, StoreError, Timestamp};

use super::ObjectStore;
use super::load::At;
use crate::batch::Batch;
use crate::batch_key::{BatchKey, BatchName};
use crate::key::Key;
use crate::ledger::Ledger;
use crate::objects::{Landing, Range, Version};
use crate::prune::{self, MIN_RETENTION};

/// A ledger whose jobs are over.
struct Over {
    at: At,
    ledger: Ledger,
    version: Version,
    modified: Timestamp,
    finished_at: Timestamp,
    states: Vec<JobState>,
}

impl ObjectStore {
    pub(super) async fn prune_jobs(&self, request: &PruneRequest) -> Result<usize, StoreError> {
        let wanted = request.final_states()?;
        let mut over = self.ledgers_over().await?;
        over.sort_by_key(|over| (over.finished_at, over.ledger.key.name));
        let mut kept: BTreeMap<JobState, u64> = BTreeMap::new();
        let mut going = Vec::new();
        // From the last one that was over to the first, so that the newest are counted first.
        for over in over.into_iter().rev() {
            let mut all_go = true;
            for state in &over.states {
                let count = kept.entry(*state).or_default();
                *count += 1;
                let too_many = request.keep_newest.is_some_and(|most| *count > most);
                let too_old = request
                    .before
                    .is_some_and(|before| over.finished_at < before);
                all_go &= wanted.contains(state) && (too_many || too_old);
            }
            if all_go {
                going.push(over);
            }
        }
        let mut pruned = 0;
        for over in going.into_iter().rev() {
            let jobs = over.states.len();
            if pruned + jobs <= request.limit && self.prune_ledger(over).await? {
                pruned += jobs;
            }
        }
        Ok(pruned)
    }

    async fn ledgers_over(&self) -> Result<Vec<Over>, StoreError> {
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let range = Range {
                prefix: "l/",
                after: after.as_deref(),
                end: None,
                limit: Self::MAX_REMEMBERED,
            };
            let listed = self.objects.list(range).await?;
            for listed in &listed {
                let Ok(Key::Ledger { shard, batch }) = listed.key.parse() else {
                    continue;
                };
                let at = At {
                    shard,
                    name: batch,
                    batch: None,
                };
                let Some((ledger, version, modified)) = self.get_ledger(at).await? else {
                    continue;
                };
                if let Some((finished_at, states)) = prune::ends(&ledger) {
                    all.push(Over {
                        at,
                        ledger,
                        version,
                        modified,
                        finished_at,
                        states,
                    });
                }
            }
            match listed.last() {
                Some(last) => after = Some(last.key.clone()),
                None => return Ok(all),
            }
        }
    }

    /// Deletes a ledger if everything allows it; whether jobs went by this call.
    async fn prune_ledger(&self, over: Over) -> Result<bool, StoreError> {
        let least = self.bounds().least;
        let found = prune::conditions(&over.ledger, over.modified, MIN_RETENTION, least);
        let Some(conditions) = found else {
            return Ok(false);
        };
        for entry in &conditions.absent {
            if self.is_listed(entry).await? {
                return Ok(false);
            }
        }
        if let Some(origin) = conditions.origin
            && self.names_follow_up(origin, over.ledger.key).await?
        {
            return Ok(false);
        }
        let mut marked = over.ledger.clone();
        if !marked.pruned {
            marked.pruned = true;
            marked.generation = marked.generation.saturating_add(1);
            marked.writer = self.token();
            let key = over.at.ledger();
            let bytes = marked.encode().map_err(|error| error.of(&key))?;
            let landing = self
                .objects
                .replace(&key.to_string(), bytes, &over.version)
                .await?;
            if !matches!(landing, Landing::Landed(_)) {
                return Ok(false);
            }
        }
        self.let_go(&marked).await?;
        for key in payloads(&marked) {
            self.objects.delete(&key.to_string()).await?;
        }
        self.objects.delete(&over.at.ledger().to_string()).await?;
        self.forget(over.at.name);
        Ok(!over.ledger.pruned)
    }

    async fn is_listed(&self, key: &Key) -> Result<bool, StoreError> {
        let prefix = key.to_string();
        let range = Range {
            prefix: &prefix,
            after: None,
            end: None,
            limit: 1,
        };
        let listed = self.objects.list(range).await?;
        Ok(listed.first().is_some_and(|first| first.key == prefix))
    }

    async fn names_follow_up(&self, origin: BatchKey, of: BatchKey) -> Result<bool, StoreError> {
        let found = self.get_ledger(At::batch(origin)).await?;
        Ok(found
            .is_some_and(|(ledger, ..)| ledger.outbox.iter().any(|outgoing| outgoing.key == of)))
    }

    fn forget(&self, name: BatchName) {
        let mut cells = self
            .cells
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        cells.remove(&name);
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
