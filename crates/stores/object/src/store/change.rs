//! Changing a ledger: calls are applied to what was read, and one conditional write makes them
//! true, or another has won and it is done again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use longshore_core::{ErrorKind, JobId, StoreError};
use tokio::sync::oneshot;

use super::cell::{Answer, Call, Cell};
use super::load::{At, Seen, State};
use super::parallel::all;
use super::{ObjectStore, restless};
use crate::draft::{Draft, Plan};
use crate::key::{Key, PointerKey};
use crate::minted_id::MintedId;
use crate::mutation::Mutation;
use crate::objects::{Landing, Version};
use crate::server_clock::Bounds;

/// What a call that is applied to a draft may know beside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Try {
    pub(super) now: Bounds,
    /// It was applied before, and that may have landed, unseen.
    pub(super) again: bool,
}

/// Whether a call may wait for others that come for the same batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Haste {
    /// It goes with the next write.
    Now,
    /// It may wait, if the batch was written a moment ago.
    MayGather,
}

/// The batch of some jobs, and those by the numbers of their answers and their indices.
type Group = (At, Vec<(usize, u16)>);

impl ObjectStore {
    /// Applies a call to a batch until it has landed; `None` if there is no such batch. What others
    /// here ask of the batch meanwhile goes into the same write.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        at: At,
        haste: Haste,
        mut apply: impl FnMut(&mut Draft, Try) -> T + Send + 'static,
    ) -> Result<Option<T>, StoreError> {
        let (tell, mut told) = oneshot::channel();
        let cell = self.cells.of(at.name);
        let gathers = cell.gathers_for(self.tuning.gather);
        cell.push(Call {
            apply: Box::new(move |draft, tried| Box::new(apply(draft, tried))),
            tell,
        });
        if let Some(left) = gathers.filter(|_| haste == Haste::MayGather && at.name.jobs() > 1)
            && let Some(answer) = answer_within(left, &mut told).await
        {
            return read(answer);
        }
        let turn = tokio::select! {
            biased;
            answer = &mut told => return read(answer),
            turn = cell.turn.lock() => turn,
        };
        // Whoever had the turn before has answered this call, or left it here.
        let mut calls = cell.take_calls();
        if calls.is_empty() {
            drop(turn);
            return read(told.await);
        }
        let changed = self.change_known(at, &cell, &mut calls).await;
        drop(turn);
        let is_new = matches!(changed, Ok(Some((_, true))));
        tell_all(calls, changed);
        if is_new {
            // What is left undone here, whoever meets the entry next does.
            let _ = Box::pin(self.follow(at)).await;
        }
        read(told.await)
    }

    /// The answers, and whether anything was written.
    async fn change_known(
        &self,
        at: At,
        cell: &Cell,
        calls: &mut [Call],
    ) -> Result<Option<(Vec<Answer>, bool)>, StoreError> {
        let mut tried: Vec<(u64, Vec<Answer>)> = Vec::new();
        let mut known = cell.known();
        for _ in 0..Self::TRIES {
            let state = match known.take() {
                Some(state) => state,
                None => match self.load(at).await? {
                    Some(state) => state,
                    None => {
                        cell.learn(None);
                        return Ok(None);
                    }
                },
            };
            cell.learn(Some(state.clone()));
            // A look decides whether an earlier try landed after all.
            let writer = state.ledger().map(|ledger| ledger.writer);
            if let Some(place) = tried.iter().position(|(token, _)| Some(*token) == writer) {
                let (_, answers) = tried.swap_remove(place);
                return Ok(Some((answers, true)));
            }
            let now = self.bounds();
            let mut draft = match &state {
                State::Waiting(batch) => Draft::first(Arc::clone(batch)),
                State::Ledger(seen) => Draft::of(seen.ledger.clone(), Arc::clone(&seen.batch)),
            };
            let again = !tried.is_empty();
            let applied = calls
                .iter_mut()
                .map(|call| (call.apply)(&mut draft, Try { now, again }));
            let answers = applied.collect();
            let token = self.token();
            let plan = draft.plan(token, now.middle());
            if plan == Plan::Nothing {
                return Ok(Some((answers, false)));
            }
            match self.land(at, state, plan).await? {
                Some(seen) => {
                    cell.learn(Some(State::Ledger(Arc::new(seen))));
                    cell.wrote();
                    return Ok(Some((answers, true)));
                }
                None => tried.push((token, answers)),
            }
        }
        Err(restless(&at.ledger()))
    }

    /// Sends what was planned; `None` if it was refused or nobody knows, so that a look must follow.
    async fn land(&self, at: At, state: State, plan: Plan) -> Result<Option<Seen>, StoreError> {
        let key = at.ledger();
        let encoded = plan.ledger().map(crate::Ledger::encode).transpose();
        let bytes = encoded.map_err(|error| error.of(&key))?.unwrap_or_default();
        let (path, now) = (key.to_string(), self.bounds());
        let (ledger, landing) = match (plan, &state) {
            (Plan::Create(ledger), _) => {
                let landing = self.objects.create(&path, bytes).await?;
                let landed = matches!(landing, Landing::Landed(_));
                if landed
                    && !Mutation::NoValidation.is_on()
                    && self.proof_of(&ledger).await?.is_none()
                {
                    self.drop_unproven(at, &ledger).await?;
                    return Ok(None);
                }
                (ledger, landing)
            }
            (Plan::Replace(ledger), State::Ledger(seen)) => {
                let landing = self.objects.replace(&path, bytes, &seen.version).await?;
                (ledger, landing)
            }
            (
                Plan::Park {
                    pointer,
                    ledger,
                    old,
                },
                State::Ledger(seen),
            ) => {
                let parked = self.park(&path, bytes, &seen.version, (&pointer, &old));
                (ledger, parked.await?)
            }
            _ => return Ok(None),
        };
        let version = match landing {
            Landing::Landed(version) => version,
            Landing::Unknown if Mutation::TrustUnknown.is_on() => Version::default(),
            Landing::Refused | Landing::Unknown => return Ok(None),
        };
        Ok(Some(Seen {
            ledger,
            version,
            batch: Arc::clone(state.batch()),
            at: now.least,
        }))
    }

    /// Creates a pointer, replaces the ledger by one that names it, and deletes the old entry.
    async fn park(
        &self,
        path: &str,
        ledger: Bytes,
        version: &Version,
        (pointer, old): (&PointerKey, &Key),
    ) -> Result<Landing, StoreError> {
        let (key, old) = (Key::Pointer(*pointer), old.to_string());
        let entry = key.to_string();
        if Mutation::PointerLate.is_on() {
            self.objects.delete(&old).await?;
        }
        let is_late = Mutation::LedgerBeforePointer.is_on();
        let made = match is_late {
            true => None,
            false => Some(self.objects.create(&entry, Bytes::new()).await?),
        };
        // One that may be there, or comes later, is never named: a new try makes a new pointer.
        if made.is_some_and(|made| !matches!(made, Landing::Landed(_))) {
            return Ok(Landing::Refused);
        }
        let landing = self.objects.replace(path, ledger, version).await?;
        if matches!(landing, Landing::Landed(_)) {
            if is_late {
                self.objects.create(&entry, Bytes::new()).await?;
            }
            self.lines.add(key, self.bounds().most);
            // The ledger names another: should this fail, whoever meets the old entry deletes it.
            let _ = self.objects.delete(&old).await;
            self.lines.remove(&old);
        }
        Ok(landing)
    }

    /// Applies a call to each of these jobs, those of one batch in one write. `apply` is given the
    /// number of the item and the job's index; it answers `None` if there is no such job.
    pub(super) async fn change_jobs<T, F>(
        &self,
        ids: &[JobId],
        haste: Haste,
        apply: F,
    ) -> Vec<Result<Option<T>, StoreError>>
    where
        T: Send + 'static,
        F: FnMut(&mut Draft, usize, u16, Try) -> Option<T> + Send + 'static,
    {
        let apply = Arc::new(Mutex::new(apply));
        let mut answers: Vec<Result<Option<T>, StoreError>> = Vec::new();
        answers.resize_with(ids.len(), || Ok(None));
        let mut groups: Vec<Group> = Vec::new();
        for (item, id) in ids.iter().enumerate() {
            let Some((at, index)) = self.named_place(id) else {
                continue;
            };
            add(&mut groups, at, (item, index));
        }
        self.change_groups(groups, haste, &apply, &mut answers)
            .await;
        // Whose id does not say where it lies, or lies elsewhere, has a reservation.
        let missing = ids.iter().enumerate();
        let missing: Vec<(usize, &JobId)> = missing
            .filter(|(item, _)| matches!(answers.get(*item), Some(Ok(None))))
            .collect();
        let looks = missing.iter().map(|(_, id)| self.reserved_place(id));
        let found = all(self.tuning.parallel, looks.collect()).await;
        let mut groups: Vec<Group> = Vec::new();
        for ((item, _), found) in missing.into_iter().zip(found) {
            match found {
                Ok(Some((key, index))) => add(&mut groups, At::batch(key), (item, index)),
                Ok(None) => {}
                Err(error) => put(&mut answers, item, Err(error)),
            }
        }
        self.change_groups(groups, haste, &apply, &mut answers)
            .await;
        answers
    }

    async fn change_groups<T, F>(
        &self,
        groups: Vec<Group>,
        haste: Haste,
        apply: &Arc<Mutex<F>>,
        answers: &mut [Result<Option<T>, StoreError>],
    ) where
        T: Send + 'static,
        F: FnMut(&mut Draft, usize, u16, Try) -> Option<T> + Send + 'static,
    {
        let changes = groups.iter().map(|(at, items)| {
            let (apply, items) = (Arc::clone(apply), items.clone());
            let each = move |draft: &mut Draft, tried: Try| -> Vec<Option<T>> {
                let mut apply = apply.lock().unwrap_or_else(PoisonError::into_inner);
                let items = items.iter();
                items
                    .map(|(item, index)| apply(draft, *item, *index, tried))
                    .collect()
            };
            self.change(*at, haste, each)
        });
        let told = all(self.tuning.parallel, changes.collect()).await;
        for ((_, items), told) in groups.iter().zip(told) {
            match told {
                Ok(None) => {}
                Ok(Some(told)) => {
                    for ((item, _), answer) in items.iter().zip(told) {
                        put(answers, *item, Ok(answer));
                    }
                }
                Err(error) => {
                    for (item, _) in items {
                        put(answers, *item, Err(same(&error)));
                    }
                }
            }
        }
    }

    /// Where a job lies by its id alone, or as this process remembers.
    pub(super) fn named_place(&self, id: &JobId) -> Option<(At, u16)> {
        if let Some((key, index)) = self.remembered_place(id) {
            return Some((At::batch(key), index));
        }
        let minted = MintedId::read(id, self.mark)?;
        Some((At::batch(minted.batch), minted.index))
    }
}

