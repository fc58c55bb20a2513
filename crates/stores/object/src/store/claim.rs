//! Claiming jobs: those that are due are found by listings, chosen by the rules of the contract,
//! and leased by one write for each batch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use longshore_core::waiting::Line;
use longshore_core::{ClaimRequest, Claimed, Job, Lease, LeaseToken, StoreError, Timestamp};

use super::ObjectStore;
use super::candidates::{Candidates, Number, Place};
use super::change::{Haste, Try};
use super::load::{At, Seen, State};
use super::parallel::all;
use crate::batch::StoredJob;
use crate::batch_key::BatchKey;
use crate::draft::Draft;
use crate::job_row::{Hold, JobRow};
use crate::key::Key;
use crate::ledger::{Ledger, Standing};
use crate::mutation::{Made, Mutation};
use crate::objects::{Landing, Version};

/// A job that waits.
pub(super) struct WaitingRow<'s> {
    stored: &'s StoredJob,
    priority: longshore_core::Priority,
    pub(super) due: Timestamp,
}

impl WaitingRow<'_> {
    /// What it has in common with others.
    pub(super) fn line(&self) -> Line {
        let job = &self.stored.job;
        Line {
            queue: job.queue.clone(),
            tenant: job.tenant_id.clone().unwrap_or_default(),
            kind: job.kind.clone(),
            priority: self.priority,
        }
    }
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

/// The numbers of a claim's tokens: its random bits, and the first number of a batch.
type Tokens = (u64, u64);

impl ObjectStore {
    /// How often a claim looks again because others were faster.
    const CLAIM_ROUNDS: usize = 3;

    pub(super) async fn claim_jobs(
        &self,
        request: &ClaimRequest,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.note_worker(&request.worker);
        let turns = self.turns(Some(&request.worker)).await?;
        let is_plain = request.quotas.is_empty() && request.spread.is_none();
        let mut request = request.clone();
        request.limit = request.limit.min(ClaimRequest::MAX_LIMIT);
        let mut claimed = Vec::new();
        let bits = self.token();
        for round in 0..Self::CLAIM_ROUNDS {
            let found = match self.candidates(&request, &turns).await {
                Ok(found) => found,
                // A failure after jobs were claimed is no reason to lose those.
                Err(error) if claimed.is_empty() => return Err(error),
                Err(_) => break,
            };
            let wanted = request.limit;
            let (got, wished) = match self.claim_chosen(&request, found, (bits, round)).await {
                Ok(got) => got,
                Err(error) if claimed.is_empty() => return Err(error),
                Err(_) => break,
            };
            request.limit = wanted.saturating_sub(got.len());
            request.turn = request.turn.wrapping_add(got.len() as u64);
            let all_came = got.len() == wished;
            claimed.extend(got);
            // Quotas are for the whole claim.
            if all_came || !is_plain || request.limit == 0 {
                break;
            }
        }
        Ok(claimed)
    }

