//! What lies over a screen.

use longshore_trace::text::width;
use ratatui::layout::Rect;

use super::pen::{Pen, columns};
use crate::cursor::Cursor;
use crate::help;
use crate::layout::{Layout, text_width};
use crate::page::wrap;
use crate::state::State;
use crate::state::overlay::{Confirm, Overlay, Related, Search, Sought};
use crate::theme::{Role, Theme};
use crate::typed::Typed;

/// Most suggestions in sight.
const SUGGESTIONS: usize = 8;

pub(super) fn draw(state: &State, layout: &Layout, pen: &mut Pen<'_>) {
    match &state.overlay {
        None => {}
        Some(Overlay::Help(cursor)) => keys(state, layout, *cursor, pen),
        Some(Overlay::Search(search)) => typed(search, layout, pen),
        Some(Overlay::Palette(palette)) => super::palette::draw(state, palette, layout, pen),
        Some(Overlay::Confirm(confirm)) => asked(confirm, layout, pen),
        Some(Overlay::Related(related)) => related_to(related, layout, pen),
        Some(Overlay::Diff(diff)) => super::comparison::draw(state, diff, layout, pen),
        Some(Overlay::AboutDiff(diff)) => {
            super::comparison::draw(state, diff, layout, pen);
            about_comparison(layout, pen);
        }
        Some(Overlay::Link(url)) => link(url, layout, pen),
    }
}

/// A frame in the middle of the screen, and what is within it.
pub(super) fn frame(layout: &Layout, size: (u16, u16), title: &str, pen: &mut Pen<'_>) -> Rect {
    let area = layout.middle(size);
    let (width, height) = (area.width, area.height);
    pen.clear(area);
    let inner = usize::from(width.saturating_sub(2));
    let theme = pen.theme;
    let line = theme.pick("─", "-").repeat(inner);
    let side = theme.pick("│", "|");
    let row = |y: u16| Rect::new(area.x, y, width, 1);
    pen.text(
        row(area.y),
        &format!("{}{line}{}", theme.pick("╭", "+"), theme.pick("╮", "+")),
        Role::Active,
    );
    for y in area.y + 1..area.bottom().saturating_sub(1) {
        pen.text(row(y), side, Role::Active);
        pen.right(row(y), side, Role::Active);
    }
    pen.text(
        row(area.bottom().saturating_sub(1)),
        &format!("{}{line}{}", theme.pick("╰", "+"), theme.pick("╯", "+")),
        Role::Active,
    );
    pen.text(
        columns(row(area.y), 2, width.saturating_sub(2)),
        &format!(" {title} "),
        Role::Active,
    );
    Rect {
        x: area.x + 2,
        y: area.y + 1,
        width: width.saturating_sub(4),
        height: height.saturating_sub(2),
    }
}

fn keys(state: &State, layout: &Layout, cursor: Cursor, pen: &mut Pen<'_>) {
    let lines = help::page(state.place(), layout.page(), pen.theme.unicode());
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let area = frame(
        layout,
        (help::WIDE, height),
        "Keys (Esc closes, j and k scroll)",
        pen,
    );
    let key_width = help::label_width(area.width);
    for (line, y) in lines.iter().skip(cursor.at).zip(area.y..area.bottom()) {
        let row = Rect::new(area.x, y, area.width, 1);
        let (end, role) = match line.about.is_empty() {
            true => (row.width, Role::Strong),
            false => (key_width, Role::Key),
        };
        pen.text(columns(row, 0, end), &line.label, role);
        pen.text(columns(row, key_width, row.width), &line.about, Role::Plain);
    }
}

/// What a comparison shows, and what can be done in it.
const COMPARISON: [(&str, &str); 8] = [
    (
        "where",
        "a place in the traces: the same span in the same job",
    ),
    ("spans", "how many there are of it, in A and in B"),
    (
        "time",
        "how long the end waited, without what ran beneath; all rows add up to the traces",
    ),
    ("explains", "how much of the whole difference is there"),
    ("j k", "Down, up"),
    ("Enter", "Open B"),
    ("Esc q", "Close"),
    ("?", "This page"),
];

