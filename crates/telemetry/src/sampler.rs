//! Consistent probability sampling, as OTEP 235 and the OpenTelemetry specification define it.
//!
//! A trace has 56 random bits `R`, the low ones of its id. A sampler with a rejection threshold
//! `T` keeps the trace if `R >= T`. Every sampler that decides in this way decides the same for
//! the same trace, and `T` travels in `tracestate` as `ot=th:…`, so that counts can be
//! extrapolated from what was kept.

//!
//! | to find | look in |
//! | --- | --- |
//! | thresholds, and the rate of an environment | here |
//! | rules, base rate and pressure, put together | `sampler/head.rs` |
//! | the base rate that keeps to a budget | `sampler/budget.rs` |
//! | what gives way when spans come faster than they leave | `sampler/pressure.rs` |
//! | spans of the application | `sampler/user.rs` |
//! | which web request asks for a job | `sampler/route.rs` |

mod budget;
mod head;
mod pressure;
mod route;
mod user;

use longshore_core::TraceId;
use longshore_instrument::{RootDecision, relation};

pub(crate) use budget::Budget;
pub(crate) use head::HeadSampler;
pub(crate) use pressure::Pressure;
pub(crate) use route::Routes;
pub(crate) use user::ParentOrThreshold;

/// One more than the greatest randomness.
const RANGE: u64 = 1 << 56;
/// Hexadecimal digits of a threshold.
const DIGITS: u32 = 14;
/// How many digits after the leading `f`s a threshold made from a ratio has. Four keep the ratio
/// to within 0.01 %, and `tracestate` short.
const PRECISION: u32 = 4;

/// A rejection threshold: how many of 2^56 traces are not kept.
///
/// ```
/// use longshore_telemetry::sampler::Threshold;
/// let one_percent = Threshold::from_ratio(0.01);
/// assert_eq!(one_percent.ot().as_deref(), Some("th:fd70a"));
/// assert!(one_percent.keeps(0xff_ffff_ffff_ffff));
/// assert!(!one_percent.keeps(0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold(u64);

impl Threshold {
    /// Keeps every trace.
    pub const ALL: Self = Self(0);
    /// Keeps none.
    pub const NONE: Self = Self(RANGE);

    /// The threshold that keeps this share of all traces; what lies outside 0 to 1 counts as the
    /// nearer end.
    #[must_use]
    pub fn from_ratio(ratio: f64) -> Self {
        if ratio.is_nan() || ratio <= 0.0 {
            return Self::NONE;
        }
        if ratio >= 1.0 {
            return Self::ALL;
        }
        // RANGE is a power of two, so the product is exact and below 2^56.
        let kept = (ratio * RANGE as f64) as u64;
        let exact = RANGE - kept;
        if kept == 0 {
            return Self::NONE;
        }
        let leading_fs = ((exact << 8).leading_ones() / 4).min(DIGITS);
        let digits = (leading_fs + PRECISION).min(DIGITS);
        let unit = 1u64 << (4 * (DIGITS - digits));
        Self((exact + unit / 2) / unit * unit)
    }

    /// Whether a trace with this randomness is kept; only its low 56 bits count.
    #[must_use]
    pub const fn keeps(self, randomness: u64) -> bool {
        (randomness & (RANGE - 1)) >= self.0
    }

    /// The value of the `ot` member of `tracestate`; `None` if no trace is kept.
    #[must_use]
    pub fn ot(self) -> Option<String> {
        (self != Self::NONE).then(|| relation::threshold_member(self.0))
    }

    /// The share of all traces that is kept.
    #[must_use]
    pub fn ratio(self) -> f64 {
        (RANGE - self.0) as f64 / RANGE as f64
    }

    /// How many of 2^56 traces are not kept.
    #[must_use]
    pub const fn rejected(self) -> u64 {
        self.0
    }

