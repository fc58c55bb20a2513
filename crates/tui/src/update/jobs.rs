//! The list of jobs, and the job with the cursor.

use longshore_api::job::Change;

use crate::binding::{Action, Move};
use crate::job_page;
use crate::layout::Layout;
use crate::page::Target;
use crate::state::State;
use crate::state::jobs::{FAILED, Jobs, STATES, failed, parse};
use crate::state::overlay::{Confirm, Overlay};

impl State {
    pub(super) fn act_in_jobs(&mut self, action: Action) {
        match action {
            Action::Move(step) if self.jobs.inside => {
                let (len, height) = self.job_size();
                self.jobs.cursor.step(step, len, height);
            }
            Action::Move(step) => self.move_in_jobs(step),
            Action::NextError => self.next_failed_job(true),
            Action::PreviousError => self.next_failed_job(false),
            Action::State => {
                self.jobs.state = (self.jobs.state + 1) % STATES.len();
                self.jobs.query.states.clear();
                self.jobs.before.clear();
                self.list_jobs_anew();
            }
            Action::Open if self.jobs.inside => self.follow_job_line(),
            Action::Open => {
                self.jobs.looked_at = self.jobs.selected().map(|job| job.id.clone());
                self.jobs.inside = self.jobs.selected().is_some();
            }
            Action::Order => self.turn_order_of_jobs(),
            Action::CopyLine if self.jobs.inside => self.copy_job_line(),
            Action::TraceView => self.go_to_selected_job(),
            Action::Retry => self.confirm_job(Change::Retry),
            Action::Cancel => self.confirm_job(Change::Cancel),
            Action::Discard => self.confirm_job(Change::Discard),
            Action::Back if !self.jobs.before.is_empty() => self.go_back_to_job(),
            Action::Back if self.jobs.inside => self.jobs.inside = false,
            Action::Back if self.jobs.state != 0 || !self.jobs.search.is_empty() => {
                self.jobs.state = 0;
                self.search_jobs(String::new());
            }
            _ => {}
        }
    }

    fn turn_order_of_jobs(&mut self) {
        self.jobs.longest_first = !self.jobs.longest_first;
        let said = match self.jobs.longest_first {
            true => "Those of the listed ones first that took longest; S for the newest",
            false => "The newest first",
        };
        self.list_jobs_anew();
        self.say(said);
    }

    fn go_to_selected_job(&mut self) {
        if let Some(id) = self.jobs.selected().map(|job| job.id.clone()) {
            self.go_to_job(id);
        }
    }

    fn move_in_jobs(&mut self, step: Move) {
        let height = Layout::of(self).list_items(self);
        let len = self.jobs.list.items().len();
        let before = self.jobs.list.cursor.at;
        self.jobs.list.cursor.step(step, len, height);
        if self.jobs.list.cursor.at != before {
            self.another_job();
        }
        self.more_jobs(height);
    }

    pub(super) fn another_job(&mut self) {
        self.jobs.cursor = Default::default();
        self.poll();
    }

    /// Older jobs are had by asking for a longer list.
    pub(super) fn more_jobs(&mut self, height: usize) {
        let len = self.jobs.list.items().len();
        let end = self.jobs.list.cursor.top + height >= len;
        if end && self.jobs.next_cursor.is_some() && len < Jobs::MOST && !self.jobs.list.slot.busy()
        {
            let mut query = self.jobs.asks();
            query.limit = Some((len + 200).min(Jobs::MOST));
            self.ask(
                |state| Some(&mut state.jobs.list.slot),
                crate::ask::Ask::Jobs(Box::new(query)),
            );
        }
    }

