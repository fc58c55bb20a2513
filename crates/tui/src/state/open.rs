//! The story that is open.

use longshore_api::job::Job;
use longshore_api::trace::StoryOf;
use longshore_core::{SpanId, Timestamp, TraceId};
use longshore_instrument::Span;
use longshore_instrument::table::name as table;
use longshore_trace::chart::{Content, Marks, Row};
use longshore_trace::duration;
use longshore_trace::text::width;
use longshore_trace::timeline::{Folding, Interval, Timeline};
use std::collections::HashMap;
use std::time::Duration;

use super::Slot;
use crate::ask::Ask;
use crate::cursor::Cursor;
use crate::find::FoundSpans;
use crate::job_page::due_in;
use crate::prepared::Prepared;
use crate::rows::{Rows, Shown};

/// Closest look: so many nanoseconds across the whole line.
const CLOSEST: u64 = 1_000;

/// A story that is shown, or about to be.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) of: StoryOf,
    pub(crate) slot: Slot,
    pub(crate) problem: Option<String>,
    pub(crate) loaded: Option<Loaded>,
    pub(crate) details: Details,
    /// Where to go back to.
    pub(crate) before: Vec<StoryOf>,
    /// Whether it is shown by the clocks as they were, none corrected.
    pub(crate) recorded: bool,
    /// The job that waits, if it is not the one that the story is about.
    pub(crate) waiting: Waiting,
}

/// A job of a story that waits.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) slot: Slot,
    /// The job that was asked for last.
    pub(crate) asked: Option<String>,
    pub(crate) job: Option<Box<Job>>,
}

/// A story and how it is looked at.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) prepared: Box<Prepared>,
    pub(crate) rows: Rows,
    pub(crate) cursor: Cursor,
    pub(crate) critical: bool,
    pub(crate) gaps: bool,
    /// The time that is shown, if not all of it.
    pub(crate) zoom: Option<Interval>,
    pub(crate) timeline: Timeline,
    drawn_for: Option<(usize, bool, Option<Interval>)>,
    pub(crate) finding: Option<usize>,
    pub(crate) found: FoundSpans,
}

/// What is known about a span.
#[derive(Debug, Default)]
pub(crate) struct Details {
    pub(crate) slot: Slot,
    pub(crate) of: Option<(TraceId, SpanId)>,
    pub(crate) span: Option<Box<Span>>,
    pub(crate) problem: Option<String>,
    pub(crate) cursor: Cursor,
    pub(crate) attempt_slot: Slot,
    /// The attempt that a failed handler ran in, which says in words what went wrong.
    pub(crate) attempt: Option<Box<Span>>,
}

/// What tells a row from others, whenever the story is read.
type Name = (Option<TraceId>, SpanId, Content, i64);

impl Open {
    /// Most stories to go back to.
    const MOST_BEFORE: usize = 32;

    pub(crate) fn new(of: StoryOf, before: Vec<StoryOf>) -> Self {
        Self {
            of,
            slot: Slot::default(),
            problem: None,
            loaded: None,
            details: Details::default(),
            before,
            recorded: false,
            waiting: Waiting::default(),
        }
    }

    /// What to ask for it.
    pub(crate) fn ask(&self) -> Ask {
        match self.recorded {
            true => Ask::StoryAsRecorded(self.of.clone()),
            false => Ask::Story(self.of.clone()),
        }
    }

    /// The way back to here.
    pub(crate) fn way(&self) -> Vec<StoryOf> {
        let mut way = self.before.clone();
        way.push(self.of.clone());
        let too_many = way.len().saturating_sub(Self::MOST_BEFORE);
        way.drain(..too_many);
        way
    }

    /// Whether the job that waits is due and held back, which may end at any time.
    pub(crate) fn is_held_back(&self) -> bool {
        self.waiting_job()
            .is_some_and(|job| !job.held_back.is_empty())
    }

    /// The job that waits: that of the row with the cursor, or the first one of the story. Nothing
    /// before it is known.
    pub(crate) fn waiting_job(&self) -> Option<&Job> {
        let loaded = self.loaded.as_ref()?;
        let about = loaded.prepared.story().job.as_ref();
        let Some(id) = loaded.waiting() else {
            return about;
        };
        let other = self.waiting.job.as_deref();
        [about, other]
            .into_iter()
            .flatten()
            .find(|job| job.id == id)
    }

