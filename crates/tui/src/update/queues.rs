//! Queues, workers and schedules.

use std::time::Duration;

use longshore_api::schedule::{ChangeSchedule, ScheduleChange};
use longshore_api::trace::StoryOf;

use crate::binding::{Action, Move, Tab};
use crate::layout::Layout;
use crate::state::State;
use crate::state::overlay::{Confirm, Overlay};
use crate::state::queues::Bars;

impl State {
    pub(super) fn act_in_queues(&mut self, action: Action) {
        match action {
            Action::Move(step) if self.queues.bars.is_some() => self.move_in_bars(step),
            Action::Move(step) => {
                let height = Layout::of(self).list_items(self);
                let len = self.queues.list.items().len();
                let before = self.queues.list.cursor.at;
                self.queues.list.cursor.step(step, len, height);
                if self.queues.list.cursor.at != before {
                    self.another_queue();
                }
            }
            Action::Open if self.queues.bars.is_some() => match self.queues.bar() {
                Some(bar) => match bar.trace_id {
                    Some(trace) => self.go(StoryOf::Trace(trace)),
                    None => self.complain("No trace of this bar was kept"),
                },
                None => self.complain("No job of this queue was seen lately"),
            },
            Action::Open => self.enter_bars(),
            Action::Kind => {
                let next = self.queues.kind_at().map_or(0, |at| at + 1);
                self.look_at_kind(next % self.queues.kinds().len().max(1));
            }
            Action::Bars => {
                if let Some(bars) = &mut self.queues.bars {
                    bars.run = !bars.run;
                    bars.at = 0;
                }
            }
            Action::Back => self.queues.bars = None,
            Action::Pause if self.may_change() => {
                if let Some(queue) = self.queues.list.selected() {
                    let confirm = Confirm::queue(&queue.queue, !queue.paused);
                    self.overlay = Some(Overlay::Confirm(Box::new(confirm)));
                }
            }
            _ => {}
        }
    }

    /// Looks at all jobs of the queue that the cursor went to.
    pub(super) fn another_queue(&mut self) {
        self.queues.kind = None;
        self.another_class();
    }

    pub(super) fn another_class(&mut self) {
        self.queues.problem = None;
        if self.queues.asked.is_some() && self.queues.asked != self.queues.class() {
            self.queues.latency_slot.forget();
        }
        self.poll_latency(Duration::MAX);
    }

    /// Looks at the jobs of one kind, or of all: by its place among those that are shown.
    pub(super) fn look_at_kind(&mut self, at: usize) {
        let Some(kind) = self.queues.kinds().get(at) else {
            let why = match self.queues.known_kinds().map(<[_]>::len) {
                None => "The kinds of this queue are not known yet",
                Some(..=1) => "No job of this queue ended in the last hour",
                Some(_) => "All jobs of this queue that ended in the last hour are of one kind",
            };
            self.complain(why);
            return;
        };
        self.queues.kind = Some(kind.kind.clone()).filter(|kind| !kind.is_empty());
        if let Some(bars) = self.queues.bars {
            self.queues.bars = Some(Bars::longest(bars.run));
        }
        self.another_class();
    }

    /// Goes among the bars, to the longest that is there: it is what a person looks for.
    pub(super) fn enter_bars(&mut self) {
        self.queues.bars = match self.queues.bars {
            Some(_) => None,
            None if self.queues.list.selected().is_none() => None,
            None => {
                let none = |run| {
                    self.queues
                        .histogram(run)
                        .is_some_and(|side| side.bars.is_empty())
                };
                Some(Bars::longest(none(false) && !none(true)))
            }
        };
    }

    fn move_in_bars(&mut self, step: Move) {
        let Some(bars) = self.queues.bars else {
            return;
        };
        // The two stand under each other, so the cursor goes from one to the other; where there is
        // nothing it does not stop.
        let of = |run| {
            let bars = self.queues.histogram(run).map(|side| side.bars.iter());
            let bars = bars.into_iter().flatten().enumerate();
            bars.filter(|(_, bar)| bar.count > 0)
                .map(move |(at, _)| Bars { run, at })
        };
        let all: Vec<Bars> = of(false).chain(of(true)).collect();
        let at = all.iter().position(|one| *one == bars).unwrap_or(0);
        let mut cursor = crate::cursor::Cursor { at, top: 0 };
        cursor.step(step, all.len(), 8);
        self.queues.bars = all.get(cursor.at).copied().or(self.queues.bars);
    }

