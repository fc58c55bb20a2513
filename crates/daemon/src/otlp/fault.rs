//! Why single spans or log records of a request are rejected.

use std::collections::BTreeMap;

/// What is wrong with one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    MissingIds,
    WrongIds,
    TooMany,
    JobGone,
}

impl Fault {
    pub(super) const ALL: [Self; 4] = [
        Self::MissingIds,
        Self::WrongIds,
        Self::TooMany,
        Self::JobGone,
    ];

    /// In words, for its sender.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::MissingIds => "a span has no trace id or no span id",
            Self::WrongIds => "an id has a wrong length",
            Self::TooMany => "the request has more than are taken at once",
            Self::JobGone => {
                "nobody knows any more what is to become of a job's spans, or there are too many"
            }
        }
    }

    /// A word for it, as a metric label.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::MissingIds => "missing_ids",
            Self::WrongIds => "wrong_ids",
            Self::TooMany => "too_many",
            Self::JobGone => "job_gone",
        }
    }
}

/// How many of a request are rejected.
#[derive(Clone, Debug, Default)]
pub(super) struct Rejected {
    by_fault: BTreeMap<Fault, usize>,
    first: Option<Fault>,
}

impl Rejected {
    pub(super) fn add(&mut self, fault: Fault, items: usize) {
        if items > 0 {
            *self.by_fault.entry(fault).or_default() += items;
            self.first.get_or_insert(fault);
        }
    }

    pub(super) fn count(&self) -> usize {
        self.by_fault.values().sum()
    }

    pub(super) fn by_fault(&self) -> impl Iterator<Item = (Fault, usize)> {
        self.by_fault.iter().map(|(fault, items)| (*fault, *items))
    }

    /// Why the first of them is; empty if none is.
    pub(super) fn why(&self) -> &'static str {
        self.first.map_or("", Fault::words)
    }
}
