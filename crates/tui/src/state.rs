//! Everything that is known and shown.

pub(crate) mod jobs;
pub(crate) mod open;
pub(crate) mod overlay;
pub(crate) mod queues;
pub(crate) mod traces;

use std::collections::HashMap;
use std::time::Duration;

use longshore_api::backend::About;
use longshore_api::schedule::Schedule;
use longshore_api::trace::StoryOf;
use longshore_api::worker::Worker;
use longshore_core::Timestamp;

use crate::ask::Ask;
use crate::binding::{Place, Tab};
use crate::cursor::Cursor;
use crate::key::Key;
use crate::update::Effect;
use jobs::Jobs;
use open::Open;
use overlay::Overlay;
use queues::Queues;
use traces::Traces;

/// What stays as it was when the UI started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What to open at once: a trace, or the traces of a job.
    pub open: Option<StoryOf>,
    /// What to search for at once, if nothing is opened.
    pub search: Option<String>,
    /// Where traces are opened: a template of addresses, or the name of a preset; see [`crate::apm`].
    /// Without it, what the backend says.
    pub trace_url: Option<String>,
    /// Whether this runs on another machine than the terminal's, so that no browser can be started:
    /// addresses are shown and copied instead.
    pub remote: bool,
    /// Whether it is drawn with ASCII characters alone; as its [`Theme`](crate::Theme) is.
    pub ascii: bool,
}

/// The state of the terminal UI. It changes by [`crate::update()`] alone.
#[derive(Debug, Default)]
pub struct State {
    pub(crate) options: Options,
    pub(crate) now: Timestamp,
    pub(crate) width: u16,
    pub(crate) height: u16,
    pub(crate) tab: Tab,
    pub(crate) focus: Focus,
    pub(crate) frozen: bool,
    pub(crate) backend: Connection,
    pub(crate) traces: Traces,
    pub(crate) open: Option<Open>,
    pub(crate) jobs: Jobs,
    pub(crate) queues: Queues,
    pub(crate) workers: Listing<Worker>,
    pub(crate) running: Running,
    /// The worker to go to as soon as they are known.
    pub(crate) worker_wanted: Option<String>,
    pub(crate) schedules: Listing<Schedule>,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) change: Slot,
    /// What to say once the change is made.
    pub(crate) changing: Option<String>,
    pub(crate) note: Option<Note>,
    pub(crate) begun: Option<Key>,
    pub(crate) effects: Vec<Effect>,
    tickets: u64,
}

/// The panel of the traces that has the cursor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Focus {
    #[default]
    List,
    Waterfall,
    Span,
}

/// A question that may be under way; only the answer to the last one counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slot {
    ticket: Option<u64>,
    asked_at: Timestamp,
}

impl Slot {
    /// Whether an answer is awaited.
    pub(crate) const fn busy(&self) -> bool {
        self.ticket.is_some()
    }

    /// Whether it is time to ask again.
    pub(crate) fn due(&self, now: Timestamp, every: Duration) -> bool {
        !self.busy() && now.since(self.asked_at) >= every
    }

    /// Whether this is the answer that is awaited; then none is any more.
    pub(crate) fn take(&mut self, ticket: u64) -> bool {
        let awaited = self.ticket == Some(ticket);
        if awaited {
            self.ticket = None;
        }
        awaited
    }

    /// Whatever is under way does not count any more, and it is time to ask again.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// What is known about the backend.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connection {
    pub(crate) slot: Slot,
    pub(crate) about: Option<About>,
    pub(crate) down: Option<Down>,
}

/// It does not answer.
#[derive(Clone, Debug)]
pub(crate) struct Down {
    pub(crate) error: String,
    pub(crate) since: Timestamp,
    pub(crate) retry_at: Timestamp,
    pub(crate) tries: u32,
}

