//! How tracing itself does, from its counters.

use std::collections::BTreeMap;

use longshore_instrument::KeepReason;
use longshore_instrument::table::SPANS;

use super::table::{
    ADOPTED, BREAKER, CREATED, DROPPED, EXPORT_ERRORS, EXPORTED, KEPT, LOG_ADOPTED, LOG_BREAKER,
    LOG_CREATED, LOG_DROPPED, LOG_EXPORT_ERRORS, LOG_EXPORTED, LOG_LOGGED, LOG_WAITING, LOGGED,
    Metric, PROPAGATION, RATIO, REDACTED, SHED, UNSAFE_SETTLES, WAITING,
};
use super::text::Text;
use crate::counters::{Counters, DropReason, SpanOrigin};
use crate::export::BreakerState;
use crate::redact::Rule;

/// What requests to a back end usually fail for.
const ERRORS: [DropReason; 4] = [
    DropReason::Unavailable,
    DropReason::Timeout,
    DropReason::Refused,
    DropReason::Rejected,
];

/// What the counters do not know.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) backend: &'static str,
    /// The share of new traces that is sampled, by queue.
    pub(super) ratios: Vec<(String, f64)>,
    pub(super) redacted: &'a BTreeMap<Rule, u64>,
}

pub(super) fn write(text: &mut Text, counters: &Counters, around: &Surroundings<'_>) {
    let mut samples = text.metric(CREATED);
    for (origin, count) in &counters.created_by {
        let (component, operation) = words(*origin);
        samples.number(&[component, operation], count);
    }
    let errors = &counters.export_errors;
    export_errors(text, EXPORT_ERRORS, errors, around.backend);
    let mut samples = text.metric(RATIO);
    for (queue, ratio) in &around.ratios {
        samples.number(&[queue], ratio);
    }
    let mut samples = text.metric(PROPAGATION);
    for ((direction, reason), count) in &counters.propagation_failures {
        samples.number(&[direction, reason], count);
    }
    single(text, ADOPTED, counters.adopted);
    single(text, LOGGED, counters.logged);
    single(text, EXPORTED, counters.exported);
    dropped(text, DROPPED, &counters.dropped);
    single(text, WAITING, counters.waiting());
    let mut samples = text.metric(KEPT);
    for reason in KeepReason::ALL {
        let count = counters.kept.get(&reason);
        samples.number(&[reason.as_str()], count.unwrap_or(&0));
    }
    single(text, UNSAFE_SETTLES, counters.unsafe_settles);
    let is_open = counters.breaker == BreakerState::Open;
    single(text, BREAKER, u64::from(is_open));
    single(text, SHED, counters.shed_traces);
    let mut samples = text.metric(REDACTED);
    for (rule, count) in around.redacted {
        samples.number(&[rule.as_str()], count);
    }
}

/// How log records do.
pub(super) fn write_logs(text: &mut Text, counters: &Counters, backend: &str) {
    single(text, LOG_CREATED, counters.created);
    export_errors(text, LOG_EXPORT_ERRORS, &counters.export_errors, backend);
    single(text, LOG_ADOPTED, counters.adopted);
    single(text, LOG_LOGGED, counters.logged);
    single(text, LOG_EXPORTED, counters.exported);
    dropped(text, LOG_DROPPED, &counters.dropped);
    single(text, LOG_WAITING, counters.waiting());
    let is_open = counters.breaker == BreakerState::Open;
    single(text, LOG_BREAKER, u64::from(is_open));
}

/// Reasons that did not occur are there at zero: Prometheus sees no increase where a series begins.
fn export_errors(
    text: &mut Text,
    metric: &'static Metric,
    errors: &BTreeMap<DropReason, u64>,
    backend: &str,
) {
    let mut samples = text.metric(metric);
    for reason in DropReason::ALL {
        let count = errors.get(&reason);
        let count = count.or(ERRORS.contains(&reason).then_some(&0));
        if let Some(count) = count {
            samples.number(&[backend, reason.as_str()], count);
        }
    }
}

fn dropped(text: &mut Text, metric: &'static Metric, reasons: &BTreeMap<DropReason, u64>) {
    let mut samples = text.metric(metric);
    for reason in DropReason::ALL {
        let count = reasons.get(&reason);
        samples.number(&[reason.as_str()], count.unwrap_or(&0));
    }
}

fn single(text: &mut Text, metric: &'static Metric, value: u64) {
    text.metric(metric).number(&[], value);
}

/// Component and operation of a span: the two words of its name, or who made it.
fn words(origin: SpanOrigin) -> (&'static str, &'static str) {
    let place = match origin {
        SpanOrigin::Engine(place) => place,
        SpanOrigin::Application => return ("application", "span"),
        SpanOrigin::Outside => return ("outside", "span"),
    };
    let name = SPANS.get(place).map_or("", |span| span.name);
    name.split_once('.').unwrap_or((name, name))
}
