//! A row: its label, its bar, and what stands behind it.

use longshore_instrument::table::name;
use longshore_trace::chart::{Content, Marks, Row};
use longshore_trace::duration;
use longshore_trace::timeline::Interval;
use ratatui::layout::Rect;

use super::Sheet;
use crate::layout::Columns;
use crate::prepared::{is_open, is_wait};
use crate::rows::{Group, Shown};
use crate::theme::Role;
use crate::view::bars::{self, Ink};
use crate::view::pen::{Pen, columns};
use crate::view::traces;

/// Deepest indentation in columns.
const DEEPEST: u16 = 20;

/// Most siblings of a group that are drawn one by one.
const ONE_BY_ONE: usize = 2_000;

impl Sheet<'_> {
    pub(super) fn row(&self, shown: Shown, row: &Row, area: Rect, pen: &mut Pen<'_>) {
        let first = Rect { height: 1, ..area };
        let took = match shown {
            Shown::Group(group) => duration::compact(group.p50),
            Shown::Row(_) => duration::compact(row.end.since(row.start)),
        };
        let failed = self.failed(shown, row);
        let role = if failed { Role::Error } else { Role::Plain };
        let used = pen.right(first, &took, role);
        let label_end = match self.narrow {
            true => first.width.saturating_sub(used + 1),
            false => u16::try_from(self.columns.label).unwrap_or(u16::MAX),
        };
        self.label(shown, row, columns(first, 0, label_end), pen);
        let bar = match self.narrow {
            true if area.height < 2 => return,
            true => Rect {
                y: area.y + 1,
                height: 1,
                ..area
            },
            false => columns(
                first,
                label_end + 1,
                first.width.saturating_sub(Columns::RIGHT),
            ),
        };
        self.bar(shown, row, bar, pen);
    }

    /// Whether it failed, or something that it hides.
    fn failed(&self, shown: Shown, row: &Row) -> bool {
        let hidden = match shown {
            Shown::Group(group) => self.prepared().errors(group.first, group.end),
            Shown::Row(at) if self.loaded.rows.is_folded(at) => {
                self.prepared().errors(at, row.subtree_end as usize)
            }
            Shown::Row(_) => 0,
        };
        hidden > 0 || row.marks.has(Marks::ERROR)
    }

    fn label(&self, shown: Shown, row: &Row, area: Rect, pen: &mut Pen<'_>) {
        let chart = self.prepared().chart();
        let theme = pen.theme;
        let indent = (row.depth * 2).min(DEEPEST);
        let at = columns(area, indent, area.width);
        let parent = row.subtree_end as usize > shown.first() + 1;
        let fold = match shown {
            Shown::Group(_) => theme.pick("▸", ">"),
            Shown::Row(index) if self.loaded.rows.is_folded(index) => theme.pick("▸", ">"),
            Shown::Row(_) if parent => theme.pick("▾", "v"),
            Shown::Row(_) => " ",
        };
        pen.text(at, fold, Role::Dim);
        let mut x = 2;
        if self.failed(shown, row) {
            x += pen.text(
                columns(at, x, at.width),
                theme.pick("✗ ", "x "),
                Role::Error,
            );
        }
        let (word, role) = word(row);
        if let Shown::Group(group) = shown {
            let count = format!("{}{} ", theme.pick("×", "x"), group.count);
            x += pen.text(columns(at, x, at.width), &count, Role::Warning);
        }
        let name = if word.is_empty() {
            chart.name(row)
        } else {
            word
        };
        x += pen.text(columns(at, x, at.width), name, role);
        let detail = chart.detail(row);
        if !detail.is_empty() {
            x += pen.text(
                columns(at, x, at.width),
                &format!(" {detail}"),
                Role::Strong,
            );
        }
        if let Shown::Row(index) = shown
            && self.loaded.rows.is_folded(index)
        {
            let hidden = row.subtree_end as usize - index - 1;
            x += pen.text(columns(at, x, at.width), &format!(" +{hidden}"), Role::Dim);
        }
        let service = chart.service(row);
        let new = row.depth == 0
            || chart
                .row(row.parent as usize)
                .is_some_and(|up| up.service != row.service);
        if new && !service.is_empty() && word.is_empty() {
            pen.text(columns(at, x, at.width), &format!(" {service}"), Role::Dim);
        }
    }

    fn bar(&self, shown: Shown, row: &Row, area: Rect, pen: &mut Pen<'_>) {
        self.tears(area, pen);
        let window = self.loaded.window();
        let time = |row: &Row| Interval {
            from: self.prepared().offset(row.start),
            to: self.prepared().offset(row.end),
        };
        let whole = match shown {
            Shown::Row(_) => time(row),
            Shown::Group(group) => self.whole(group, row),
        };
        if whole.to < window.from || whole.from > window.to {
            let (sign, at) = match whole.to < window.from {
                true => (pen.theme.pick("‹", "<"), 0),
                false => (pen.theme.pick("›", ">"), area.width.saturating_sub(1)),
            };
            pen.text(columns(area, at, at + 1), sign, Role::Dim);
            return;
        }
        let clip = |interval: Interval| Interval {
            from: interval.from.clamp(window.from, window.to) - window.from,
            to: interval.to.clamp(window.from, window.to) - window.from,
        };
        let look = self.look(shown, row);
        let (_, end) = match shown {
            Shown::Group(group) if group.count <= ONE_BY_ONE => {
                self.one_by_one(group, look, area, &clip, pen)
            }
            _ => bars::bar(&self.loaded.timeline, clip(whole), look, area, pen),
        };
        if is_open(row) && window.to >= whole.to {
            self.growing(look.1, end, area, pen);
        } else if let Some(note) = self.note(shown, row) {
            let room = columns(area, end + 1, area.width);
            if room.width >= 4 {
                let role = if self.failed(shown, row) {
                    Role::Error
                } else {
                    Role::Dim
                };
                pen.text(room, &note, role);
            }
        }
    }

    /// From the first start of a group to its last end.
    fn whole(&self, group: Group, first: &Row) -> Interval {
        let rows = self.prepared().chart().rows();
        let last = rows.get(group.first..group.end).into_iter().flatten();
        // Of many the last ones tell.
        let skip = (group.end - group.first).saturating_sub(ONE_BY_ONE);
        let end = last.skip(skip).map(|row| row.end).max();
        Interval {
            from: self.prepared().offset(first.start),
            to: self.prepared().offset(end.unwrap_or(first.end)),
        }
    }

    fn one_by_one(
        &self,
        group: Group,
        look: (Ink, Role),
        area: Rect,
        clip: &dyn Fn(Interval) -> Interval,
        pen: &mut Pen<'_>,
    ) -> (u16, u16) {
        let chart = self.prepared().chart();
        let mut ends = (area.width, 0);
        let mut at = group.first;
        while let Some(row) = chart.row(at).filter(|_| at < group.end) {
            let interval = Interval {
                from: self.prepared().offset(row.start),
                to: self.prepared().offset(row.end),
            };
            let (from, to) = bars::bar(&self.loaded.timeline, clip(interval), look, area, pen);
            ends = (ends.0.min(from), ends.1.max(to));
            at = (row.subtree_end as usize).max(at + 1);
        }
        ends
    }

    /// The end of a bar that still grows.
    fn growing(&self, role: Role, end: u16, area: Rect, pen: &mut Pen<'_>) {
        for back in 1..=3_u16.min(end) {
            let sign = traces::moving(self.state.now, usize::from(end - back), pen.theme);
            let style = pen.theme.style(role);
            pen.cell(area.x + end - back, area.y, sign, style, false);
        }
    }

    /// Marks where the time line is folded.
    fn tears(&self, area: Rect, pen: &mut Pen<'_>) {
        let folded = self
            .loaded
            .timeline
            .segments()
            .iter()
            .filter(|segment| segment.folded);
        for segment in folded {
            for at in [segment.cell, segment.cell + segment.cells - 1] {
                let at = u16::try_from(at).unwrap_or(u16::MAX);
                pen.text(
                    columns(area, at, at.saturating_add(1)),
                    pen.theme.pick("┊", ":"),
                    Role::Rule,
                );
            }
        }
    }

    fn look(&self, shown: Shown, row: &Row) -> (Ink, Role) {
        let prepared = self.prepared();
        let (_, role) = (word(row).0, self.color(shown, row));
        let on = match shown {
            Shown::Row(at) => prepared.critical(at, at + 1),
            Shown::Group(group) => prepared.critical(group.first, group.end),
        };
        let bright = !self.loaded.critical || !prepared.has_critical() || !on.is_zero();
        let ink = match row.content {
            Content::BackOff | Content::Delay | Content::Ghost => Ink::Dotted,
            _ if is_wait(prepared.chart(), row) => Ink::Light,
            _ if bright => Ink::Solid,
            _ => Ink::Shaded,
        };
        (ink, role)
    }

    fn color(&self, shown: Shown, row: &Row) -> Role {
        if self.failed(shown, row) {
            return Role::Error;
        }
        match row.content {
            Content::Wait => Role::Wait,
            Content::Ghost | Content::Delay | Content::BackOff => Role::Dim,
            Content::LostLease => Role::Error,
            Content::Running | Content::Attempt => Role::Attempt,
            Content::Span => match self.prepared().chart().name(row) {
                name::ENQUEUE => Role::Enqueue,
                name::DEQUEUE => Role::Wait,
                name::PROCESS => Role::Attempt,
                name::HANDLER => Role::Handler,
                name::SETTLE | name::CLAIM | name::ADMIN => Role::Settle,
                _ => Role::Service(row.service),
            },
        }
    }

    /// What stands behind a bar.
    fn note(&self, shown: Shown, row: &Row) -> Option<String> {
        match (shown, row.content) {
            (Shown::Group(group), _) => {
                let failed = self.prepared().errors(group.first, group.end);
                let failed = match failed {
                    0 => String::new(),
                    failed => format!("{failed} failed, "),
                };
                Some(format!("{failed}max {}", duration::compact(group.max)))
            }
            _ if row.marks.has(Marks::ERROR) => match self.prepared().chart().error(row) {
                "" => Some("failed".to_owned()),
                error => Some(error.to_owned()),
            },
            _ => None,
        }
    }
}

/// What a row is called that stands for no span; empty for a span.
fn word(row: &Row) -> (&'static str, Role) {
    match row.content {
        Content::Span => ("", Role::Plain),
        Content::Ghost => ("parent not received", Role::Dim),
        Content::Wait => ("wait", Role::Wait),
        Content::Delay => ("scheduled delay", Role::Dim),
        Content::BackOff => ("back-off", Role::Dim),
        Content::LostLease => ("lease lost", Role::Error),
        Content::Running => ("running", Role::Attempt),
        Content::Attempt => ("attempt without spans", Role::Dim),
    }
}
