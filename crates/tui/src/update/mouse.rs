//! The mouse: a click selects, a second one opens, the wheel scrolls, and buttons are pressed.

use crate::binding::{Action, Tab};
use crate::cursor::Cursor;
use crate::key::Key;
use crate::layout::{self, Layout};
use crate::rows::Shown;
use crate::state::overlay::Overlay;
use crate::state::{Focus, State};
use crate::view::{self, Hit};

/// What the mouse did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mouse {
    /// What.
    pub kind: MouseKind,
    /// At which column.
    pub x: u16,
    /// At which line.
    pub y: u16,
}

/// What can be done with a mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MouseKind {
    /// The left button was pressed.
    Click,
    /// The wheel was turned away.
    WheelUp,
    /// The wheel was turned towards the person.
    WheelDown,
}

impl State {
    pub(super) fn mouse(&mut self, mouse: Mouse) {
        if self.overlay.is_some() {
            return self.mouse_in_overlay(mouse);
        }
        let layout = Layout::of(self);
        match mouse.kind {
            MouseKind::Click => self.click(&layout, mouse.x, mouse.y),
            MouseKind::WheelUp => self.wheel(&layout, mouse, false),
            MouseKind::WheelDown => self.wheel(&layout, mouse, true),
        }
    }

    fn mouse_in_overlay(&mut self, mouse: Mouse) {
        let key = match mouse.kind {
            MouseKind::Click => None,
            MouseKind::WheelUp => Some(Key::Up),
            MouseKind::WheelDown => Some(Key::Down),
        };
        if let Some(key) = key {
            if !matches!(self.overlay, Some(Overlay::Confirm(_))) {
                self.press_in_overlay(key);
            }
            return;
        }
        let item = view::item_at(self, mouse.x, mouse.y);
        match (self.overlay.take(), item) {
            (Some(Overlay::Related(related)), Some(at)) => self.go_to_related(&related, at),
            (Some(Overlay::Palette(palette)), Some(at)) => self.do_entry(&palette, at),
            // A question needs a word.
            (Some(asks @ (Overlay::Confirm(_) | Overlay::Search(_))), _) => {
                self.overlay = Some(asks);
            }
            // A click beside what is shown means: enough of it.
            _ => {}
        }
    }

    fn click(&mut self, layout: &Layout, x: u16, y: u16) {
        if y == layout.tabs.y {
            let tab = layout::tabs(self.width)
                .into_iter()
                .find(|(_, _, from, to)| (*from..*to).contains(&x));
            if let Some((tab, ..)) = tab {
                self.show(tab);
            }
            return;
        }
        if layout.hints.is_some_and(|hints| hints.y == y) {
            let buttons = layout::hints(self, self.width, !self.options.ascii);
            let hit = buttons
                .into_iter()
                .find(|button| (button.from..button.to).contains(&x));
            if let Some(button) = hit {
                self.act(button.action);
            }
            return;
        }
        let within = |panel: Option<layout::Panel>| panel.filter(|panel| panel.contains(x, y));
        if let Some(panel) = within(layout.list) {
            let item = layout.item_at(panel, layout.heading(self), y);
            self.click_in_list(item);
        } else if let Some(panel) = within(layout.main) {
            match self.tab {
                Tab::Traces => self.click_in_waterfall(layout, panel, x, y),
                Tab::Jobs => self.click_in_job(panel, y),
                Tab::Queues => self.click_in_bars(panel, y),
                Tab::Workers | Tab::Schedules => {}
            }
        } else if let Some(panel) = within(layout.side) {
            self.focus = Focus::Span;
            let line = usize::from(y.saturating_sub(panel.inner.y));
            if let Some(open) = &mut self.open {
                let at = open.details.cursor.top + line;
                let again = open.details.cursor.at == at;
                open.details.cursor.at = at;
                if again {
                    self.act(Action::Open);
                }
            }
        }
    }

    fn click_in_list(&mut self, item: Option<usize>) {
        let top = match self.tab {
            Tab::Traces => {
                self.focus = Focus::List;
                self.traces.top
            }
            Tab::Jobs => {
                self.jobs.inside = false;
                self.jobs.list.cursor.top
            }
            Tab::Queues => {
                self.queues.bars = None;
                self.queues.list.cursor.top
            }
            Tab::Workers => self.workers.cursor.top,
            Tab::Schedules => self.schedules.cursor.top,
        };
        let Some(at) = item.map(|item| top + item) else {
            return;
        };
        let (before, len) = match self.tab {
            Tab::Traces => (self.traces.line(), self.traces.len()),
            Tab::Jobs => (self.jobs.list.cursor.at, self.jobs.list.items().len()),
            Tab::Queues => (self.queues.list.cursor.at, self.queues.list.items().len()),
            Tab::Workers => (self.workers.cursor.at, self.worker_lines().len()),
            Tab::Schedules => (self.schedules.cursor.at, self.schedules.items().len()),
        };
        if at >= len {
            return;
        }
        if before == at {
            self.act(Action::Open);
            return;
        }
        match self.tab {
            Tab::Traces => self.move_in_traces(Cursor { at, top }),
            Tab::Jobs => {
                self.jobs.list.cursor.at = at;
                self.another_job();
            }
            Tab::Queues => {
                self.queues.list.cursor.at = at;
                self.another_queue();
            }
            Tab::Workers => self.workers.cursor.at = at,
            Tab::Schedules => self.schedules.cursor.at = at,
        }
    }

