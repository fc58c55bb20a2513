//! Rules of the protocol that a test breaks on purpose, to see that breaking them is noticed. Without
//! the feature `mutations`, which is for the tests of this crate, every rule holds.

use crate::objects::Landing;

/// A rule that is broken.
#[cfg_attr(
    not(feature = "mutations"),
    expect(unreachable_pub, reason = "tests alone break rules")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A ledger that was created counts though its batch was not read after it.
    NoValidation,
    /// One whose batch is gone is deleted without another look at it.
    NoSecondLook,
    /// A rescue deletes the ledger.
    BlindRescue,
    /// A ledger is pruned though its batch or pointer may be there.
    LedgerFirst,
    /// The entry goes with the first settle.
    EarlyClose,
    /// The entry goes before the follow-ups are there.
    CloseFirst,
    /// A parked ledger does not carry its jobs.
    NotCarried,
    /// The old entry goes before the pointer is there.
    PointerLate,
    /// The pointer is created after the ledger that names it.
    LedgerBeforePointer,
    /// A batch that came too late counts.
    NoVoid,
    /// A job that was over is revived where its entry was.
    ReviveInPlace,
    /// A pruner does not say in the ledger that its jobs go.
    NoMark,
    /// A late answer to a write is believed to be one in time, so that no look follows.
    TrustUnknown,
    /// The job that a reservation names is not looked for before it is taken over.
    TakeOver,
    /// A job's batch is put before its reservation.
    BatchFirst,
    /// A job of another store is taken over from a call that may still bring it.
    NotBarred,
    /// A ledger is pruned though its original batch may be there, if its entry is gone.
    EntryOnly,
    /// A pointer is deleted though the next version of its ledger may name it.
    PointerReuse,
    /// A create that was refused is taken for one's own.
    ExistsEnough(Made),
    /// What a look found is judged by the time after it, instead of before.
    LateLook(Judged),
    /// The sweep deletes args and results that a ledger names.
    OrphanPrune,
    /// It deletes args of a batch that waits.
    OrphanWaiting,
    /// It deletes args whose batch is still to come.
    OrphanYoung,
    /// It deletes args of follow-ups that are still to be made.
    OrphanUnmade,
}

/// What is created, and may be another's.
#[cfg_attr(
    not(feature = "mutations"),
    expect(unreachable_pub, reason = "tests alone break rules")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// A ledger, to lease jobs that were listed.
    Lease,
    /// The reservation of a job that is enqueued.
    Reservation,
    /// That of a job of another store.
    Name,
    /// The ledger of jobs of another store.
    Brought,
    /// One that bars such jobs.
    Bar,
    /// A batch.
    Batch,
}

/// What is concluded from a look, and when it was.
#[cfg_attr(
    not(feature = "mutations"),
    expect(unreachable_pub, reason = "tests alone break rules")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// The job that a reservation names will never come.
    Reserved,
    /// A batch that was to be put will never come.
    Batch,
    /// A batch that landed came in time.
    Landed,
    /// Jobs of another store that landed came in time.
    Brought,
}

impl Landing {
    /// Whether a create landed, so that what is there now is one's own.
    pub(crate) fn is_ours(&self, made: Made) -> bool {
        match self {
            Self::Landed(_) => true,
            Self::Refused => Mutation::ExistsEnough(made).is_on(),
            Self::Unknown => false,
        }
    }
}

#[cfg(feature = "mutations")]
std::thread_local! {
    static BROKEN: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) };
}

impl Mutation {
    /// Breaks a rule on this thread, or none.
    #[cfg(feature = "mutations")]
    pub fn set(mutation: Option<Self>) {
        BROKEN.set(mutation);
    }

    /// Whether this rule is broken.
    #[cfg(feature = "mutations")]
    pub(crate) fn is_on(self) -> bool {
        BROKEN.get() == Some(self)
    }

    /// Whether this rule is broken.
    #[cfg(not(feature = "mutations"))]
    #[expect(
        clippy::unused_self,
        reason = "which rule it is matters to tests alone"
    )]
    pub(crate) const fn is_on(self) -> bool {
        false
    }
}
