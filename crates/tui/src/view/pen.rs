//! Writing into a buffer, never past an area.

use longshore_trace::text::{fit, printable, width};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::theme::{Role, Theme};

/// What draws.
pub(super) struct Pen<'b> {
    buffer: &'b mut Buffer,
    pub(super) theme: Theme,
}

/// The columns of an area from `from` up to, not with, `to`.
pub(super) const fn columns(area: Rect, from: u16, to: u16) -> Rect {
    let to = if to < area.width { to } else { area.width };
    let from = if from < to { from } else { to };
    Rect {
        x: area.x + from,
        width: to - from,
        ..area
    }
}

impl<'b> Pen<'b> {
    pub(super) const fn new(buffer: &'b mut Buffer, theme: Theme) -> Self {
        Self { buffer, theme }
    }

    /// Writes text in the first line of an area, cut where it does not fit; says how many columns
    /// it took.
    pub(super) fn text(&mut self, area: Rect, text: &str, role: Role) -> u16 {
        self.styled(area, text, self.theme.style(role))
    }

    pub(super) fn styled(&mut self, area: Rect, text: &str, style: Style) -> u16 {
        let area = area.intersection(self.buffer.area);
        if area.is_empty() || text.is_empty() {
            return 0;
        }
        let clean = printable(text, self.theme.unicode());
        let clean = if self.theme.unicode() {
            clean
        } else {
            clean.replace('µ', "u").into()
        };
        let cut = fit(&clean, usize::from(area.width), self.theme.more());
        let (end, _) =
            self.buffer
                .set_stringn(area.x, area.y, &cut, usize::from(area.width), style);
        end - area.x
    }

    /// Writes text so that it ends where the area does, with nothing else around it.
    pub(super) fn right(&mut self, area: Rect, text: &str, role: Role) -> u16 {
        let wide = u16::try_from(width(text))
            .unwrap_or(u16::MAX)
            .min(area.width);
        self.text(columns(area, area.width - wide, area.width), text, role);
        wide
    }

    /// Gives what stands in an area the look of the line with the cursor.
    pub(super) fn highlight(&mut self, area: Rect, active: bool) {
        let style = self.theme.selected(active);
        self.buffer
            .set_style(area.intersection(self.buffer.area), style);
    }

    pub(super) fn fill(&mut self, area: Rect, role: Role) {
        let area = area.intersection(self.buffer.area);
        self.clear(area);
        let style = self.theme.style(role);
        self.buffer.set_style(area, style);
    }

    /// Blanks.
    pub(super) fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        for y in area.y..area.bottom() {
            for x in area.x..area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                }
            }
        }
    }

    /// One character; what stood around it keeps its ground.
    pub(super) fn cell(&mut self, x: u16, y: u16, sign: &str, style: Style, inverse: bool) {
        if let Some(cell) = self.buffer.cell_mut((x, y)) {
            cell.set_symbol(sign);
            cell.set_style(style);
            if inverse {
                cell.set_style(Style::new().add_modifier(Modifier::REVERSED));
            }
        }
    }
}
