//! Which members of a page are over, and how.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Batch, corrupt};
use crate::error::StoreError;
use crate::state::JobState;

/// How a member is over, from the one that says least to the one that says most: a later one
/// takes the place of an earlier, never the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Whoever was to enqueue it died before; it is not counted.
    Absent,
    /// It was deleted before anyone had noted how it was over.
    Gone,
    /// It was cancelled.
    Cancelled,
    /// It failed for good.
    Discarded,
    /// It succeeded, perhaps after a person had it run again.
    Completed,
}

impl End {
    const ALL: [Self; 5] = [
        Self::Absent,
        Self::Gone,
        Self::Cancelled,
        Self::Discarded,
        Self::Completed,
    ];

    /// How a job in this state is over; `None` if it is not.
    #[must_use]
    pub const fn of(state: JobState) -> Option<Self> {
        match state {
            JobState::Completed => Some(Self::Completed),
            JobState::Cancelled => Some(Self::Cancelled),
            JobState::Discarded => Some(Self::Discarded),
            JobState::Scheduled | JobState::Available | JobState::Running | JobState::Retryable => {
                None
            }
        }
    }

    const fn mark(self) -> u8 {
        match self {
            Self::Absent => b'-',
            Self::Gone => b'?',
            Self::Cancelled => b'x',
            Self::Discarded => b'd',
            Self::Completed => b'c',
        }
    }
}

/// Not over, as far as anyone has noted.
const PENDING: u8 = b'.';

/// Which members of a page are over: a letter for each, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends(Vec<Option<End>>);

impl Ends {
    /// A page of which nobody is over.
    #[must_use]
    pub fn new(members: u16) -> Self {
        Self(vec![None; usize::from(members)])
    }

    /// A page of which nobody will ever come.
    #[must_use]
    pub fn absent(members: u16) -> Self {
        Self(vec![Some(End::Absent); usize::from(members)])
    }

    /// Reads the document.
    ///
    /// # Errors
    /// `Corrupt` if it is none.
    pub fn decode(body: &[u8]) -> Result<Self, StoreError> {
        if body.len() > usize::from(Batch::PAGE) {
            return Err(corrupt("ends", "there are too many in a page"));
        }
        let one = |mark: &u8| match End::ALL.into_iter().find(|end| end.mark() == *mark) {
            Some(end) => Ok(Some(end)),
            None if *mark == PENDING => Ok(None),
            None => Err(corrupt("ends", format!("{mark:#04x} stands for none"))),
        };
        body.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// Writes the document.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let marks = self.0.iter().map(|end| end.map_or(PENDING, End::mark));
        marks.collect()
    }

    /// Notes that a member is over. Whether that is news.
    pub fn mark(&mut self, slot: u16, end: End) -> bool {
        match self.0.get_mut(usize::from(slot)) {
            Some(noted) if *noted < Some(end) => {
                *noted = Some(end);
                true
            }
            Some(_) | None => false,
        }
    }

    /// How a member is over; `None` if nobody has noted that.
    #[must_use]
    pub fn get(&self, slot: u16) -> Option<End> {
        self.0.get(usize::from(slot)).copied().flatten()
    }

    /// The members of which nobody has noted that they are over.
    pub fn pending(&self) -> impl Iterator<Item = u16> {
        let pending = |(slot, end): (usize, &Option<End>)| {
            end.is_none().then(|| u16::try_from(slot).ok()).flatten()
        };
        self.0.iter().enumerate().filter_map(pending)
    }

    /// How many are over, and how.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.0.iter().flatten().for_each(|end| counts.count(*end));
        counts
    }

    /// Whether all are over.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.0.iter().all(Option::is_some)
    }
}

/// How many members are over, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u32; 5]", into = "[u32; 5]")]
pub struct Counts {
    /// Succeeded.
    pub completed: u32,
    /// Failed for good.
    pub discarded: u32,
    /// Were cancelled.
    pub cancelled: u32,
    /// Were deleted before anyone had noted how they were over.
    pub gone: u32,
    /// Never came to be, since whoever was to enqueue them died; not among the members.
    pub absent: u32,
}

impl Counts {
    const fn count(&mut self, end: End) {
        let slot = match end {
            End::Completed => &mut self.completed,
            End::Discarded => &mut self.discarded,
            End::Cancelled => &mut self.cancelled,
            End::Gone => &mut self.gone,
            End::Absent => &mut self.absent,
        };
        *slot = slot.saturating_add(1);
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            completed: self.completed.saturating_add(other.completed),
            discarded: self.discarded.saturating_add(other.discarded),
            cancelled: self.cancelled.saturating_add(other.cancelled),
            gone: self.gone.saturating_add(other.gone),
            absent: self.absent.saturating_add(other.absent),
        }
    }

    /// The members that are over.
    #[must_use]
    pub const fn ended(&self) -> u32 {
        self.completed.saturating_add(self.unsuccessful())
    }

    /// The members that are over and did not succeed, as far as anyone knows.
    #[must_use]
    pub const fn unsuccessful(&self) -> u32 {
        self.discarded
            .saturating_add(self.cancelled)
            .saturating_add(self.gone)
    }
}

impl From<[u32; 5]> for Counts {
    fn from([completed, discarded, cancelled, gone, absent]: [u32; 5]) -> Self {
        Self {
            completed,
            discarded,
            cancelled,
            gone,
            absent,
        }
    }
}

impl From<Counts> for [u32; 5] {
    fn from(counts: Counts) -> Self {
        [
            counts.completed,
            counts.discarded,
            counts.cancelled,
            counts.gone,
            counts.absent,
        ]
    }
}
