//! What a batch is called: everything that leads from one of its jobs to the objects that hold it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use longshore_core::{Priority, Random, Timestamp};

/// How long after its stamp a batch may appear at the latest: one hour. One that was written later
/// is *void*: it counts for nobody.
pub const VOID_AFTER: Duration = Duration::from_secs(3600);
/// By how much the clocks of the servers behind one bucket may differ: 15 minutes.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(15 * 60);

/// The number of a queue in the store's list of queues. Queues keep theirs for ever.
pub type QueueCode = u32;

/// The name of a batch: a UUID v7 and how many jobs it has, so that a listing of names tells how
/// many jobs wait. Printed as `<32 hex digits>.<jobs>`; names sort by the time they were minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchName {
    uuid: u128,
    jobs: u16,
}

impl BatchName {
    /// Most jobs of a batch.
    pub const MAX_JOBS: u16 = 1000;

    /// A new name for a batch of `jobs` jobs, stamped with `now`, the time of the store.
    #[must_use]
    pub fn mint(now: Timestamp, jobs: u16, random: &dyn Random) -> Self {
        let millis = u64::try_from(now.unix_millis()).unwrap_or(0);
        let mut bits = [0; 10];
        let (high, low) = (random.next_u64().to_be_bytes(), random.next_u64());
        for (slot, byte) in bits
            .iter_mut()
            .zip(high.into_iter().chain(low.to_be_bytes()))
        {
            *slot = byte;
        }
        let uuid = uuid::Builder::from_unix_timestamp_millis(millis, &bits).into_uuid();
        let jobs = jobs.clamp(1, Self::MAX_JOBS);
        Self {
            uuid: uuid.as_u128(),
            jobs,
        }
    }

    /// A new name that comes after this one in the order of names.
    #[must_use]
    pub fn next(self, jobs: u16, random: &dyn Random) -> Self {
        // The lower 62 bits are random; a step of 32 keeps them so, and is never too long for them
        // but in one of a thousand million cases, in which the order is that of chance.
        const RANDOM: u128 = (1 << 62) - 1;
        let step = u128::from(random.next_u64() >> 32) + 1;
        let bits = (self.uuid & RANDOM).wrapping_add(step) & RANDOM;
        Self {
            uuid: self.uuid & !RANDOM | bits,
            jobs: jobs.clamp(1, Self::MAX_JOBS),
        }
    }

    /// The name with this UUID, or `None` if it is not of version 7 or the number of jobs is out of
    /// bounds.
    #[must_use]
    pub fn new(uuid: u128, jobs: u16) -> Option<Self> {
        let is_v7 = uuid::Uuid::from_u128(uuid).get_version_num() == 7;
        let fits = (1..=Self::MAX_JOBS).contains(&jobs);
        (is_v7 && fits).then_some(Self { uuid, jobs })
    }

    /// The UUID.
    #[must_use]
    pub const fn uuid(self) -> u128 {
        self.uuid
    }

    /// How many jobs the batch has, those counted that were left out of it.
    #[must_use]
    pub const fn jobs(self) -> u16 {
        self.jobs
    }

    /// The store's time at which the batch was named.
    #[must_use]
    pub fn stamp(self) -> Timestamp {
        // A UUID v7 begins with 48 bits of milliseconds.
        let millis = i64::try_from(self.uuid >> 80).unwrap_or(i64::MAX);
        Timestamp::from_unix_millis(millis)
    }

    /// Whether a batch of this name that the server dates `modified` came too late to count.
    #[must_use]
    pub fn is_void(self, modified: Timestamp) -> bool {
        modified > self.stamp().after(VOID_AFTER)
    }

    /// Whether no batch of this name can appear any more that counts. `now` is the least that the
    /// server's time can be, and known *before* the look that is to be judged was sent.
    #[must_use]
    pub fn has_expired(self, now: Timestamp) -> bool {
        now > self.stamp().after(VOID_AFTER).after(CLOCK_TOLERANCE)
    }

    /// Whether the batch may still be written, so that the answer proves that it counts. Later,
    /// whoever has it only looks.
    #[must_use]
    pub fn may_be_written(self, now: Timestamp) -> bool {
        now < self.stamp().after(VOID_AFTER / 2)
    }
}

impl fmt::Display for BatchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}.{}", self.uuid, self.jobs)
    }
}

/// A text that is not the name of what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}")]
pub struct Unreadable {
    what: &'static str,
    text: String,
}

impl Unreadable {
    /// The error of a text, of which the first 200 characters are shown.
    pub(crate) fn new(what: &'static str, text: &str) -> Self {
        let text = text.chars().take(200).collect();
        Self { what, text }
    }
}

/// What was read, if it is printed as it was written: of everything there is one text only.
pub(crate) fn canonical<T: fmt::Display>(read: Option<T>, text: &str) -> Option<T> {
    read.filter(|value| value.to_string() == text)
}

