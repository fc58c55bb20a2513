//! The picture: what is drawn follows from the state alone.

mod bars;
mod comparison;
mod jobs;
mod lists;
mod overlay;
mod palette;
mod pen;
mod queues;
mod times;
mod traces;
mod waterfall;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub(crate) use overlay::{item_at, link_on};
pub(crate) use times::{Hit, hit};

use crate::binding::Tab;
use crate::layout::{self, Layout, Panel, Shape};
use crate::page::{Page, ago, short};
use crate::state::overlay::Overlay;
use crate::state::{Focus, State};
use crate::theme::{Role, Theme};
use pen::{Pen, columns};

/// Draws the state. The buffer should have the size that the state was told.
pub fn draw(state: &State, theme: &Theme, buffer: &mut Buffer) {
    let layout = Layout::of(state);
    let mut pen = Pen::new(buffer, *theme);
    if state.width < 20 || state.height < 5 {
        let area = Rect::new(0, 0, state.width, state.height.min(1));
        pen.text(area, "too small", Role::Plain);
        return;
    }
    tabs(state, &layout, &mut pen);
    banner(state, &layout, &mut pen);
    match state.tab {
        Tab::Traces => {
            if let Some(panel) = layout.list {
                traces::list(state, &layout, panel, &mut pen);
            }
            if let Some(panel) = layout.main {
                waterfall::draw(state, &layout, panel, &mut pen);
            }
            if let Some(panel) = layout.side {
                details(state, &layout, panel, &mut pen);
            }
        }
        Tab::Jobs => jobs::draw(state, &layout, &mut pen),
        Tab::Queues => queues::draw(state, &layout, &mut pen),
        Tab::Workers => lists::workers(state, &layout, &mut pen),
        Tab::Schedules => lists::schedules(state, &layout, &mut pen),
    }
    rules(&layout, &mut pen);
    hints(state, &layout, &mut pen);
    overlay::draw(state, &layout, &mut pen);
    note(state, &layout, &mut pen);
}

/// The line at the top: what this is, the screens, and what stands behind it.
fn tabs(state: &State, layout: &Layout, pen: &mut Pen<'_>) {
    let area = layout.tabs;
    if area.width >= 100 {
        pen.text(area, " longshore", Role::Strong);
    }
    let mut end = 0;
    for (tab, text, from, to) in layout::tabs(area.width) {
        let at = columns(area, from, to);
        let active = tab == state.tab;
        pen.text(at, &text, if active { Role::Active } else { Role::Dim });
        if active {
            pen.highlight(at, true);
        }
        end = to;
    }
    let frozen = if state.frozen { "frozen  " } else { "" };
    let room = columns(area, end + 2, area.width.saturating_sub(1));
    let store = store_of(state).filter(|_| layout::tabs_leave_room(area.width));
    if let Some(store) = store {
        let most = room.width.saturating_sub(layout::text_width(frozen));
        let store = end_of(store, usize::from(most), pen.theme);
        pen.right(room, &format!("{frozen}{store}"), Role::Dim);
    }
}

/// Where the store is, if that is known.
fn store_of(state: &State) -> Option<&str> {
    let about = state.backend.about.as_ref();
    about.map(|about| about.store.as_str())
}

/// As much of the end of a text as fits, since names of stores differ there.
fn end_of(text: &str, most: usize, theme: Theme) -> String {
    let whole = longshore_trace::text::width(text);
    if whole <= most {
        return text.to_owned();
    }
    let mark = theme.pick("…", "..");
    let room = most.saturating_sub(mark.chars().count());
    let tails = text
        .char_indices()
        .map(|(at, _)| text.get(at..).unwrap_or_default());
    let mut fitting = tails.filter(|tail| longshore_trace::text::width(tail) <= room);
    fitting
        .next()
        .map_or_else(String::new, |tail| format!("{mark}{tail}"))
}

/// What a panel says at the right of its title; where the tabs take the whole line, which store it
/// is of as well.
fn chip_of_list(state: &State, layout: &Layout, chip: &str, theme: Theme) -> String {
    let store = store_of(state).filter(|_| !layout::tabs_leave_room(layout.tabs.width));
    store.map_or_else(
        || chip.to_owned(),
        |store| format!("{}  {chip}", end_of(store, 16, theme)),
    )
}

fn banner(state: &State, layout: &Layout, pen: &mut Pen<'_>) {
    let (Some(area), Some(down)) = (layout.banner, &state.backend.down) else {
        return;
    };
    let sign = pen.theme.pick("⚠", "!");
    let next = down.retry_at.since(state.now).as_secs();
    let old = ago(state.now, down.since);
    let tail = format!("  again in {next}s; what is shown is {old} old ");
    let head = format!(" {sign} no answer: {}", down.error);
    pen.fill(area, Role::Banner);
    pen.text(area, &head, Role::Banner);
    pen.right(area, &tail, Role::Banner);
}

/// The lines between panels.
fn rules(layout: &Layout, pen: &mut Pen<'_>) {
    let panels = [layout.list, layout.main, layout.side];
    for panel in panels.into_iter().flatten() {
        let area = panel.whole();
        let body = layout.body;
        if area.x > body.x {
            let sign = pen.theme.pick("│", "|");
            for y in area.y..area.bottom() {
                pen.text(Rect::new(area.x - 1, y, 1, 1), sign, Role::Rule);
            }
        }
    }
}