/// Something that was listed, and the cursor in it.
#[derive(Debug)]
pub(crate) struct Listing<T> {
    pub(crate) slot: Slot,
    /// Nothing before the first answer.
    pub(crate) items: Option<Vec<T>>,
    pub(crate) problem: Option<String>,
    pub(crate) cursor: Cursor,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self {
            slot: Slot::default(),
            items: None,
            problem: None,
            cursor: Cursor::default(),
        }
    }
}

impl<T> Listing<T> {
    pub(crate) fn items(&self) -> &[T] {
        self.items.as_deref().unwrap_or_default()
    }

    pub(crate) fn selected(&self) -> Option<&T> {
        self.items().get(self.cursor.at)
    }

    /// Takes a new list; the cursor stays on what it was on, which `name` tells.
    pub(crate) fn replace<K: PartialEq>(&mut self, items: Vec<T>, name: impl Fn(&T) -> K) {
        let before = self.selected().map(&name);
        if let Some(at) = items.iter().position(|item| Some(name(item)) == before) {
            let above = self.cursor.at.saturating_sub(self.cursor.top);
            self.cursor.at = at;
            self.cursor.top = at.saturating_sub(above);
        }
        self.items = Some(items);
        self.problem = None;
    }
}

/// What the jobs that run are, for workers tell their ids alone.
#[derive(Debug, Default)]
pub(crate) struct Running {
    pub(crate) slot: Slot,
    /// The kind of each job.
    pub(crate) kinds: HashMap<String, String>,
}

/// A short message, shown for a moment.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) text: String,
    pub(crate) bad: bool,
    pub(crate) until: Timestamp,
}

impl State {
    /// How long a message is shown.
    const NOTE: Duration = Duration::from_secs(5);

    /// The state at the start, on a terminal of `width` columns and `height` lines.
    #[must_use]
    pub fn new(options: Options, now: Timestamp, (width, height): (u16, u16)) -> Self {
        let mut state = Self {
            options,
            now,
            width,
            height,
            ..Self::default()
        };
        if let Some(of) = state.options.open.clone() {
            state.open_story(of);
            state.focus = Focus::Waterfall;
        } else if let Some(search) = state.options.search.clone() {
            state.search_traces(search);
        }
        state
    }

    /// The address that the person may follow, if one is shown.
    #[must_use]
    pub fn link(&self) -> Option<&str> {
        match &self.overlay {
            Some(Overlay::Link(url)) => Some(url),
            _ => None,
        }
    }

    /// Whether the picture changes while nothing happens.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        let open = self.open.as_ref();
        open.is_some_and(Open::running) || self.backend.down.is_some()
    }

    pub(crate) fn place(&self) -> Place {
        match (self.tab, self.focus) {
            (Tab::Traces, Focus::List) => Place::Traces,
            (Tab::Traces, Focus::Waterfall) => Place::Waterfall,
            (Tab::Traces, Focus::Span) => Place::Span,
            (Tab::Jobs, _) if self.jobs.inside => Place::Job,
            (Tab::Jobs, _) => Place::Jobs,
            (Tab::Queues, _) if self.queues.bars.is_some() => Place::Bars,
            (Tab::Queues, _) => Place::Queues,
            (Tab::Workers, _) => Place::Workers,
            (Tab::Schedules, _) => Place::Schedules,
        }
    }

    /// Has a question put; the ticket goes to the slot that `slot` picks.
    pub(crate) fn ask(&mut self, slot: impl Fn(&mut Self) -> Option<&mut Slot>, ask: Ask) {
        self.tickets += 1;
        let (ticket, now) = (self.tickets, self.now);
        if let Some(slot) = slot(self) {
            *slot = Slot {
                ticket: Some(ticket),
                asked_at: now,
            };
            self.effects.push(Effect::Ask(ticket, ask));
        }
    }

    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.note = Some(Note {
            text: text.into(),
            bad: false,
            until: self.now.after(Self::NOTE),
        });
    }

    pub(crate) fn complain(&mut self, text: impl Into<String>) {
        self.note = Some(Note {
            text: text.into(),
            bad: true,
            until: self.now.after(Self::NOTE),
        });
    }
}
