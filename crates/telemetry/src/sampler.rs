//! Consistent probability sampling, as OTEP 235 and the OpenTelemetry specification define it.
//!
//! A trace has 56 random bits `R`, the low ones of its id. A sampler with a rejection threshold
//! `T` keeps the trace if `R >= T`. Every sampler that decides in this way decides the same for
//! the same trace, and `T` travels in `tracestate` as `ot=th:…`, so that counts can be
//! extrapolated from what was kept.

use std::sync::Arc;

use longshore_core::{SpanId, TraceId};
use longshore_instrument::RootDecision;
use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use crate::keep::job_spans::{Beneath, JobSpans};

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
        if self == Self::NONE {
            return None;
        }
        let digits = format!("{:014x}", self.0);
        let short = digits.trim_end_matches('0');
        Some(format!("th:{}", if short.is_empty() { "0" } else { short }))
    }

    /// Decides about a new trace.
    #[must_use]
    pub fn decide(self, trace_id: TraceId) -> RootDecision {
        let sampled = self.keeps(low_bits(trace_id.to_bytes()));
        RootDecision {
            sampled,
            ot: if sampled { self.ot() } else { None },
        }
    }
}

/// The share of new traces that is kept in an environment, unless the settings say otherwise.
#[must_use]
pub fn default_ratio(environment: &str) -> f64 {
    match environment {
        "production" | "prod" => 0.01,
        _ => 1.0,
    }
}

fn low_bits(trace_id: [u8; 16]) -> u64 {
    let [.., a, b, c, d, e, f, g] = trace_id;
    u64::from_be_bytes([0, a, b, c, d, e, f, g])
}

/// The sampler of user spans: a parent decides for its children, the threshold for new traces.
/// What is not sampled but beneath a job is recorded all the same, since the job may yet be kept.
#[derive(Clone, Debug)]
pub(crate) struct ParentOrThreshold {
    pub(crate) threshold: Threshold,
    pub(crate) job_spans: Arc<JobSpans>,
}

impl ShouldSample for ParentOrThreshold {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: opentelemetry::TraceId,
        _name: &str,
        _kind: &SpanKind,
        _attributes: &[KeyValue],
        _links: &[Link],
    ) -> SamplingResult {
        let parent = parent_context
            .filter(|context| context.has_active_span())
            .map(|context| context.span().span_context().clone())
            .filter(opentelemetry::trace::SpanContext::is_valid);
        let Some(parent) = parent else {
            return self.root(trace_id);
        };
        let beneath = || {
            let id = SpanId::from_bytes(parent.span_id().to_bytes());
            id.map_or(Beneath::Nothing, |id| self.job_spans.above(id))
        };
        SamplingResult {
            decision: match parent.is_sampled() {
                true => SamplingDecision::RecordAndSample,
                false if beneath() == Beneath::Job => SamplingDecision::RecordOnly,
                false => SamplingDecision::Drop,
            },
            attributes: Vec::new(),
            trace_state: parent.trace_state().clone(),
        }
    }
}

impl ParentOrThreshold {
    fn root(&self, trace_id: opentelemetry::TraceId) -> SamplingResult {
        let sampled = self.threshold.keeps(low_bits(trace_id.to_bytes()));
        let ot = self.threshold.ot().filter(|_| sampled);
        let state = ot.and_then(|ot| TraceState::from_key_value([("ot", ot)]).ok());
        SamplingResult {
            decision: if sampled {
                SamplingDecision::RecordAndSample
            } else {
                SamplingDecision::Drop
            },
            attributes: Vec::new(),
            trace_state: state.unwrap_or_default(),
        }
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
