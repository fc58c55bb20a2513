//! What answers change.

use longshore_api::ApiError;
use longshore_api::job::{ChangedJob, Job, JobsPage};
use longshore_api::queue::Latency;
use longshore_api::trace::{StoryOf, TracesPage};

use super::find::is_of_id;
use crate::ask::Answer;
use crate::binding::Tab;
use crate::prepared::Prepared;
use crate::state::overlay::{Found, Overlay};
use crate::state::traces::Page;
use crate::state::{Focus, Listing, State};

impl State {
    pub(super) fn answer(&mut self, ticket: u64, answer: Answer) {
        let about = matches!(answer, Answer::About(_));
        let gone = match answer.error() {
            Some(ApiError::Unavailable(error)) => Some(error.clone()),
            // Who may not even ask what there is may do nothing.
            Some(ApiError::Forbidden(error)) if about => Some(error.clone()),
            _ => None,
        };
        if !self.take(ticket, answer) {
            return;
        }
        match gone {
            Some(error) if self.backend.down.is_none() || about => self.lost(error),
            None if self.backend.down.is_some() => self.found_again(),
            _ => {}
        }
    }

    /// Takes an answer in; says whether anybody waited for it.
    fn take(&mut self, ticket: u64, answer: Answer) -> bool {
        match answer {
            Answer::About(answer) => {
                let awaited = self.backend.slot.take(ticket);
                if let (true, Ok(about)) = (awaited, answer) {
                    self.backend.about = Some(about);
                }
                awaited
            }
            Answer::Traces(answer) => self.take_traces(ticket, answer),
            Answer::Story(answer) => self.take_story(ticket, answer),
            Answer::Span(answer) => {
                let Some(open) = &mut self.open else {
                    return false;
                };
                if open.details.attempt_slot.take(ticket) {
                    open.details.attempt = answer.ok();
                    return true;
                }
                if !open.details.slot.take(ticket) {
                    return false;
                }
                match answer {
                    Ok(span) => open.details.span = Some(span),
                    Err(error) => open.details.problem = Some(error.to_string()),
                }
                true
            }
            Answer::Diff(answer) => {
                let Some(Overlay::Diff(diff)) = &mut self.overlay else {
                    return false;
                };
                let awaited = diff.slot.take(ticket);
                match answer {
                    _ if !awaited => {}
                    Ok(answer) => diff.found = Some(Found::new(answer)),
                    Err(error) => diff.problem = Some(error.to_string()),
                }
                awaited
            }
            Answer::Complete(answer) => {
                let Some(Overlay::Search(search)) = &mut self.overlay else {
                    return false;
                };
                let awaited = search.slot.take(ticket);
                if let (true, Ok(completions)) = (awaited, answer) {
                    search.completions = completions;
                    search.chosen = None;
                }
                awaited
            }
            other => self.take_list(ticket, other),
        }
    }

    fn take_list(&mut self, ticket: u64, answer: Answer) -> bool {
        match answer {
            Answer::Jobs(answer) => self.take_jobs(ticket, answer),
            Answer::Job(answer) => self.take_job(ticket, answer),
            Answer::ChangeJobs(answer) => self.take_changed_jobs(ticket, answer),
            Answer::Changed(answer) => {
                let answer = answer.map(|()| None);
                self.take_changed(ticket, answer)
            }
            Answer::Queues(answer) => {
                let awaited = self.queues.list.slot.take(ticket);
                take_items(awaited, answer, &mut self.queues.list, |queue| {
                    queue.queue.clone()
                });
                self.go_to_class();
                awaited
            }
            Answer::Latency(answer) => self.take_latency(ticket, answer),
            Answer::Workers(answer) => {
                let awaited = self.workers.slot.take(ticket);
                // The cursor of workers counts their jobs too, so it stays where it is.
                match answer {
                    _ if !awaited => {}
                    Ok(items) => {
                        self.workers.items = Some(items);
                        self.workers.problem = None;
                    }
                    Err(error) => self.workers.problem = problem(&error),
                }
                self.go_to_wanted_worker();
                awaited
            }
            Answer::Schedules(answer) => {
                let awaited = self.schedules.slot.take(ticket);
                take_items(awaited, answer, &mut self.schedules, |schedule| {
                    schedule.name.clone()
                });
                awaited
            }
            _ => false,
        }
    }

