//! Taking leases back that have ended.
//!
//! Jobs that run hang on the entries with which their lines begin. Not every worker reads the ledger
//! of each: one whose leases are known is read when the first of them ends, and another by the
//! worker whose turn it is, once in as long as what was seen is believed.

use longshore_core::{Rescued, StoreError, Timestamp};

use super::ObjectStore;
use super::change::{Haste, Try};
use super::index::Entry;
use super::lines::Known;
use super::load::{At, State};
use super::turns::Turns;
use crate::batch_key::Line;
use crate::draft::Draft;
use crate::ledger::Ledger;
use crate::mutation::Mutation;
use crate::server_clock::Bounds;

/// What a look at the leases of an entry found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leases {
    /// There is no ledger.
    None,
    /// There is nothing to do, as far as is known.
    Held,
    /// One has ended.
    Lost,
}

impl ObjectStore {
    /// Most ledgers that a call reads to find out whether leases have ended.
    const MAX_LOOKS: usize = 256;
    /// After so many entries without a ledger, those that follow are taken to have none.
    const WITHOUT_LEDGER: usize = 200;

    pub(super) async fn rescue_jobs(&self, limit: usize) -> Result<Vec<Rescued>, StoreError> {
        let worker = self.last_worker();
        let turns = self.turns(worker.as_ref()).await?;
        let mut rescued = Vec::new();
        let mut looks = Self::MAX_LOOKS;
        for line in self.lines_of(None).await? {
            let rescue = self.rescue_line(line, limit, &turns, &mut looks, &mut rescued);
            match rescue.await {
                Ok(()) => {}
                Err(error) if rescued.is_empty() => return Err(error),
                // Nobody else hears of what was taken back; the next call meets the error again.
                Err(_) => break,
            }
        }
        Ok(rescued)
    }

    async fn rescue_line(
        &self,
        line: Line,
        limit: usize,
        turns: &Turns,
        looks: &mut usize,
        rescued: &mut Vec<Rescued>,
    ) -> Result<(), StoreError> {
        let mut without = 0;
        for entry in self.due_in(line, Known::Roughly).await?.entries {
            if rescued.len() >= limit || *looks == 0 || without >= Self::WITHOUT_LEDGER {
                break;
            }
            match self.look_at_leases(&entry, turns, looks).await? {
                Leases::None => without += 1,
                Leases::Held => without = 0,
                Leases::Lost => {
                    without = 0;
                    let room = limit - rescued.len();
                    rescued.extend(self.rescue_from(&entry, room).await?);
                }
            }
        }
        Ok(())
    }

    async fn look_at_leases(
        &self,
        entry: &Entry,
        turns: &Turns,
        looks: &mut usize,
    ) -> Result<Leases, StoreError> {
        let Some(at) = entry.at() else {
            return Ok(Leases::None);
        };
        let now = self.bounds();
        let seen = match self.cells.known(at.name) {
            Some(State::Ledger(seen)) => Some(seen),
            Some(State::Waiting(_)) | None => None,
        };
        if let Some(seen) = &seen {
            if is_any_lost(&seen.ledger, now) {
                return Ok(Leases::Lost);
            }
            if now.least < seen.at.after(Self::TRUSTED_FOR) {
                return Ok(Leases::Held);
            }
        }
        let is_recent =
            |looked: &(Timestamp, Leases)| now.least < looked.0.after(Self::TRUSTED_FOR);
        if let Some((_, leases)) = self.looked.get(&at.name).filter(is_recent) {
            return Ok(leases);
        }
        let unknown = if seen.is_some() {
            Leases::Held
        } else {
            Leases::None
        };
        let round = u64::try_from(now.least.unix_millis()).unwrap_or(0);
        let round = round / u64::try_from(Self::TRUSTED_FOR.as_millis()).unwrap_or(1);
        if !turns.is_own(at.name, round) {
            return Ok(unknown);
        }
        *looks -= 1;
        let leases = self.read_leases(entry, at).await?;
        self.looked.put(at.name, (now.least, leases));
        Ok(leases)
    }

    async fn read_leases(&self, entry: &Entry, at: At) -> Result<Leases, StoreError> {
        let now = self.bounds();
        let Some((ledger, ..)) = self.get_ledger(at).await? else {
            return Ok(Leases::None);
        };
        if is_any_lost(&ledger, now) {
            return Ok(Leases::Lost);
        }
        // A step that someone left undone, or a ledger that proves nothing.
        if ledger.generation == 0 || ledger.entry_key() != entry.key || ledger.is_over(None) {
            self.meet_entry(entry, true).await?;
        }
        Ok(Leases::Held)
    }

    async fn rescue_from(&self, entry: &Entry, room: usize) -> Result<Vec<Rescued>, StoreError> {
        let Some((at, State::Ledger(seen))) = self.meet_entry(entry, true).await? else {
            return Ok(Vec::new());
        };
        if !is_any_lost(&seen.ledger, self.bounds()) {
            return Ok(Vec::new());
        }
        if Mutation::BlindRescue.is_on() {
            self.objects.delete(&at.ledger().to_string()).await?;
            return Ok(Vec::new());
        }
        let mut sent: Vec<(u16, Rescued)> = Vec::new();
        let apply = move |draft: &mut Draft, tried: Try| {
            let (least, now) = (tried.now.least, tried.now.middle());
            // A try whose answer was lost has landed if its record is there, whoever wrote after it.
            let landed = |index: u16, rescued: &Rescued| {
                let job = draft.job(index);
                job.is_some_and(|job| job.history.contains(&rescued.lost))
            };
            let before = std::mem::take(&mut sent);
            sent = before
                .into_iter()
                .filter(|(index, rescued)| landed(*index, rescued))
                .collect();
            let mut back: Vec<Rescued> = sent.iter().map(|(_, rescued)| rescued.clone()).collect();
            let mut indices = 0..at.name.jobs();
            while let Some(index) = indices.next().filter(|_| back.len() < room) {
                if let Some(rescued) = draft.rescue(index, least, now) {
                    sent.push((index, rescued.clone()));
                    back.push(rescued);
                }
            }
            back
        };
        let mut back = self
            .change(at, Haste::Now, apply)
            .await?
            .unwrap_or_default();
        for lost in &mut back {
            // It is taken back: without long args, should they not be read now, rather than unheard of.
            let _ = self.fill_parts(at, &mut lost.job).await;
        }
        Ok(back)
    }
}

fn is_any_lost(ledger: &Ledger, now: Bounds) -> bool {
    let mut indices = 0..ledger.key.name.jobs();
    indices.any(|index| ledger.row(index).is_some_and(|row| row.is_lost(now.least)))
}
