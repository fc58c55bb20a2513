//! Whether a duration is unusual among others, by statistics that a few extreme ones do not move.

use std::time::Duration;

/// Fewest durations that say what is usual.
pub const FEWEST: usize = 20;

/// Beyond which robust z-score a duration is unusual.
pub const LIMIT: f64 = 3.5;

/// How a duration stands among others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// How many of the usual deviations it lies above the median; less than nothing if below.
    pub score: f64,
    /// The median of the others.
    pub median: Duration,
}

impl Standing {
    /// Whether it lies further from the median than others ever should.
    #[must_use]
    pub fn is_unusual(&self) -> bool {
        self.score.abs() > LIMIT
    }
}

/// How `one` stands among `others`: the distance from their median by the median of their distances
/// (the robust z-score, `0.6745 · (x − median) / MAD`). `None` if there are fewer than [`FEWEST`], or
/// if they are all the same, since then nothing is known of how they spread.
///
/// ```
/// use std::time::Duration;
/// use longshore_trace::unusual::standing;
/// let others: Vec<Duration> = (90..110).map(Duration::from_millis).collect();
/// assert!(standing(Duration::from_millis(500), &others).unwrap().is_unusual());
/// assert!(!standing(Duration::from_millis(112), &others).unwrap().is_unusual());
/// assert!(standing(Duration::from_millis(500), &others[1..]).is_none());
/// ```
#[must_use]
pub fn standing(one: Duration, others: &[Duration]) -> Option<Standing> {
    if others.len() < FEWEST {
        return None;
    }
    let seconds: Vec<f64> = others.iter().map(Duration::as_secs_f64).collect();
    let median_of_others = median(seconds.clone())?;
    let far: Vec<f64> = seconds
        .iter()
        .map(|value| (value - median_of_others).abs())
        .collect();
    let mean = far.iter().sum::<f64>() / count(far.len());
    // More than half may be the same; then the mean distance says how they spread.
    let usual = match median(far)? {
        0.0 => mean * 1.253_314,
        median => median / 0.674_5,
    };
    let distance = one.as_secs_f64() - median_of_others;
    (usual > 0.0).then(|| Standing {
        score: distance / usual,
        median: Duration::try_from_secs_f64(median_of_others).unwrap_or_default(),
    })
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *values.get(middle.checked_sub(1)?)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(values: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        values.into_iter().map(Duration::from_millis).collect()
    }

    #[test]
    fn a_few_extremes_do_not_hide_another() {
        let mut others = millis(95..120);
        others.extend(millis([60_000, 90_000, 120_000]));
        assert!(
            standing(Duration::from_secs(2), &others)
                .unwrap()
                .is_unusual()
        );
    }

    #[test]
    fn what_is_nearly_always_the_same_still_spreads() {
        let mut others = millis([100; 30]);
        assert_eq!(standing(Duration::from_millis(200), &others), None);
        others.extend(millis([101, 99]));
        assert!(
            standing(Duration::from_millis(200), &others)
                .unwrap()
                .is_unusual()
        );
        assert!(
            !standing(Duration::from_millis(100), &others)
                .unwrap()
                .is_unusual()
        );
    }

    #[test]
    fn what_is_short_is_unusual_too() {
        let found = standing(Duration::ZERO, &millis(95..120)).unwrap();
        assert!(found.is_unusual() && found.score < 0.0);
        assert_eq!(found.median, Duration::from_millis(107));
    }
}
