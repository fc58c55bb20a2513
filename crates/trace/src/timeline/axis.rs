//! The time line's labels: round times where they fall.

use std::time::Duration;

use super::{EIGHTHS, Segment, Timeline, narrow, wide};
use crate::duration;
use crate::text::width;

/// Fewest columns between two labels.
const SPACING: usize = 9;

const SECOND: u64 = 1_000_000_000;

/// Steps that are not a power of ten times 1, 2, 2.5 or 5, up to a day, in seconds.
const LONG_STEPS: [u64; 14] = [
    15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
];

/// What stands above a time line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticks {
    /// The labels from left to right, each with the cell at which it begins; they do not touch.
    pub labels: Vec<(usize, String)>,
    /// The cells to mark, in order.
    pub marks: Vec<usize>,
}

impl Timeline {
    /// Round times where they fall on the line.
    #[must_use]
    pub fn ticks(&self) -> Ticks {
        let live = || self.segments.iter().filter(|segment| !segment.folded);
        let time = |segment: &Segment| segment.time.to - segment.time.from;
        let total: u64 = live().map(time).sum();
        let cells: usize = live().map(|segment| segment.cells).sum();
        let spaced = (total / wide(cells.max(1))).saturating_mul(wide(SPACING));
        let step = step(spaced);
        let (mut labels, mut marks) = (Vec::new(), Vec::new());
        let mut free = 0;
        let folds = self.segments.iter().skip(1);
        let next = folds.map(Some).chain([None]);
        let stretches = self.segments.iter().zip(next);
        for (segment, next) in stretches.filter(|(segment, _)| !segment.folded) {
            // A label may reach over the fold behind it, which leaves the line of labels free.
            let end = segment.cell + segment.cells + next.map_or(0, |fold| fold.cells);
            let mut moments = vec![segment.time.from];
            let first = segment.time.from.checked_next_multiple_of(step);
            let first = first.unwrap_or(u64::MAX);
            let most = segment.cells / 4;
            let multiples = (0..wide(most)).map(|n| first.saturating_add(n.saturating_mul(step)));
            moments.extend(multiples.take_while(|at| *at <= segment.time.to));
            moments.dedup();
            // The start of a long stretch gives way to a round time that is close to it.
            if let [start, next, ..] = *moments {
                let near = self.column(next, segment) < segment.cell + SPACING - 1;
                if near && !start.is_multiple_of(step) && segment.cells >= 2 * SPACING {
                    moments.remove(0);
                }
            }
            for moment in moments {
                let column = self.column(moment, segment);
                let label = tick_label(moment, step);
                if column >= free && column + width(&label) <= end {
                    free = column + width(&label) + 2;
                    labels.push((column, label));
                    marks.push(column);
                }
            }
        }
        Ticks { labels, marks }
    }

    fn column(&self, moment: u64, segment: &Segment) -> usize {
        let column = narrow(self.eighth(moment) / EIGHTHS);
        column.clamp(segment.cell, segment.cell + segment.cells)
    }
}

/// The smallest round step of at least `least` nanoseconds.
fn step(least: u64) -> u64 {
    let mut power = 1;
    while power <= 10 * SECOND {
        for quarters in [4, 8, 10, 20] {
            let step = power * quarters / 4;
            if step >= least && step <= 10 * SECOND && step * 4 == power * quarters {
                return step;
            }
        }
        power *= 10;
    }
    let long = LONG_STEPS.iter().map(|seconds| seconds * SECOND);
    let day = 86_400 * SECOND;
    long.clone()
        .find(|step| *step >= least)
        .unwrap_or_else(|| least.checked_next_multiple_of(day).unwrap_or(u64::MAX))
}

/// A time on the axis, with as many digits as tell it from its neighbours.
fn tick_label(moment: u64, step: u64) -> String {
    let round = moment.is_multiple_of(step);
    if moment == 0 {
        return "0".to_owned();
    }
    if !round || moment >= 60 * SECOND && step < SECOND {
        return duration::compact(Duration::from_nanos(moment));
    }
    let (seconds, minutes) = (moment / SECOND, moment / SECOND / 60);
    let (hours, days) = (minutes / 60, minutes / 1_440);
    match moment {
        _ if seconds < 60 => decimal(moment, step),
        _ if hours == 0 && seconds % 60 == 0 => format!("{minutes}m"),
        _ if hours == 0 => format!("{minutes}m{:02}s", seconds % 60),
        _ if seconds % 60 != 0 => format!("{hours}h{:02}m{:02}s", minutes % 60, seconds % 60),
        _ if days == 0 && minutes % 60 == 0 => format!("{hours}h"),
        _ if days == 0 => format!("{hours}h{:02}m", minutes % 60),
        _ if hours % 24 == 0 && minutes % 60 == 0 => format!("{days}d"),
        _ => format!("{days}d{:02}h{:02}m", hours % 24, minutes % 60),
    }
}

/// A time below a minute in its unit, without zeros at the end.
fn decimal(moment: u64, step: u64) -> String {
    let (unit, size) = match moment {
        1_000_000_000.. => ("s", SECOND),
        1_000_000.. => ("ms", 1_000_000),
        1_000.. => ("µs", 1_000),
        _ => ("ns", 1),
    };
    let mut digits = 0;
    let mut reached = step;
    while !reached.is_multiple_of(size) && digits < 9 {
        reached = reached.saturating_mul(10);
        digits += 1;
    }
    let (whole, rest) = (moment / size, moment % size);
    let places = narrow(u64::from(size.ilog10()));
    let rest = format!("{rest:0places$}");
    let rest: String = rest.chars().take(digits).collect();
    match rest.trim_end_matches('0') {
        "" => format!("{whole}{unit}"),
        rest => format!("{whole}.{rest}{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        let cases = [
            (0, 1),
            (3, 5),
            (11_000_000, 20_000_000),
            (210_000_000, 250_000_000),
            (6 * SECOND, 10 * SECOND),
            (11 * SECOND, 15 * SECOND),
            (4_000 * SECOND, 7_200 * SECOND),
            (100_000 * SECOND, 172_800 * SECOND),
        ];
        for (least, round) in cases {
            assert_eq!(step(least), round);
        }
    }

    #[test]
    fn labels_say_no_more_and_no_less_than_the_time() {
        let cases = [
            (200_000_000, 100_000_000, "200ms"),
            (15_250_000_000, 50_000_000, "15.25s"),
            (15_225_000_000, 25_000_000, "15.225s"),
            (15_200_000_000, 200_000_000, "15.2s"),
            (500_000, 100_000, "500µs"),
            (120 * SECOND, 30 * SECOND, "2m"),
            (3_690 * SECOND, 30 * SECOND, "1h01m30s"),
            (90_000 * SECOND, 3_600 * SECOND, "1d01h00m"),
        ];
        for (moment, step, label) in cases {
            assert_eq!(tick_label(moment, step), label);
        }
    }
}