impl FromStr for BatchName {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (uuid, jobs) = text.split_once('.')?;
            let uuid = u128::from_str_radix(uuid, 16).ok()?;
            Self::new(uuid, jobs.parse().ok()?)
        };
        canonical(read(), text).ok_or_else(|| Unreadable::new("the name of a batch", text))
    }
}

/// Where a line of jobs waits: queue, shard and priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    /// The queue's number.
    pub queue: QueueCode,
    /// Which of the queue's shards. More of them spread a queue's keys over more of the provider's
    /// partitions.
    pub shard: u16,
    /// How urgent its jobs are.
    pub priority: Priority,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.queue, self.shard, self.priority)
    }
}

impl Line {
    /// Reads the three parts as they stand in a key.
    pub(crate) fn read(queue: &str, shard: &str, priority: &str) -> Option<Self> {
        Some(Self {
            queue: queue.parse().ok()?,
            shard: shard.parse().ok()?,
            priority: priority.parse().ok()?,
        })
    }
}

/// A batch and where it waits: the keys of its objects follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchKey {
    /// Its name.
    pub name: BatchName,
    /// The line it waits in.
    pub line: Line,
    /// When its jobs are due, in milliseconds since the Unix epoch; at most [`BatchKey::MAX_DUE`].
    pub due: u64,
}

impl BatchKey {
    /// The latest due time that 13 digits can hold, in the year 2286.
    pub const MAX_DUE: u64 = 9_999_999_999_999;

    /// A due time as keys have it: whole milliseconds, of which 13 digits are never too few.
    #[must_use]
    pub fn due_millis(due: Timestamp) -> u64 {
        u64::try_from(due.unix_millis())
            .unwrap_or(0)
            .min(Self::MAX_DUE)
    }

    /// When its jobs are due.
    #[must_use]
    pub fn due_at(&self) -> Timestamp {
        Timestamp::from_unix_millis(i64::try_from(self.due).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use longshore_testkit::SeededRandom;
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        pub(crate) fn names()(
            millis in 0..(1i64 << 48), jobs in 1..=BatchName::MAX_JOBS, seed: u64,
        ) -> BatchName {
            BatchName::mint(Timestamp::from_unix_millis(millis), jobs, &SeededRandom::new(seed))
        }
    }

    prop_compose! {
        pub(crate) fn lines()(queue: u32, shard: u16, priority in 1..=4u8) -> Line {
            Line { queue, shard, priority: priority.try_into().unwrap() }
        }
    }

    prop_compose! {
        pub(crate) fn batch_keys()(
            name in names(), line in lines(), due in 0..=BatchKey::MAX_DUE,
        ) -> BatchKey {
            BatchKey { name, line, due }
        }
    }

    proptest! {
        #[test]
        fn a_name_is_read_as_written(name in names()) {
            prop_assert_eq!(name.to_string().parse::<BatchName>(), Ok(name));
        }

        #[test]
        fn names_sort_by_time(one in 0..(1i64 << 43), later in 1..1000i64, seed: u64) {
            let random = SeededRandom::new(seed);
            let name = |millis| BatchName::mint(Timestamp::from_unix_millis(millis), 7, &random);
            prop_assert!(name(one).to_string() < name(one + later).to_string());
            prop_assert_eq!(name(one).stamp(), Timestamp::from_unix_millis(one));
        }

        #[test]
        fn there_is_one_text_for_a_name(text in "[0-9a-fA-F+]{30,34}\\.[+0-9]{1,4}") {
            if let Ok(name) = text.parse::<BatchName>() {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }

    #[test]
    fn names_of_one_moment_may_be_in_order() {
        let random = SeededRandom::new(5);
        let mut name = BatchName::mint(Timestamp::from_unix_millis(1), 3, &random);
        for _ in 0..100 {
            let next = name.next(7, &random);
            assert!(name < next && name.to_string() < next.to_string());
            assert_eq!((next.stamp(), next.jobs()), (name.stamp(), 7));
            assert_eq!(BatchName::new(next.uuid(), 7), Some(next));
            name = next;
        }
    }

    #[test]
    fn a_batch_is_void_or_may_come_or_has_expired() {
        let stamp = Timestamp::from_unix_millis(1_767_225_600_000);
        let name = BatchName::mint(stamp, 1, &SeededRandom::new(1));
        let second = Duration::from_secs(1);
        let limit = stamp.after(VOID_AFTER);
        assert!(!name.is_void(limit));
        assert!(name.is_void(limit.after(second)));
        assert!(name.may_be_written(stamp));
        assert!(!name.may_be_written(stamp.after(VOID_AFTER / 2)));
        let expiry = limit.after(CLOCK_TOLERANCE);
        assert!(!name.has_expired(expiry));
        assert!(name.has_expired(expiry.after(second)));
    }

    #[test]
    fn due_times_are_thirteen_digits() {
        assert_eq!(BatchKey::due_millis(Timestamp::from_unix_millis(-5)), 0);
        let last = BatchKey::due_millis(Timestamp::MAX);
        assert!(last <= BatchKey::MAX_DUE && last.to_string().len() == 13);
    }
}