    /// The job to ask for, of which the story does not say what it waits for.
    pub(crate) fn waiting_elsewhere(&self) -> Option<&str> {
        let loaded = self.loaded.as_ref()?;
        let about = loaded.prepared.story().job.as_ref();
        let id = loaded.waiting()?;
        about.is_none_or(|job| job.id != id).then_some(id)
    }

    /// The finding that was gone to last, else what holds the job that waits back, else the gravest
    /// one, else when that job is due.
    pub(crate) fn finding_in_words(&self, now: Timestamp, unicode: bool) -> Option<String> {
        let loaded = self.loaded.as_ref()?;
        let story = loaded.prepared.story();
        let sign = if unicode { "⚠" } else { "!" };
        let waiting = self.waiting_job();
        // Of another job than that of the story it is said which one it is.
        let about = story.job.as_ref().map(|job| &job.id);
        let named = |job: &Job| match about == Some(&job.id) {
            true => String::new(),
            false => format!("{} ", job.kind),
        };
        if let (None, Some(job)) = (loaded.finding, waiting)
            && !job.held_back.is_empty()
        {
            let why = job.held_back.join("; ");
            return Some(format!("{sign} {}held back: {why}", named(job)));
        }
        let at = loaded.finding.unwrap_or(0);
        if let Some(finding) = story.findings.get(at) {
            let of = match story.findings.len() {
                1 => String::new(),
                many => format!(" {}/{many} (!)", at + 1),
            };
            return Some(format!("{sign}{of} {}", finding.text));
        }
        let job = waiting.filter(|job| about != Some(&job.id))?;
        let due = due_in(job, now)?;
        Some(format!("{}is {due}", named(job)))
    }

    /// Whether anything in it runs.
    pub(crate) fn running(&self) -> bool {
        self.loaded
            .as_ref()
            .is_some_and(|loaded| loaded.prepared.running())
    }

    /// Takes the story, anew or for the first time.
    pub(crate) fn load(&mut self, prepared: Box<Prepared>) {
        self.problem = None;
        self.loaded = Some(match self.loaded.take() {
            Some(loaded) => loaded.renewed(prepared),
            None => Loaded::new(prepared),
        });
    }
}

impl Loaded {
    pub(crate) fn new(prepared: Box<Prepared>) -> Self {
        let rows = Rows::new(prepared.chart());
        Self {
            rows,
            prepared,
            cursor: Cursor::default(),
            critical: true,
            gaps: true,
            zoom: None,
            timeline: Timeline::default(),
            drawn_for: None,
            finding: None,
            found: FoundSpans::default(),
        }
    }

    /// The same look at a story that has been read again.
    fn renewed(self, prepared: Box<Prepared>) -> Self {
        let (old, new) = (self.prepared.chart(), prepared.chart());
        let named = new
            .rows()
            .iter()
            .enumerate()
            .map(|(at, row)| (name(new.trace(row), row), at));
        let places: HashMap<Name, usize> = named.collect();
        let to = |at: usize| {
            let row = old.row(at)?;
            places.get(&name(old.trace(row), row)).copied()
        };
        let rows = self.rows.moved(new, to);
        let line = self
            .rows
            .get(self.cursor.at)
            .and_then(|shown| to(shown.first()));
        let above = self.cursor.at.saturating_sub(self.cursor.top);
        let at = line.map_or(self.cursor.at, |row| rows.line_of(row));
        let cursor = Cursor {
            at,
            top: at.saturating_sub(above),
        };
        let found = self.found.again(new);
        Self {
            rows,
            prepared,
            cursor,
            drawn_for: None,
            found,
            ..self
        }
    }

    /// The job that waits: that of the row with the cursor, or the first one of the story.
    fn waiting(&self) -> Option<&str> {
        let waits = self.prepared.waits();
        let here = self.row().and_then(|row| self.prepared.chart().job(row));
        let here = waits.iter().find(|id| Some(id.as_str()) == here);
        here.or(waits.first()).map(String::as_str)
    }

    /// What is in the line with the cursor.
    pub(crate) fn shown(&self) -> Option<Shown> {
        self.rows.get(self.cursor.at)
    }

    /// The row with the cursor.
    pub(crate) fn row(&self) -> Option<&Row> {
        self.prepared.chart().row(self.shown()?.first())
    }

