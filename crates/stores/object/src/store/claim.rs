//! Claiming jobs: those that are due are found by listings, chosen by the rules of the contract,
//! and leased by one write for each batch.

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::waiting::{Line, Waiting};
use longshore_core::{
    ClaimRequest, Claimed, Job, JobState, Lease, LeaseToken, StoreError, Timestamp,
};

use super::ObjectStore;
use super::change::Try;
use super::load::{At, State};
use crate::batch::StoredJob;
use crate::draft::Draft;
use crate::job_row::Hold;
use crate::ledger::Standing;

/// A job that waits.
pub(super) struct WaitingRow<'s> {
    stored: &'s StoredJob,
    priority: longshore_core::Priority,
    pub(super) due: Timestamp,
}

/// The jobs that wait, with their indices.
pub(super) fn waiting(state: &State) -> impl Iterator<Item = (u16, WaitingRow<'_>)> {
    let ledger = state.ledger();
    let slots = (0..).zip(&state.batch().jobs);
    slots.filter_map(move |(index, slot)| {
        let stored = slot.as_ref()?;
        let standing = ledger.and_then(|ledger| ledger.standings.get(usize::from(index)));
        let (mut priority, mut due) = (stored.job.priority, stored.job.available_at);
        match standing {
            Some(Standing::Changed(row)) => {
                row.state.is_waiting().then_some(())?;
                due = row.available_at.unwrap_or(due);
                let replaced = row.replaced.as_ref();
                priority = replaced.map_or(priority, |replaced| replaced.priority);
            }
            Some(Standing::Absent) => return None,
            Some(Standing::AsEnqueued) | None => {}
        }
        Some((
            index,
            WaitingRow {
                stored,
                priority,
                due,
            },
        ))
    })
}

/// A job that may be claimed: the number of its entry, and its index.
type Number = (usize, u16);

impl ObjectStore {
    pub(super) async fn claim_jobs(
        &self,
        request: &ClaimRequest,
    ) -> Result<Vec<Claimed>, StoreError> {
        let mut due: Waiting<Number> = Waiting::default();
        let mut places: Vec<At> = Vec::new();
        for entry in self.due_entries(Some(&request.queues)).await? {
            let Some(at) = self.meet_entry(&entry, false).await? else {
                continue;
            };
            let cell = self.cell(at.name);
            if let Some(state) = &*cell.lock().await {
                for (index, row) in waiting(state) {
                    let job = &row.stored.job;
                    let line = Line {
                        queue: job.queue.clone(),
                        tenant: job.tenant_id.clone().unwrap_or_default(),
                        kind: job.kind.clone(),
                        priority: row.priority,
                    };
                    due.insert(line, row.due, (places.len(), index));
                }
                places.push(at);
            }
        }
        let now = self.bounds().middle();
        let chosen = due.choose(request, &BTreeSet::new(), now);
        let mut by_place: BTreeMap<usize, Vec<u16>> = BTreeMap::new();
        for (place, index) in &chosen {
            by_place.entry(*place).or_default().push(*index);
        }
        let bits = self.token();
        let mut claimed: BTreeMap<Number, Claimed> = BTreeMap::new();
        for (place, indices) in by_place {
            let Some(at) = places.get(place) else {
                continue;
            };
            // A failure after others were claimed is no reason to lose those.
            let first = (place as u64) << 16;
            let numbers = (bits, first);
            let got = self.claim_from(*at, &indices, request, numbers).await;
            match got {
                Ok(got) => {
                    claimed.extend(got.into_iter().map(|(index, got)| ((place, index), got)))
                }
                Err(error) if claimed.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(chosen
            .iter()
            .filter_map(|number| claimed.remove(number))
            .collect())
    }

    /// Leases these jobs of a batch, as far as they still wait.
    async fn claim_from(
        &self,
        at: At,
        indices: &[u16],
        request: &ClaimRequest,
        (bits, first): (u64, u64),
    ) -> Result<Vec<(u16, Claimed)>, StoreError> {
        let mut apply = |draft: &mut Draft, tried: Try| {
            let now = tried.now.middle();
            let lease = |index: u16| -> Option<(u16, Job, Hold)> {
                let hold = Hold {
                    token: LeaseToken::of_claim(bits, first | u64::from(index)),
                    worker: request.worker.clone(),
                    claimed_at: now,
                    expires_at: now.after(request.lease),
                };
                // The try before this one may have landed.
                let row = draft.ledger().row(index);
                let mine = row.and_then(|row| row.hold.clone());
                if let Some(mine) = mine.filter(|mine| tried.again && mine.token == hold.token) {
                    return Some((index, draft.job(index)?, mine));
                }
                let job = draft.claim(index, &hold)?;
                Some((index, job, hold))
            };
            indices
                .iter()
                .copied()
                .filter_map(lease)
                .collect::<Vec<_>>()
        };
        let leased = self.change(at, &mut apply).await?.unwrap_or_default();
        let cell = self.cell(at.name);
        let state = cell.lock().await.clone();
        let mut claimed = Vec::new();
        for (index, mut job, hold) in leased {
            debug_assert_eq!(job.state, JobState::Running);
            if let Some(state) = &state {
                self.fill_args_of(state, &mut job).await?;
                if self.needs_reservation(&state.batch().key, &job) {
                    self.remember_place(&job.id, state.batch().key);
                }
            }
            let lease = Lease {
                job_id: job.id.clone(),
                token: hold.token,
                expires_at: hold.expires_at,
            };
            claimed.push((index, Claimed { job, lease }));
        }
        Ok(claimed)
    }
}
