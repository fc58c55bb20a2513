//! Which rows of a chart are shown: subtrees can be folded away, and siblings that look alike
//! become one row.

use std::collections::HashSet;
use std::time::Duration;

use longshore_instrument::table::name;
use longshore_trace::Chart;
use longshore_trace::chart::{Content, Marks, Row};

/// Fewest consecutive siblings of one name that become one row.
const FOLD: usize = 5;

/// The rows that are shown, from the top.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    visible: Vec<Visible>,
    groups: Vec<Group>,
    /// Rows whose descendants are hidden.
    folded: HashSet<u32>,
    /// First rows of groups that are shown one by one.
    opened: HashSet<u32>,
}

/// A row that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Visible {
    row: u32,
    /// 0, or one more than the index of its group.
    group: u32,
}

/// Siblings that are shown as one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// The first of them.
    pub(crate) first: usize,
    /// The index after the descendants of the last.
    pub(crate) end: usize,
    /// How many.
    pub(crate) count: usize,
    /// The duration that half of them do not exceed.
    pub(crate) p50: Duration,
    /// The longest.
    pub(crate) max: Duration,
}

/// What is shown in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The row at this index of the chart.
    Row(usize),
    /// Siblings that look alike.
    Group(Group),
}

impl Shown {
    /// The index of the first row that it stands for.
    pub(crate) const fn first(self) -> usize {
        match self {
            Self::Row(row) => row,
            Self::Group(group) => group.first,
        }
    }
}

impl Rows {
    /// All rows of a chart.
    pub(crate) fn new(chart: &Chart) -> Self {
        let mut rows = Self::default();
        rows.rebuild(chart);
        rows
    }

    pub(crate) fn len(&self) -> usize {
        self.visible.len()
    }

    pub(crate) fn get(&self, index: usize) -> Option<Shown> {
        let visible = self.visible.get(index)?;
        let row = visible.row as usize;
        match visible.group.checked_sub(1) {
            None => Some(Shown::Row(row)),
            Some(group) => self
                .groups
                .get(group as usize)
                .map(|group| Shown::Group(*group)),
        }
    }

    pub(crate) fn is_folded(&self, row: usize) -> bool {
        u32::try_from(row).is_ok_and(|row| self.folded.contains(&row))
    }

    /// The line that shows a row, or what hides it.
    pub(crate) fn line_of(&self, row: usize) -> usize {
        let after = self
            .visible
            .partition_point(|visible| visible.row as usize <= row);
        after.saturating_sub(1)
    }

    /// Hides what hangs under the row, or the siblings that it belongs to; says whether it did.
    pub(crate) fn fold(&mut self, chart: &Chart, row: usize) -> bool {
        let Some(of) = chart.row(row) else {
            return false;
        };
        let parent = of.subtree_end as usize > row + 1;
        let changed = parent && u32::try_from(row).is_ok_and(|row| self.folded.insert(row));
        if changed {
            self.rebuild(chart);
        }
        changed
    }

    /// Shows what hangs under a row, or the siblings of a group one by one; says whether it did.
    pub(crate) fn unfold(&mut self, chart: &Chart, line: usize) -> bool {
        let changed = match self.get(line) {
            Some(Shown::Group(group)) => {
                u32::try_from(group.first).is_ok_and(|first| self.opened.insert(first))
            }
            Some(Shown::Row(row)) => u32::try_from(row).is_ok_and(|row| self.folded.remove(&row)),
            None => false,
        };
        if changed {
            self.rebuild(chart);
        }
        changed
    }

    /// Folds siblings of a group that was opened again; says which row stands for them now.
    pub(crate) fn close_group(&mut self, chart: &Chart, row: usize) -> bool {
        let Some(first) = group_at(chart, row) else {
            return false;
        };
        let closed = u32::try_from(first).is_ok_and(|first| self.opened.remove(&first));
        if closed {
            self.rebuild(chart);
        }
        closed
    }

    /// Hides everything below the children of roots.
    pub(crate) fn fold_all(&mut self, chart: &Chart) {
        self.opened.clear();
        let parents = chart.rows().iter().enumerate();
        let parents =
            parents.filter(|(at, row)| row.subtree_end as usize > at + 1 && row.depth > 0);
        self.folded = parents
            .filter_map(|(at, _)| u32::try_from(at).ok())
            .collect();
        self.rebuild(chart);
    }

    /// Shows everything but siblings that look alike.
    pub(crate) fn unfold_all(&mut self, chart: &Chart) {
        self.folded.clear();
        self.rebuild(chart);
    }