fn about_comparison(layout: &Layout, pen: &mut Pen<'_>) {
    const KEYS: u16 = 11;
    let wide = layout.body.width.min(70);
    let room = usize::from(wide.saturating_sub(4 + KEYS));
    let lines = COMPARISON.iter().flat_map(|(key, about)| {
        let keys = std::iter::once(*key).chain(std::iter::repeat(""));
        keys.zip(wrap(about, room, true))
    });
    let lines: Vec<_> = lines.collect();
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let area = frame(layout, (wide, height), "A comparison (any key closes)", pen);
    for ((key, about), y) in lines.iter().zip(area.y..area.bottom()) {
        let row = Rect::new(area.x, y, area.width, 1);
        pen.text(columns(row, 0, KEYS), key, Role::Key);
        pen.text(columns(row, KEYS, row.width), about, Role::Plain);
    }
}

/// The search at the bottom, and what may follow above it.
fn typed(search: &Search, layout: &Layout, pen: &mut Pen<'_>) {
    let line = layout.last;
    pen.clear(line);
    let mut x = pen.text(line, " / ", Role::Key);
    x += line_of(&search.typed, columns(line, x, line.width), pen);
    if search.typed.text.is_empty() {
        let hint = match search.of {
            Sought::Spans => "part of a name, kind, service, job or error; n and N go on",
            Sought::Queues => "a queue, or a kind of jobs: how long they waited and ran",
            Sought::Jobs => "order-17, queue=orders state=running meta.order=17, a job id",
            Sought::Traces => "orders error >2s tenant.id=t-17 since:1h, a trace id or a job id",
        };
        pen.text(columns(line, x + 1, line.width), hint, Role::Dim);
    }
    if search.typed.selected {
        let hint = "typing replaces it, an arrow keeps it";
        pen.text(columns(line, x + 1, line.width), hint, Role::Dim);
    }
    let mut y = line.y;
    if let Some(problem) = &search.problem {
        let lines = wrap(
            problem,
            usize::from(line.width.saturating_sub(3)),
            pen.theme.unicode(),
        );
        for text in lines.iter().rev() {
            y = y.saturating_sub(1);
            let row = Rect { y, ..line };
            pen.clear(row);
            pen.text(row, &format!(" {text}"), Role::Error);
        }
    }
    suggestions(search, Rect { y, ..line }, pen);
}

/// What is typed, with its cursor; says how many columns it took. What stands before the cursor
/// matters most.
pub(super) fn line_of(typed: &Typed, line: Rect, pen: &mut Pen<'_>) -> u16 {
    let head = typed.head();
    let room = usize::from(line.width.saturating_sub(2));
    let mut from = 0;
    while width(head.get(from..).unwrap_or_default()) > room {
        from += head
            .get(from..)
            .and_then(|rest| rest.chars().next())
            .map_or(1, char::len_utf8);
    }
    let role = match typed.selected {
        true => Role::Banner,
        false => Role::Strong,
    };
    let x = pen.text(line, head.get(from..).unwrap_or_default(), role);
    let tail = typed.text.get(typed.cursor..).unwrap_or_default();
    let under = tail.chars().next().unwrap_or(' ').to_string();
    pen.text(columns(line, x, line.width), &under, Role::Banner);
    let after = x + text_width(&under);
    let rest = tail.get(under.len().min(tail.len())..).unwrap_or_default();
    after + pen.text(columns(line, after, line.width), rest, Role::Strong)
}

fn suggestions(search: &Search, line: Rect, pen: &mut Pen<'_>) {
    let all = &search.completions.suggestions;
    let first = search
        .chosen
        .map_or(0, |at| at.saturating_sub(SUGGESTIONS - 1));
    let shown: Vec<_> = all
        .iter()
        .enumerate()
        .skip(first)
        .take(SUGGESTIONS)
        .collect();
    let wide = all
        .iter()
        .map(|one| text_width(&one.text))
        .max()
        .unwrap_or(0);
    let count = u16::try_from(shown.len()).unwrap_or(0);
    for ((at, suggestion), up) in shown.into_iter().zip((1..=count).rev()) {
        let row = Rect {
            y: line.y.saturating_sub(up),
            ..line
        };
        pen.clear(row);
        pen.text(columns(row, 3, row.width), &suggestion.text, Role::Key);
        pen.text(
            columns(row, 5 + wide.min(40), row.width),
            &suggestion.about,
            Role::Dim,
        );
        if search.chosen == Some(at) {
            pen.highlight(row, true);
        }
    }
}

