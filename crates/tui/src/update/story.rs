//! The waterfall, and the span with the cursor.

use longshore_api::trace::StoryOf;
use longshore_trace::chart::{Content, Marks, Row};

use super::Effect;
use crate::ask::Ask;
use crate::binding::{Action, Move};
use crate::details;
use crate::layout::{Layout, Shape};
use crate::page::Target;
use crate::prepared::{is_open, is_wait};
use crate::rows::Shown;
use crate::state::open::Loaded;
use crate::state::{Focus, State};

impl State {
    pub(super) fn act_in_story(&mut self, action: Action) {
        match action {
            Action::Back => self.back(),
            Action::Details => self.toggle_details(),
            Action::Mark => self.mark(),
            Action::Diff => self.compare(),
            Action::TraceView => self.toggle_alone(),
            Action::NextFinding => self.next_finding(),
            Action::Clocks => self.toggle_clocks(),
            Action::HideService => self.hide_service(),
            Action::ShowServices => self.show_services(),
            Action::Open => self.follow_line(),
            Action::Move(step) if self.focus == Focus::Span => self.move_in_details(step),
            _ => {
                let height = Layout::of(self).waterfall_rows();
                if let Some(loaded) = self.loaded_mut() {
                    match loaded.act(action, height) {
                        Ok(None) => {}
                        Ok(Some(said)) => self.say(said),
                        Err(why) => self.complain(why),
                    }
                }
            }
        }
    }

    pub(super) fn loaded_mut(&mut self) -> Option<&mut Loaded> {
        self.open.as_mut()?.loaded.as_mut()
    }

    /// From the span to the waterfall, from there to the story before, then to the list.
    fn back(&mut self) {
        if self.focus == Focus::Span {
            self.focus = Focus::Waterfall;
            return;
        }
        let mut before = self
            .open
            .as_ref()
            .map(|open| open.before.clone())
            .unwrap_or_default();
        match before.pop() {
            Some(of) => self.open_on_way(of, before),
            None => self.focus = Focus::List,
        }
    }

    fn toggle_details(&mut self) {
        self.focus = match self.focus {
            Focus::Span => Focus::Waterfall,
            Focus::List | Focus::Waterfall => Focus::Span,
        };
    }

    /// Between the trace alone and all that is joined to it.
    pub(super) fn toggle_alone(&mut self) {
        let Some(open) = &self.open else {
            return;
        };
        let job = open
            .loaded
            .as_ref()
            .and_then(|loaded| loaded.prepared.story().job.as_ref());
        let of = match (&open.of, job) {
            (StoryOf::TraceAlone(_), Some(job)) => StoryOf::Job(job.id.clone()),
            (StoryOf::TraceAlone(trace), None) => StoryOf::Trace(*trace),
            (StoryOf::Trace(_) | StoryOf::Job(_), _) => {
                let Some(loaded) = &open.loaded else {
                    return;
                };
                StoryOf::TraceAlone(loaded.trace())
            }
        };
        let text = match of {
            StoryOf::TraceAlone(_) => "This trace alone; T for the whole story",
            StoryOf::Trace(_) | StoryOf::Job(_) => "The whole story",
        };
        self.say(text);
        let before = open_before(self);
        self.open_on_way(of, before);
        self.focus = Focus::Waterfall;
    }

    fn next_finding(&mut self) {
        let Some(loaded) = self.loaded_mut() else {
            return;
        };
        let findings = &loaded.prepared.story().findings;
        if findings.is_empty() {
            self.complain("Nothing is known to be wrong here");
            return;
        }
        let next = loaded.finding.map_or(0, |at| (at + 1) % findings.len());
        let row = findings.get(next).and_then(|finding| finding.row);
        loaded.finding = Some(next);
        if let Some(row) = row {
            loaded.go(row as usize);
        }
    }

    /// Puts the cursor where the story went wrong, or on what it waits for, the first time it is
    /// shown.
    pub(super) fn show_first_failure(&mut self) {
        if let Some(loaded) = self.loaded_mut() {
            let whole = loaded.prepared.chart().rows().len();
            let failed = loaded.prepared.errors(0, whole) > 0;
            match loaded.what_runs() {
                // What waits for another attempt says nothing of why it needs one.
                Some((_, true)) | None if failed => loaded.go_to_deepest_failure(),
                Some((row, _)) => loaded.go(row),
                None => {}
            }
        }
    }

    fn move_in_details(&mut self, step: Move) {
        let (len, height) = self.details_size();
        if let Some(open) = &mut self.open {
            open.details.cursor.step(step, len, height);
        }
    }

