//! How much of a difference between two groups of traces may be chance: the traces of each group are
//! drawn again and again, and what differs between the draws is what chance makes.

use super::Diff;

/// How often both groups are drawn.
const DRAWS: usize = 1_000;
/// Most traces that are drawn in all for a group, so that large groups are drawn less often.
const MOST_DRAWN: usize = 4_000_000;
/// Which shares of the draws lie below and above what is said: 95 of a hundred lie between.
const BEYOND: f64 = 0.025;

/// What was measured of a group, by the number of the trace; what is missing is 0.
pub(super) type Samples = [(u32, i64)];

/// Draws of two groups.
#[derive(Debug)]
pub(super) struct Draws {
    before: Group,
    after: Group,
}

impl Draws {
    /// `None` if one of the groups has so few traces that their spread says nothing.
    pub(super) fn of(before: u64, after: u64, seed: u64) -> Option<Self> {
        if before.min(after) < Diff::FEWEST {
            return None;
        }
        let sizes = (usize::try_from(before).ok()?, usize::try_from(after).ok()?);
        let draws = DRAWS.min(MOST_DRAWN / sizes.0.max(sizes.1)).max(100);
        let mut numbers = Numbers(seed);
        Some(Self {
            before: Group::drawn(sizes.0, draws, &mut numbers),
            after: Group::drawn(sizes.1, draws, &mut numbers),
        })
    }

    /// The difference between the means of the groups, draw by draw.
    pub(super) fn differences(&self, before: &Samples, after: &Samples) -> Vec<f64> {
        let (before, after) = (self.before.means(before), self.after.means(after));
        after
            .zip(before)
            .map(|(after, before)| after - before)
            .collect()
    }
}

/// Between which bounds 95 of a hundred values lie; `None` if there are none.
pub(super) fn bounds(mut values: Vec<f64>) -> Option<(f64, f64)> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let beyond = (last as f64 * BEYOND).floor() as usize;
    Some((*values.get(beyond)?, *values.get(last - beyond)?))
}

/// How often each trace of a group was drawn, draw by draw.
#[derive(Debug)]
struct Group {
    traces: usize,
    drawn: Vec<u16>,
}

impl Group {
    fn drawn(traces: usize, draws: usize, numbers: &mut Numbers) -> Self {
        let mut drawn = vec![0_u16; traces * draws];
        for draw in drawn.chunks_mut(traces.max(1)) {
            for _ in 0..traces {
                if let Some(count) = draw.get_mut(numbers.below(traces)) {
                    *count = count.saturating_add(1);
                }
            }
        }
        Self { traces, drawn }
    }

    fn means(&self, samples: &Samples) -> impl Iterator<Item = f64> {
        self.drawn.chunks(self.traces.max(1)).map(move |draw| {
            let each = samples.iter().map(|(trace, value)| {
                let drawn = draw.get(*trace as usize).copied().unwrap_or(0);
                f64::from(drawn) * *value as f64
            });
            each.sum::<f64>() / self.traces as f64
        })
    }
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Debug)]
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        // The upper half of the product: as even as numbers of 64 bits allow.
        let product = u128::from(mixed) * bound as u128;
        usize::try_from(product >> 64).unwrap_or(0)
    }
}
