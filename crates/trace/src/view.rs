//! Which rows of a chart are shown: subtrees can be folded away, and siblings that look alike stand in
//! one line.

mod cover;

use std::collections::{BTreeSet, HashSet};

use crate::chart::Chart;
use crate::fold::{Fold, fold};
use cover::Cover;

/// The lines of a chart, from the top. Finding a line, and folding or unfolding one, takes a few dozen
/// steps, also among a million rows.
///
/// ```
/// # use longshore_core::Timestamp;
/// # use longshore_trace::{Chart, ChartView};
/// let chart = Chart::default();
/// let view = ChartView::new(&chart);
/// assert_eq!(view.lines(0, 40).count(), 0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ChartView {
    cover: Cover,
    /// Siblings that look alike, by the first of them.
    groups: Vec<Fold>,
    /// Rows whose descendants are hidden.
    folded: HashSet<usize>,
    /// First rows of groups that are shown one by one.
    opened: HashSet<usize>,
    /// Services whose rows are hidden.
    services: BTreeSet<String>,
}

/// What is shown in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The row at this index of the chart.
    Row(usize),
    /// Siblings that look alike.
    Group(Fold),
}

impl Shown {
    /// The index of the first row that it stands for.
    #[must_use]
    pub const fn first(self) -> usize {
        match self {
            Self::Row(row) => row,
            Self::Group(group) => group.first,
        }
    }
}

impl ChartView {
    /// All rows of a chart; siblings that look alike stand in one line.
    #[must_use]
    pub fn new(chart: &Chart) -> Self {
        Self::default().with(chart, HashSet::new(), HashSet::new())
    }

    /// The view of a chart that hides the same services.
    fn with(&self, chart: &Chart, folded: HashSet<usize>, opened: HashSet<usize>) -> Self {
        let mut view = Self {
            cover: Cover::new(chart.rows().len()),
            groups: groups(chart),
            folded,
            opened,
            services: self.services.clone(),
        };
        for service in &self.services {
            for row in of_service(chart, service) {
                view.cover.add(row, row + 1);
            }
        }
        for group in &view.groups {
            if !view.opened.contains(&group.first) {
                view.cover.add(group.first + 1, group.end);
            }
        }
        for row in &view.folded {
            view.cover.add(row + 1, chart.after(*row).unwrap_or(0));
        }
        view
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cover.free()
    }

    /// Whether there is nothing to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What stands in a line.
    #[must_use]
    pub fn get(&self, line: usize) -> Option<Shown> {
        let row = self.cover.nth_free(line)?;
        let group = self.group_from(row);
        let group = group.filter(|group| !self.opened.contains(&group.first));
        Some(group.map_or(Shown::Row(row), |group| Shown::Group(*group)))
    }

    /// What stands in `count` lines from `from` on, as far as there are.
    pub fn lines(&self, from: usize, count: usize) -> impl Iterator<Item = Shown> {
        (from..from.saturating_add(count)).map_while(|line| self.get(line))
    }

    /// Whether what hangs under a row is hidden.
    #[must_use]
    pub fn is_folded(&self, row: usize) -> bool {
        self.folded.contains(&row)
    }

    /// The line that shows a row, or what hides it.
    #[must_use]
    pub fn line_of(&self, row: usize) -> usize {
        self.cover.free_up_to(row).saturating_sub(1)
    }

    /// Hides what hangs under a row; says whether there is anything and it was shown.
    pub fn fold(&mut self, chart: &Chart, row: usize) -> bool {
        let end = chart.after(row).unwrap_or(0);
        let changed = end > row + 1 && self.folded.insert(row);
        if changed {
            self.cover.add(row + 1, end);
        }
        changed
    }

    /// Shows what a line hides: what hangs under its row, or the siblings of a group one by one; says
    /// whether it hid anything.
    pub fn unfold(&mut self, chart: &Chart, line: usize) -> bool {
        match self.get(line) {
            Some(Shown::Group(group)) => self.open(group.first),
            Some(Shown::Row(row)) => self.unfold_row(chart, row),
            None => false,
        }
    }

    fn unfold_row(&mut self, chart: &Chart, row: usize) -> bool {
        let changed = self.folded.remove(&row);
        if changed {
            self.cover.remove(row + 1, chart.after(row).unwrap_or(0));
        }
        changed
    }

    /// Shows the group that begins with a row one by one; says whether it stood in one line.
    fn open(&mut self, first: usize) -> bool {
        let Some(group) = self.group_from(first).copied() else {
            return false;
        };
        let changed = self.opened.insert(first);
        if changed {
            self.cover.remove(group.first + 1, group.end);
        }
        changed
    }

    /// Puts the siblings that a row belongs to into one line again; says whether they were shown one
    /// by one.
    pub fn close_group(&mut self, chart: &Chart, row: usize) -> bool {
        let Some(group) = self.group_of(chart, row) else {
            return false;
        };
        let changed = self.opened.remove(&group.first);
        if changed {
            self.cover.add(group.first + 1, group.end);
        }
        changed
    }

