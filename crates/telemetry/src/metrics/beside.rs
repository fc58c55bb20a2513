//! What parts of a process count that measure nothing of jobs: its receiver of OTLP, its copies to an
//! archive, its large answers.

use std::sync::{Arc, Mutex, PoisonError};

use super::received::{self, ReceiverCounters};
use super::table::{
    ANSWERS, ANSWERS_MEMORY, ARCHIVE_BYTES, ARCHIVE_DELETED, ARCHIVE_FAILURES, ARCHIVE_FILES,
    ARCHIVE_WAITING,
};
use super::text::Text;

/// The counts of parts that a process may have or not; for
/// [`Metrics::encode_with`](super::Metrics::encode_with).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// What its receivers of OTLP were sent, if it has any.
    pub receiver: Option<ReceiverCounters>,
    /// What it copied to an archive, if there is one.
    pub archive: Option<ArchiveCounters>,
    /// What became of those who asked for what may be large, if anybody may ask.
    pub answers: Option<AnswerCounters>,
}

/// What was copied to an archive of traces so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArchiveCounters {
    /// Files that were copied.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were deleted there, since a larger one has what they held.
    pub deleted: u64,
    /// Turns that failed.
    pub failures: u64,
    /// Files that wait to be copied by this process.
    pub waiting: u64,
}

/// A place where somebody who copies to an archive says how far that is. A clone is the same place.
#[derive(Clone, Debug, Default)]
pub struct ArchiveTally(Arc<Mutex<ArchiveCounters>>);

/// What became of those who asked for what may be large.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerCounters {
    /// There was memory for them at once.
    pub at_once: u64,
    /// They waited until there was.
    pub waited: u64,
    /// They were told to ask later.
    pub refused: u64,
    /// Bytes that are set aside for such answers now.
    pub bytes: u64,
}

impl ArchiveCounters {
    /// These and those of the copies of another folder.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self {
            files: self.files + other.files,
            bytes: self.bytes + other.bytes,
            deleted: self.deleted + other.deleted,
            failures: self.failures + other.failures,
            waiting: self.waiting + other.waiting,
        }
    }

    /// What several folders come to; nothing if there is none.
    #[must_use]
    pub fn of_all(tallies: &[ArchiveTally]) -> Option<Self> {
        tallies
            .iter()
            .map(ArchiveTally::counters)
            .reduce(Self::with)
    }
}

impl ArchiveTally {
    /// How far it is.
    #[must_use]
    pub fn counters(&self) -> ArchiveCounters {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how far it is now.
    pub fn say(&self, counters: ArchiveCounters) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = counters;
    }
}

pub(super) fn write(text: &mut Text, beside: &Beside) {
    if let Some(receiver) = &beside.receiver {
        received::write(text, receiver);
    }
    if let Some(archive) = &beside.archive {
        for (metric, count) in [
            (ARCHIVE_FILES, archive.files),
            (ARCHIVE_BYTES, archive.bytes),
            (ARCHIVE_DELETED, archive.deleted),
            (ARCHIVE_FAILURES, archive.failures),
            (ARCHIVE_WAITING, archive.waiting),
        ] {
            text.metric(metric).number(&[], count);
        }
    }
    if let Some(answers) = &beside.answers {
        let mut samples = text.metric(ANSWERS);
        for (outcome, count) in [
            ("at_once", answers.at_once),
            ("waited", answers.waited),
            ("refused", answers.refused),
        ] {
            samples.number(&[outcome], count);
        }
        text.metric(ANSWERS_MEMORY).number(&[], answers.bytes);
    }
}
