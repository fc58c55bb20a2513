//! Leases: the exclusive hold of a worker on a job until a deadline.

use std::fmt;

use crate::id::JobId;
use crate::time::Timestamp;

/// Proves that its holder is the one the store last leased the job to. Unguessable by accident:
/// made of random bits at every claim.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseToken(i64);

impl LeaseToken {
    /// A token from random bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        // 63 bits and never zero, since several stores have signed integers only.
        let bits = (bits >> 1).cast_signed();
        Self(if bits == 0 { 1 } else { bits })
    }

    /// The token of one job of a claim: the random bits are the same for all of them, `number`,
    /// below 2^62, is the job's own. It is the sum of the upper 62 bits and the number, so that a
    /// store can tell it within a statement.
    #[must_use]
    pub const fn of_claim(bits: u64, number: u64) -> Self {
        Self::from_bits(((bits >> 2) + (number & (u64::MAX >> 2))) << 1)
    }

    /// The token as stores keep it.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The hold of a worker on a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job_id: JobId,
    /// What fences the holder.
    pub token: LeaseToken,
    /// Until when it holds, by the store's clock.
    pub expires_at: Timestamp,
}

/// One lease in a heartbeat.
#[derive(Clone, Debug)]
pub struct Beat {
    /// The job.
    pub job_id: JobId,
    /// The holder's token.
    pub token: LeaseToken,
    /// The new end of the lease, counted from the store's clock.
    pub extend_by: std::time::Duration,
    /// How far the handler is, 0 to 100, if it said.
    pub progress: Option<u8>,
    /// What the next attempt may resume from, at most [`Beat::MAX_CHECKPOINT_BYTES`].
    pub checkpoint: Option<bytes::Bytes>,
}

impl Beat {
    /// Most bytes of a checkpoint: 64 KiB.
    pub const MAX_CHECKPOINT_BYTES: usize = 64 << 10;
}

/// What the store answers to a beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeatAnswer {
    /// The lease holds until the time given.
    Held(Timestamp),
    /// The lease holds until the time given, and someone asked for the job to be cancelled.
    CancelRequested(Timestamp),
    /// The lease is lost: stop the handler and settle nothing.
    Lost,
}