    pub(super) fn act_in_workers(&mut self, action: Action) {
        let lines = self.worker_lines();
        match action {
            Action::Move(step) => {
                let height = Layout::of(self).list_items(self);
                self.workers.cursor.step(step, lines.len(), height);
            }
            Action::Open | Action::TraceView => match lines.get(self.workers.cursor.at) {
                Some((worker, job)) => {
                    let worker = self.workers.items().get(*worker);
                    let id = worker.and_then(|worker| worker.jobs.get(job.unwrap_or(0)));
                    match id.cloned() {
                        Some(id) => self.go_to_job(id),
                        None => self.complain("This worker runs nothing now"),
                    }
                }
                None => self.complain("No worker was seen lately"),
            },
            _ => {}
        }
    }

    /// The lines of the list of workers: each worker, and beneath it the jobs it has.
    pub(crate) fn worker_lines(&self) -> Vec<(usize, Option<usize>)> {
        let workers = self.workers.items().iter().enumerate();
        let lines = workers.flat_map(|(at, worker)| {
            let jobs = (0..worker.jobs.len()).map(move |job| (at, Some(job)));
            std::iter::once((at, None)).chain(jobs)
        });
        lines.collect()
    }

    pub(super) fn act_in_schedules(&mut self, action: Action) {
        match action {
            Action::Move(step) => {
                let height = Layout::of(self).list_items(self);
                let len = self.schedules.items().len();
                self.schedules.cursor.step(step, len, height);
            }
            Action::Open | Action::TraceView => {
                let schedule = self.schedules.selected();
                let job = schedule.and_then(|schedule| schedule.last_job_id.clone());
                let trace = schedule.and_then(|schedule| schedule.last_trace_id);
                match (job, trace) {
                    (Some(job), _) => self.go_to_job(job),
                    (None, Some(trace)) => self.go(StoryOf::Trace(trace)),
                    (None, None) => self.complain("It has not fired yet"),
                }
            }
            Action::Pause => {
                let paused = self.schedules.selected().map(|schedule| schedule.paused);
                let change = match paused {
                    Some(true) => ScheduleChange::Resume,
                    _ => ScheduleChange::Pause,
                };
                self.confirm_schedule(change);
            }
            Action::Trigger => self.confirm_schedule(ScheduleChange::Trigger),
            _ => {}
        }
    }

    fn confirm_schedule(&mut self, change: ScheduleChange) {
        if !self.may_change() {
            return;
        }
        if let Some(schedule) = self.schedules.selected() {
            let name = schedule.name.clone();
            let confirm = Confirm::schedule(ChangeSchedule { change, name });
            self.overlay = Some(Overlay::Confirm(Box::new(confirm)));
        }
    }

    pub(super) fn settle_lists(&mut self, layout: &Layout) {
        let height = layout.list_items(self);
        match self.tab {
            Tab::Jobs => {
                let len = self.jobs.list.items().len();
                self.jobs.list.cursor.follow(len, height.max(1));
                let (len, height) = self.job_size();
                self.jobs.cursor.follow(len, height);
            }
            Tab::Queues => {
                let len = self.queues.list.items().len();
                self.queues.list.cursor.follow(len, height.max(1));
                let bars = self.queues.bars;
                let side = bars.and_then(|bars| self.queues.histogram(bars.run));
                if let (Some(bars), Some(side)) = (bars, side) {
                    let at = bars.at.min(side.bars.len().saturating_sub(1));
                    self.queues.bars = Some(Bars { at, ..bars });
                }
            }
            Tab::Workers => {
                let len = self.worker_lines().len();
                self.workers.cursor.follow(len, height);
            }
            Tab::Schedules => {
                let len = self.schedules.items().len();
                self.schedules.cursor.follow(len, height);
            }
            Tab::Traces => {}
        }
    }
}