    /// How many lines are known of the span, and how many are in sight.
    pub(super) fn details_size(&self) -> (usize, usize) {
        let Some(side) = Layout::of(self).side else {
            return (0, 0);
        };
        let page = details::page(self, side.inner.width, !self.options.ascii);
        (page.lines.len(), usize::from(side.inner.height))
    }

    fn follow_line(&mut self) {
        let Some((side, open)) = Layout::of(self).side.zip(self.open.as_ref()) else {
            return;
        };
        let page = details::page(self, side.inner.width, !self.options.ascii);
        let line = page.lines.into_iter().nth(open.details.cursor.at);
        self.follow(line.and_then(|line| line.target));
    }

    pub(super) fn follow(&mut self, target: Option<Target>) {
        match target {
            Some(Target::Story(of)) => self.go(of),
            Some(Target::Job(id)) => self.show_job(id),
            Some(Target::Worker(id)) => self.show_worker(id),
            Some(Target::Copy(text)) => {
                self.say("Copied");
                self.effects.push(Effect::Copy(text));
            }
            None => {}
        }
    }

    pub(super) fn settle_story(&mut self, layout: &Layout) {
        let side = layout.side.is_some() && self.tab == crate::binding::Tab::Traces;
        let Some(open) = &mut self.open else {
            if self.focus != Focus::List {
                self.focus = Focus::List;
            }
            return;
        };
        let Some(loaded) = &mut open.loaded else {
            return;
        };
        if layout.main.is_some() {
            loaded
                .cursor
                .follow(loaded.rows.len(), layout.waterfall_rows());
            loaded.lay_out(layout.columns().bar);
        }
        if side {
            self.settle_details();
        }
    }

    /// Asks what is known of the span with the cursor, and of the attempt that says why it failed.
    fn settle_details(&mut self) {
        let Some((open, loaded)) = self
            .open
            .as_mut()
            .and_then(|open| Some((&mut open.details, open.loaded.as_ref()?)))
        else {
            return;
        };
        let (wanted, attempt) = (loaded.span(), loaded.failed_attempt());
        if open.of != wanted && !open.slot.busy() {
            let known = open.span.take();
            let same = known
                .as_ref()
                .is_some_and(|span| Some((span.trace_id, span.span_id)) == wanted);
            let before = std::mem::take(open);
            open.of = wanted;
            if same {
                (open.span, open.attempt) = (known, before.attempt);
                open.cursor = before.cursor;
            }
            if let Some((trace, span)) = wanted {
                self.ask(
                    |state| state.open.as_mut().map(|open| &mut open.details.slot),
                    Ask::Span(trace, span),
                );
            }
            if let Some((trace, span)) = attempt {
                self.ask(
                    |state| {
                        state
                            .open
                            .as_mut()
                            .map(|open| &mut open.details.attempt_slot)
                    },
                    Ask::Span(trace, span),
                );
            }
        }
        let (len, height) = self.details_size();
        if let Some(open) = &mut self.open {
            open.details.cursor.follow(len, height);
        }
    }

    /// Between corrected clocks and those that were recorded.
    fn toggle_clocks(&mut self) {
        let Some(open) = &mut self.open else {
            return;
        };
        let loaded = open.loaded.as_ref();
        let corrected = loaded.is_some_and(|of| !of.prepared.chart().corrections().is_empty());
        if !open.recorded && !corrected {
            return self.complain("No clock was corrected in this trace");
        }
        open.recorded = !open.recorded;
        let ask = open.ask();
        let text = match open.recorded {
            true => "As the clocks said it; K corrects them again",
            false => "Clocks that contradicted each other are corrected",
        };
        self.say(text);
        self.ask(|state| state.open.as_mut().map(|open| &mut open.slot), ask);
    }

    /// Whether the details stand beside the waterfall at any time.
    pub(super) fn details_stay(&self) -> bool {
        Layout::of(self).shape == Shape::Three
    }
}

fn open_before(state: &State) -> Vec<StoryOf> {
    state
        .open
        .as_ref()
        .map(|open| open.before.clone())
        .unwrap_or_default()
}

impl Loaded {
    /// Does what concerns the waterfall alone; gives back what is to be said of it, if anything.
    fn act(&mut self, action: Action, height: usize) -> Result<Option<&'static str>, &'static str> {
        match action {
            Action::Move(step) => self.cursor.step(step, self.rows.len(), height),
            Action::Unfold => self.unfold(),
            Action::Fold => self.fold(),
            Action::FoldAll => self.refold(true),
            Action::UnfoldAll => self.refold(false),
            Action::NextError => return self.next_error(true),
            Action::PreviousError => return self.next_error(false),
            Action::FindNext => return self.go_to_found(true),
            Action::FindPrevious => return self.go_to_found(false),
            Action::CriticalPath => {
                if !self.prepared.has_critical() {
                    return Err("No critical path is known of this trace");
                }
                self.critical = !self.critical;
            }
            Action::Gaps => self.gaps = !self.gaps,
            Action::ZoomIn => self.zoom(true),
            Action::ZoomOut => self.zoom(false),
            Action::Earlier => self.pan(false)?,
            Action::Later => self.pan(true)?,
            _ => {}
        }
        Ok(None)
    }

