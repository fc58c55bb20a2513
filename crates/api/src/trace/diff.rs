//! Two traces, or two groups of them, compared.

use std::time::Duration;

use longshore_core::TraceId;
use longshore_trace::diff::PlaceName;
use longshore_trace::duration;
use serde::{Deserialize, Serialize};

/// Two sides to compare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DiffQuery {
    /// What is taken as usual.
    pub before: DiffSide,
    /// What is asked about.
    pub after: DiffSide,
    /// Whether searches find traces that have to do with other stores alone.
    #[serde(default)]
    pub all_stores: bool,
}

/// A side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DiffSide {
    /// A trace.
    Trace(TraceId),
    /// The traces that match a search, the newest [`DiffSide::MOST`] of them.
    Search(String),
}

impl DiffQuery {
    /// Whether a side is a search, which may find several traces.
    #[must_use]
    pub fn of_groups(&self) -> bool {
        let is_search = |side: &DiffSide| matches!(side, DiffSide::Search(_));
        is_search(&self.before) || is_search(&self.after)
    }
}

impl DiffSide {
    /// Most traces of a side.
    pub const MOST: usize = 200;
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Diff {
    /// How many traces stand on the first side.
    pub before: usize,
    /// How many on the second.
    pub after: usize,
    /// How long a trace of the first side took, on average: from the beginning of its first span to the
    /// end of its last, as lists show it.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub duration_before: Duration,
    /// How long one of the second side took.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub duration_after: Duration,
    /// How long the job took that a trace of the first side is about, on average: from the first moment
    /// it was due to the end of its last attempt. What it enqueued may go on. Absent without jobs.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "maybe")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<f64>"))]
    pub job_before: Option<Duration>,
    /// How long that of the second side took.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "maybe")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<f64>"))]
    pub job_after: Option<Duration>,
    /// The kind of the jobs that the traces are about; absent if they are of several kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// How much longer the second is; less than nothing if it is shorter. In nanoseconds.
    pub delta_nanos: i64,
    /// Between which differences 95 of a hundred comparisons of such groups would lie; if 0 is among
    /// them, the difference may be chance. Absent if a side has fewer than 10 traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta_range_nanos: Option<(i64, i64)>,
    /// Place by place, what explains most of the difference first; together they explain all of it.
    pub rows: Vec<DiffRow>,
}

/// A place in both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DiffRow {
    /// Its services and names from the root down, each as `service name`; `time without a span` alone
    /// for time of which no span says what it was spent with.
    pub path: Vec<String>,
    /// Spans there on the first side, by trace, times 100.
    pub count_before: u64,
    /// Spans there on the second side, by trace, times 100.
    pub count_after: u64,
    /// Self time on the first side, by trace.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub self_before: Duration,
    /// Self time on the second side, by trace.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub self_after: Duration,
    /// How many failed there on the first side, by trace, times 100.
    pub errors_before: u64,
    /// How many failed there on the second side, by trace, times 100.
    pub errors_after: u64,
    /// How much of a trace of the first side was spent here, where its end waited for it: the critical
    /// path through the jobs of the trace. These sum up to `duration_before`.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub critical_before: Duration,
    /// The same of the second side.
    #[serde(with = "longshore_core::time::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub critical_after: Duration,
    /// How much more that is on the second side, in nanoseconds. These sum up to the whole difference.
    pub delta_nanos: i64,
    /// Which share of the difference this explains, in percent; may be less than nothing or more
    /// than a hundred.
    pub explains_percent: i32,
    /// Between which percentages 95 of a hundred comparisons of such groups would lie. Absent if the
    /// difference itself may be chance, and for places that explain little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explains_range_percent: Option<(i32, i32)>,
}

impl Diff {
    /// What it comes down to, in words, where `second` is what the second side is called. `names` are
    /// those of the rows, of which the one that costs most is named; `groups` says that a side is a
    /// search, which may have found several traces.
    #[must_use]
    pub fn verdict(&self, names: &[PlaceName], second: &str, groups: bool) -> String {
        let took = self.took(second, groups);
        let rows = self.rows.iter().zip(names);
        let most = rows.max_by_key(|(row, _)| i128::from(row.delta_nanos) * self.sign());
        let most = most.filter(|(row, _)| i128::from(row.delta_nanos) * self.sign() > 0);
        let text = match most {
            None => took,
            Some((row, name)) => {
                let name = name.in_trace(&row.path, self.kind.as_deref());
                if row.explains_percent <= 100 {
                    format!("{took}; {name} explains {} of it", row.share())
                } else {
                    let own = Duration::from_nanos(row.delta_nanos.unsigned_abs());
                    let own = duration::format(own);
                    let word = if self.delta_nanos > 0 {
                        "longer"
                    } else {
                        "less"
                    };
                    format!("{took}; {name} alone took {own} {word}, and others the reverse")
                }
            }
        };
        match self.delta_range_nanos {
            Some((least, most)) if least <= 0 && most >= 0 => format!("{text}. It may be chance."),
            None if groups => format!("{text}. With fewer than 10 traces a side it may be chance."),
            Some(_) | None => text,
        }
    }

    fn sign(&self) -> i128 {
        i128::from(self.delta_nanos.signum())
    }

    fn took(&self, second: &str, groups: bool) -> String {
        if groups && (self.before == 0 || self.after == 0) {
            return "One of them has no traces".to_owned();
        }
        let delta = duration::format(Duration::from_nanos(self.delta_nanos.unsigned_abs()));
        let mean = if groups { " on average" } else { "" };
        match self.delta_nanos {
            0 => "Both took as long".to_owned(),
            1.. => format!("{second} took {delta} longer{mean}"),
            _ => format!("{second} took {delta} less{mean}"),
        }
    }

    /// How long a trace of the first side took and one of the second, in words, each with the time of
    /// the job itself where that differs.
    #[must_use]
    pub fn lengths(&self) -> [String; 2] {
        let sides = [
            (self.duration_before, self.job_before),
            (self.duration_after, self.job_after),
        ];
        let shown = sides.map(|(whole, job)| {
            let whole = duration::format(whole);
            let job = job.map(duration::format).filter(|job| *job != whole);
            (whole, job)
        });
        let differ = shown.iter().any(|(_, job)| job.is_some());
        let kind = self.kind.as_deref().unwrap_or("its job");
        shown.map(|(whole, job)| match job {
            Some(job) => format!("{whole} in all, {kind} itself {job}"),
            None if differ => format!("{whole} in all"),
            None => whole,
        })
    }
}

impl DiffRow {
    /// Which share of the difference it explains, and between which bounds that lies.
    #[must_use]
    pub fn share(&self) -> String {
        match (self.explains_percent, self.explains_range_percent) {
            (0, _) if self.delta_nanos != 0 => "<1 %".to_owned(),
            (0, _) | (_, None) => format!("{} %", self.explains_percent),
            (percent, Some((least, most))) => format!("{percent} % ({least} to {most} %)"),
        }
    }
}

/// A duration that may be absent, as seconds.
mod maybe {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

    #[derive(Deserialize)]
    struct Seconds(#[serde(with = "longshore_core::time::seconds")] Duration);

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        duration
            .map(|duration| duration.as_secs_f64())
            .serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        let read = Option::<Seconds>::deserialize(from)?;
        Ok(read.map(|Seconds(duration)| duration))
    }
}
