//! Traces and groups of them that are marked, and what differs between two.

use longshore_api::trace::{DiffQuery, DiffSide, StoryOf};

use crate::ask::Ask;
use crate::binding::{Place, Tab};
use crate::cursor::Cursor;
use crate::state::overlay::{Comparison, Overlay};
use crate::state::{Focus, Slot, State};

impl State {
    pub(super) fn mark(&mut self) {
        if let Some(trace) = self.trace() {
            let next = "Marked A; d compares it with the trace under the cursor";
            self.mark_side(DiffSide::Trace(trace), next);
        }
    }

    /// Marks all that the search found.
    pub(super) fn mark_group(&mut self) {
        let group = DiffSide::Search(self.traces.search.clone());
        let next = "Marked all of this search as A; search for others with /, then d compares";
        self.mark_side(group, next);
    }

    fn mark_side(&mut self, side: DiffSide, next: &str) {
        let marked = &mut self.traces.marked;
        if let Some(at) = marked.iter().position(|other| *other == side) {
            marked.remove(at);
            return self.say("Not marked any more");
        }
        if marked.len() == 2 {
            marked.remove(0);
        }
        marked.push(side);
        match marked.len() {
            1 => self.say(next),
            _ => self.say("Marked B; d compares A and B"),
        }
    }

    pub(super) fn compare(&mut self) {
        let here = self.trace().map(DiffSide::Trace);
        let group = DiffSide::Search(self.traces.search.clone());
        let (before, after) = match (self.traces.marked.as_slice(), here) {
            ([before, after], _) => (before.clone(), after.clone()),
            ([before @ DiffSide::Search(_)], _)
                if group != *before && self.place() == Place::Traces =>
            {
                (before.clone(), group)
            }
            ([before], Some(here)) if here != *before => (before.clone(), here),
            _ => {
                let how = "Mark a trace with Space (or all that a search found with m), \
                           go to another, then compare";
                return self.complain(how);
            }
        };
        self.ask_diff(before, after);
    }

    fn ask_diff(&mut self, before: DiffSide, after: DiffSide) {
        self.overlay = Some(Overlay::Diff(Box::new(Comparison {
            before: before.clone(),
            after: after.clone(),
            slot: Slot::default(),
            found: None,
            problem: None,
            cursor: Cursor::default(),
        })));
        self.ask(
            |state| match &mut state.overlay {
                Some(Overlay::Diff(diff)) => Some(&mut diff.slot),
                _ => None,
            },
            Ask::Diff(DiffQuery {
                before,
                after,
                all_stores: false,
            }),
        );
    }

    /// Goes to a side of a comparison.
    pub(super) fn go_to_side(&mut self, side: DiffSide) {
        match side {
            DiffSide::Trace(trace) => self.go(StoryOf::Trace(trace)),
            DiffSide::Search(search) => {
                self.tab = Tab::Traces;
                self.focus = Focus::List;
                self.search_traces(search);
            }
        }
    }
}
