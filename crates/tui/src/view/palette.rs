//! What can be done, listed by name.

use ratatui::layout::Rect;

use super::overlay::{frame, line_of};
use super::pen::{Pen, columns};
use crate::binding;
use crate::layout::Layout;
use crate::page::wrap;
use crate::palette;
use crate::state::State;
use crate::state::overlay::Palette;
use crate::theme::Role;

/// Columns and lines, as far as there is room.
pub(super) const SIZE: (u16, u16) = (palette::WIDE, u16::MAX);

/// Lines above the first entry.
pub(super) const HEAD: u16 = 2;

/// Columns of the names, and of the keys.
const NAMES: u16 = 18;
const KEYS: u16 = 10;

/// From so many columns on there is room for what an entry does.
const ROOMY: u16 = 60;

pub(super) fn draw(state: &State, palette: &Palette, layout: &Layout, pen: &mut Pen<'_>) {
    let name = match layout.body.width {
        ..60 => "Actions (Enter, Esc)",
        _ => "Actions (Enter does it, Esc closes)",
    };
    let area = frame(layout, SIZE, name, pen);
    let row = |at: u16| Rect {
        y: area.y + at,
        height: u16::from(at < area.height),
        ..area
    };
    let used = pen.text(row(0), ": ", Role::Key);
    let line = columns(row(0), used, area.width);
    let x = used + line_of(&palette.typed, line, pen);
    if palette.typed.text.is_empty() {
        let hint = "type what you want to do";
        pen.text(columns(row(0), x + 1, area.width), hint, Role::Dim);
    }
    let entries = palette::found(state.place(), &palette.typed.text);
    if entries.is_empty() {
        pen.text(row(HEAD), "Nothing is called so.", Role::Plain);
        return;
    }
    let shown = entries.iter().enumerate().skip(palette.cursor.top);
    for ((at, entry), y) in shown.take(layout.entries()).zip(HEAD..) {
        let line = row(y);
        let role = match entry.elsewhere {
            Some(_) => Role::Dim,
            None => Role::Plain,
        };
        let name = entry.binding.action.name();
        pen.text(columns(line, 0, NAMES - 1), name, role);
        let keys = binding::labels(entry.binding, pen.theme.unicode());
        pen.text(columns(line, NAMES, NAMES + KEYS - 1), &keys, Role::Key);
        let about = match entry.elsewhere {
            // What the chosen one does stands beneath.
            _ if line.width < ROOMY => String::new(),
            Some(place) => format!("in: {}", place.title()),
            None => entry.binding.about.to_owned(),
        };
        pen.text(columns(line, NAMES + KEYS, line.width), &about, role);
        if at == palette.cursor.at {
            pen.highlight(line, true);
        }
    }
    let Some(chosen) = entries.get(palette.cursor.at) else {
        return;
    };
    let about = match chosen.elsewhere {
        Some(place) => format!("{}, in: {}", chosen.binding.about, place.title()),
        None => chosen.binding.about.to_owned(),
    };
    let lines = wrap(&about, usize::from(area.width), pen.theme.unicode());
    let first = area.height.saturating_sub(palette::AROUND - HEAD - 1);
    for (text, y) in lines.iter().zip(first..area.height) {
        pen.text(row(y), text, Role::Strong);
    }
}