    /// Lays the time out on so many columns, if it is not.
    pub(crate) fn lay_out(&mut self, cells: usize) {
        let wanted = (cells, self.gaps, self.zoom);
        if self.drawn_for == Some(wanted) {
            return;
        }
        self.drawn_for = Some(wanted);
        let window = self.window();
        let within = |intervals: &[Interval]| -> Vec<Interval> {
            let clipped = intervals.iter().filter_map(|one| one.within(window));
            clipped.collect()
        };
        let length = window.to - window.from;
        let longest = width(&duration::compact(Duration::from_nanos(length)));
        let folding = Folding {
            named: longest.max(4) + 4,
            bare: 2,
        };
        let (busy, waiting) = match self.gaps {
            true => (
                within(self.prepared.busy()),
                within(self.prepared.waiting()),
            ),
            false => (Vec::new(), Vec::new()),
        };
        self.timeline = Timeline::new(length, cells, busy, waiting, folding);
    }

    /// The time that is shown, in nanoseconds after the start.
    pub(crate) fn window(&self) -> Interval {
        self.zoom.unwrap_or(Interval {
            from: 0,
            to: self.prepared.length(),
        })
    }

    /// Looks closer, or at more; the middle of the row with the cursor stays in sight.
    pub(crate) fn zoom(&mut self, closer: bool) {
        let (window, whole) = (self.window(), self.prepared.length());
        let length = window.to - window.from;
        let middle = self.row().map_or(window.from + length / 2, |row| {
            let (from, to) = (
                self.prepared.offset(row.start),
                self.prepared.offset(row.end),
            );
            from + to.saturating_sub(from) / 2
        });
        let length = if closer {
            (length / 2).max(CLOSEST.min(whole))
        } else {
            length.saturating_mul(2)
        };
        if length >= whole {
            self.zoom = None;
            return;
        }
        let from = middle.saturating_sub(length / 2).min(whole - length);
        self.zoom = Some(Interval {
            from,
            to: from + length,
        });
    }

    /// Looks at an earlier or a later part of the time, as long as the one in sight.
    pub(crate) fn pan(&mut self, later: bool) -> Result<(), &'static str> {
        let Some(Interval { from, to }) = self.zoom else {
            return Err("All of the time is in sight; > looks closer");
        };
        let length = to - from;
        let step = (length / 4).max(1);
        let last = self.prepared.length().saturating_sub(length);
        let next = match later {
            true => from.saturating_add(step).min(last),
            false => from.saturating_sub(step),
        };
        if next == from {
            return Err("There is no more time in this direction");
        }
        self.zoom = Some(Interval {
            from: next,
            to: next + length,
        });
        Ok(())
    }

    /// The span of the row with the cursor.
    pub(crate) fn span(&self) -> Option<(TraceId, SpanId)> {
        self.span_of(self.row()?)
    }

    /// The span of the attempt that failed with the handler, or by the span beneath it, that the
    /// cursor is on.
    pub(crate) fn failed_attempt(&self) -> Option<(TraceId, SpanId)> {
        let chart = self.prepared.chart();
        let row = self.row()?;
        let mut failed = Some(row).filter(|row| row.marks.has(Marks::ERROR))?;
        // What failed beneath a handler made it fail, unless something above it went well.
        while chart.name(failed) != table::PROCESS {
            let above = chart.row(failed.parent as usize)?;
            if above.depth >= failed.depth || !above.marks.has(Marks::ERROR) {
                return None;
            }
            failed = above;
        }
        let is_other = failed.span_id != row.span_id;
        self.span_of(failed).filter(|_| is_other)
    }

    fn span_of(&self, row: &Row) -> Option<(TraceId, SpanId)> {
        let trace = self.prepared.chart().trace(row)?;
        (row.content == Content::Span).then_some((trace, row.span_id))
    }

    /// The trace of the row with the cursor, or the one that the story is about.
    pub(crate) fn trace(&self) -> TraceId {
        let row = self.row().and_then(|row| self.prepared.chart().trace(row));
        row.unwrap_or(self.prepared.story().summary.trace_id)
    }
}

fn name(trace: Option<TraceId>, row: &Row) -> Name {
    // Rows that are not spans may belong to the same span, but begin at different times.
    let start = match row.content {
        Content::Span | Content::Ghost => 0,
        _ => row.start.unix_nanos(),
    };
    (trace, row.span_id, row.content, start)
}
