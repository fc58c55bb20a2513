//! Schedules: what is to happen again and again, and when.
//!
//! A [`Schedule`] says which job is to be enqueued at each tick of its [`Timetable`]. The engine
//! keeps it with its [`Standing`] in a document of the store, a [`Shard`] for every sixty-fourth
//! of the names, and [`Scheduled::due`] decides, purely, which ticks fire now. Each tick's job has
//! an id made of name and tick, so that enqueueing it again is a hit.

pub mod cron;
pub mod shard;
pub mod standing;
pub mod timetable;
pub mod zone;

pub use cron::{Cron, InvalidCron};
pub use shard::{Directory, Shard};
pub use standing::{Due, Scheduled, Standing};
pub use timetable::Timetable;
pub use zone::{InvalidZone, Zone};

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::id::JobId;
use crate::name::{Kind, QueueName, ScheduleName};
use crate::new_job::{NewJob, Priority};
use crate::time::Timestamp;

/// The metadata of a job that names the schedule it comes from.
pub const METADATA_SCHEDULE: &str = "longshore.schedule";
/// The metadata of a job that says for which tick it was enqueued, as RFC 3339.
pub const METADATA_TICK: &str = "longshore.tick";

/// What happens with ticks that no worker was there for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CatchUp {
    /// None of them fires. A tick that is less than [`CatchUp::GRACE`] late was not missed.
    Skip,
    /// The latest of them fires, once.
    #[default]
    One,
    /// All of them fire, oldest first, but no more than so many: the latest.
    All(u16),
}

/// A text that is not a catch-up policy.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no way to catch up: use skip, one, all (the latest 100) or all:N, N up to 1000")]
pub struct InvalidCatchUp(String);

impl CatchUp {
    /// How late a tick may fire under [`CatchUp::Skip`].
    pub const GRACE: Duration = Duration::from_secs(60);
    /// Most ticks of [`CatchUp::All`].
    pub const MAX_ALL: u16 = 1000;
    /// Those of a bare `all`.
    pub const DEFAULT_ALL: u16 = 100;
}

impl fmt::Display for CatchUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skip => f.write_str("skip"),
            Self::One => f.write_str("one"),
            Self::All(most) => write!(f, "all:{most}"),
        }
    }
}

impl FromStr for CatchUp {
    type Err = InvalidCatchUp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let most = |digits: &str| {
            let most = digits.parse().ok();
            most.filter(|most| (1..=Self::MAX_ALL).contains(most))
        };
        let read = match text {
            "skip" => Some(Self::Skip),
            "one" => Some(Self::One),
            "all" => Some(Self::All(Self::DEFAULT_ALL)),
            _ => text.strip_prefix("all:").and_then(most).map(Self::All),
        };
        read.ok_or_else(|| InvalidCatchUp(text.chars().take(40).collect()))
    }
}

impl TryFrom<String> for CatchUp {
    type Error = InvalidCatchUp;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CatchUp> for String {
    fn from(catch_up: CatchUp) -> Self {
        catch_up.to_string()
    }
}

/// What is to be enqueued at which ticks.
///
/// ```
/// use longshore_core::schedule::Schedule;
/// let schedule = Schedule {
///     zone: "Europe/Berlin".parse()?,
///     args: r#"{"pages":3}"#.to_owned(),
///     ..Schedule::new("nightly".try_into()?, "30 2 * * *".parse()?, "reports".try_into()?, "report".try_into()?)
/// };
/// assert!(schedule.validate().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Tells it from all others of the store.
    pub name: ScheduleName,
    /// When it fires.
    #[serde(rename = "cron")]
    pub timetable: Timetable,
    /// On whose wall clocks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub zone: Zone,
    /// Each firing comes later than its tick by a part of this time that the name decides, always
    /// the same, so that schedules of one tick do not all fire at once. At most
    /// [`Schedule::MAX_JITTER`].
    #[serde(
        rename = "jitter_ms",
        with = "millis",
        default,
        skip_serializing_if = "Duration::is_zero"
    )]
    pub jitter: Duration,
    /// What happens with ticks that no worker was there for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub catch_up: CatchUp,
    /// A tick passes without a job while the job of an earlier one is unfinished.
    #[serde(default, skip_serializing_if = "is_default")]
    pub alone: bool,
    /// The line its jobs wait in.
    pub queue: QueueName,
    /// Which handler runs them.
    pub kind: Kind,
    /// Their args: text, JSON by default, at most [`Schedule::MAX_ARGS_BYTES`].
    pub args: String,
    /// How urgent they are.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: Priority,
    /// Most attempts of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Most time for one attempt, if not the worker's own limit.
    #[serde(
        rename = "timeout_ms",
        with = "maybe_millis",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub timeout: Option<Duration>,
    /// Words to search its jobs by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// On whose behalf they run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// Which part of the system they belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Why a schedule was refused before any store saw it.