    /// Hides everything below the children of roots.
    pub fn fold_all(&mut self, chart: &Chart) {
        let rows = chart.rows().iter().enumerate();
        let parents = rows
            .filter(|(at, row)| row.depth > 0 && chart.after(*at).is_some_and(|end| end > at + 1));
        let folded = parents.map(|(at, _)| at).collect();
        *self = self.with(chart, folded, HashSet::new());
    }

    /// Shows everything but siblings that look alike; groups that were opened stay open.
    pub fn unfold_all(&mut self, chart: &Chart) {
        let opened = std::mem::take(&mut self.opened);
        *self = self.with(chart, HashSet::new(), opened);
    }

    /// Unfolds what hides a row, and gives its line.
    pub fn reveal(&mut self, chart: &Chart, row: usize) -> usize {
        let mut at = Some(row);
        while let Some(shown) = at {
            if let Some(group) = self.group_of(chart, shown) {
                self.open(group.first);
            }
            at = chart.row(shown).map(|row| row.parent as usize);
            at = at.filter(|parent| *parent < shown);
            if let Some(parent) = at {
                self.unfold_row(chart, parent);
            }
        }
        self.line_of(row)
    }

    /// The same view of a chart in which rows moved: `to` says where a row went.
    #[must_use]
    pub fn moved(&self, chart: &Chart, to: impl Fn(usize) -> Option<usize>) -> Self {
        let moved = |rows: &HashSet<usize>| rows.iter().filter_map(|row| to(*row)).collect();
        self.with(chart, moved(&self.folded), moved(&self.opened))
    }

    /// Hides the rows of a service; what hangs under them stays where it is.
    pub fn hide_service(&mut self, chart: &Chart, service: &str) {
        if self.services.insert(service.to_owned()) {
            for row in of_service(chart, service) {
                self.cover.add(row, row + 1);
            }
        }
    }

    /// Shows the rows of a service again; says whether they were hidden.
    pub fn show_service(&mut self, chart: &Chart, service: &str) -> bool {
        let changed = self.services.remove(service);
        for row in of_service(chart, service).filter(|_| changed) {
            self.cover.remove(row, row + 1);
        }
        changed
    }

    /// Shows the rows of all services again; says whether any was hidden.
    pub fn show_services(&mut self, chart: &Chart) -> bool {
        let hidden = self.services.clone();
        for service in &hidden {
            self.show_service(chart, service);
        }
        !hidden.is_empty()
    }

    /// Whether the rows of a service are hidden.
    #[must_use]
    pub fn hides(&self, service: &str) -> bool {
        self.services.contains(service)
    }

    /// The services whose rows are hidden, in alphabetical order.
    #[must_use]
    pub fn hidden_services(&self) -> Vec<&str> {
        self.services.iter().map(String::as_str).collect()
    }

    /// The group that begins with a row.
    fn group_from(&self, first: usize) -> Option<&Fold> {
        let at = self
            .groups
            .binary_search_by_key(&first, |group| group.first);
        self.groups.get(at.ok()?)
    }

    /// The group that a row is a sibling of.
    fn group_of(&self, chart: &Chart, row: usize) -> Option<Fold> {
        let depth = |row: usize| chart.row(row).map(|row| row.depth);
        let before = self.groups.partition_point(|group| group.first <= row);
        let around = self.groups.get(..before).unwrap_or_default().iter().rev();
        // Groups before it are its own, those that its siblings hold, or around its parent.
        let parent = chart.row(row).map(|of| of.parent as usize);
        let parent = parent.filter(|parent| *parent != row);
        around
            .take_while(|group| parent.is_none_or(|parent| group.first > parent))
            .copied()
            .find(|group| depth(group.first) == depth(row))
            .filter(|group| row < group.end)
    }
}

/// The rows of a service.
fn of_service<'c>(chart: &'c Chart, service: &'c str) -> impl Iterator<Item = usize> + 'c {
    let rows = chart.rows().iter().enumerate();
    let rows = rows.filter(move |(_, row)| chart.service(row) == service);
    rows.map(|(at, _)| at)
}

/// All siblings that look alike, by the first of them.
fn groups(chart: &Chart) -> Vec<Fold> {
    let mut groups = Vec::new();
    // Up to where, at each depth, rows belong to a group that is known.
    let mut known: Vec<usize> = Vec::new();
    for (at, row) in chart.rows().iter().enumerate() {
        let depth = usize::from(row.depth);
        if known.get(depth).is_some_and(|end| at < *end) {
            continue;
        }
        if let Some(group) = fold(chart, at) {
            known.resize(known.len().max(depth + 1), 0);
            if let Some(end) = known.get_mut(depth) {
                *end = group.end;
            }
            groups.push(group);
        }
    }
    groups
}