    fn click_in_waterfall(&mut self, layout: &Layout, panel: layout::Panel, x: u16, y: u16) {
        let item = layout.item_at(panel, layout.waterfall_head(), y);
        let stay = self.details_stay();
        self.focus = Focus::Waterfall;
        let Some(loaded) = self.open.as_mut().and_then(|open| open.loaded.as_mut()) else {
            return;
        };
        let Some(at) = item.map(|item| loaded.cursor.top + item) else {
            return;
        };
        let Some(shown) = loaded.rows.get(at) else {
            return;
        };
        let again = loaded.cursor.at == at;
        loaded.cursor.at = at;
        let depth = loaded
            .prepared
            .chart()
            .row(shown.first())
            .map_or(0, |row| row.depth);
        // The sign before the name.
        let sign = panel.inner.x + (depth * 2).min(20);
        if (sign..sign + 2).contains(&x) || matches!(shown, Shown::Group(_)) && again {
            match shown {
                Shown::Row(row) if !loaded.rows.is_folded(row) => loaded.fold(),
                _ => loaded.unfold(),
            }
        } else if again && !stay {
            self.act(Action::Details);
        }
    }

    fn click_in_job(&mut self, panel: layout::Panel, y: u16) {
        let was_inside = self.jobs.inside;
        self.jobs.inside = self.jobs.selected().is_some();
        let Some(line) = y.checked_sub(panel.inner.y).filter(|_| self.jobs.inside) else {
            return;
        };
        let at = self.jobs.cursor.top + usize::from(line);
        let again = was_inside && self.jobs.cursor.at == at;
        self.jobs.cursor.at = at;
        if again {
            self.act(Action::Open);
        }
    }

    fn click_in_bars(&mut self, panel: layout::Panel, y: u16) {
        let line = usize::from(y.saturating_sub(panel.inner.y));
        match view::hit(self, line, usize::from(panel.inner.height)) {
            None => {}
            Some(Hit::Kind(at)) => self.look_at_kind(at),
            Some(Hit::Kinds) => self.act_in_queues(Action::Kind),
            Some(Hit::Bar(bars)) => {
                let again = self.queues.bars == Some(bars);
                self.queues.bars = Some(bars);
                if again {
                    self.act(Action::Open);
                }
            }
        }
    }

    fn wheel(&mut self, layout: &Layout, mouse: Mouse, down: bool) {
        let over =
            |panel: Option<layout::Panel>| panel.filter(|panel| panel.contains(mouse.x, mouse.y));
        let items = layout.list_items(self);
        if over(layout.list).is_some() {
            match self.tab {
                Tab::Traces => {
                    let mut cursor = self.traces_cursor();
                    cursor.scroll(down, self.traces.len(), items);
                    self.move_in_traces(cursor);
                }
                Tab::Jobs => {
                    let len = self.jobs.list.items().len();
                    let before = self.jobs.list.cursor.at;
                    self.jobs.list.cursor.scroll(down, len, items);
                    if self.jobs.list.cursor.at != before {
                        self.another_job();
                    }
                    self.more_jobs(items);
                }
                Tab::Queues => {
                    let len = self.queues.list.items().len();
                    let before = self.queues.list.cursor.at;
                    self.queues.list.cursor.scroll(down, len, items);
                    if self.queues.list.cursor.at != before {
                        self.another_queue();
                    }
                }
                Tab::Workers => {
                    let len = self.worker_lines().len();
                    self.workers.cursor.scroll(down, len, items);
                }
                Tab::Schedules => {
                    let len = self.schedules.items().len();
                    self.schedules.cursor.scroll(down, len, items);
                }
            }
        } else if over(layout.main).is_some() && self.tab == Tab::Traces {
            let rows = layout.waterfall_rows();
            if let Some(loaded) = self.open.as_mut().and_then(|open| open.loaded.as_mut()) {
                loaded.cursor.scroll(down, loaded.rows.len(), rows);
            }
        } else if over(layout.main).is_some() && self.tab == Tab::Jobs {
            let (len, height) = self.job_size();
            self.jobs.cursor.scroll(down, len, height);
        } else if over(layout.side).is_some() {
            let (len, height) = self.details_size();
            if let Some(open) = &mut self.open {
                open.details.cursor.scroll(down, len, height);
            }
        }
    }
}
