//! Where a moment lies on a line of cells, with stretches in which nothing happens folded away.

mod axis;
mod block;

pub use axis::Ticks;
pub use block::block;

/// Eighths of a cell: the finest edge that block characters can draw.
pub const EIGHTHS: u64 = 8;

/// From when to when something happened, in nanoseconds after the start of the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
}

impl Interval {
    const fn length(self) -> u64 {
        self.to.saturating_sub(self.from)
    }

    /// What of it lies within a window, counted from where that begins; `None` if nothing does.
    ///
    /// ```
    /// use longshore_trace::timeline::Interval;
    /// let window = Interval { from: 100, to: 200 };
    /// let within = Interval { from: 50, to: 120 }.within(window);
    /// assert_eq!(within, Some(Interval { from: 0, to: 20 }));
    /// assert_eq!(Interval { from: 50, to: 99 }.within(window), None);
    /// ```
    #[must_use]
    pub fn within(self, window: Self) -> Option<Self> {
        let touches = self.to >= window.from && self.from <= window.to;
        touches.then(|| Self {
            from: self.from.max(window.from) - window.from,
            to: self.to.min(window.to) - window.from,
        })
    }
}

/// A part of the time line: to scale, or folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The time it stands for.
    pub time: Interval,
    /// Its first cell.
    pub cell: usize,
    /// How many cells it takes.
    pub cells: usize,
    /// Whether it is folded, so that it says nothing about where within it something lies.
    pub folded: bool,
}

/// The whole line.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    segments: Vec<Segment>,
}

/// What a folded stretch needs to be worth folding.
#[derive(Clone, Copy, Debug)]
pub struct Folding {
    /// Cells of a fold that names its length.
    pub named: usize,
    /// Cells of a fold that does not.
    pub bare: usize,
}

impl Timeline {
    /// A line of `cells` for the time from 0 to `end`. `busy` is when anything ran, `waiting` when
    /// a job was due but nothing ran yet: long stretches without the first are folded, those of
    /// waiting only if they are very long, since a wait is something to see.
    #[must_use]
    pub fn new(
        end: u64,
        cells: usize,
        busy: Vec<Interval>,
        waiting: Vec<Interval>,
        folding: Folding,
    ) -> Self {
        let gaps = choose(end, cells, &union(busy), &union(waiting), folding);
        Self::lay_out(end, cells, &gaps)
    }

    /// Its parts from left to right, without gaps.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The eighth of a cell at which `moment` lies.
    #[must_use]
    pub fn eighth(&self, moment: u64) -> u64 {
        let at = self
            .segments
            .partition_point(|segment| segment.time.to < moment);
        let Some(segment) = self.segments.get(at).or(self.segments.last()) else {
            return 0;
        };
        let start = wide(segment.cell) * EIGHTHS;
        let size = wide(segment.cells) * EIGHTHS;
        let into = moment.clamp(segment.time.from, segment.time.to) - segment.time.from;
        start + scale(into, size, segment.time.length())
    }

    /// Where `interval` begins and ends, in eighths; what is not nothing is at least one eighth.
    #[must_use]
    pub fn span(&self, interval: Interval) -> (u64, u64) {
        let (from, to) = (self.eighth(interval.from), self.eighth(interval.to));
        let end = self.segments.last().map_or(1, |last| {
            (wide(last.cell) + wide(last.cells)).saturating_mul(EIGHTHS)
        });
        let from = from.min(end.saturating_sub(1));
        (from, to.max(from + 1))
    }

    fn lay_out(end: u64, cells: usize, gaps: &[(Interval, usize)]) -> Self {
        let folded: usize = gaps.iter().map(|(_, cells)| cells).sum();
        let gone: u64 = gaps.iter().map(|(gap, _)| gap.length()).sum();
        let (room, live) = (cells.saturating_sub(folded), end.saturating_sub(gone));
        let stretches = gaps.len() + 1;
        let spare = wide(room.saturating_sub(stretches));
        let mut segments = Vec::with_capacity(2 * stretches);
        let (mut now, mut cell, mut shown, mut given) = (0, 0, 0, 0);
        let stops = gaps.iter().map(|(gap, cells)| (*gap, *cells));
        for (gap, gap_cells) in stops.chain([(Interval { from: end, to: end }, 0)]) {
            let time = Interval {
                from: now,
                to: gap.from,
            };
            shown += time.length();
            // Every stretch has one cell for itself and its part of the others.
            let upto = if live == 0 {
                spare
            } else {
                scale(shown, spare, live)
            };
            let own = narrow(upto - given) + usize::from(room >= stretches);
            given = upto;
            segments.push(Segment {
                time,
                cell,
                cells: own,
                folded: false,
            });
            cell += own;
            if gap_cells > 0 {
                segments.push(Segment {
                    time: gap,
                    cell,
                    cells: gap_cells,
                    folded: true,
                });
                cell += gap_cells;
            }
            now = gap.to;
        }
        segments.retain(|segment| segment.cells > 0);
        Self { segments }
    }
}

