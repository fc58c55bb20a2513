//! How long jobs waited and ran lately, by the records of their attempts.

use std::collections::HashMap;
use std::time::Duration;

use longshore_api::ApiError;
use longshore_api::job::{ran, span_of, waited};
use longshore_api::queue::{Bar, Histogram, KindTimes, Latency, LatencyQuery};
use longshore_core::{AttemptRecord, Job, JobFilter, JobPage, Kind, Timestamp, TraceId};
use longshore_tracestore::TraceStore;

use super::LocalBackend;
use super::jobs::parsed;

/// How far back is looked if nobody says.
const USUAL: Duration = Duration::from_secs(3600);

/// Most pages of jobs that are looked at, the newest first.
const PAGES: usize = 10;

/// The end of the first bar; each bar is twice as long as the one before.
const FIRST: Duration = Duration::from_micros(1);

/// An attempt in a histogram.
#[derive(Clone, Copy)]
struct Sample {
    took: Duration,
    failed: bool,
    trace_id: Option<TraceId>,
}

#[derive(Default)]
struct Samples {
    waits: Vec<Sample>,
    runs: Vec<Sample>,
    jobs: u64,
    kinds: HashMap<Kind, OfKind>,
}

/// What is known of one kind.
#[derive(Default)]
struct OfKind {
    waits: Vec<Duration>,
    runs: Vec<Duration>,
    jobs: u64,
    failed: u64,
}

impl LocalBackend {
    pub(super) async fn measure(&self, query: &LatencyQuery) -> Result<Latency, ApiError> {
        let filter = JobFilter {
            queue: parsed(query.queue.as_deref())?,
            kind: parsed(query.kind.as_deref())?,
            ..JobFilter::default()
        };
        let now = self.store.now().await?;
        let since = query.since.unwrap_or_else(|| now.before(USUAL));
        let mut samples = Samples::default();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES {
            let page = self
                .store
                .list(&filter, cursor.as_deref(), JobPage::MAX_JOBS)
                .await?;
            page.jobs.iter().for_each(|job| samples.add(job, since));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        let Some(traces) = &self.traces else {
            return Ok(samples.drawn(None));
        };
        let is_here = |store: &TraceStore, trace| store.summary(trace).is_some();
        let draw =
            move |store: &TraceStore| Ok(samples.drawn(Some(&|trace| is_here(store, trace))));
        traces.ask(draw).await
    }
}

impl Samples {
    /// The answer. `is_here` says which traces there are to be looked at, if that is known.
    fn drawn(mut self, is_here: Option<&dyn Fn(TraceId) -> bool>) -> Latency {
        let mut unseen = 0;
        if let Some(is_here) = is_here {
            for (wait, run) in self.waits.iter_mut().zip(&mut self.runs) {
                run.trace_id = run.trace_id.filter(|trace| is_here(*trace));
                wait.trace_id = run.trace_id;
                unseen += u64::from(run.trace_id.is_none());
            }
        }
        Latency {
            kinds: by_kind(self.kinds),
            wait: histogram(self.waits),
            run: histogram(self.runs),
            jobs: self.jobs,
            unseen: is_here.map(|_known| unseen),
        }
    }

    fn add(&mut self, job: &Job, since: Timestamp) {
        let ended = |record: &&AttemptRecord| record.ended_at >= since;
        let before = self.runs.len();
        for record in job.history.iter().filter(ended) {
            let sample = |took| Sample {
                took,
                failed: record.outcome.is_failure(),
                trace_id: span_of(job, record).map(|(trace_id, _)| trace_id),
            };
            self.waits.push(sample(waited(record)));
            self.runs.push(sample(ran(record)));
        }
        let (Some(waits), Some(runs)) = (self.waits.get(before..), self.runs.get(before..)) else {
            return;
        };
        if runs.is_empty() {
            return;
        }
        self.jobs += 1;
        let of = self.kinds.entry(job.kind.clone()).or_default();
        of.jobs += 1;
        of.failed += runs.iter().filter(|sample| sample.failed).count() as u64;
        of.waits.extend(waits.iter().map(|sample| sample.took));
        of.runs.extend(runs.iter().map(|sample| sample.took));
    }
}

/// The kinds with the most jobs, in an order that does not change by itself.
fn by_kind(kinds: HashMap<Kind, OfKind>) -> Vec<KindTimes> {
    let nine_in_ten = |mut times: Vec<Duration>| {
        times.sort_unstable();
        share(&times, 90).copied().unwrap_or_default()
    };
    let times = kinds.into_iter().map(|(kind, of)| KindTimes {
        kind: kind.to_string(),
        jobs: of.jobs,
        failed: of.failed,
        wait_p90: nine_in_ten(of.waits),
        run_p90: nine_in_ten(of.runs),
    });
    let mut times: Vec<KindTimes> = times.collect();
    times.sort_by(|one, other| (other.jobs, &one.kind).cmp(&(one.jobs, &other.kind)));
    times.truncate(Latency::MOST_KINDS);
    times
}

/// Of what is sorted, that which so many in a hundred do not exceed.
fn share<T>(sorted: &[T], percent: usize) -> Option<&T> {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place)
}

