//! How a batch stands, and when it is over.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Callback, CallbackKind, Counts, corrupt, invalid};
use crate::error::{ErrorKind, StoreError};
use crate::name::BatchId;
use crate::new_job::NewJob;
use crate::store::Document;
use crate::time::Timestamp;

/// A batch, as its document has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// When it was made, by the store's clock.
    pub created_at: Timestamp,
    /// The `traceparent` of the span that enqueued its first members: the callbacks link to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// How many pages it was made with; the others were added by members.
    planned: u16,
    pages: Vec<Page>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_end: Option<Callback>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_success: Option<Callback>,
    /// When all members were over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    over_at: Option<Timestamp>,
    /// Whether the callbacks are enqueued, so that nothing is left to do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    finished: bool,
}

/// Up to a thousand members of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// How many members it has.
    #[serde(rename = "n")]
    pub members: u16,
    /// How they are over, once all are.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Counts>,
    /// When it was added and not yet known to be enqueued, if it was added later than the batch.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    added_at: Option<Timestamp>,
    /// Whether all of its members are known to be enqueued.
    #[serde(rename = "f", default, skip_serializing_if = "std::ops::Not::not")]
    filled: bool,
}

/// Where a batch is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its members are being enqueued, or whoever did that died: repeating the call goes on.
    Open,
    /// Some of its members are not over.
    Running,
    /// All of its members are over.
    Ended,
}

impl State {
    /// The state as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Running => "running",
            Self::Ended => "ended",
        }
    }
}

impl Batch {
    /// Most members of a page: 1,000.
    pub const PAGE: u16 = 1000;
    /// Most members: 1,000,000.
    pub const MAX_MEMBERS: usize = 1_000_000;
    /// How often members may add others at most.
    pub const MAX_ADDED_PAGES: usize = 1000;
    /// How long a page may be on its way into the store, if it was added. What is not there by
    /// then does not come.
    pub const ADDING: Duration = Duration::from_secs(15 * 60);
    /// How long a batch is kept once it is over, or without having been enqueued wholly.
    pub const RETENTION: Duration = Duration::from_secs(7 * 86_400);

    /// A batch of so many members, made at `now`, the store's time.
    ///
    /// # Errors
    /// `Invalid` if there are too many members.
    pub fn new(
        members: usize,
        (on_end, on_success): (Option<Callback>, Option<Callback>),
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let sizes = sizes(members)?;
        let page = |members: u16| Page {
            members,
            ended: None,
            added_at: None,
            filled: false,
        };
        let pages: Vec<Page> = sizes.into_iter().map(page).collect();
        let mut batch = Self {
            created_at: now,
            trace: None,
            planned: u16::try_from(pages.len()).unwrap_or(u16::MAX),
            pages,
            on_end,
            on_success,
            over_at: None,
            finished: false,
        };
        batch.look(now);
        Ok(batch)
    }

    /// Reads the document.
    ///
    /// # Errors
    /// `Corrupt` if it is none.
    pub fn decode(body: &[u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(body).map_err(|error| corrupt("document", error))
    }

    /// Writes the document.
    ///
    /// # Errors
    /// `Invalid` if it would not fit.
    pub fn encode(&self) -> Result<Bytes, StoreError> {
        let body = serde_json::to_vec(self).map_err(|error| corrupt("document", error))?;
        if body.len() > Document::MAX_BYTES {
            let most = Document::MAX_BYTES >> 10;
            return Err(invalid(format!(
                "the batch takes more than {most} KiB: give its callbacks shorter args and metadata"
            )));
        }
        Ok(Bytes::from(body))
    }

    /// Whether a call for so many members with these callbacks is the one that made this batch.
    #[must_use]
    pub fn is_same_call(&self, other: &Self) -> bool {
        let planned = |batch: &Self| {
            let pages = batch.pages.iter().take(usize::from(batch.planned));
            pages.map(|page| page.members).collect::<Vec<_>>()
        };
        planned(self) == planned(other)
            && (&self.on_end, &self.on_success) == (&other.on_end, &other.on_success)
    }

    /// The pages, in order.
    #[must_use]
    pub fn pages(&self) -> &[Page] {
        &self.pages
    }

    /// The numbers of the pages that the batch was made with.
    #[must_use]
    pub const fn planned(&self) -> Range<u16> {
        0..self.planned
    }

    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> State {
        match self.over_at {
            Some(_) => State::Ended,
            None if self.is_filled() => State::Running,
            None => State::Open,
        }
    }

    /// Whether all members that it was made with are known to be enqueued.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        let mut planned = self.pages.iter().take(usize::from(self.planned));
        planned.all(|page| page.filled || page.ended.is_some())
    }

    /// How many members it has, those that never came to be not counted as far as that is known.
    #[must_use]
    pub fn members(&self) -> u32 {
        let size = |page: &Page| {
            let absent = page.ended.map_or(0, |counts| counts.absent);
            u32::from(page.members).saturating_sub(absent)
        };
        self.pages.iter().map(size).sum()
    }

