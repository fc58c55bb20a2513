//! What lies over a screen.

use longshore_api::job::{Change, ChangeJobs};
use longshore_api::schedule::ChangeSchedule;
use longshore_api::trace::{Completions, Diff, DiffSide, StoryOf};
use longshore_trace::diff::PlaceName;

use super::Slot;
use crate::ask::Ask;
use crate::cursor::Cursor;
use crate::typed::Typed;

/// What lies over a screen and gets the keys.
#[derive(Debug)]
pub(crate) enum Overlay {
    Help(Cursor),
    Search(Box<Search>),
    Palette(Box<Palette>),
    Confirm(Box<Confirm>),
    Related(Related),
    Diff(Box<Comparison>),
    /// What a comparison shows, over the comparison.
    AboutDiff(Box<Comparison>),
    /// An address to follow.
    Link(String),
}

/// What is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sought {
    Traces,
    Jobs,
    /// Queues, and kinds of jobs.
    Queues,
    /// The spans of the trace that is open.
    Spans,
}

/// A search that is being typed.
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) of: Sought,
    pub(crate) typed: Typed,
    pub(crate) slot: Slot,
    pub(crate) completions: Completions,
    pub(crate) chosen: Option<usize>,
    pub(crate) problem: Option<String>,
}

/// What is to be done, looked for by its name.
#[derive(Debug, Default)]
pub(crate) struct Palette {
    pub(crate) typed: Typed,
    pub(crate) cursor: Cursor,
}

/// A change that waits for a yes.
#[derive(Debug)]
pub(crate) struct Confirm {
    pub(crate) question: String,
    /// What it means.
    pub(crate) about: String,
    pub(crate) ask: Ask,
    /// What to say once it is done.
    pub(crate) done: String,
}

impl Confirm {
    pub(crate) fn job(change: Change, id: &str, kind: &str) -> Self {
        let (verb, about, done) = match change {
            Change::Cancel => (
                "Cancel",
                "If it runs, its handler is asked to stop.",
                "Cancelled",
            ),
            Change::Retry => (
                "Retry",
                "It runs now, with one more attempt if need be.",
                "Retried",
            ),
            Change::Discard => (
                "Discard",
                "It is given up and never runs again.",
                "Discarded",
            ),
        };
        Self {
            question: format!("{verb} {kind} {id}?"),
            about: about.to_owned(),
            ask: Ask::ChangeJobs(ChangeJobs {
                change,
                ids: vec![id.to_owned()],
            }),
            done: format!("{done} {id}"),
        }
    }

    pub(crate) fn queue(queue: &str, paused: bool) -> Self {
        let (question, about, done) = if paused {
            (
                format!("Pause the queue {queue}?"),
                "Jobs that run go on; nobody claims another until it is resumed.",
                format!("Paused {queue}"),
            )
        } else {
            (
                format!("Resume the queue {queue}?"),
                "Workers claim its jobs again.",
                format!("Resumed {queue}"),
            )
        };
        Self {
            question,
            about: about.to_owned(),
            ask: Ask::PauseQueue(queue.to_owned(), paused),
            done,
        }
    }

    pub(crate) fn schedule(change: ChangeSchedule) -> Self {
        use longshore_api::schedule::ScheduleChange as To;
        let (verb, about, done) = match change.change {
            To::Pause => ("Pause", "It fires no more until it is resumed.", "Paused"),
            To::Resume => ("Resume", "It fires again at its times.", "Resumed"),
            To::Trigger => (
                "Run",
                "One job is enqueued now, besides its times.",
                "Triggered",
            ),
            To::Remove => ("Remove", "It never fires again; its jobs stay.", "Removed"),
        };
        Self {
            question: format!("{verb} the schedule {}?", change.name),
            about: about.to_owned(),
            done: format!("{done} {}", change.name),
            ask: Ask::ChangeSchedule(change),
        }
    }
}

/// What has to do with a story.
#[derive(Debug, Default)]
pub(crate) struct Related {
    pub(crate) items: Vec<RelatedItem>,
    pub(crate) cursor: Cursor,
}

/// Something to go to.
#[derive(Clone, Debug)]
pub(crate) struct RelatedItem {
    /// What it is to the story.
    pub(crate) relation: String,
    pub(crate) text: String,
    pub(crate) state: String,
    pub(crate) of: StoryOf,
}

/// What is compared: traces, or groups of them.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) before: DiffSide,
    pub(crate) after: DiffSide,
    pub(crate) slot: Slot,
    pub(crate) found: Option<Found>,
    pub(crate) problem: Option<String>,
    pub(crate) cursor: Cursor,
}

impl Comparison {
    /// How many places differ.
    pub(crate) fn len(&self) -> usize {
        self.found.as_ref().map_or(0, |found| found.diff.rows.len())
    }
}

/// What differs, and what each place is called.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) diff: Diff,
    pub(crate) names: Vec<PlaceName>,
}

impl Found {
    pub(crate) fn new(diff: Diff) -> Self {
        let names = PlaceName::of(diff.rows.iter().map(|row| row.path.as_slice()));
        Self { diff, names }
    }
}
