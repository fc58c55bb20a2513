//! Keys of which a queue has at most one job, and what becomes of a second one.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::error::{ErrorKind, StoreError};
use crate::id::JobId;
use crate::job::Job;
use crate::name::{Kind, QueueName};
use crate::new_job::NewJob;
use crate::state::JobState;
use crate::time::Timestamp;

/// A key that at most one job of a queue has at a time.
///
/// The job that has it says for how long, by its [`UniqueScope`]; a job that comes meanwhile says
/// what is to happen, by its [`OnConflict`]. (E-4)
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UniqueKey {
    /// The caller's key, 1 to 200 bytes.
    pub key: String,
    /// A hash of kind and args; see [`UniqueKey::new`].
    pub hash: u64,
    /// For how long the job has the key.
    #[serde(default)]
    pub scope: UniqueScope,
}

/// For how long a job has its unique key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UniqueScope {
    /// Until the job is over.
    #[default]
    Unfinished,
    /// Until it starts: its first claim. What changes while it runs may be enqueued again.
    Waiting,
    /// For so long after it was enqueued, completed or not. A job that is cancelled or discarded
    /// lets go of the key, since what it was for was not done.
    Window(Duration),
}

/// What a new job does when its unique key is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// A hit if kind and args are those of the job that has the key, else refused.
    #[default]
    Reject,
    /// A hit, whatever kind and args are: the job that is there stays as it is.
    Keep,
    /// A job of the same kind that still waits gets the new args, and the due time if the new job
    /// has one; its checkpoint, which was of the old args, is gone. One that runs or is over is
    /// met as by [`OnConflict::Reject`].
    Replace {
        /// Whether it gets the new job's priority too.
        priority: bool,
    },
}

/// What becomes of a new job whose unique key is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// It is a hit on the job that is there.
    Hit,
    /// The job that is there gets its args.
    Replace,
    /// It is refused.
    Refused,
}

impl UniqueKey {
    /// Longest key, in bytes.
    pub const MAX_BYTES: usize = 200;

    /// Binds `key` to `kind` and `args`, until the job is over.
    #[must_use]
    pub fn new(key: impl Into<String>, kind: &Kind, args: &[u8]) -> Self {
        Self {
            key: key.into(),
            // 63 bits, since several stores have signed integers only.
            hash: hash_of(kind, args).digest() >> 1,
            scope: UniqueScope::default(),
        }
    }

    /// A key made of `kind` and `args`, byte by byte: jobs that are equal in both have the same.
    #[must_use]
    pub fn by_args(kind: &Kind, args: &[u8]) -> Self {
        let digest = hash_of(kind, args).digest128();
        Self::new(format!("args:{digest:032x}"), kind, args)
    }

    /// The same key for another time.
    #[must_use]
    pub fn with_scope(self, scope: UniqueScope) -> Self {
        Self { scope, ..self }
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.key.is_empty() || self.key.len() > Self::MAX_BYTES {
            return Some(format!("must have 1 to {} bytes", Self::MAX_BYTES));
        }
        match self.scope {
            UniqueScope::Window(window)
                if !(UniqueScope::MIN_WINDOW..=UniqueScope::MAX_WINDOW).contains(&window) =>
            {
                Some("must have a window of 1 millisecond to 366 days".to_owned())
            }
            _ => None,
        }
    }

    /// The error of a job that comes with a key it cannot have.
    #[must_use]
    pub fn taken(&self, queue: &QueueName, holder: &JobId) -> StoreError {
        let shown: String = self.key.chars().take(60).collect();
        StoreError::new(
            ErrorKind::Conflict,
            format!(
                "the unique key `{shown}` in queue {queue} is held by job {holder} with another \
                 kind or other args: use another key, wait until that job lets go of it, or enqueue \
                 so that the job that is there is kept or, while it waits, replaced"
            ),
        )
    }
}

fn hash_of(kind: &Kind, args: &[u8]) -> Xxh3 {
    let mut hasher = Xxh3::new();
    hasher.update(kind.as_str().as_bytes());
    hasher.update(&[0]);
    hasher.update(args);
    hasher
}

impl UniqueScope {
    /// Shortest window.
    pub const MIN_WINDOW: Duration = Duration::from_millis(1);
    /// Longest window: 366 days.
    pub const MAX_WINDOW: Duration = Duration::from_secs(366 * 24 * 3600);

    /// The scope as a word: `unfinished`, `waiting` or `window`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unfinished => "unfinished",
            Self::Waiting => "waiting",
            Self::Window(_) => "window",
        }
    }

    /// Until when a job enqueued at `enqueued_at` has its key, if that is a time.
    #[must_use]
    pub fn ends_at(self, enqueued_at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Window(window) => Some(enqueued_at.after(window)),
            Self::Unfinished | Self::Waiting => None,
        }
    }
}

