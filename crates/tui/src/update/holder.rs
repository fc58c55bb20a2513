//! From a job to what it waits for: the job or the worker that is in its way.

use longshore_api::job::{Holder, Job, JobsQuery};

use crate::binding::{Place, Tab};
use crate::job_page::due_in;
use crate::page::Target;
use crate::state::State;
use crate::state::open::Open;

impl State {
    /// The job or worker that the job with the cursor waits for: a job rather than its worker.
    pub(crate) fn holder(&self) -> Option<&Holder> {
        let holders = &self.job_here()?.held_by;
        let job = holders.iter().find(|one| matches!(one, Holder::Job(_)));
        job.or(holders.first())
    }

    /// The job that the cursor is on, or that waits in the story which is open.
    fn job_here(&self) -> Option<&Job> {
        match self.place() {
            Place::Jobs | Place::Job => self.jobs.selected(),
            Place::Waterfall | Place::Span => self.open.as_ref()?.waiting_job(),
            Place::Traces => self.open_beside()?.waiting_job(),
            _ => None,
        }
    }

    /// The story that is open, if it is that of the trace which is selected in the list.
    fn open_beside(&self) -> Option<&Open> {
        let selected = self.traces.selected?;
        let open = self.open.as_ref()?;
        let story = open.loaded.as_ref()?.prepared.story();
        (story.summary.trace_id == selected).then_some(open)
    }

    /// Why there is nothing to go to.
    fn no_holder(&self) -> String {
        if self.place() == Place::Traces && self.open_beside().is_none() {
            return "Enter opens the trace and says what its job waits for".to_owned();
        }
        let Some(job) = self.job_here() else {
            return "No job is known to wait here".to_owned();
        };
        let (kind, id) = (&job.kind, &job.id);
        if let Some(due) = due_in(job, self.now) {
            return format!("Nothing holds {kind} {id} back: it is {due}");
        }
        match job.held_back.first() {
            Some(why) => format!("No job or worker holds {kind} {id} back: {why}"),
            None => "No other job or worker is known to hold this one back".to_owned(),
        }
    }

    /// Goes to what the job with the cursor waits for.
    pub(super) fn go_to_holder(&mut self) {
        match self.holder().map(Target::of) {
            Some(target) => self.follow(Some(target)),
            None => self.complain(self.no_holder()),
        }
    }

    /// Shows the page of a job; where to go back to is kept.
    pub(super) fn show_job(&mut self, id: String) {
        self.jobs.leave(self.tab);
        self.jobs.state = 0;
        self.jobs.query = JobsQuery {
            text: Some(id.clone()),
            ..JobsQuery::default()
        };
        self.jobs.search.clone_from(&id);
        self.tab = Tab::Jobs;
        self.list_jobs_anew();
        self.jobs.wanted = Some((id, true));
    }

    /// Goes back to where the job that is shown was gone to from.
    pub(super) fn go_back_to_job(&mut self) {
        let Some(before) = self.jobs.before.pop() else {
            return;
        };
        self.jobs.search = before.search;
        self.jobs.query = before.query;
        self.jobs.state = before.state;
        self.tab = before.tab;
        self.list_jobs_anew();
        self.jobs.wanted = before.job;
    }

    /// Shows a worker among all.
    pub(super) fn show_worker(&mut self, id: String) {
        self.worker_wanted = Some(id);
        self.show(Tab::Workers);
        self.go_to_wanted_worker();
    }

    /// Goes to the worker that is wanted, once it is known which there are.
    pub(super) fn go_to_wanted_worker(&mut self) {
        if self.workers.items.is_none() {
            return;
        }
        let Some(id) = self.worker_wanted.take() else {
            return;
        };
        let workers = self.workers.items();
        let wanted = workers.iter().position(|worker| worker.id == id);
        let lines = self.worker_lines();
        match lines
            .iter()
            .position(|(at, job)| Some(*at) == wanted && job.is_none())
        {
            Some(line) => self.workers.cursor.at = line,
            None => self.complain(format!("{id} is not among the workers any more")),
        }
    }
}