    fn take_traces(&mut self, ticket: u64, answer: Result<TracesPage, ApiError>) -> bool {
        if !self.traces.slot.take(ticket) {
            return false;
        }
        let page = match (answer, self.traces.awaited) {
            (Ok(page), _) => page,
            // Too much changed to be told one by one: the list is read anew.
            (Err(ApiError::Conflict(_)), Page::Changes) => {
                self.traces.as_of = None;
                self.traces.slot.forget();
                return true;
            }
            (Err(error), _) => {
                self.traces.problem = problem(&error);
                if std::mem::take(&mut self.traces.is_new_search) {
                    self.leave_story();
                }
                return true;
            }
        };
        self.traces.problem = None;
        self.traces.reading = page.reading;
        match self.traces.awaited {
            Page::First => self.take_first(page),
            Page::More => {
                self.traces.next_cursor = page.next_cursor;
                self.traces.extend(page.traces);
            }
            Page::Changes => {
                self.traces.as_of = Some(page.as_of);
                if self.frozen {
                    self.traces.hold(page.traces);
                } else {
                    self.renew_story_of(&page.traces);
                    self.traces.merge(page.traces);
                    if self.traces.selected.is_none() {
                        self.traces.select(0);
                        self.selection_moved();
                    }
                }
            }
        }
        true
    }

    /// Takes the first page of a search in. The cursor stays on its trace; on the first line it
    /// stays there.
    fn take_first(&mut self, page: TracesPage) {
        let (line, top) = (self.traces.line(), self.traces.top);
        self.traces.clear();
        self.traces.known = true;
        self.traces.next_cursor = page.next_cursor;
        self.traces.as_of = Some(page.as_of);
        self.traces.extend(page.traces);
        if let Some(of) = page.jump {
            return self.jump(of);
        }
        // What is not read yet may match as well.
        let is_new = self.traces.is_new_search;
        self.traces.is_new_search &= self.traces.reading;
        if self.traces.len() == 0 && (is_new || self.focus == Focus::List) {
            self.leave_story();
            self.look_among_jobs();
        }
        let first = self.traces.get(0).map(|trace| trace.trace_id);
        if let (true, 1, Some(trace)) = (is_new, self.traces.len(), first)
            && is_of_id(&self.traces.search)
            && !self.traces.reading
        {
            return self.jump(StoryOf::Trace(trace));
        }
        let found = |trace| self.traces.find(trace).is_some();
        let stays = self.focus != Focus::List || line > 0;
        let before = self.traces.selected;
        if stays && before.is_some_and(found) {
            self.traces.top = top;
        } else {
            self.traces.select(0);
        }
        if self.traces.selected != before || is_new {
            self.selection_moved();
        }
    }

    /// Closes what was open before: it has nothing to do with what was looked for.
    fn leave_story(&mut self) {
        self.open = None;
        self.traces.open_at = None;
        self.focus = Focus::List;
    }

    /// Goes where a search for an id leads.
    fn jump(&mut self, of: StoryOf) {
        self.traces.search.clear();
        self.traces.slot.forget();
        self.traces.as_of = None;
        self.traces.next_cursor = None;
        self.open_story(of);
        self.tab = Tab::Traces;
        self.focus = Focus::Waterfall;
    }

    fn take_story(&mut self, ticket: u64, answer: Result<Box<Prepared>, ApiError>) -> bool {
        let Some(open) = &mut self.open else {
            return false;
        };
        if !open.slot.take(ticket) {
            return false;
        }
        match answer {
            Ok(prepared) => {
                let first = open.loaded.is_none();
                open.load(prepared);
                open.details.of = None;
                if first {
                    self.show_first_failure();
                }
            }
            Err(error) => open.problem = Some(error.to_string()),
        }
        true
    }

