//! From where the cursor is to a trace: opened here, elsewhere, or copied.

use longshore_api::job::Job;
use longshore_api::trace::StoryOf;
use longshore_core::TraceId;

use super::Effect;
use crate::apm;
use crate::ask::Ask;
use crate::binding::{Place, Tab};
use crate::state::open::Open;
use crate::state::overlay::{Overlay, Related, RelatedItem};
use crate::state::{Focus, State};

impl State {
    /// Opens a story; where to go back to is kept.
    pub(crate) fn open_story(&mut self, of: StoryOf) {
        let before = match &self.open {
            Some(open) if open.of == of => return,
            Some(open) => open.way(),
            None => Vec::new(),
        };
        self.open_on_way(of, before);
    }

    /// Opens a story with a way back.
    pub(super) fn open_on_way(&mut self, of: StoryOf, before: Vec<StoryOf>) {
        self.open = Some(Open::new(of.clone(), before));
        self.traces.open_at = None;
        self.ask(
            |state| state.open.as_mut().map(|open| &mut open.slot),
            Ask::Story(of),
        );
    }

    /// Opens a story and goes there.
    pub(super) fn go(&mut self, of: StoryOf) {
        self.open_story(of);
        self.tab = Tab::Traces;
        self.focus = Focus::Waterfall;
    }

    /// Opens the trace of a job, and all that it is joined to.
    pub(super) fn go_to_job(&mut self, id: String) {
        self.go(StoryOf::Job(id));
    }

    /// The trace that the cursor is on.
    pub(super) fn trace(&self) -> Option<TraceId> {
        match self.place() {
            Place::Traces => self.traces.selected,
            Place::Waterfall | Place::Span => self.shown_trace(),
            Place::Jobs | Place::Job => self.jobs.selected()?.trace.trace_id,
            Place::Bars => self.queues.bar()?.trace_id,
            Place::Schedules => self.schedules.selected()?.last_trace_id,
            Place::Queues | Place::Workers => None,
        }
    }

    /// The trace of the row with the cursor; before the story is there, the one that was asked for.
    fn shown_trace(&self) -> Option<TraceId> {
        let open = self.open.as_ref()?;
        match (&open.loaded, &open.of) {
            (Some(loaded), _) => Some(loaded.trace()),
            (None, StoryOf::Trace(trace) | StoryOf::TraceAlone(trace)) => Some(*trace),
            (None, StoryOf::Job(_)) => None,
        }
    }

    fn trace_or_say(&mut self) -> Option<TraceId> {
        let trace = self.trace();
        if trace.is_none() {
            self.complain("There is no trace here");
        }
        trace
    }

    fn address(&mut self) -> Option<String> {
        let trace = self.trace_or_say()?;
        let told = self
            .backend
            .about
            .as_ref()
            .and_then(|about| about.trace_url.clone());
        let Some(template) = self.options.trace_url.clone().or(told) else {
            self.complain("Say where traces are opened: longshore tui --trace-url jaeger");
            return None;
        };
        match apm::address(&template, trace) {
            Ok(address) => Some(address),
            Err(error) => {
                self.complain(error);
                None
            }
        }
    }

    pub(super) fn open_in_apm(&mut self) {
        let Some(address) = self.address() else {
            return;
        };
        if self.options.remote {
            self.effects.push(Effect::Copy(address.clone()));
            self.overlay = Some(Overlay::Link(address));
        } else {
            self.say(format!("Opened {address}"));
            self.effects.push(Effect::Browse(address));
        }
    }

    pub(super) fn copy_trace(&mut self) {
        if let Some(trace) = self.trace_or_say() {
            self.say(format!("Copied {trace}"));
            self.effects.push(Effect::Copy(trace.to_string()));
        }
    }

    pub(super) fn copy_link(&mut self) {
        if let Some(address) = self.address() {
            self.say(format!("Copied {address}"));
            self.effects.push(Effect::Copy(address));
        }
    }

    pub(super) fn filter_by_trace(&mut self) {
        if self.traces.only.is_some() {
            self.traces.only = None;
            self.say("All traces again");
            return;
        }
        let Some(trace) = self.trace_or_say() else {
            return;
        };
        self.traces.only = Some(trace);
        self.traces.selected = Some(trace);
        self.tab = Tab::Traces;
        self.focus = Focus::List;
        self.open_story(StoryOf::Trace(trace));
        self.say("This trace and those linked to it; again for all");
    }

    /// Lists what has to do with the story, or with the selected job.
    pub(super) fn show_related(&mut self) {
        let mut related = Related::default();
        match self.place() {
            Place::Jobs | Place::Job => {
                let Some(job) = self.jobs.selected() else {
                    return;
                };
                related.items = of_job(job);
            }
            _ => {
                let Some(loaded) = self.open.as_ref().and_then(|open| open.loaded.as_ref()) else {
                    self.complain("The trace is not there yet");
                    return;
                };
                let story = loaded.prepared.story();
                related.items = story.job.as_ref().map(of_job).unwrap_or_default();
                related
                    .items
                    .extend(story.related.iter().map(|job| RelatedItem {
                        relation: job.relation.clone(),
                        text: format!("{}/{} {}", job.queue, job.kind, job.id),
                        state: job.state.clone(),
                        of: StoryOf::Job(job.id.clone()),
                    }));
                related
                    .items
                    .extend(story.summary.linked.iter().map(|trace| RelatedItem {
                        relation: "linked trace".to_owned(),
                        text: trace.to_string(),
                        state: String::new(),
                        of: StoryOf::TraceAlone(*trace),
                    }));
            }
        }
        self.overlay = Some(Overlay::Related(related));
    }
}

/// The story of a job, and the traces of its attempts.
fn of_job(job: &Job) -> Vec<RelatedItem> {
    let mut items = vec![RelatedItem {
        relation: "this job".to_owned(),
        text: format!("{}/{} {}", job.queue, job.kind, job.id),
        state: job.state.clone(),
        of: StoryOf::Job(job.id.clone()),
    }];
    let mut seen: Vec<TraceId> = Vec::new();
    for attempt in &job.history {
        let Some(trace) = attempt.trace_id.filter(|trace| !seen.contains(trace)) else {
            continue;
        };
        seen.push(trace);
        items.push(RelatedItem {
            relation: format!("attempt {}", attempt.attempt),
            text: trace.to_string(),
            state: attempt.outcome.clone(),
            of: StoryOf::TraceAlone(trace),
        });
    }
    items
}