    fn next_failed_job(&mut self, down: bool) {
        let at = self.jobs.list.cursor.at;
        let jobs = self.jobs.list.items();
        let here = jobs.get(at).map(|job| &job.id);
        let from = at + usize::from(here.is_some() && here == self.jobs.looked_at.as_ref());
        let mut listed = jobs.iter().enumerate();
        let found = if down {
            listed.find(|(index, job)| *index >= from && failed(job))
        } else {
            listed.take(at).rfind(|(_, job)| failed(job))
        };
        match found {
            Some((to, job)) => {
                self.jobs.looked_at = Some(job.id.clone());
                self.jobs.list.cursor.at = to;
                if to == at {
                    return self.say("This job failed; e again for the next one that did");
                }
                self.another_job();
            }
            // Older ones, that are not listed, may have failed.
            None if down && self.jobs.state == 0 && self.jobs.next_cursor.is_some() => {
                self.jobs.state = FAILED;
                self.jobs.query.states.clear();
                self.list_jobs_anew();
                self.say("Failed jobs, also those that were not listed; Esc for all");
            }
            None if jobs.get(at).is_some_and(failed) => self.complain("No other failed job here"),
            None => self.complain("No failed job here; s goes through the states"),
        }
    }

    fn confirm_job(&mut self, change: Change) {
        if !self.may_change() {
            return;
        }
        if let Some(job) = self.jobs.selected() {
            let confirm = Confirm::job(change, &job.id, &job.kind);
            self.overlay = Some(Overlay::Confirm(Box::new(confirm)));
        }
    }

    /// Whether changes are allowed; says so if not.
    pub(super) fn may_change(&mut self) -> bool {
        let may = self
            .backend
            .about
            .as_ref()
            .is_none_or(|about| about.may_change);
        if !may {
            self.complain("This token allows reading alone: start with one that may write");
        }
        may
    }

    pub(super) fn search_jobs(&mut self, search: String) {
        match parse(&search) {
            Ok(query) => {
                if !query.states.is_empty() {
                    self.jobs.state = 0;
                }
                self.jobs.query = query;
                self.jobs.search = search;
                self.jobs.before.clear();
                self.list_jobs_anew();
            }
            Err(error) => self.jobs.list.problem = Some(error),
        }
    }

    pub(super) fn list_jobs_anew(&mut self) {
        self.jobs.list = Default::default();
        self.jobs.job = None;
        self.jobs.asked = None;
        self.jobs.next_cursor = None;
        self.jobs.inside = false;
        self.poll();
    }

    /// Goes to the job that is wanted, or opens the one whose id was searched for, the first time it
    /// is found.
    pub(super) fn open_job_of_search(&mut self) {
        let sought = || Some((self.jobs.query.text.clone()?, true));
        let Some((id, inside)) = self.jobs.wanted.take().or_else(sought) else {
            return;
        };
        let at = self.jobs.list.items().iter().position(|job| job.id == id);
        if let (Some(at), None) = (at, &self.jobs.asked) {
            self.jobs.list.cursor.at = at;
            self.jobs.inside = inside;
        }
    }

    fn follow_job_line(&mut self) {
        let Some(main) = Layout::of(self).main else {
            return;
        };
        let page = job_page::page(self, main.inner.width, !self.options.ascii);
        let line = page.lines.into_iter().nth(self.jobs.cursor.at);
        match line.and_then(|line| line.target) {
            Some(Target::Copy(_)) | None => self.go_to_selected_job(),
            leads => self.follow(leads),
        }
    }

    /// Copies the value in the line with the cursor.
    fn copy_job_line(&mut self) {
        let Some(main) = Layout::of(self).main else {
            return;
        };
        let page = job_page::page(self, main.inner.width, !self.options.ascii);
        let line = page.lines.into_iter().nth(self.jobs.cursor.at);
        match line.and_then(|line| line.target) {
            Some(target @ Target::Copy(_)) => self.follow(Some(target)),
            Some(Target::Story(_)) => self.copy_trace(),
            Some(Target::Job(id) | Target::Worker(id)) => self.follow(Some(Target::Copy(id))),
            None => self.complain("There is nothing to copy in this line"),
        }
    }

    pub(super) fn job_size(&self) -> (usize, usize) {
        let Some(main) = Layout::of(self).main else {
            return (0, 0);
        };
        let page = job_page::page(self, main.inner.width, !self.options.ascii);
        (page.lines.len(), usize::from(main.inner.height))
    }
}