fn asked(confirm: &Confirm, layout: &Layout, pen: &mut Pen<'_>) {
    let wide = layout.body.width.min(66);
    let inner = usize::from(wide.saturating_sub(4));
    let question = wrap(&confirm.question, inner, pen.theme.unicode());
    let about = wrap(&confirm.about, inner, pen.theme.unicode());
    let height = u16::try_from(question.len() + about.len() + 5).unwrap_or(12);
    let area = frame(layout, (wide, height), "Sure?", pen);
    let mut lines = (area.y..area.bottom()).map(|y| Rect::new(area.x, y, area.width, 1));
    for (texts, role) in [(question, Role::Strong), (about, Role::Plain)] {
        for text in texts {
            if let Some(row) = lines.next() {
                pen.text(row, &text, role);
            }
        }
    }
    lines.next();
    if let Some(row) = lines.next() {
        let used = pen.text(row, "y", Role::Key);
        let used = used + pen.text(columns(row, used, row.width), " yes    ", Role::Plain);
        pen.text(columns(row, used, row.width), "n", Role::Key);
        pen.text(columns(row, used + 1, row.width), " no", Role::Plain);
    }
}

fn related_size(related: &Related) -> (u16, u16) {
    let height = u16::try_from(related.items.len().max(1) + 2).unwrap_or(u16::MAX);
    (96, height)
}

fn related_to(related: &Related, layout: &Layout, pen: &mut Pen<'_>) {
    let area = frame(
        layout,
        related_size(related),
        "Related (Enter opens, Esc closes)",
        pen,
    );
    if related.items.is_empty() {
        pen.text(
            area,
            "Nothing else is known to have to do with this.",
            Role::Plain,
        );
    }
    let items = related.items.iter().enumerate().skip(related.cursor.top);
    for ((at, item), y) in items.zip(area.y..area.bottom()) {
        let row = Rect::new(area.x, y, area.width, 1);
        if at == related.cursor.at {
            pen.highlight(row, true);
        }
        let room = text_width(&item.text) + text_width(&item.state) + 15;
        // An id says more than a state, where there is room for one of them.
        let state = if room <= row.width || row.width > 60 {
            item.state.as_str()
        } else {
            ""
        };
        let used = pen.right(row, state, Role::Dim);
        pen.text(columns(row, 0, 13), &item.relation, Role::Key);
        pen.text(
            columns(row, 14, row.width.saturating_sub(used + 1)),
            &item.text,
            Role::Plain,
        );
    }
}

/// Which item of a list that lies over the screen stands at a line and column; nothing beside it.
pub(crate) fn item_at(state: &State, x: u16, y: u16) -> Option<usize> {
    let layout = Layout::of(state);
    let (size, head, top) = match &state.overlay {
        Some(Overlay::Related(related)) => (related_size(related), 0, related.cursor.top),
        Some(Overlay::Palette(palette)) => (
            super::palette::SIZE,
            super::palette::HEAD,
            palette.cursor.top,
        ),
        _ => return None,
    };
    let area = layout.middle(size);
    let within = (area.x..area.right()).contains(&x);
    let line = y.checked_sub(area.y + 1 + head)?;
    let last = area.bottom().checked_sub(2)?;
    (within && y <= last).then(|| top + usize::from(line))
}

/// Where the pieces of an address stand, and how large their frame is.
fn link_lines(url: &str, layout: &Layout, unicode: bool) -> (Vec<String>, (u16, u16)) {
    let wide = layout
        .body
        .width
        .min(text_width(url).saturating_add(4).max(60));
    let lines = wrap(url, usize::from(wide.saturating_sub(4)), unicode);
    let height = u16::try_from(lines.len() + 4).unwrap_or(u16::MAX);
    (lines, (wide, height))
}

fn link(url: &str, layout: &Layout, pen: &mut Pen<'_>) {
    let (lines, size) = link_lines(url, layout, pen.theme.unicode());
    let area = frame(layout, size, "Open in the APM", pen);
    for (line, y) in lines.iter().zip(area.y..area.bottom()) {
        pen.text(Rect::new(area.x, y, area.width, 1), line, Role::Key);
    }
    let last = Rect::new(area.x, area.bottom().saturating_sub(1), area.width, 1);
    pen.text(
        last,
        "Copied; this runs elsewhere, so no browser is started.",
        Role::Dim,
    );
}

/// The pieces of the address that is shown, with the column and line where each begins.
pub(crate) fn link_on(state: &State, url: &str, theme: Theme) -> Vec<(u16, u16, String)> {
    let layout = Layout::of(state);
    let (lines, size) = link_lines(url, &layout, theme.unicode());
    let area = layout.middle(size);
    let places = lines
        .into_iter()
        .zip(area.y + 1..area.bottom().saturating_sub(1));
    places.map(|(line, y)| (area.x + 2, y, line)).collect()
}