    /// How the members of the pages that are over are over.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let ended = self.pages.iter().filter_map(|page| page.ended);
        ended.fold(Counts::default(), Counts::plus)
    }

    /// When all members were over.
    #[must_use]
    pub const fn over_at(&self) -> Option<Timestamp> {
        self.over_at
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.finished
    }

    /// Notes that all members that it was made with are enqueued.
    pub fn fill(&mut self) {
        let planned = usize::from(self.planned);
        let pages = self.pages.iter_mut().take(planned);
        pages.for_each(|page| page.filled = true);
    }

    /// Makes room for members that are to be added at `now`, the store's time; gives back the
    /// numbers of their pages.
    ///
    /// # Errors
    /// `Conflict` if the batch is over, `Invalid` if it would have too many members.
    pub fn add(&mut self, members: usize, now: Timestamp) -> Result<Range<u16>, StoreError> {
        if self.over_at.is_some() {
            let problem = "the batch is over: only a member that still runs can add others";
            return Err(StoreError::new(ErrorKind::Conflict, problem));
        }
        let before = usize::try_from(self.members()).unwrap_or(usize::MAX);
        let sizes = sizes(before.saturating_add(members)).and_then(|_| sizes(members))?;
        let added = self.pages.len() - usize::from(self.planned) + sizes.len();
        if added > Self::MAX_ADDED_PAGES {
            let most = Self::MAX_ADDED_PAGES;
            return Err(invalid(format!(
                "members can be added to a batch {most} times: add more of them at once"
            )));
        }
        let first = self.pages.len();
        self.pages.extend(sizes.into_iter().map(|members| Page {
            members,
            ended: None,
            added_at: Some(now),
            filled: false,
        }));
        let number = |place: usize| u16::try_from(place).unwrap_or(u16::MAX);
        Ok(number(first)..number(self.pages.len()))
    }

    /// Notes that the members of these pages, which were added, are enqueued.
    pub fn fill_added(&mut self, pages: Range<u16>) {
        for number in pages {
            if let Some(page) = self.pages.get_mut(usize::from(number)) {
                page.filled = true;
                page.added_at = None;
            }
        }
    }

    /// What a member that is not in the store means at `now`, the store's time: it was deleted
    /// after it was over, or will never come. `None` if it may still come.
    #[must_use]
    pub fn missing(&self, page: u16, now: Timestamp) -> Option<super::End> {
        let page = self.pages.get(usize::from(page))?;
        let late = |added_at: Timestamp| now > added_at.after(Self::ADDING);
        if page.filled {
            Some(super::End::Gone)
        } else if page.added_at.is_some_and(late) {
            Some(super::End::Absent)
        } else {
            None
        }
    }

    /// Notes that all members of a page are over. Whether that is news: it is not once the batch is
    /// over.
    pub fn fold(&mut self, page: u16, counts: Counts, now: Timestamp) -> bool {
        if self.over_at.is_some() {
            return false;
        }
        let Some(page) = self.pages.get_mut(usize::from(page)) else {
            return false;
        };
        if page.ended == Some(counts) {
            return false;
        }
        page.ended = Some(counts);
        self.look(now);
        true
    }

    fn look(&mut self, now: Timestamp) {
        if self.pages.iter().all(|page| page.ended.is_some()) {
            self.over_at = Some(now);
        }
    }

    /// The callbacks and when they are due.
    pub fn callbacks(&self) -> impl Iterator<Item = (CallbackKind, &Callback)> {
        let end = self.on_end.as_ref().map(|job| (CallbackKind::End, job));
        let success = self.on_success.as_ref();
        let success = success.map(|job| (CallbackKind::Success, job));
        end.into_iter().chain(success)
    }

    /// The jobs that are to be enqueued now: none unless the batch is over.
    #[must_use]
    pub fn due(&self, id: &BatchId) -> Vec<NewJob> {
        if self.over_at.is_none() || self.finished {
            return Vec::new();
        }
        let succeeded = self.counts().unsuccessful() == 0;
        let is_due = |which: CallbackKind| which == CallbackKind::End || succeeded;
        let due = self.callbacks().filter(|(which, _)| is_due(*which));
        due.map(|(which, callback)| callback.job(which, id))
            .collect()
    }

    /// Notes that what was due is enqueued. Whether that is news.
    pub fn finish(&mut self) -> bool {
        self.over_at.is_some() && !std::mem::replace(&mut self.finished, true)
    }

    /// Whether nobody needs it any more at `now`, the store's time.
    #[must_use]
    pub fn is_past(&self, now: Timestamp) -> bool {
        let since = match (self.over_at, self.finished) {
            (Some(over_at), true) => over_at,
            (None, _) if self.state() == State::Open => self.created_at,
            (Some(_) | None, _) => return false,
        };
        now > since.after(Self::RETENTION)
    }
}

/// The sizes of the pages of so many members.
fn sizes(members: usize) -> Result<Vec<u16>, StoreError> {
    let most = Batch::MAX_MEMBERS;
    if members > most {
        return Err(invalid(format!(
            "a batch of {members} jobs is larger than the {most} allowed: make several batches"
        )));
    }
    let (page, full) = (usize::from(Batch::PAGE), members / usize::from(Batch::PAGE));
    let rest = u16::try_from(members % page).unwrap_or_default();
    let full = std::iter::repeat_n(Batch::PAGE, full);
    Ok(full.chain((rest > 0).then_some(rest)).collect())
}
