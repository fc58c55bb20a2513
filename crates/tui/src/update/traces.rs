//! The list of traces.

use std::time::Duration;

use longshore_api::ApiError;
use longshore_api::job::{JobsPage, JobsQuery};
use longshore_api::trace::StoryOf;
use longshore_trace::TraceSummary;

use super::find::is_of_id;
use crate::ask::Ask;
use crate::binding::{Action, Tab};
use crate::cursor::Cursor;
use crate::layout::{Layout, Shape};
use crate::state::jobs::Jobs;
use crate::state::traces::{Page, SayingJobs};
use crate::state::{Focus, State};

/// How long the cursor rests on a trace before the trace is read.
const REST: Duration = Duration::from_millis(100);

/// How many lines before the end of the list older traces are asked for.
const AHEAD: usize = 50;

impl State {
    pub(super) fn act_in_traces(&mut self, action: Action) {
        match action {
            Action::Move(step) => {
                let height = Layout::of(self).list_items(self);
                let mut cursor = self.traces_cursor();
                cursor.step(step, self.traces.len(), height);
                self.move_in_traces(cursor);
            }
            Action::NextError | Action::PreviousError => {
                let down = action == Action::NextError;
                let line = self.traces.line();
                let from = line + usize::from(down && self.passed_failure());
                match self.traces.next_failed(from, down) {
                    Some(at) => {
                        self.move_in_traces(Cursor {
                            at,
                            top: self.traces.top,
                        });
                        self.traces.open_at = None;
                        self.traces.looked_at = self.traces.selected;
                        self.follow_selection();
                        if at == line {
                            self.say("This trace failed; e again for the next one that did");
                        }
                    }
                    // Older ones, that are not listed yet, may have failed.
                    None if down && self.traces.next_cursor.is_some() => {
                        let all = std::mem::take(&mut self.traces.search);
                        self.search_traces(format!("{all} error").trim_start().to_owned());
                        self.traces.selected = None;
                        self.say("Failed traces, also those that were not listed; Esc for all");
                    }
                    None => self.complain("No other failed trace among those listed"),
                }
            }
            Action::Open if self.traces.len() == 0 => self.go_to_jobs_that_say(),
            Action::Open => self.enter_story(),
            Action::Order => {
                self.traces.only = None;
                self.traces.turn_order();
                self.selection_moved();
                let said = match self.traces.longest_first() {
                    true => "The longest of those listed first, older ones not; S for the newest",
                    false => "The newest first",
                };
                self.say(said);
            }
            Action::TraceView => self.toggle_alone(),
            Action::Mark => self.mark(),
            Action::MarkGroup => self.mark_group(),
            Action::Diff => self.compare(),
            Action::Back if self.traces.only.is_some() => self.traces.only = None,
            Action::Back if !self.traces.search.is_empty() => self.search_traces(String::new()),
            _ => {}
        }
    }

    /// Whether the cursor is on a failed trace that has been looked at, so that the next one is
    /// meant.
    fn passed_failure(&self) -> bool {
        let selected = self.traces.selected;
        let is_known = selected.is_some() && selected == self.traces.looked_at;
        let trace = selected.filter(|_| is_known);
        let trace = trace.and_then(|trace| self.traces.find(trace));
        trace.is_some_and(|trace| trace.failed)
    }

    pub(super) fn traces_cursor(&self) -> Cursor {
        Cursor {
            at: self.traces.line(),
            top: self.traces.top,
        }
    }

    pub(super) fn move_in_traces(&mut self, cursor: Cursor) {
        let before = self.traces.selected;
        self.traces.select(cursor.at);
        self.traces.top = cursor.top;
        if self.traces.selected != before {
            self.selection_moved();
        }
    }

    /// Opens the trace in a moment, if the waterfall stands beside the list.
    pub(super) fn selection_moved(&mut self) {
        let beside = matches!(Layout::of(self).shape, Shape::Three | Shape::Two);
        if beside && self.focus == Focus::List {
            self.traces.open_at = Some(self.now.after(REST));
        }
    }

    /// Opens the trace that the cursor is on.
    pub(super) fn follow_selection(&mut self) {
        let Some(trace) = self.traces.selected else {
            return;
        };
        let of = StoryOf::Trace(trace);
        if self.open.as_ref().is_none_or(|open| open.of != of) {
            self.open_on_way(of, Vec::new());
        }
    }

    pub(super) fn enter_story(&mut self) {
        if self.traces.selected.is_some() {
            self.traces.looked_at = self.traces.selected;
            self.follow_selection();
            self.focus = Focus::Waterfall;
        }
    }