    /// Unfolds, or goes to the first child.
    pub(super) fn unfold(&mut self) {
        let Self { prepared, rows, .. } = self;
        if !rows.unfold(prepared.chart(), self.cursor.at) {
            let parent = self.shown().map(Shown::first);
            let child = self.rows.get(self.cursor.at + 1).and_then(|shown| {
                self.prepared
                    .chart()
                    .row(shown.first())
                    .map(|row| row.parent as usize)
            });
            if child.is_some() && child == parent {
                self.cursor.at += 1;
            }
        }
    }

    /// Folds, or goes to the parent.
    pub(super) fn fold(&mut self) {
        let Some(Shown::Row(row)) = self.shown() else {
            return self.climb();
        };
        let chart = self.prepared.chart();
        if self.rows.fold(chart, row) || self.rows.close_group(chart, row) {
            self.cursor.at = self.rows.line_of(row);
        } else {
            self.climb();
        }
    }

    fn climb(&mut self) {
        let row = self
            .shown()
            .and_then(|shown| self.prepared.chart().row(shown.first()));
        if let Some(row) = row {
            self.cursor.at = self.rows.line_of(row.parent as usize);
        }
    }

    fn refold(&mut self, all: bool) {
        let row = self.shown().map_or(0, Shown::first);
        let chart = self.prepared.chart();
        if all {
            self.rows.fold_all(chart);
        } else {
            self.rows.unfold_all(chart);
        }
        self.cursor.at = self.rows.line_of(row);
    }

    /// Puts the cursor on a row, whatever hides it.
    pub(super) fn go(&mut self, row: usize) {
        let chart = self.prepared.chart();
        if let Some(of) = chart
            .row(row)
            .filter(|of| self.rows.hides(chart.service(of)))
        {
            self.rows.show_service(chart, chart.service(of));
        }
        self.cursor.at = self.rows.reveal(chart, row);
    }

    fn next_error(&mut self, down: bool) -> Result<Option<&'static str>, &'static str> {
        let here = self.shown().map_or(0, Shown::first);
        let chart = self.prepared.chart();
        let mut rows = chart.rows().iter().enumerate();
        let failed = |(at, row): &(usize, &Row)| *at != here && row.marks.has(Marks::ERROR);
        // From the last one on it goes to the first, and back.
        let mut again = rows.clone();
        let found = match down {
            true => rows
                .find(|one| one.0 > here && failed(one))
                .or_else(|| again.find(failed)),
            false => rows
                .rfind(|one| one.0 < here && failed(one))
                .or_else(|| again.rfind(failed)),
        };
        let Some((row, _)) = found else {
            return Err("No other failure in this trace");
        };
        self.go(row);
        Ok(match down {
            true if row < here => Some("Round again: this is the first failure"),
            false if row > here => Some("Round again: this is the last failure"),
            _ => None,
        })
    }

    /// What has not ended and has nothing beneath it that has not is what everything waits for: its
    /// row, and whether it only waits itself.
    fn what_runs(&self) -> Option<(usize, bool)> {
        let chart = self.prepared.chart();
        let open = chart.rows().iter().enumerate();
        let rests = |row: &Row| matches!(row.content, Content::BackOff | Content::Delay);
        // Nothing waits for what is not due yet, if anything else has not ended.
        let (at, row) = open
            .filter(|(_, row)| is_open(row))
            .max_by_key(|(_, row)| (!rests(row), row.depth))?;
        Some((at, rests(row) || is_wait(chart, row)))
    }

    /// The failure that has no failure beneath it is where it began; of several the last, which
    /// decided how the story ended.
    fn go_to_deepest_failure(&mut self) {
        let chart = self.prepared.chart();
        let cause = chart.rows().iter().enumerate().rfind(|(at, row)| {
            let below = self.prepared.errors(at + 1, row.subtree_end as usize);
            row.marks.has(Marks::ERROR) && below == 0
        });
        if let Some((row, _)) = cause {
            let line = self.rows.line_of(row);
            let hidden = self.rows.get(line).map(Shown::first) != Some(row);
            self.cursor.at = if hidden {
                line
            } else {
                self.rows.reveal(chart, row)
            };
        }
    }
}
