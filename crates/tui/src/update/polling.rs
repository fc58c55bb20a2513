//! What is asked again as time goes by.

use std::time::Duration;

use longshore_api::job::JobsQuery;
use longshore_api::trace::TracesQuery;
use longshore_core::Timestamp;

use crate::ask::Ask;
use crate::binding::Tab;
use crate::state::jobs::Jobs;
use crate::state::open::Open;
use crate::state::traces::Page;
use crate::state::{Slot, State};

/// How often what is in sight is asked for again.
const OFTEN: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(2);
/// How often what is costly to find out is.
const RARELY: Duration = Duration::from_secs(5);

/// How many traces are asked for at once.
const PAGE: usize = 200;

/// The longest wait between two tries to reach a backend that is gone.
const PATIENCE: Duration = Duration::from_secs(8);

impl State {
    pub(super) fn tick(&mut self, now: Timestamp) {
        self.now = now;
        if self.note.as_ref().is_some_and(|note| note.until <= now) {
            self.note = None;
        }
        self.poll();
    }

    /// Asks for what is in sight and may have changed.
    pub(super) fn poll(&mut self) {
        if let Some(down) = &self.backend.down {
            if self.now >= down.retry_at && !self.backend.slot.busy() {
                self.ask(|state| Some(&mut state.backend.slot), Ask::About);
            }
            return;
        }
        if self.backend.about.is_none() && self.backend.slot.due(self.now, SELDOM) {
            self.ask(|state| Some(&mut state.backend.slot), Ask::About);
        }
        match self.tab {
            Tab::Traces => self.poll_traces(),
            Tab::Jobs => self.poll_jobs(),
            Tab::Queues => self.poll_queues(),
            Tab::Workers => self.poll_workers(),
            Tab::Schedules => self.poll_schedules(),
        }
    }

    /// How long to wait before asking again for what is known; as good as for ever while the
    /// screen stands still.
    fn pace(&self, usual: Duration, known: bool) -> Duration {
        if self.frozen && known {
            Duration::MAX
        } else {
            usual
        }
    }

    /// How long to wait before asking again for what could not be had the last time, or else as
    /// long as usual.
    const fn patience(problem: Option<&String>, usual: Duration) -> Duration {
        match problem {
            Some(_) => RARELY,
            None => usual,
        }
    }

    fn poll_workers(&mut self) {
        let pace = self.pace(SELDOM, self.workers.items.is_some());
        if self.workers.slot.due(self.now, pace) {
            self.ask(|state| Some(&mut state.workers.slot), Ask::Workers);
        }
        let pace = self.pace(SELDOM, !self.running.kinds.is_empty());
        if self.running.slot.due(self.now, pace) {
            let query = JobsQuery {
                states: vec!["running".to_owned()],
                limit: Some(Jobs::MOST),
                ..JobsQuery::default()
            };
            let ask = Ask::Jobs(Box::new(query));
            self.ask(|state| Some(&mut state.running.slot), ask);
        }
    }

    fn poll_schedules(&mut self) {
        let pace = self.pace(RARELY, self.schedules.items.is_some());
        if self.schedules.slot.due(self.now, pace) {
            self.ask(|state| Some(&mut state.schedules.slot), Ask::Schedules);
        }
    }

    fn poll_traces(&mut self) {
        let problem = self.traces.problem.as_ref();
        // What is being read at this moment is shown as it comes.
        let reading = self.traces.reading && !self.frozen;
        let pace = if reading { Duration::ZERO } else { OFTEN };
        let known = self.traces.known && problem.is_none() && !reading;
        if self
            .traces
            .slot
            .due(self.now, Self::patience(problem, pace))
        {
            match (known, self.traces.as_of.clone()) {
                (true, Some(as_of)) => self.ask_traces(Page::Changes, Some(as_of)),
                (true, None) if self.frozen => {}
                _ => self.ask_traces(Page::First, None),
            }
        }
        if self.traces.open_at.is_some_and(|at| self.now >= at) {
            self.traces.open_at = None;
            self.follow_selection();
        }
        let known = self.open.as_ref().is_some_and(|open| open.loaded.is_some());
        // To find out what holds a job back costs more than to see that it still runs.
        let is_held_back = self.open.as_ref().is_some_and(Open::is_held_back);
        let pace = self.pace(if is_held_back { SELDOM } else { OFTEN }, known);
        if let Some(open) = &self.open
            && (open.running() || open.is_held_back() || open.loaded.is_none())
            && open
                .slot
                .due(self.now, Self::patience(open.problem.as_ref(), pace))
        {
            let ask = open.ask();
            self.ask(|state| state.open.as_mut().map(|open| &mut open.slot), ask);
        }
        self.poll_waiting();
    }

