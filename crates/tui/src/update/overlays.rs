//! Keys and text while something lies over the screen.

use longshore_api::trace::{Completions, StoryOf, Suggestion};

use crate::ask::Ask;
use crate::binding::{Move, Tab};
use crate::help;
use crate::key::Key;
use crate::layout::Layout;
use crate::palette;
use crate::state::jobs::{KEYS, parse};
use crate::state::overlay::{Confirm, Overlay, Related, Search, Sought};
use crate::state::queues::Queues;
use crate::state::{Slot, State};
use crate::trace_id::find_trace_id;
use crate::typed::Typed;

impl State {
    pub(super) fn press_in_overlay(&mut self, key: Key) {
        match self.overlay.take() {
            Some(Overlay::Search(search)) => self.press_in_search(search, key),
            Some(Overlay::Confirm(confirm)) => self.press_in_confirm(confirm, key),
            Some(Overlay::Palette(palette)) => self.press_in_palette(palette, key),
            Some(Overlay::Link(_))
                if matches!(key, Key::Esc | Key::Enter | Key::Char('q' | 'o')) => {}
            Some(Overlay::Link(url)) => self.overlay = Some(Overlay::Link(url)),
            Some(other) => self.press_in_page(other, key),
            None => {}
        }
    }

    fn press_in_page(&mut self, mut overlay: Overlay, key: Key) {
        overlay = match (overlay, key) {
            (Overlay::Diff(diff), Key::Char('?')) => Overlay::AboutDiff(diff),
            (Overlay::AboutDiff(diff), _) => Overlay::Diff(diff),
            (other, _) => return self.press_in_page_itself(other, key),
        };
        self.overlay = Some(overlay);
    }

    fn press_in_page_itself(&mut self, mut overlay: Overlay, key: Key) {
        if matches!(key, Key::Esc | Key::Char('q' | '?')) {
            return;
        }
        let layout = Layout::of(self);
        let height = usize::from(layout.framed());
        let step = movement(key);
        match &mut overlay {
            Overlay::Help(cursor) => {
                if let Some(step) = step {
                    cursor.step(step, self.tops_of_help(&layout), height);
                }
            }
            Overlay::Related(related) => {
                if let Some(step) = step {
                    related.cursor.step(step, related.items.len(), height);
                }
                if key == Key::Enter {
                    return self.go_to_related(related, related.cursor.at);
                }
            }
            Overlay::Diff(diff) => {
                if let Some(step) = step {
                    diff.cursor.step(step, diff.len(), layout.differences());
                }
                if key == Key::Enter {
                    return self.go_to_side(diff.after.clone());
                }
            }
            Overlay::Search(_)
            | Overlay::Palette(_)
            | Overlay::Confirm(_)
            | Overlay::AboutDiff(_)
            | Overlay::Link(_) => {}
        }
        self.overlay = Some(overlay);
    }

    pub(super) fn go_to_related(&mut self, related: &Related, at: usize) {
        if let Some(of) = related.items.get(at).map(|item| item.of.clone()) {
            self.go(of);
        }
    }

    /// How many lines of the help page may be the first one in sight.
    fn tops_of_help(&self, layout: &Layout) -> usize {
        let lines = help::page(self.place(), layout.page(), !self.options.ascii);
        lines.len().saturating_sub(usize::from(layout.framed())) + 1
    }

    pub(super) fn press_in_confirm(&mut self, confirm: Box<Confirm>, key: Key) {
        match key {
            // Enter is no yes: it is what people press to get rid of a question.
            Key::Char('y' | 'Y') => {
                self.changing = Some(confirm.done);
                self.ask(|state| Some(&mut state.change), confirm.ask);
            }
            Key::Char('n' | 'N' | 'q') | Key::Esc => self.say("Nothing was changed"),
            _ => self.overlay = Some(Overlay::Confirm(confirm)),
        }
    }

    /// Begins a search with what is searched for already, which the next letter replaces, or with new
    /// text.
    pub(super) fn begin_search(&mut self, text: &str) {
        let of = match self.tab {
            Tab::Jobs => Sought::Jobs,
            Tab::Queues => Sought::Queues,
            _ => Sought::Traces,
        };
        let typed = match (of, text.is_empty()) {
            (_, false) => Typed::new(text),
            (Sought::Queues, true) => Typed::default(),
            (Sought::Jobs, true) => Typed::selected(&self.jobs.search),
            (_, true) => Typed::selected(&self.traces.search),
        };
        self.type_search(of, typed);
    }