/// The stretches to fold, in order, with the cells each takes.
fn choose(
    end: u64,
    cells: usize,
    busy: &[Interval],
    waiting: &[Interval],
    folding: Folding,
) -> Vec<(Interval, usize)> {
    let quiet = gaps(end, busy);
    let idle: Vec<Interval> = quiet
        .iter()
        .flat_map(|gap| without(*gap, waiting))
        .collect();
    let waits: Vec<Interval> = quiet.iter().flat_map(|gap| within(*gap, waiting)).collect();
    let total = |all: &[Interval]| all.iter().map(|gap| gap.length()).sum::<u64>();
    let active = end.saturating_sub(total(&quiet));
    if active == 0 {
        return Vec::new();
    }
    let long_wait = active.saturating_mul(4);
    let waited = total(&waits).min(long_wait);
    let long_idle = (active + waited) / 4;
    let mut chosen: Vec<Interval> = idle
        .into_iter()
        .filter(|gap| gap.length() > long_idle)
        .chain(waits.into_iter().filter(|gap| gap.length() > long_wait))
        .collect();
    chosen.sort_by_key(|gap| std::cmp::Reverse(gap.length()));
    let room = cells / 2;
    let each = if chosen.len() * folding.named <= room {
        folding.named
    } else {
        folding.bare
    };
    chosen.truncate(room / each.max(1));
    chosen.sort_by_key(|gap| gap.from);
    chosen.into_iter().map(|gap| (gap, each)).collect()
}

/// Sorted, without overlaps.
fn union(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_by_key(|interval| interval.from);
    let mut merged: Vec<Interval> = Vec::new();
    for interval in intervals {
        match merged.last_mut() {
            Some(last) if interval.from <= last.to => last.to = last.to.max(interval.to),
            _ => merged.push(interval),
        }
    }
    merged
}

/// What of 0 to `end` the sorted intervals leave free.
fn gaps(end: u64, taken: &[Interval]) -> Vec<Interval> {
    without(Interval { from: 0, to: end }, taken)
}

/// What of `whole` the sorted intervals leave free.
fn without(whole: Interval, taken: &[Interval]) -> Vec<Interval> {
    let mut free = Vec::new();
    let mut from = whole.from;
    for interval in touching(whole, taken) {
        if interval.from > from {
            free.push(Interval {
                from,
                to: interval.from,
            });
        }
        from = from.max(interval.to);
    }
    if whole.to > from {
        free.push(Interval { from, to: whole.to });
    }
    free
}

/// What of `whole` the sorted intervals take.
fn within(whole: Interval, taken: &[Interval]) -> Vec<Interval> {
    let clip = |interval: &Interval| Interval {
        from: interval.from.max(whole.from),
        to: interval.to.min(whole.to),
    };
    let taken = touching(whole, taken).map(clip);
    taken.filter(|part| part.length() > 0).collect()
}

fn touching(whole: Interval, sorted: &[Interval]) -> impl Iterator<Item = &Interval> {
    let first = sorted.partition_point(|interval| interval.to < whole.from);
    let rest = sorted.iter().skip(first);
    rest.take_while(move |interval| interval.from <= whole.to)
}

/// `part / whole * size`, rounded down; `size` if `whole` is nothing.
fn scale(part: u64, size: u64, whole: u64) -> u64 {
    if whole == 0 {
        return 0;
    }
    let scaled = u128::from(part) * u128::from(size) / u128::from(whole);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

pub(crate) fn wide(cells: usize) -> u64 {
    u64::try_from(cells).unwrap_or(u64::MAX)
}

pub(crate) fn narrow(cells: u64) -> usize {
    usize::try_from(cells).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDING: Folding = Folding { named: 8, bare: 2 };

    fn interval(from: u64, to: u64) -> Interval {
        Interval { from, to }
    }

    #[test]
    fn an_idle_stretch_is_folded_and_the_rest_stays_to_scale() {
        let busy = vec![interval(0, 100), interval(10_000, 10_100)];
        let line = Timeline::new(10_100, 48, busy, Vec::new(), FOLDING);
        let cells: Vec<_> = line
            .segments()
            .iter()
            .map(|s| (s.cells, s.folded))
            .collect();
        assert_eq!(cells, [(20, false), (8, true), (20, false)]);
        assert_eq!(line.eighth(50), 80);
        assert_eq!(line.eighth(10_000), 28 * 8);
        assert_eq!(line.span(interval(10_100, 10_100)), (48 * 8 - 1, 48 * 8));
    }

    #[test]
    fn a_wait_is_folded_only_if_it_dwarfs_the_work() {
        let busy = || vec![interval(0, 10), interval(30, 40)];
        let short = Timeline::new(40, 40, busy(), vec![interval(10, 30)], FOLDING);
        assert!(short.segments().iter().all(|segment| !segment.folded));
        let busy = vec![interval(0, 10), interval(5_000, 5_010)];
        let long = Timeline::new(5_010, 40, busy, vec![interval(10, 5_000)], FOLDING);
        assert!(long.segments().iter().any(|segment| segment.folded));
    }

    #[test]
    fn moments_without_length_are_not_lost() {
        let line = Timeline::new(0, 10, vec![interval(0, 0)], Vec::new(), FOLDING);
        assert_eq!(line.span(interval(0, 0)), (0, 1));
    }
}
