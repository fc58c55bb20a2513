//! Changing a ledger: calls are applied to what was read, and one conditional write makes them
//! true, or another has won and it is done again.

use std::sync::Arc;

use longshore_core::{JobId, StoreError};

use super::load::{At, Seen, State};
use super::{ObjectStore, restless};
use crate::draft::{Draft, Plan};
use crate::key::Key;
use crate::minted_id::MintedId;
use crate::objects::Landing;
use crate::server_clock::Bounds;

/// What a call that is applied to a draft may know beside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Try {
    pub(super) now: Bounds,
    /// It was applied before, and that may have landed, unseen.
    pub(super) again: bool,
}

/// Calls that change the jobs of one batch, with their answers.
pub(super) type Apply<'a, T> = dyn FnMut(&mut Draft, Try) -> T + Send + 'a;

impl ObjectStore {
    /// Applies calls to a batch until they have landed; `None` if there is no such batch.
    pub(super) async fn change<T: Send>(
        &self,
        at: At,
        apply: &mut Apply<'_, T>,
    ) -> Result<Option<T>, StoreError> {
        let cell = self.cell(at.name);
        let changed = {
            let mut cell = cell.lock().await;
            let mut known = cell.take();
            let changed = self.change_known(at, &mut known, apply).await;
            *cell = known;
            changed?
        };
        let Some((answer, is_new)) = changed else {
            return Ok(None);
        };
        if is_new {
            // What is left undone here, whoever meets the entry next does.
            let _ = self.follow(at).await;
        }
        Ok(Some(answer))
    }