fn histogram(mut samples: Vec<Sample>) -> Histogram {
    samples.sort_by_key(|sample| sample.took);
    let at = |percent| share(&samples, percent).map_or(Duration::ZERO, |one| one.took);
    let (p50, p90, p99, max) = (at(50), at(90), at(99), at(100));
    let mut bars: Vec<Bar> = Vec::new();
    let (mut from, mut to) = (Duration::ZERO, FIRST);
    let mut rest = samples.as_slice();
    while !rest.is_empty() {
        let (in_bar, later) = rest.split_at(rest.partition_point(|one| one.took < to));
        if !(in_bar.is_empty() && bars.is_empty()) {
            bars.push(bar(from, to, in_bar));
        }
        rest = later;
        (from, to) = (to, to.saturating_mul(2));
        if to == Duration::MAX {
            break;
        }
    }
    Histogram {
        bars,
        p50,
        p90,
        p99,
        max,
    }
}

fn bar(from: Duration, to: Duration, samples: &[Sample]) -> Bar {
    let failed = samples.iter().filter(|sample| sample.failed);
    let traced = |sample: &&Sample| sample.trace_id.is_some();
    let example = failed.clone().rfind(traced);
    let example = example.or_else(|| samples.iter().rfind(traced));
    Bar {
        from,
        to,
        count: samples.len() as u64,
        failed: failed.count() as u64,
        trace_id: example.and_then(|sample| sample.trace_id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(millis: u64, trace: u128, failed: bool) -> Sample {
        Sample {
            took: Duration::from_millis(millis),
            failed,
            trace_id: (trace > 0).then(|| TraceId::from_u128(trace)),
        }
    }

    #[test]
    fn every_attempt_is_in_a_bar_and_a_failed_one_is_its_example() {
        let millis = Duration::from_millis;
        let drawn = histogram(vec![
            sample(100, 1, false),
            sample(90, 2, true),
            sample(91, 0, true),
            sample(3, 4, false),
        ]);
        assert_eq!(drawn.bars.iter().map(|bar| bar.count).sum::<u64>(), 4);
        assert_eq!((drawn.p50, drawn.max), (millis(90), millis(100)));
        for pair in drawn.bars.windows(2) {
            assert_eq!(pair[0].to, pair[1].from);
        }
        let last = drawn.bars.last().unwrap();
        assert_eq!((last.count, last.failed), (3, 2));
        assert_eq!(last.trace_id, Some(TraceId::from_u128(2)));
        assert_eq!(drawn.bars[0].count, 1);
    }

    #[test]
    fn kinds_are_told_apart_the_busiest_first() {
        let of = |jobs: u64, millis: &[u64]| OfKind {
            waits: millis.iter().copied().map(Duration::from_millis).collect(),
            runs: vec![Duration::from_millis(7); millis.len()],
            jobs,
            failed: 1,
        };
        let kind = |name: &str| name.parse::<Kind>().unwrap();
        let kinds = [
            (kind("mail"), of(2, &[5, 9])),
            (kind("charge"), of(3, &[40, 10, 20])),
            (kind("audit"), of(2, &[1, 1])),
        ];
        let told = by_kind(kinds.into());
        let names: Vec<(&str, u64)> = told
            .iter()
            .map(|one| (one.kind.as_str(), one.jobs))
            .collect();
        assert_eq!(names, [("charge", 3), ("audit", 2), ("mail", 2)]);
        assert_eq!(told[0].wait_p90, Duration::from_millis(40));
        assert_eq!(told[2].run_p90, Duration::from_millis(7));
    }

    #[test]
    fn nothing_has_no_bars() {
        assert_eq!(histogram(Vec::new()), Histogram::default());
        let longest = Sample {
            took: Duration::MAX,
            ..sample(0, 0, false)
        };
        assert!(histogram(vec![longest]).bars.len() < 100);
    }
}