    /// The threshold that keeps half as many, `times` over: of those that this one keeps.
    #[must_use]
    pub const fn halved(self, times: u32) -> Self {
        let kept = RANGE - self.0;
        // Shifting by more than there are bits keeps none.
        Self(RANGE - if times < 56 { kept >> times } else { 0 })
    }

    /// Decides about a new trace.
    #[must_use]
    pub fn decide(self, trace_id: TraceId) -> RootDecision {
        RootDecision {
            sampled: self.keeps(trace_id.randomness()),
            threshold: Some(self.0),
        }
    }
}

/// The share of new traces that is kept in an environment, unless the settings say otherwise.
#[must_use]
pub fn default_ratio(environment: &str) -> f64 {
    let is = |name: &str| environment.trim().eq_ignore_ascii_case(name);
    if is("production") || is("prod") {
        0.01
    } else {
        1.0
    }
}

/// Reads what a sampling rule says: a number from 0 to 1.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_ratio(text: &str) -> Result<Threshold, String> {
    match text.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(Threshold::from_ratio(ratio)),
        _ => Err(format!("`{text}` is not a number from 0 to 1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_have_the_text_of_the_specification() {
        let cases = [
            (1.0, Some("th:0")),
            (0.5, Some("th:8")),
            (0.25, Some("th:c")),
            (0.1, Some("th:e666")),
            (0.01, Some("th:fd70a")),
            (0.001, Some("th:ffbe77")),
            (0.0, None),
            (-1.0, None),
            (f64::NAN, None),
            (7.0, Some("th:0")),
        ];
        for (ratio, text) in cases {
            assert_eq!(
                Threshold::from_ratio(ratio).ot().as_deref(),
                text,
                "{ratio}"
            );
        }
    }

    #[test]
    fn a_lower_ratio_keeps_a_subset() {
        let ratios = [0.9, 0.5, 0.1, 0.01, 1e-6, 0.0];
        let thresholds = ratios.map(Threshold::from_ratio);
        assert!(thresholds.is_sorted());
    }

    #[test]
    fn halving_keeps_half_of_the_same_traces() {
        let tenth = Threshold::from_ratio(0.1);
        assert_eq!(tenth.halved(0), tenth);
        let half = tenth.halved(1);
        assert!(half > tenth);
        assert!((half.ratio() - tenth.ratio() / 2.0).abs() < 1e-9);
        assert_eq!(tenth.halved(56), Threshold::NONE);
        assert_eq!(Threshold::NONE.halved(3), Threshold::NONE);
    }

    #[test]
    fn ratios_are_numbers_from_0_to_1() {
        assert_eq!(parse_ratio("0.5").unwrap(), Threshold::from_ratio(0.5));
        assert_eq!(parse_ratio("0").unwrap(), Threshold::NONE);
        for bad in ["much", "1.1", "-0.1", "NaN", "50%", ""] {
            assert!(parse_ratio(bad).unwrap_err().contains(bad));
        }
    }

    #[test]
    fn production_samples_a_hundredth_and_others_all() {
        for environment in ["production", "prod", "Production"] {
            assert_eq!(default_ratio(environment), 0.01);
        }
        for environment in ["staging", "development", "", "products"] {
            assert_eq!(default_ratio(environment), 1.0);
        }
    }

    #[test]
    fn the_share_kept_is_the_ratio() {
        let mut random = fastrand::Rng::with_seed(235);
        for ratio in [0.01, 0.1, 0.5] {
            let threshold = Threshold::from_ratio(ratio);
            let total = 200_000;
            let kept = (0..total)
                .filter(|_| {
                    threshold
                        .decide(TraceId::from_u128(random.u128(..)))
                        .sampled
                })
                .count();
            let expected = ratio * f64::from(total);
            let deviation = (expected * (1.0 - ratio)).sqrt();
            assert!(
                (kept as f64 - expected).abs() < 4.0 * deviation,
                "{ratio}: {kept}"
            );
        }
    }
}
