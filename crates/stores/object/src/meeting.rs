//! What to do about an index entry that was listed.
//!
//! A listing is a hint: the entry may have gone, its ledger may name another, and a step may have
//! been left undone by someone who crashed. Whoever meets an entry looks at the ledger, and here is
//! said what follows from what was seen so far: another look, or the one request that brings the
//! batch forward.

use std::sync::Arc;

use longshore_core::Timestamp;

use crate::batch::Batch;
use crate::key::Key;
use crate::ledger::Ledger;
use crate::mutation::Mutation;

/// What is known of the batch of an entry.
#[derive(Clone, Debug)]
pub enum Look {
    /// Nobody looked.
    Unseen,
    /// It is there, and the server dated it so.
    There(Arc<Batch>, Timestamp),
    /// It is not there.
    Gone,
}

/// What follows from what was seen of an entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Leave it alone: it does not count, or waits for the sweep.
    Skip,
    /// Nobody has claimed from it: create the ledger, then read the batch.
    Create,
    /// Read the batch.
    ReadBatch,
    /// The ledger was made after its batch had gone. Read it again: if it is the same version,
    /// delete it, else look anew.
    DeleteLedgerIfUnchanged,
    /// The ledger, carrying the jobs, leads elsewhere: delete the entry.
    DeleteEntry,
    /// Every job is over: copy them into the ledger, by a replace.
    CopyIn,
    /// Make the follow-ups that the ledger names.
    MakeFollowUps,
    /// Every job is over, copied in and followed by what had to follow: delete the entry.
    Close,
    /// There are jobs to claim, or leases to take back once they end: a draft can be made of the
    /// ledger and this batch.
    Act(Arc<Batch>),
}

/// What to do about an entry: a batch or a pointer, dated `modified` by the listing, whose ledger is
/// this one, if there is one.
#[must_use]
pub fn meet(entry: &Key, modified: Timestamp, ledger: Option<&Ledger>, look: &Look) -> Step {
    let proves = ledger.is_some_and(|ledger| ledger.generation > 0);
    let is_void = matches!(entry, Key::Batch(key) if key.name.is_void(modified));
    let is_void = is_void && !Mutation::NoVoid.is_on();
    if is_void && !proves {
        return Step::Skip;
    }
    let Some(ledger) = ledger else {
        return match entry {
            Key::Batch(_) => Step::Create,
            _ => Step::Skip,
        };
    };
    if ledger.entry_key() != *entry {
        return meet_other(entry, ledger);
    }
    let batch = match (&ledger.carried, look) {
        // What a ledger of generation 0 says is true only while its batch is there and counts.
        (_, Look::Unseen) if !proves => return Step::ReadBatch,
        (_, Look::Gone) if !proves => return Step::DeleteLedgerIfUnchanged,
        (_, Look::There(batch, modified)) if !proves && batch.key.name.is_void(*modified) => {
            return Step::DeleteLedgerIfUnchanged;
        }
        (Some(carried), _) => carried,
        (None, Look::There(batch, _)) => batch,
        (None, Look::Unseen) => return Step::ReadBatch,
        (None, Look::Gone) => return Step::Skip,
    };
    if !ledger.is_over(Some(batch)) {
        return Step::Act(Arc::clone(batch));
    }
    if ledger.carried.is_none() {
        Step::CopyIn
    } else if ledger.has_open_outbox() {
        Step::MakeFollowUps
    } else {
        Step::Close
    }
}

/// An entry that its ledger does not name.
fn meet_other(entry: &Key, ledger: &Ledger) -> Step {
    match entry {
        Key::Batch(_) if ledger.carried.is_some() => Step::DeleteEntry,
        // One ahead of the ledger may be named by the very next version.
        Key::Pointer(pointer)
            if pointer.generation <= ledger.generation || Mutation::PointerReuse.is_on() =>
        {
            Step::DeleteEntry
        }
        _ => Step::Skip,
    }
}

/// Whether a look at batch and ledger shows that jobs are there which were to be enqueued or to
/// follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// They are there, or were.
    There,
    /// They are not, but may still appear: try again.
    NotYet,
    /// They are not and never will be.
    Never,
}

/// What a look for a batch says: first at the batch (`modified` is how the server dated it), *then*
/// at its ledger. `least` is the least that the server's time can have been *before* the look.
#[must_use]
pub fn presence(
    name: crate::BatchName,
    modified: Option<Timestamp>,
    ledger: Option<&Ledger>,
    least: Timestamp,
) -> Presence {
    let counts = modified.is_some_and(|modified| !name.is_void(modified));
    let proven = ledger.is_some_and(|ledger| ledger.generation > 0);
    if counts || proven {
        Presence::There
    } else if name.has_expired(least) {
        Presence::Never
    } else {
        Presence::NotYet
    }
}

#[cfg(test)]
mod tests;