#[derive(Debug, thiserror::Error)]
#[error("the schedule {name} cannot be kept: {problem}")]
pub struct InvalidSchedule {
    name: ScheduleName,
    problem: String,
}

impl Schedule {
    /// Most bytes of args: 4 KiB.
    pub const MAX_ARGS_BYTES: usize = 4 << 10;
    /// Most jitter: a day.
    pub const MAX_JITTER: Duration = Duration::from_secs(86_400);

    /// A schedule with every default, its jobs' args `null`.
    #[must_use]
    pub fn new(name: ScheduleName, timetable: Timetable, queue: QueueName, kind: Kind) -> Self {
        Self {
            name,
            timetable,
            zone: Zone::default(),
            jitter: Duration::ZERO,
            catch_up: CatchUp::default(),
            alone: false,
            queue,
            kind,
            args: "null".to_owned(),
            priority: Priority::default(),
            max_attempts: None,
            timeout: None,
            tags: Vec::new(),
            tenant_id: None,
            namespace: None,
        }
    }

    /// Checks every bound, those of its jobs included.
    ///
    /// # Errors
    /// What breaks which bound.
    pub fn validate(&self) -> Result<(), InvalidSchedule> {
        let refuse = |problem: String| {
            Err(InvalidSchedule {
                name: self.name.clone(),
                problem,
            })
        };
        let (has, most) = (self.args.len(), Self::MAX_ARGS_BYTES);
        if has > most {
            return refuse(format!(
                "its args take {has} bytes, more than the {most} allowed: store them elsewhere and pass a reference"
            ));
        }
        if !self.timetable.is_allowed() {
            return refuse("@every takes whole seconds, from one to 366 days".to_owned());
        }
        if self.jitter > Self::MAX_JITTER {
            return refuse("its jitter is longer than a day".to_owned());
        }
        let id = self.job_id(Timestamp::UNIX_EPOCH);
        let mut job = NewJob::new(id, self.queue.clone(), self.kind.clone(), self.args.clone());
        job.max_attempts = self.max_attempts.unwrap_or(job.max_attempts);
        job.timeout = self.timeout;
        job.tags.clone_from(&self.tags);
        job.tenant_id.clone_from(&self.tenant_id);
        job.namespace.clone_from(&self.namespace);
        match job.validate() {
            Ok(()) => Ok(()),
            Err(problem) => refuse(problem.to_string()),
        }
    }

    /// The id of the job of a tick: `cron.`, the name, and the tick to the second.
    ///
    /// ```
    /// # use longshore_core::schedule::Schedule;
    /// # let schedule = Schedule::new("nightly".try_into()?, "@daily".parse()?, "q".try_into()?, "k".try_into()?);
    /// let id = schedule.job_id("2026-05-01T00:00:00Z".parse()?);
    /// assert_eq!(id.as_str(), "cron.nightly.20260501T000000Z");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn job_id(&self, tick: Timestamp) -> JobId {
        let at = zone::instant(tick).strftime("%Y%m%dT%H%M%SZ");
        JobId::lossy(&format!("cron.{}.{at}", self.name))
    }

    /// By how much each firing comes later than its tick.
    #[must_use]
    pub fn offset(&self) -> Duration {
        let most = u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX);
        let hash = xxh3_64_with_seed(self.name.as_str().as_bytes(), OFFSET_SEED);
        let part = (u128::from(hash) * (u128::from(most) + 1)) >> 64;
        Duration::from_millis(u64::try_from(part).unwrap_or(most))
    }

    /// The next `count` ticks after `after`, without their jitter; `since` is when it was added.
    #[must_use]
    pub fn upcoming(&self, after: Timestamp, since: Timestamp, count: usize) -> Vec<Timestamp> {
        let next = |at: &Timestamp| self.timetable.next_after(*at, &self.zone, since);
        let ticks = std::iter::successors(Some(after), next);
        ticks.skip(1).take(count).collect()
    }
}

/// Part of what is stored: the offsets of schedules must not change.
const OFFSET_SEED: u64 = 1;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

mod maybe_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde passes references")]
    pub(super) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        span.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
            .serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        let millis = Option::<u64>::deserialize(from)?;
        Ok(millis.map(Duration::from_millis))
    }
}

#[cfg(test)]
mod tests;