    /// Begins to look for spans of the trace that is open.
    pub(super) fn begin_find(&mut self) {
        let loaded = self.open.as_ref().and_then(|open| open.loaded.as_ref());
        if let Some(loaded) = loaded {
            let typed = Typed::selected(loaded.found.text());
            self.type_search(Sought::Spans, typed);
        }
    }

    fn type_search(&mut self, of: Sought, typed: Typed) {
        self.overlay = Some(Overlay::Search(Box::new(Search {
            of,
            typed,
            slot: Slot::default(),
            completions: Completions::default(),
            chosen: None,
            problem: None,
        })));
        self.complete();
    }

    fn press_in_search(&mut self, mut search: Box<Search>, key: Key) {
        match key {
            Key::Esc => return,
            Key::Enter => {
                if search.accept() {
                    self.overlay = Some(Overlay::Search(search));
                    self.complete();
                } else {
                    self.submit(search);
                }
                return;
            }
            // One that is alone needs no choice.
            Key::Tab if search.completions.suggestions.len() == 1 => {
                search.choose(true);
                search.accept();
                self.overlay = Some(Overlay::Search(search));
                return self.complete();
            }
            Key::Tab | Key::Down => search.choose(true),
            Key::BackTab | Key::Up => search.choose(false),
            _ => {
                let changed = search.typed.edit(key);
                self.overlay = Some(Overlay::Search(search));
                if changed {
                    self.complete();
                }
                return;
            }
        }
        self.overlay = Some(Overlay::Search(search));
    }

    /// Searches, or says in place why not.
    fn submit(&mut self, mut search: Box<Search>) {
        let text = search.typed.text.trim().to_owned();
        let trace = find_trace_id(&text).filter(|_| !text.contains(' '));
        match (search.of, trace) {
            (Sought::Spans, _) => self.find_spans(&text),
            // The id of a trace goes there, wherever it is typed.
            (_, Some(trace)) => self.go(StoryOf::Trace(trace)),
            (Sought::Queues, None) if text.is_empty() => {}
            (Sought::Queues, None) => self.find_class(&text),
            (Sought::Jobs, None) => match parse(&text) {
                Ok(_) => self.search_jobs(text),
                Err(error) => {
                    search.problem = Some(error);
                    self.overlay = Some(Overlay::Search(search));
                }
            },
            (Sought::Traces, None) => {
                self.tab = Tab::Traces;
                self.focus = crate::state::Focus::List;
                self.search_traces(text);
            }
        }
    }

    /// Asks how the search may go on.
    fn complete(&mut self) {
        let Some(Overlay::Search(search)) = &mut self.overlay else {
            return;
        };
        search.problem = None;
        search.chosen = None;
        match search.of {
            Sought::Traces => {}
            Sought::Jobs => {
                search.completions = complete_jobs(search.typed.head());
                return;
            }
            Sought::Queues => {
                search.completions = complete_classes(&self.queues, search.typed.head());
                return;
            }
            Sought::Spans => return,
        }
        let ask = Ask::Complete {
            text: search.typed.text.clone(),
            cursor: search.typed.cursor,
        };
        self.ask(
            |state| match &mut state.overlay {
                Some(Overlay::Search(search)) => Some(&mut search.slot),
                _ => None,
            },
            ask,
        );
    }

    /// Takes pasted text: a trace id goes there at once, wherever it is pasted, and one word is
    /// looked for at once, since it is an id or the name of something.
    pub(super) fn paste(&mut self, text: &str) {
        let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let trace = find_trace_id(&text);
        match &mut self.overlay {
            Some(Overlay::Search(search)) => {
                let is_all = search.typed.text.is_empty() || search.typed.selected;
                search.typed.insert(&text);
                match trace.filter(|_| is_all) {
                    Some(trace) => {
                        self.overlay = None;
                        self.go(StoryOf::Trace(trace));
                    }
                    None => self.complete(),
                }
            }
            Some(Overlay::Palette(palette)) => palette.typed.insert(&text),
            Some(_) => {}
            None => match trace {
                Some(trace) => self.go(StoryOf::Trace(trace)),
                None if text.is_empty() => {}
                None if text.contains(' ') => {
                    self.tab = Tab::Traces;
                    self.begin_search(&text);
                }
                None => {
                    self.tab = Tab::Traces;
                    self.focus = crate::state::Focus::List;
                    self.search_traces(text);
                }
            },
        }
    }

