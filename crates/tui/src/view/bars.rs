//! Bars on a time line, to an eighth of a cell.

use longshore_trace::timeline::{EIGHTHS, Interval, Timeline, block};
use ratatui::layout::Rect;

use super::pen::Pen;
use crate::theme::Role;

/// What a bar is drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Solid,
    Shaded,
    Light,
    Dotted,
}

/// Draws from when to when; nothing of it may lie outside of what the line shows.
pub(super) fn bar(
    line: &Timeline,
    interval: Interval,
    (ink, role): (Ink, Role),
    area: Rect,
    pen: &mut Pen<'_>,
) -> (u16, u16) {
    let (from, to) = line.span(interval);
    let cell = |eighth: u64| u16::try_from(eighth).unwrap_or(u16::MAX);
    let (first, last) = (
        cell(from / EIGHTHS),
        cell(to.div_ceil(EIGHTHS)).min(area.width),
    );
    let sliver = to - from < EIGHTHS;
    let theme = pen.theme;
    for at in first..last {
        let left = u64::from(at) * EIGHTHS;
        let inner = (from.max(left) - left, to.min(left + EIGHTHS) - left);
        let whole = inner == (0, EIGHTHS);
        let (sign, inverse) = match ink {
            _ if !theme.unicode() => (ascii(ink, sliver), false),
            Ink::Dotted => ("┄", false),
            Ink::Light if !sliver => ("░", false),
            Ink::Shaded if !sliver && whole => ("▒", false),
            Ink::Solid | Ink::Light | Ink::Shaded => block(inner, theme.inverse()),
        };
        pen.cell(area.x + at, area.y, sign, theme.style(role), inverse);
    }
    (first, last)
}

const fn ascii(ink: Ink, sliver: bool) -> &'static str {
    match ink {
        Ink::Dotted => "-",
        _ if sliver => "|",
        Ink::Light => ".",
        Ink::Shaded => "+",
        Ink::Solid => "#",
    }
}