    /// Unfolds what hides a row, and gives its line.
    pub(crate) fn reveal(&mut self, chart: &Chart, row: usize) -> usize {
        let mut changed = false;
        let mut at = row;
        let mut steps = 0;
        while let Some(parent) = chart.row(at).map(|row| row.parent as usize) {
            if let Some(first) = group_at(chart, at) {
                changed |= u32::try_from(first).is_ok_and(|first| self.opened.insert(first));
            }
            steps += 1;
            if parent == at || steps > usize::from(u16::MAX) {
                break;
            }
            changed |= u32::try_from(parent).is_ok_and(|parent| self.folded.remove(&parent));
            at = parent;
        }
        if changed {
            self.rebuild(chart);
        }
        self.line_of(row)
    }

    /// The same folds for a chart in which rows moved: `to` says where a row went.
    pub(crate) fn moved(&self, chart: &Chart, to: impl Fn(usize) -> Option<usize>) -> Self {
        let moved = |rows: &HashSet<u32>| {
            let rows = rows.iter().filter_map(|row| to(*row as usize));
            rows.filter_map(|row| u32::try_from(row).ok()).collect()
        };
        let mut rows = Self {
            folded: moved(&self.folded),
            opened: moved(&self.opened),
            ..Self::default()
        };
        rows.rebuild(chart);
        rows
    }

    fn rebuild(&mut self, chart: &Chart) {
        self.visible.clear();
        self.groups.clear();
        let rows = chart.rows();
        // Up to where, at each depth, siblings are known to be shown one by one.
        let mut alone: Vec<usize> = Vec::new();
        let mut at = 0;
        while let (Some(row), Ok(index)) = (rows.get(at), u32::try_from(at)) {
            let depth = usize::from(row.depth);
            let known = alone.get(depth).is_some_and(|end| at < *end);
            if !known && let Some(group) = group(chart, at) {
                if !self.opened.contains(&index) {
                    at = group.end;
                    self.groups.push(group);
                    let group = u32::try_from(self.groups.len()).unwrap_or(0);
                    self.visible.push(Visible { row: index, group });
                    continue;
                }
                alone.resize(alone.len().max(depth + 1), 0);
                if let Some(end) = alone.get_mut(depth) {
                    *end = group.end;
                }
            }
            self.visible.push(Visible {
                row: index,
                group: 0,
            });
            at = match self.folded.contains(&index) {
                true => (row.subtree_end as usize).max(at + 1),
                false => at + 1,
            };
        }
    }
}

/// Whether siblings of this row may stand with it in one line.
fn alike(chart: &Chart, row: &Row) -> bool {
    let special = Marks::LINKED.with(Marks::CUT_LOOSE);
    let plain = row.content == Content::Span && !row.marks.has(Marks::OPEN);
    plain && !row.marks.has(special) && row.depth > 0 && chart.name(row) != name::PROCESS
}

/// The rows that follow as siblings, with the same name from the same service.
fn run(chart: &Chart, from: usize) -> impl Iterator<Item = (usize, &Row)> {
    let first = chart.row(from);
    let next = move |(_, row): &(usize, &Row)| {
        let at = row.subtree_end as usize;
        let first = first?;
        let next = chart.row(at)?;
        let same =
            (next.name, next.detail, next.service) == (first.name, first.detail, first.service);
        let sibling = next.depth == first.depth && next.parent == first.parent;
        (same && sibling && alike(chart, next)).then_some((at, next))
    };
    let first = first.filter(|row| alike(chart, row)).map(|row| (from, row));
    std::iter::successors(first, next)
}

fn group(chart: &Chart, first: usize) -> Option<Group> {
    if run(chart, first).take(FOLD).count() < FOLD {
        return None;
    }
    let mut durations = Vec::new();
    let mut end = first + 1;
    for (_, row) in run(chart, first) {
        durations.push(row.end.since(row.start));
        end = end.max(row.subtree_end as usize);
    }
    let middle = (durations.len() - 1) / 2;
    let (_, p50, _) = durations.select_nth_unstable(middle);
    let p50 = *p50;
    Some(Group {
        first,
        end,
        count: durations.len(),
        p50,
        max: durations.into_iter().max().unwrap_or_default(),
    })
}

/// The first row of the group that a row belongs to, if it belongs to one.
fn group_at(chart: &Chart, row: usize) -> Option<usize> {
    let of = chart.row(row)?;
    let parent = of.parent as usize;
    let mut at = if parent == row { row } else { parent + 1 };
    while at <= row {
        let (mut count, mut last) = (0, at);
        for (sibling, _) in run(chart, at) {
            count += 1;
            last = sibling;
        }
        if last >= row {
            return (count >= FOLD && alike(chart, of)).then_some(at);
        }
        at = chart.row(last)?.subtree_end as usize;
    }
    None
}