    fn take_jobs(&mut self, ticket: u64, answer: Result<JobsPage, ApiError>) -> bool {
        if self.running.slot.take(ticket) {
            if let Ok(page) = answer {
                let kinds = page.jobs.into_iter().map(|job| (job.id, job.kind));
                self.running.kinds = kinds.collect();
            }
            return true;
        }
        if self.queues.sought_slot.take(ticket) {
            self.take_job_of_kind(answer);
            return true;
        }
        if self.traces.jobs_slot.take(ticket) {
            self.take_jobs_that_say(answer);
            return true;
        }
        let awaited = self.jobs.list.slot.take(ticket);
        match answer {
            _ if !awaited => {}
            Ok(mut page) => {
                self.jobs.sort(&mut page.jobs, self.now);
                self.jobs.next_cursor = page.next_cursor;
                self.jobs.list.replace(page.jobs, |job| job.id.clone());
                self.open_job_of_search();
                self.poll();
            }
            Err(error) => self.jobs.list.problem = problem(&error),
        }
        awaited
    }

    fn take_job(&mut self, ticket: u64, answer: Result<Box<Job>, ApiError>) -> bool {
        if self.queues.sought_slot.take(ticket) {
            self.take_job_like(answer);
            return true;
        }
        if self.jobs.sought_slot.take(ticket) {
            self.take_sought_job(answer);
            return true;
        }
        if self.traces.jobs_slot.take(ticket) {
            let saying = self.traces.jobs.as_mut();
            if let (Some(saying), Ok(job)) = (saying, answer) {
                saying.only = Some(job);
            }
            return true;
        }
        if let Some(open) = &mut self.open
            && open.waiting.slot.take(ticket)
        {
            open.waiting.job = answer.ok();
            return true;
        }
        let awaited = self.jobs.job_slot.take(ticket);
        if let (true, Ok(job)) = (awaited, answer) {
            self.jobs.job = Some(job);
        }
        awaited
    }

    fn take_changed_jobs(
        &mut self,
        ticket: u64,
        answer: Result<Vec<ChangedJob>, ApiError>,
    ) -> bool {
        let refused = answer.map(|changed| changed.into_iter().find_map(|job| job.error));
        self.take_changed(ticket, refused)
    }

    /// Takes in what became of a change; `Some` says why it was refused.
    fn take_changed(&mut self, ticket: u64, answer: Result<Option<String>, ApiError>) -> bool {
        if !self.change.take(ticket) {
            return false;
        }
        let done = self.changing.take().unwrap_or_default();
        match answer {
            Ok(None) => self.say(done),
            Ok(Some(why)) => self.complain(why),
            Err(error) => self.complain(error.to_string()),
        }
        self.jobs.list.slot.forget();
        self.jobs.job_slot.forget();
        self.queues.list.slot.forget();
        self.schedules.slot.forget();
        self.poll();
        true
    }

    fn take_latency(&mut self, ticket: u64, answer: Result<Latency, ApiError>) -> bool {
        let awaited = self.queues.latency_slot.take(ticket);
        if !awaited {
            return false;
        }
        match (answer, self.queues.asked.take()) {
            (Ok(latency), Some(class)) => self.queues.take(class, latency),
            (Err(error), _) => self.queues.problem = problem(&error),
            (Ok(_), None) => {}
        }
        true
    }
}

fn take_items<T, K: PartialEq>(
    awaited: bool,
    answer: Result<Vec<T>, ApiError>,
    listing: &mut Listing<T>,
    name: impl Fn(&T) -> K,
) {
    match answer {
        _ if !awaited => {}
        Ok(items) => listing.replace(items, name),
        Err(error) => listing.problem = problem(&error),
    }
}

/// What a list says of an error; of a backend that is gone the banner says it, and the list stays.
fn problem(error: &ApiError) -> Option<String> {
    match error {
        ApiError::Unavailable(_) => None,
        ApiError::Invalid(text)
        | ApiError::NotFound(text)
        | ApiError::Conflict(text)
        | ApiError::Forbidden(text)
        | ApiError::Limited(text)
        | ApiError::Internal(text) => Some(text.clone()),
    }
}
