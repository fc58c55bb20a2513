//! What changes the state: keys, the mouse, time and answers.

mod answers;
mod find;
mod going;
mod holder;
mod jobs;
mod marks;
mod mouse;
mod overlays;
mod palette;
mod polling;
mod queues;
mod story;
mod times;
mod traces;

use longshore_core::Timestamp;

pub use mouse::{Mouse, MouseKind};

use crate::ask::{Answer, Ask};
use crate::binding::{Action, Found, Place, Tab, find};
use crate::cursor::Cursor;
use crate::key::Key;
use crate::layout::Layout;
use crate::state::overlay::Overlay;
use crate::state::{Focus, State};

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// The mouse was used.
    Mouse(Mouse),
    /// The terminal has so many columns and lines now.
    Resize(u16, u16),
    /// It is this late.
    Tick(Timestamp),
    /// The answer to the question with this ticket.
    Answer(u64, Box<Answer>),
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// To ask the backend; the ticket comes back with the answer.
    Ask(u64, Ask),
    /// To put text into the clipboard.
    Copy(String),
    /// To open an address in a browser.
    Browse(String),
    /// To end.
    Quit,
}

/// Takes in what happened, and says what is to be done. Nothing else changes a [`State`], and
/// nothing here looks at the world: the same events give the same state.
pub fn update(state: &mut State, event: Event) -> Vec<Effect> {
    match event {
        Event::Key(key) => state.press(key),
        Event::Paste(text) => state.paste(&text),
        Event::Mouse(mouse) => state.mouse(mouse),
        Event::Resize(width, height) => (state.width, state.height) = (width, height),
        Event::Tick(now) => state.tick(now),
        Event::Answer(ticket, answer) => state.answer(ticket, *answer),
    }
    state.settle();
    std::mem::take(&mut state.effects)
}

impl State {
    fn press(&mut self, key: Key) {
        if key == Key::Ctrl('c') {
            self.effects.push(Effect::Quit);
            return;
        }
        if self.overlay.is_some() {
            self.press_in_overlay(key);
            return;
        }
        // Whoever goes on has read it.
        self.note = None;
        let begun = self.begun.take();
        match find(self.place(), begun, key) {
            Found::Action(action) => self.act(action),
            Found::Begun => self.begun = Some(key),
            Found::Nothing => {}
        }
    }

    pub(crate) fn act(&mut self, action: Action) {
        match action {
            Action::Quit => self.effects.push(Effect::Quit),
            Action::Help => self.overlay = Some(Overlay::Help(Cursor::default())),
            Action::Palette => self.overlay = Some(Overlay::Palette(Box::default())),
            Action::Show(tab) => self.show(tab),
            Action::Freeze => self.freeze(),
            Action::Search => self.begin_search(""),
            Action::Find => self.begin_find(),
            Action::NextPanel => self.turn_focus(true),
            Action::PreviousPanel => self.turn_focus(false),
            Action::OpenInApm => self.open_in_apm(),
            Action::CopyTrace => self.copy_trace(),
            Action::CopyLink => self.copy_link(),
            Action::Related => self.show_related(),
            Action::Holder => self.go_to_holder(),
            Action::FilterByTrace => self.filter_by_trace(),
            Action::Times => self.show_times(),
            _ => match self.place() {
                Place::Traces => self.act_in_traces(action),
                Place::Waterfall | Place::Span => self.act_in_story(action),
                Place::Jobs | Place::Job => self.act_in_jobs(action),
                Place::Queues | Place::Bars => self.act_in_queues(action),
                Place::Workers => self.act_in_workers(action),
                Place::Schedules => self.act_in_schedules(action),
            },
        }
    }

    pub(crate) fn show(&mut self, tab: Tab) {
        if self.tab != tab {
            self.tab = tab;
            self.begun = None;
            self.poll();
        }
    }

    fn freeze(&mut self) {
        self.frozen = !self.frozen;
        if !self.frozen {
            self.thaw();
        }
    }

    fn turn_focus(&mut self, on: bool) {
        match self.tab {
            Tab::Traces if self.open.is_some() => {
                self.focus = match (self.focus, on) {
                    (Focus::List, true) | (Focus::Span, false) => Focus::Waterfall,
                    (Focus::Waterfall, true) | (Focus::List, false) => Focus::Span,
                    (Focus::Span, true) | (Focus::Waterfall, false) => Focus::List,
                };
            }
            Tab::Jobs => self.jobs.inside = !self.jobs.inside && self.jobs.selected().is_some(),
            Tab::Queues => self.enter_bars(),
            Tab::Traces | Tab::Workers | Tab::Schedules => {}
        }
    }

    /// Brings what depends on the size and on what is selected in line with the rest.
    fn settle(&mut self) {
        let layout = Layout::of(self);
        if self.tab == Tab::Traces {
            self.settle_traces(&layout);
        }
        self.settle_story(&layout);
        self.settle_lists(&layout);
        if self.overlay.is_some() {
            self.settle_overlay();
        }
    }
}