    pub(super) fn settle_overlay(&mut self) {
        let layout = Layout::of(self);
        let height = usize::from(layout.framed());
        let tops = self.tops_of_help(&layout);
        let place = self.place();
        match &mut self.overlay {
            Some(Overlay::Related(related)) => related.cursor.follow(related.items.len(), height),
            Some(Overlay::Diff(diff)) => {
                diff.cursor.follow(diff.len(), layout.differences());
            }
            Some(Overlay::Palette(palette)) => {
                let many = palette::found(place, &palette.typed.text).len();
                palette.cursor.follow(many, layout.entries());
            }
            Some(Overlay::Help(cursor)) => cursor.at = cursor.at.min(tops.saturating_sub(1)),
            _ => {}
        }
    }
}

impl Search {
    fn choose(&mut self, on: bool) {
        let many = self.completions.suggestions.len();
        self.chosen = match self.chosen {
            _ if many == 0 => None,
            None => Some(if on { 0 } else { many - 1 }),
            Some(at) if on => Some((at + 1) % many),
            Some(at) => Some((at + many - 1) % many),
        };
    }

    /// Puts the chosen suggestion into the text; says whether one was chosen.
    fn accept(&mut self) -> bool {
        let chosen = self.chosen.take();
        let Some(suggestion) = chosen.and_then(|at| self.completions.suggestions.get(at)) else {
            return false;
        };
        let typed = &mut self.typed;
        let from = self.completions.from.min(typed.cursor);
        if !typed.text.is_char_boundary(from) {
            return false;
        }
        typed.remove(from, typed.cursor);
        typed.insert(&suggestion.text);
        self.completions = Completions::default();
        true
    }
}

/// What may follow in a search for jobs.
fn complete_jobs(head: &str) -> Completions {
    let from = head.rfind(' ').map_or(0, |at| at + 1);
    let word = head.get(from..).unwrap_or_default();
    let states = [
        "available",
        "cancelled",
        "completed",
        "discarded",
        "retryable",
        "running",
        "scheduled",
    ];
    let suggestions = match word.strip_prefix("state=") {
        Some(begun) => states
            .iter()
            .filter(|state| state.starts_with(begun))
            .map(|state| Suggestion {
                text: format!("state={state} "),
                about: String::new(),
            })
            .collect(),
        None => KEYS
            .iter()
            .filter(|(key, _)| key.starts_with(word))
            .map(|(key, about)| Suggestion {
                text: (*key).to_owned(),
                about: (*about).to_owned(),
            })
            .collect(),
    };
    Completions { from, suggestions }
}

/// Which queues, and which kinds in the selected one, are called so.
fn complete_classes(queues: &Queues, head: &str) -> Completions {
    let named = |name: &str, about: &str| Suggestion {
        text: name.to_owned(),
        about: about.to_owned(),
    };
    let begins = |name: &str| !head.is_empty() && name.starts_with(head) && name != head;
    let all = queues.list.items().iter();
    let all = all.filter(|one| begins(&one.queue));
    let kinds = queues.known_kinds().unwrap_or_default().iter();
    let kinds = kinds.filter(|one| begins(&one.kind));
    let all = all.map(|one| named(&one.queue, "a queue"));
    let kinds = kinds.map(|one| named(&one.kind, "a kind of the selected queue"));
    Completions {
        from: 0,
        suggestions: all.chain(kinds).collect(),
    }
}

fn movement(key: Key) -> Option<Move> {
    Some(match key {
        Key::Char('j') | Key::Down => Move::Down,
        Key::Char('k') | Key::Up => Move::Up,
        Key::Ctrl('d') => Move::HalfDown,
        Key::Ctrl('u') => Move::HalfUp,
        Key::Ctrl('f') | Key::PageDown | Key::Char(' ') => Move::PageDown,
        Key::Ctrl('b') | Key::PageUp => Move::PageUp,
        Key::Char('g') | Key::Home => Move::Top,
        Key::Char('G') | Key::End => Move::Bottom,
        _ => return None,
    })
}