    /// Asks for the story again if one of its traces changed.
    pub(super) fn renew_story_of(&mut self, changed: &[TraceSummary]) {
        let Some(loaded) = self.open.as_ref().and_then(|open| open.loaded.as_ref()) else {
            return;
        };
        let traces = loaded.prepared.chart().traces();
        let concerned = changed.iter().any(|trace| traces.contains(&trace.trace_id));
        let idle = self.open.as_ref().is_some_and(|open| !open.slot.busy());
        if let (true, true, Some(open)) = (concerned, idle, &self.open) {
            let ask = open.ask();
            self.ask(|state| state.open.as_mut().map(|open| &mut open.slot), ask);
        }
    }

    /// Lets the list follow again.
    pub(super) fn thaw(&mut self) {
        let waiting = std::mem::take(&mut self.traces.waiting);
        self.renew_story_of(&waiting);
        self.traces.merge(waiting);
        self.poll();
    }

    pub(crate) fn search_traces(&mut self, search: String) {
        self.traces.search = search;
        self.traces.is_new_search = true;
        self.traces.problem = None;
        self.traces.only = None;
        self.traces.next_cursor = None;
        self.traces.waiting.clear();
        self.traces.jobs_slot.forget();
        self.traces.jobs = None;
        self.frozen = false;
        self.ask_traces(Page::First, None);
    }

    /// What was looked for, if it is a text and nothing else, so that jobs may say it too.
    pub(super) fn text_of_search(&self) -> Option<&str> {
        // Words that say how a trace stands, and signs of the search language.
        const MEANING: [&str; 4] = ["error", "failed", "ok", "running"];
        let search = self.traces.search.as_str();
        let is_plain = !search.contains([' ', '=', ':', '<', '>', '~', '"', '(', ')']);
        let is_text = !search.is_empty() && !search.starts_with('-') && is_plain;
        let is_text = is_text && !MEANING.contains(&search);
        is_text.then_some(search)
    }

    /// Asks which jobs say what no trace does: those that no worker has had yet may.
    pub(super) fn look_among_jobs(&mut self) {
        let Some(text) = self.text_of_search() else {
            return;
        };
        let query = JobsQuery {
            text: Some(text.to_owned()),
            limit: Some(Jobs::MOST),
            ..JobsQuery::default()
        };
        let ask = Ask::Jobs(Box::new(query));
        self.ask(|state| Some(&mut state.traces.jobs_slot), ask);
    }

    /// Takes in which jobs say what no trace does; of a job that is the only one, what holds it back
    /// is asked for.
    pub(super) fn take_jobs_that_say(&mut self, answer: Result<JobsPage, ApiError>) {
        let Ok(page) = answer else {
            self.traces.jobs = None;
            return;
        };
        let (count, more) = (page.jobs.len(), page.next_cursor.is_some());
        let only = page.jobs.into_iter().next();
        let only = only.filter(|_| count == 1 && !more).map(Box::new);
        let id = only.as_ref().map(|job| job.id.clone());
        self.traces.jobs = Some(SayingJobs { count, more, only });
        if let Some(id) = id {
            if is_of_id(&self.traces.search) {
                return self.show_job(id);
            }
            self.ask(|state| Some(&mut state.traces.jobs_slot), Ask::Job(id));
        }
    }

    /// Searches among jobs for what no trace says; a job that is the only one is shown whole.
    fn go_to_jobs_that_say(&mut self) {
        let jobs = self.traces.jobs.as_ref();
        let found = jobs.is_some_and(|jobs| jobs.count > 0);
        let only = jobs.and_then(|jobs| Some(jobs.only.as_ref()?.id.clone()));
        let Some(text) = self.text_of_search().filter(|_| found) else {
            return;
        };
        let text = text.to_owned();
        self.tab = Tab::Jobs;
        self.jobs.state = 0;
        self.search_jobs(text);
        self.jobs.wanted = only.map(|id| (id, true));
    }

    pub(super) fn settle_traces(&mut self, layout: &Layout) {
        let height = layout.list_items(self);
        let len = self.traces.len();
        let mut cursor = self.traces_cursor();
        // Whoever looks at the top of the list wants to see what comes in.
        let top = cursor.top;
        cursor.follow(len, height);
        if top == 0 && cursor.at < height {
            cursor.top = 0;
        }
        self.traces.top = cursor.top;
        let near_end = cursor.top + height + AHEAD >= len;
        if let Some(from) = self.traces.next_cursor.clone()
            && near_end
            && self.traces.only.is_none()
            && !self.traces.longest_first()
            && self.traces.problem.is_none()
            && self.backend.down.is_none()
            && !self.traces.slot.busy()
        {
            self.ask_traces(Page::More, Some(from));
        }
    }
}