    /// Asks for the job that waits in the story that is open, if the story does not have it.
    fn poll_waiting(&mut self) {
        let Some(open) = &self.open else {
            return;
        };
        let Some(wanted) = open.waiting_elsewhere().map(str::to_owned) else {
            return;
        };
        let waiting = &open.waiting;
        let known = waiting.job.as_ref().is_some_and(|job| job.id == wanted);
        let pace = match known || waiting.asked.as_ref() == Some(&wanted) {
            true => self.pace(SELDOM, known),
            false => Duration::ZERO,
        };
        if waiting.slot.due(self.now, pace) {
            if let Some(open) = &mut self.open {
                open.waiting.asked = Some(wanted.clone());
            }
            self.ask(
                |state| state.open.as_mut().map(|open| &mut open.waiting.slot),
                Ask::Job(wanted),
            );
        }
    }

    /// Asks for traces; `from` is where to go on, or since when.
    pub(crate) fn ask_traces(&mut self, page: Page, from: Option<String>) {
        let (cursor, changed_since) = match page {
            Page::First => (None, None),
            Page::More => (from, None),
            Page::Changes => (None, from),
        };
        self.traces.awaited = page;
        let query = TracesQuery {
            search: self.traces.search.clone(),
            cursor,
            limit: Some(PAGE),
            changed_since,
            at_once: true,
            all_stores: false,
        };
        self.ask(|state| Some(&mut state.traces.slot), Ask::Traces(query));
    }

    fn poll_jobs(&mut self) {
        let pace = self.pace(SELDOM, self.jobs.list.items.is_some());
        let pace = Self::patience(self.jobs.list.problem.as_ref(), pace);
        if self.jobs.list.slot.due(self.now, pace) {
            let query = self.jobs.asks();
            self.ask(
                |state| Some(&mut state.jobs.list.slot),
                Ask::Jobs(Box::new(query)),
            );
        }
        let wanted = self.jobs.list.selected().map(|job| job.id.clone());
        let known = self.jobs.job.as_ref().map(|job| &job.id) == wanted.as_ref();
        let pace = match known || self.jobs.asked == wanted {
            true => self.pace(SELDOM, known),
            false => Duration::ZERO,
        };
        if let Some(id) = wanted
            && self.jobs.job_slot.due(self.now, pace)
        {
            self.jobs.asked = Some(id.clone());
            self.ask(|state| Some(&mut state.jobs.job_slot), Ask::Job(id));
        }
    }

    fn poll_queues(&mut self) {
        let pace = self.pace(SELDOM, self.queues.list.items.is_some());
        if self.queues.list.slot.due(self.now, pace) {
            self.ask(|state| Some(&mut state.queues.list.slot), Ask::Queues);
        }
        self.poll_latency(self.pace(RARELY, true));
    }

    /// Asks how long the jobs that are looked at took, if that is not known yet, or was asked for
    /// that long ago.
    pub(super) fn poll_latency(&mut self, pace: Duration) {
        let Some(mut class) = self.queues.class() else {
            return;
        };
        // Before one kind is asked for, what kinds there are.
        if self.queues.known_kinds().is_none() {
            class.kind = None;
        }
        let known = self.queues.latency().is_some();
        let pace = if known { pace } else { Duration::ZERO };
        let pace = Self::patience(self.queues.problem.as_ref(), pace);
        if self.queues.latency_slot.due(self.now, pace) {
            self.queues.asked = Some(class.clone());
            let query = longshore_api::queue::LatencyQuery {
                queue: Some(class.queue),
                kind: class.kind,
                since: None,
            };
            self.ask(
                |state| Some(&mut state.queues.latency_slot),
                Ask::Latency(query),
            );
        }
    }

    /// The backend did not answer: it is tried again, later each time.
    pub(super) fn lost(&mut self, error: String) {
        let (since, tries) = match &self.backend.down {
            Some(down) => (down.since, down.tries + 1),
            None => (self.now, 0),
        };
        let wait = Duration::from_secs(1 << tries.min(3)).min(PATIENCE);
        self.backend.down = Some(crate::state::Down {
            error,
            since,
            retry_at: self.now.after(wait),
            tries,
        });
    }

    /// The backend answers again: all that is in sight is asked for anew.
    pub(super) fn found_again(&mut self) {
        self.backend.down = None;
        let slots = [
            &mut self.traces.slot,
            &mut self.jobs.list.slot,
            &mut self.jobs.job_slot,
            &mut self.queues.list.slot,
            &mut self.queues.latency_slot,
            &mut self.workers.slot,
            &mut self.running.slot,
            &mut self.schedules.slot,
        ];
        slots.into_iter().for_each(Slot::forget);
        self.queues.problem = None;
        if let Some(open) = &mut self.open {
            open.slot.forget();
            open.waiting.slot.forget();
            open.problem = None;
            if open.details.problem.take().is_some() {
                open.details.slot.forget();
                open.details.of = None;
            }
        }
        self.poll();
    }
}