    /// Claims those that the rules choose; also, how many those were.
    async fn claim_chosen(
        &self,
        request: &ClaimRequest,
        found: Candidates,
        (bits, round): (u64, usize),
    ) -> Result<(Vec<Claimed>, usize), StoreError> {
        let now = self.bounds().middle();
        let chosen = found.due.choose(request, &BTreeSet::new(), now);
        let mut by_place: BTreeMap<usize, Vec<u16>> = BTreeMap::new();
        for (place, index) in &chosen {
            by_place.entry(*place).or_default().push(*index);
        }
        let mut places = Vec::new();
        let mut claims = Vec::new();
        for (place, indices) in by_place {
            let Some(at) = found.places.get(place) else {
                continue;
            };
            places.push(place);
            let first = ((round as u64) << 40) | ((place as u64) << 16);
            claims.push(self.claim_from(at.clone(), indices, request, (bits, first)));
        }
        let told = all(self.tuning.parallel, claims).await;
        let mut claimed: BTreeMap<Number, Claimed> = BTreeMap::new();
        let mut failed = None;
        for (place, told) in places.into_iter().zip(told) {
            match told {
                Ok(got) => {
                    claimed.extend(got.into_iter().map(|(index, got)| ((place, index), got)));
                }
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed.or(found.failed).filter(|_| claimed.is_empty()) {
            return Err(error);
        }
        let got = chosen.iter().filter_map(|number| claimed.remove(number));
        Ok((got.collect(), chosen.len()))
    }

    async fn claim_from(
        &self,
        place: Place,
        indices: Vec<u16>,
        request: &ClaimRequest,
        tokens: Tokens,
    ) -> Result<Vec<(u16, Claimed)>, StoreError> {
        let (state, leased) = match place {
            Place::Seen(at) => self.claim_seen(at, indices, request, tokens).await?,
            Place::Unseen(key) => self.claim_unseen(key, indices, request, tokens).await?,
        };
        let mut claimed = Vec::new();
        for (index, mut job, hold) in leased {
            if let Some(state) = &state {
                self.fill_parts_of(state, &mut job).await?;
                if self.needs_reservation(&state.batch().key, &job) {
                    self.remember_place(&job.id, state.batch().key, index);
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

    /// Leases these jobs of a batch, as far as they still wait.
    async fn claim_seen(
        &self,
        at: At,
        indices: Vec<u16>,
        request: &ClaimRequest,
        tokens: Tokens,
    ) -> Result<(Option<State>, Vec<(u16, Job, Hold)>), StoreError> {
        let (worker, lease) = (request.worker.clone(), request.lease);
        let apply = move |draft: &mut Draft, tried: Try| {
            let now = tried.now.middle();
            let leased = indices.iter().filter_map(|index| {
                let hold = Hold {
                    token: token_of(tokens, *index),
                    worker: worker.clone(),
                    claimed_at: now,
                    expires_at: now.after(lease),
                };
                // The try before this one may have landed.
                let row = draft.ledger().row(*index);
                let mine = row.and_then(|row| row.hold.clone());
                if let Some(mine) = mine.filter(|mine| tried.again && mine.token == hold.token) {
                    return Some((*index, draft.job(*index)?, mine));
                }
                let job = draft.claim(*index, &hold)?;
                Some((*index, job, hold))
            });
            leased.collect::<Vec<_>>()
        };
        let leased = self.change(at, Haste::Now, apply).await?;
        let leased = leased.unwrap_or_default();
        let state = match self.cells.known(at.name) {
            None if !leased.is_empty() => self.load(at).await?,
            known => known,
        };
        Ok((state, leased))
    }

    /// Leases jobs of a batch of which no more is known than that it was listed: its ledger is
    /// created without a look at either. Only then is the batch read, which gives the jobs, and shows
    /// whether the ledger is true.
    async fn claim_unseen(
        &self,
        key: BatchKey,
        indices: Vec<u16>,
        request: &ClaimRequest,
        tokens: Tokens,
    ) -> Result<(Option<State>, Vec<(u16, Job, Hold)>), StoreError> {
        let at = At::batch(key);
        let cell = self.cells.of(key.name);
        let _turn = cell.turn.lock().await;
        if cell.known().is_some() {
            // Someone here was faster.
            return Ok((None, Vec::new()));
        }
        let now = self.bounds();
        let mut ledger = Ledger::blank(key, self.token());
        for index in &indices {
            let hold = Hold {
                token: token_of(tokens, *index),
                worker: request.worker.clone(),
                claimed_at: now.middle(),
                expires_at: now.middle().after(request.lease),
            };
            if let Some(standing) = ledger.standings.get_mut(usize::from(*index)) {
                *standing = Standing::Changed(Box::new(JobRow::first_claim(hold)));
            }
        }
        let path = at.ledger();
        let bytes = ledger.encode().map_err(|error| error.of(&path))?;
        let state = match self.objects.create(&path.to_string(), bytes).await? {
            Landing::Landed(version) => match self.proof_of(&ledger).await? {
                Some(batch) => Some(State::Ledger(Arc::new(Seen {
                    ledger,
                    version,
                    batch,
                    at: now.least,
                }))),
                None => {
                    self.drop_unproven(at, &ledger).await?;
                    None
                }
            },
            Landing::Refused if Mutation::ExistsEnough(Made::Lease).is_on() => {
                let (at, version) = (now.least, Version::default());
                self.proof_of(&ledger).await?.map(|batch| {
                    State::Ledger(Arc::new(Seen {
                        ledger,
                        version,
                        batch,
                        at,
                    }))
                })
            }
            // A look says whose it is.
            Landing::Refused | Landing::Unknown => {
                self.lines.contend(key.line, true);
                self.load(at).await?
            }
        };
        let Some(state) = state else {
            cell.miss(now.least);
            self.lines.remove(&Key::Batch(key).to_string());
            return Ok((None, Vec::new()));
        };
        cell.learn(Some(state.clone()));
        let leased = indices.iter().filter_map(|index| {
            let hold = state.ledger()?.row(*index)?.hold.clone()?;
            let is_mine = hold.token == token_of(tokens, *index);
            let job = super::enqueue::job_of(&state, *index).filter(|_| is_mine)?;
            Some((*index, job, hold))
        });
        let leased = leased.collect();
        Ok((Some(state), leased))
    }
}

fn token_of((bits, first): Tokens, index: u16) -> LeaseToken {
    LeaseToken::of_claim(bits, first | u64::from(index))
}