    /// The answers, and whether anything was written.
    async fn change_known<T: Send>(
        &self,
        at: At,
        known: &mut Option<State>,
        apply: &mut Apply<'_, T>,
    ) -> Result<Option<(T, bool)>, StoreError> {
        let mut tried: Vec<(u64, T)> = Vec::new();
        for _ in 0..Self::TRIES {
            let state = match known.take() {
                Some(state) => state,
                None => match self.load(at).await? {
                    Some(state) => state,
                    None => return Ok(None),
                },
            };
            // A look decides whether an earlier try landed after all.
            let writer = state.ledger().map(|ledger| ledger.writer);
            if let Some(place) = tried.iter().position(|(token, _)| Some(*token) == writer) {
                let (_, answer) = tried.swap_remove(place);
                *known = Some(state);
                return Ok(Some((answer, true)));
            }
            let now = self.bounds();
            let mut draft = match &state {
                State::Waiting(batch) => Draft::first(Arc::clone(batch)),
                State::Ledger(seen) => Draft::of(seen.ledger.clone(), Arc::clone(&seen.batch)),
            };
            let again = !tried.is_empty();
            let answer = apply(&mut draft, Try { now, again });
            let token = self.token();
            let plan = draft.plan(token, now.middle());
            if plan == Plan::Nothing {
                *known = Some(state);
                return Ok(Some((answer, false)));
            }
            match self.land(at, state, plan).await? {
                Some(seen) => {
                    *known = Some(State::Ledger(Box::new(seen)));
                    return Ok(Some((answer, true)));
                }
                None => tried.push((token, answer)),
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
        let (ledger, landing, old) = match (plan, &state) {
            (Plan::Create(ledger), _) => {
                let landing = self.objects.create(&path, bytes).await?;
                if matches!(landing, Landing::Landed(_)) && self.proof_of(&ledger).await?.is_none()
                {
                    self.drop_unproven(at, &ledger).await?;
                    return Ok(None);
                }
                (ledger, landing, None)
            }
            (Plan::Replace(ledger), State::Ledger(seen)) => {
                let landing = self.objects.replace(&path, bytes, &seen.version).await?;
                (ledger, landing, None)
            }
            (
                Plan::Park {
                    pointer,
                    ledger,
                    old,
                },
                State::Ledger(seen),
            ) => {
                let entry = Key::Pointer(pointer).to_string();
                let made = self.objects.create(&entry, bytes::Bytes::new()).await?;
                if !matches!(made, Landing::Landed(_)) {
                    return Ok(None);
                }
                let landing = self.objects.replace(&path, bytes, &seen.version).await?;
                (ledger, landing, Some(old))
            }
            _ => return Ok(None),
        };
        let Landing::Landed(version) = landing else {
            return Ok(None);
        };
        if let Some(old) = old {
            // The ledger names another: should this fail, whoever meets the old entry deletes it.
            let _ = self.objects.delete(&old.to_string()).await;
        }
        Ok(Some(Seen {
            ledger,
            version,
            batch: Arc::clone(state.batch()),
            at: now.least,
        }))
    }

    /// Applies a call to each of these jobs, those of one batch in one write. `apply` is given the
    /// number of the item and the job's index; it answers `None` if there is no such job.
    pub(super) async fn change_jobs<T, F>(
        &self,
        ids: &[&JobId],
        mut apply: F,
    ) -> Vec<Result<Option<T>, StoreError>>
    where
        T: Send,
        F: FnMut(&mut Draft, usize, u16, Try) -> Option<T> + Send,
    {
        let mut answers: Vec<Result<Option<T>, StoreError>> = Vec::new();
        answers.resize_with(ids.len(), || Ok(None));
        let mut groups: Vec<(At, Vec<(usize, u16)>)> = Vec::new();
        for (item, id) in ids.iter().enumerate() {
            let Some((at, index)) = self.named_place(id) else {
                continue;
            };
            match groups.iter_mut().find(|(other, _)| other.name == at.name) {
                Some((_, items)) => items.push((item, index)),
                None => groups.push((at, vec![(item, index)])),
            }
        }
        for (at, items) in groups {
            self.change_group(at, &items, &mut apply, &mut answers)
                .await;
        }
        // Whose id does not say where it lies, or lies elsewhere, has a reservation.
        for (item, id) in ids.iter().enumerate() {
            if !matches!(answers.get(item), Some(Ok(None))) {
                continue;
            }
            match self.reserved_place(id).await {
                Ok(Some(key)) => {
                    let items = [(item, 0)];
                    self.change_group(At::batch(key), &items, &mut apply, &mut answers)
                        .await;
                }
                Ok(None) => {}
                Err(error) => put(&mut answers, item, Err(error)),
            }
        }
        answers
    }

    async fn change_group<T, F>(
        &self,
        at: At,
        items: &[(usize, u16)],
        apply: &mut F,
        answers: &mut [Result<Option<T>, StoreError>],
    ) where
        T: Send,
        F: FnMut(&mut Draft, usize, u16, Try) -> Option<T> + Send,
    {
        let mut each = |draft: &mut Draft, tried: Try| -> Vec<Option<T>> {
            let items = items.iter();
            items
                .map(|(item, index)| apply(draft, *item, *index, tried))
                .collect()
        };
        match self.change(at, &mut each).await {
            Ok(None) => {}
            Ok(Some(told)) => {
                for ((item, _), answer) in items.iter().zip(told) {
                    put(answers, *item, Ok(answer));
                }
            }
            Err(error) => {
                for (item, _) in items {
                    let same = StoreError::new(error.kind(), error.to_string());
                    put(answers, *item, Err(same));
                }
            }
        }
    }

    /// Where a job lies by its id alone, or as this process remembers.
    pub(super) fn named_place(&self, id: &JobId) -> Option<(At, u16)> {
        if let Some(key) = self.remembered_place(id) {
            return Some((At::batch(key), 0));
        }
        let minted = MintedId::read(id, self.mark)?;
        Some((At::batch(minted.batch), minted.index))
    }
}

fn put<T>(answers: &mut [T], item: usize, answer: T) {
    if let Some(slot) = answers.get_mut(item) {
        *slot = answer;
    }
}
