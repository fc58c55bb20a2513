//! What a producer hands to a store.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::envelope::TraceEnvelope;
use crate::id::JobId;
use crate::name::{Kind, QueueName};
use crate::time::Timestamp;
use crate::unique::{OnConflict, UniqueKey};

/// How urgent a job is: 1 first, 4 last, 2 by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Priority(u8);

/// A number that is not a priority.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a priority: use 1 (first) to 4 (last)")]
pub struct InvalidPriority(String);

impl Priority {
    /// First.
    pub const FIRST: Self = Self(1);
    /// Last.
    pub const LAST: Self = Self(4);

    /// Every priority, first to last.
    pub const ALL: [Self; 4] = [Self(1), Self(2), Self(3), Self(4)];

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self(2)
    }
}

impl TryFrom<u8> for Priority {
    type Error = InvalidPriority;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        if (1..=4).contains(&number) {
            Ok(Self(number))
        } else {
            Err(InvalidPriority(number.to_string()))
        }
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> Self {
        priority.0
    }
}

impl FromStr for Priority {
    type Err = InvalidPriority;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number: u8 = text
            .parse()
            .map_err(|_ignored| InvalidPriority(text.chars().take(20).collect()))?;
        Self::try_from(number)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Where a new job will wait: what a store may write into its id, so that the id alone leads to
/// the job.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The line it waits in.
    pub queue: QueueName,
    /// How urgent it is.
    pub priority: Priority,
    /// When it may first run; `None` for at once.
    pub scheduled_at: Option<Timestamp>,
}

impl Place {
    /// The place of a job of this queue with every default.
    #[must_use]
    pub fn new(queue: QueueName) -> Self {
        Self {
            queue,
            priority: Priority::default(),
            scheduled_at: None,
        }
    }
}

/// A job as a producer hands it in.
///
/// ```
/// use longshore_core::{JobId, NewJob, SystemClock, SystemRandom, Clock};
/// let id = JobId::generate(SystemClock::new().now(), &SystemRandom);
/// let job = NewJob::new(id, "mail".try_into()?, "send_mail".try_into()?, "{}");
/// assert_eq!(job.priority.get(), 2);
/// # Ok::<(), longshore_core::InvalidName>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// Minted for its place before the first try, or chosen by the caller, so that repeating the
    /// call is a hit.
    pub id: JobId,
    /// The line it waits in.
    pub queue: QueueName,
    /// Which handler runs it.
    pub kind: Kind,
    /// The caller's bytes, at most [`NewJob::MAX_ARGS_BYTES`]; JSON by default, never touched.
    pub args: Bytes,
    /// How urgent it is.
    pub priority: Priority,
    /// When it may first run; `None` for at once.
    pub scheduled_at: Option<Timestamp>,
    /// Most attempts, at least 1.
    pub max_attempts: u32,
    /// Most time for one attempt; the worker's own limit if `None`.
    pub timeout: Option<Duration>,
    /// A key that at most one job of the queue has at a time.
    pub unique_key: Option<UniqueKey>,
    /// What is to happen if another job has that key.
    pub on_conflict: OnConflict,
    /// Words to search by; at most 32 of 100 bytes.
    pub tags: Vec<String>,
    /// The caller's own pairs to search by; at most 4 KiB together.
    pub metadata: BTreeMap<String, String>,
    /// What belongs together across jobs; the job's own id if `None`.
    pub correlation_id: Option<String>,
    /// The correlation id of the job that enqueued this one.
    pub parent_correlation_id: Option<String>,
    /// On whose behalf it runs.
    pub tenant_id: Option<String>,
    /// Which part of the system it belongs to.
    pub namespace: Option<String>,
    /// The trace part.
    pub trace: TraceEnvelope,
}

/// Why a new job was refused before any store saw it.
#[derive(Debug, thiserror::Error)]
#[error("the job's {field} {problem}")]
pub struct InvalidNewJob {
    field: &'static str,
    problem: String,
}

impl NewJob {
    /// Most bytes of args: 16 MiB.
    pub const MAX_ARGS_BYTES: usize = 16 << 20;
    /// Attempts if the producer does not say.
    pub const DEFAULT_MAX_ATTEMPTS: u32 = 20;
    /// Most attempts that can be asked for.
    pub const MAX_ATTEMPTS: u32 = 10_000;
    /// Most tags.
    pub const MAX_TAGS: usize = 32;
    /// Most bytes of metadata, keys and values together.
    pub const MAX_METADATA_BYTES: usize = 4096;

    /// A job with every default.
    #[must_use]
    pub fn new(id: JobId, queue: QueueName, kind: Kind, args: impl Into<Bytes>) -> Self {
        Self {
            id,
            queue,
            kind,
            args: args.into(),
            priority: Priority::default(),
            scheduled_at: None,
            max_attempts: Self::DEFAULT_MAX_ATTEMPTS,
            timeout: None,
            unique_key: None,
            on_conflict: OnConflict::default(),
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            correlation_id: None,
            parent_correlation_id: None,
            tenant_id: None,
            namespace: None,
            trace: TraceEnvelope {
                batch_size: 1,
                ..TraceEnvelope::default()
            },
        }
    }

    /// Where it will wait.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            queue: self.queue.clone(),
            priority: self.priority,
            scheduled_at: self.scheduled_at,
        }
    }

    /// Checks every bound.
    ///
    /// # Errors
    /// Which field breaks which bound.
    pub fn validate(&self) -> Result<(), InvalidNewJob> {
        let refuse = |field, problem: String| Err(InvalidNewJob { field, problem });
        let off = |text: &String| text.is_empty() || text.len() > 200;
        if self.args.len() > Self::MAX_ARGS_BYTES {
            let (has, most) = (self.args.len(), Self::MAX_ARGS_BYTES);
            return refuse(
                "args",
                format!(
                    "take {has} bytes, more than the {most} allowed: store them elsewhere and pass a reference"
                ),
            );
        }
        if !(1..=Self::MAX_ATTEMPTS).contains(&self.max_attempts) {
            return refuse(
                "max attempts",
                format!("must be 1 to {}", Self::MAX_ATTEMPTS),
            );
        }
        if let Some(problem) = self.unique_key.as_ref().and_then(UniqueKey::problem) {
            return refuse("unique key", problem);
        }
        let bad_tag = |tag: &String| tag.is_empty() || tag.len() > 100;
        if self.tags.len() > Self::MAX_TAGS || self.tags.iter().any(bad_tag) {
            let most = Self::MAX_TAGS;
            return refuse(
                "tags",
                format!("must be at most {most}, of 1 to 100 bytes each"),
            );
        }
        let metadata: usize = self.metadata.iter().map(|(k, v)| k.len() + v.len()).sum();
        if metadata > Self::MAX_METADATA_BYTES {
            let most = Self::MAX_METADATA_BYTES;
            return refuse(
                "metadata",
                format!("takes {metadata} bytes, more than the {most} allowed"),
            );
        }
        if self.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return refuse("timeout", "must be longer than nothing".to_owned());
        }
        let ids = [
            ("correlation id", &self.correlation_id),
            ("parent correlation id", &self.parent_correlation_id),
            ("tenant", &self.tenant_id),
            ("namespace", &self.namespace),
        ];
        match ids.into_iter().find(|(_, id)| id.as_ref().is_some_and(off)) {
            Some((field, _)) => refuse(field, "must have 1 to 200 bytes".to_owned()),
            None => Ok(()),
        }
    }
}
