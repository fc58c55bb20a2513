//! Limits as `--json` prints them.

use longshore_core::Kind;
use longshore_core::limit::{Limit, Rate, Scope};
use longshore_core::pause::Pause;
use longshore_queue::LimitUse;
use serde::Serialize;

/// A rate.
#[derive(Debug, Serialize)]
struct RateJson {
    count: u32,
    period_seconds: f64,
    burst: u32,
}

impl RateJson {
    fn of(rate: &Rate) -> Self {
        Self {
            count: rate.count(),
            period_seconds: rate.period().as_secs_f64(),
            burst: rate.burst(),
        }
    }
}

/// The limits of a scope, and what is held against them.
#[derive(Debug, Serialize)]
pub(crate) struct LimitJson {
    scope: String,
    concurrency: Option<u32>,
    rate: Option<RateJson>,
    length: Option<u64>,
    enqueue_rate: Option<RateJson>,
    fair: bool,
    paused: bool,
    permits_held: Option<u32>,
    holders: Option<usize>,
    tokens_left: Option<u32>,
}

impl LimitJson {
    /// The record of a scope.
    pub(crate) fn of(scope: &Scope, limit: &Limit, held: Option<&LimitUse>) -> Self {
        Self {
            scope: scope.to_string(),
            concurrency: limit.concurrency,
            rate: limit.rate.as_ref().map(RateJson::of),
            length: limit.length,
            enqueue_rate: limit.enqueue_rate.as_ref().map(RateJson::of),
            fair: limit.fair,
            paused: limit.paused,
            permits_held: held.map(|held| held.permits),
            holders: held.map(|held| held.holders),
            tokens_left: held.and_then(|held| held.tokens),
        }
    }
}

/// `limits list`.
#[derive(Debug, Serialize)]
pub(crate) struct LimitsJson {
    /// What is limited.
    pub(crate) limits: Vec<LimitJson>,
    /// Tenants that hold something against the limit of every tenant.
    pub(crate) tenants: Vec<LimitJson>,
}

/// A kind that rests, or does so no more.
#[derive(Debug, Serialize)]
pub(crate) struct KindJson<'a> {
    kind: &'a str,
    paused: bool,
    pause: Option<longshore_api::queue::Pause>,
}

impl<'a> KindJson<'a> {
    /// The record of a kind.
    pub(crate) fn of(kind: &'a Kind, paused: bool, pause: Option<&Pause>) -> Self {
        Self {
            kind: kind.as_str(),
            paused,
            pause: pause.map(longshore_api::queue::Pause::of),
        }
    }
}

/// `kinds list`.
#[derive(Debug, Serialize)]
pub(crate) struct KindsJson<'a> {
    /// Those that rest.
    pub(crate) kinds: Vec<KindJson<'a>>,
}