impl OnConflict {
    /// What becomes of a new job: `same` says whether kind and args are those of the job that has
    /// its key, `replaceable` whether that one waits and is of the same kind.
    #[must_use]
    pub const fn meets(self, same: bool, replaceable: bool) -> Met {
        match self {
            Self::Replace { .. } if replaceable => Met::Replace,
            Self::Keep => Met::Hit,
            Self::Reject | Self::Replace { .. } if same => Met::Hit,
            Self::Reject | Self::Replace { .. } => Met::Refused,
        }
    }

    /// The name as typed on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Keep => "keep",
            Self::Replace { .. } => "replace",
        }
    }
}

impl fmt::Display for OnConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that does not say what to do when a unique key is taken.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is nothing to do when a key is taken: use reject, keep or replace")]
pub struct InvalidOnConflict(String);

impl FromStr for OnConflict {
    type Err = InvalidOnConflict;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Reject, Self::Keep, Self::Replace { priority: false }]
            .into_iter()
            .find(|on_conflict| on_conflict.as_str() == text)
            .ok_or_else(|| InvalidOnConflict(text.chars().take(40).collect()))
    }
}

impl Job {
    /// Whether the job has its unique key at `now`, so that no other job of its queue can. (E-4)
    #[must_use]
    pub fn holds_unique_key(&self, now: Timestamp) -> bool {
        let Some(unique) = &self.unique_key else {
            return false;
        };
        match unique.scope {
            UniqueScope::Unfinished => !self.state.is_final(),
            UniqueScope::Waiting => !self.state.is_final() && self.claim == 0,
            UniqueScope::Window(window) => {
                let gave_up = matches!(self.state, JobState::Cancelled | JobState::Discarded);
                !gave_up && now < self.enqueued_at.after(window)
            }
        }
    }

    /// What becomes of `new`, whose unique key this job holds.
    #[must_use]
    pub fn met_by(&self, new: &NewJob) -> Met {
        let hash = |unique: &Option<UniqueKey>| unique.as_ref().map(|unique| unique.hash);
        let same = hash(&self.unique_key) == hash(&new.unique_key);
        let replaceable = self.state.is_waiting() && self.kind == new.kind;
        new.on_conflict.meets(same, replaceable)
    }

    /// Gives the job, which waits, the args of `new`, and what else [`OnConflict::Replace`] names.
    pub fn apply_replacement(&mut self, new: &NewJob, now: Timestamp) {
        self.args = new.args.clone();
        self.checkpoint = None;
        if let (Some(mine), Some(other)) = (&mut self.unique_key, &new.unique_key) {
            mine.hash = other.hash;
        }
        if new.on_conflict == (OnConflict::Replace { priority: true }) {
            self.priority = new.priority;
        }
        let Some(due) = new.scheduled_at else {
            return;
        };
        self.available_at = due.max(now);
        if self.claim == 0 {
            self.first_available_at = self.available_at;
        }
        self.state = match (self.available_at > now, self.attempt) {
            (false, _) => JobState::Available,
            (true, 0) => JobState::Scheduled,
            (true, _) => JobState::Retryable,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind() -> Kind {
        "send".parse().unwrap()
    }

    #[test]
    fn keys_by_args_are_equal_where_kind_and_args_are() {
        let other: Kind = "send2".parse().unwrap();
        let one = UniqueKey::by_args(&kind(), b"1");
        assert_eq!(one, UniqueKey::by_args(&kind(), b"1"));
        assert_ne!(one.key, UniqueKey::by_args(&kind(), b"2").key);
        assert_ne!(one.key, UniqueKey::by_args(&other, b"1").key);
        assert_eq!(one.problem(), None);
    }

    #[test]
    fn windows_and_keys_are_bounded() {
        let window =
            |window| UniqueKey::new("k", &kind(), b"").with_scope(UniqueScope::Window(window));
        let years = Duration::from_secs(100 * 365 * 24 * 3600);
        for bad in [
            Duration::ZERO,
            Duration::from_nanos(1),
            years,
            Duration::MAX,
        ] {
            assert!(window(bad).problem().is_some(), "{bad:?}");
        }
        for good in [UniqueScope::MIN_WINDOW, UniqueScope::MAX_WINDOW] {
            assert_eq!(window(good).problem(), None, "{good:?}");
        }
        for (length, allowed) in [(0, false), (1, true), (200, true), (201, false)] {
            let key = UniqueKey::new("k".repeat(length), &kind(), b"");
            assert_eq!(key.problem().is_none(), allowed, "{length}");
        }
    }

    #[test]
    fn what_becomes_of_a_second_job_is_its_own_choice() {
        use {Met as M, OnConflict as O};
        let replace = O::Replace { priority: false };
        let table = [
            (O::Reject, [M::Hit, M::Hit, M::Refused, M::Refused]),
            (O::Keep, [M::Hit; 4]),
            (replace, [M::Replace, M::Hit, M::Replace, M::Refused]),
        ];
        let holders = [(true, true), (true, false), (false, true), (false, false)];
        for (on_conflict, expected) in table {
            let met = holders.map(|(same, replaceable)| on_conflict.meets(same, replaceable));
            assert_eq!(met, expected, "{on_conflict}");
            assert_eq!(on_conflict.as_str().parse::<O>().unwrap(), on_conflict);
        }
    }
}