/// Adds an item to the group of its batch.
fn add(groups: &mut Vec<Group>, at: At, item: (usize, u16)) {
    match groups.iter_mut().find(|(other, _)| other.name == at.name) {
        Some((_, items)) => items.push(item),
        None => groups.push((at, vec![item])),
    }
}

fn put<T>(answers: &mut [T], item: usize, answer: T) {
    if let Some(slot) = answers.get_mut(item) {
        *slot = answer;
    }
}

/// The answer, if it comes within this time.
async fn answer_within<T>(
    within: Duration,
    told: &mut oneshot::Receiver<T>,
) -> Option<Result<T, oneshot::error::RecvError>> {
    tokio::time::timeout(within, told).await.ok()
}

fn tell_all(calls: Vec<Call>, changed: Result<Option<(Vec<Answer>, bool)>, StoreError>) {
    // Whoever does not wait any more needs no answer.
    match changed {
        Ok(Some((answers, _))) => {
            for (call, answer) in calls.into_iter().zip(answers) {
                let _ = call.tell.send(Ok(Some(answer)));
            }
        }
        Ok(None) => {
            for call in calls {
                let _ = call.tell.send(Ok(None));
            }
        }
        Err(error) => {
            for call in calls {
                let _ = call.tell.send(Err(same(&error)));
            }
        }
    }
}

/// The answer of a call, as its own type.
fn read<T: 'static>(
    told: Result<Result<Option<Answer>, StoreError>, oneshot::error::RecvError>,
) -> Result<Option<T>, StoreError> {
    let dropped = |_| {
        StoreError::new(
            ErrorKind::Unavailable,
            "another call, into whose write this one went, was given up before it ended: repeat it",
        )
    };
    let Some(answer) = told.map_err(dropped)?? else {
        return Ok(None);
    };
    let other = |_| StoreError::new(ErrorKind::Internal, "a call has the answer of another");
    answer
        .downcast::<T>()
        .map(|answer| Some(*answer))
        .map_err(other)
}

/// The same error, for another item of the call.
fn same(error: &StoreError) -> StoreError {
    StoreError::new(error.kind(), error.to_string())
}