/// A title, drawn into the line above a panel.
fn title(panel: Panel, left: &str, right: &str, active: bool, pen: &mut Pen<'_>) {
    let Some(area) = panel.title else {
        return;
    };
    let line = pen.theme.pick("─", "-").repeat(usize::from(area.width));
    pen.text(area, &line, Role::Rule);
    let role = if active { Role::Active } else { Role::Strong };
    let sign = if active {
        pen.theme.pick("▌", ">")
    } else {
        " "
    };
    let used = pen.text(area, &format!("{sign}{left} "), role);
    if !right.is_empty() {
        let room = Rect {
            x: area.x + used.min(area.width),
            width: area.width.saturating_sub(used),
            ..area
        };
        pen.right(room, &format!(" {right} "), Role::Dim);
    }
}

/// What is known about the span with the cursor.
fn details(state: &State, layout: &Layout, panel: Panel, pen: &mut Pen<'_>) {
    let active = state.focus == Focus::Span;
    // Where it stands alone, it says what it is of.
    let loaded = state.open.as_ref().and_then(|open| open.loaded.as_ref());
    let of = loaded.filter(|_| layout.main.is_none()).map(|loaded| {
        let summary = &loaded.prepared.story().summary;
        let id = short(summary.trace_id, pen.theme.unicode());
        format!("{}  {id}", traces::called(summary))
    });
    title(panel, "Span", &of.unwrap_or_default(), active, pen);
    let page = crate::details::page(state, panel.inner.width, pen.theme.unicode());
    let cursor = state.open.as_ref().map(|open| open.details.cursor);
    show_page(&page, cursor.unwrap_or_default(), active, panel.inner, pen);
}

/// Shows a page from a line on; the line with the cursor is marked while it has the keys.
fn show_page(
    page: &Page,
    cursor: crate::cursor::Cursor,
    active: bool,
    area: Rect,
    pen: &mut Pen<'_>,
) {
    let below = cursor.top + usize::from(area.height);
    let more = page.lines.len().saturating_sub(below);
    let more = (more > 0 && area.height > 1).then(|| {
        let sign = pen.theme.pick("↓", "v");
        format!(" {sign} {more} ")
    });
    let lines = page.lines.iter().enumerate().skip(cursor.top);
    for ((at, line), y) in lines.zip(area.y..area.bottom()) {
        let row = Rect::new(area.x, y, area.width, 1);
        if active && at == cursor.at {
            pen.highlight(row, true);
        }
        let more = more.as_ref().filter(|_| y + 1 == area.bottom());
        let taken = more.map_or(0, |more| pen.right(row, more, Role::Dim));
        let (mut x, end) = (1, row.width.saturating_sub(taken));
        for (text, role) in &line.pieces {
            x += pen.text(columns(row, x, end), text, *role);
        }
    }
}

/// A sentence or two for a screen on which there is nothing.
fn empty(area: Rect, lines: &[&str], pen: &mut Pen<'_>) {
    let wide = usize::from(area.width).saturating_sub(4);
    let mut y = area.y + area.height / 8;
    for (at, text) in lines.iter().enumerate() {
        let role = if at == 0 { Role::Strong } else { Role::Plain };
        let wrapped = crate::page::wrap(text, wide, pen.theme.unicode());
        for line in wrapped {
            if y >= area.bottom() {
                return;
            }
            let row = Rect::new(area.x, y, area.width, 1);
            let command = line.trim_start().starts_with("longshore ");
            let role = if command { Role::Key } else { role };
            pen.text(columns(row, 2, row.width), &line, role);
            y += 1;
        }
    }
}

/// What can be done here.
fn hints(state: &State, layout: &Layout, pen: &mut Pen<'_>) {
    let Some(area) = layout.hints else {
        return;
    };
    let touch = layout.shape == Shape::Narrow;
    for button in layout::hints(state, area.width, pen.theme.unicode()) {
        let at = columns(area, button.from, button.to);
        let used = pen.text(at, &button.key, Role::Key);
        let word = columns(at, used + 1, at.width);
        pen.text(
            word,
            button.word,
            if touch { Role::Plain } else { Role::Dim },
        );
        if touch {
            pen.highlight(at, true);
        }
    }
}

/// A short message above the line that says what can be done.
fn note(state: &State, layout: &Layout, pen: &mut Pen<'_>) {
    let (Some(note), Some(area)) = (&state.note, layout.note) else {
        return;
    };
    if matches!(state.overlay, Some(Overlay::Search(_))) {
        return;
    }
    let (sign, role) = match note.bad {
        true => (pen.theme.pick("✗", "x"), Role::Error),
        false => (pen.theme.pick("✓", "+"), Role::Good),
    };
    pen.text(area, &format!(" {sign}"), role);
    let lines = Layout::lines_of_note(state, note);
    for (text, y) in lines.iter().zip(area.y..area.bottom()) {
        let line = Rect::new(area.x, y, area.width, 1);
        pen.text(columns(line, 3, line.width), text, role);
    }
}
