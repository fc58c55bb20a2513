//! Storage spans by themselves: what the requests of a store add to the telemetry of a job.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::FutureExt;
use longshore_core::round_trip::{self, Answer, RoundTrips, Server, Target};
use longshore_core::{Clock, SystemClock, WorkerId};
use longshore_instrument::build::{SettledTogether, attempt_spans, storage_spans};
use longshore_instrument::table::name;
use longshore_instrument::{Recorder, Span};

use crate::allocator::allocations;
use crate::measure::{Samples, Table};
use crate::sink::Sink;
use crate::telemetry::{attempt_context, facts, running_job};
use crate::worker;

/// Attempts that are settled by one request.
const TOGETHER: usize = 100;
const TRIES: usize = 50;

/// A store that makes one request for a call, or several calls at once.
struct Asking {
    server: Arc<Server>,
    clock: Arc<dyn Clock>,
}

impl Asking {
    fn new() -> Self {
        let server = Server {
            system: "postgresql",
            namespace: Some("shop".to_owned()),
            address: Some("db.example.org".to_owned()),
            port: Some(5432),
        };
        Self {
            server: Arc::new(server),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// A call with its one request, about `items` jobs, and what a watch over it saw.
    fn call(&self, is_watched: bool, items: usize) -> RoundTrips {
        let call = pin!(async {
            let target = || Target::Procedure("settle");
            let request = round_trip::begin(&self.server, "SELECT", target).of(items);
            std::hint::black_box(&request);
            request.end(Answer::Good);
            round_trip::take()
        });
        let seen = round_trip::watch(is_watched.then_some(&self.clock), call).now_or_never();
        seen.unwrap_or_default()
    }
}

/// What was measured, by its name.
type Row = (&'static str, Samples, f64);

/// What requests cost whose call is sampled, or is not.
pub async fn rows() -> Result<()> {
    let sink = Sink::start()?;
    let telemetry = worker::telemetry(1.0, &sink)?;
    let recorder = telemetry.recorder();
    let mut table = Table::new(
        format!(
            "Storage spans: a request of the store's, and what {TOGETHER} attempts cost that it \
             settles at once"
        ),
        &["what", "ns", "allocations"],
    );
    let attempt = attempt(&*recorder);
    let settle = settle_of(&attempt)?;
    let asking = Asking::new();
    let rest = async || telemetry.flush(Duration::from_secs(10)).await;
    let mut rows: Vec<Row> = Vec::new();
    for (name, is_watched, is_sampled) in [
        ("a request, `storage_spans = false`", false, false),
        ("a request that is noted, its call not sampled", true, false),
        ("a request, its span built and recorded", true, true),
    ] {
        let mut above = settle.clone();
        let one = |(): ()| {
            let seen = std::hint::black_box(asking.call(is_watched, 1));
            if is_sampled {
                recorder.record(storage_spans(&mut above, &seen));
            }
        };
        rows.push(measured(name, (2_000, 1), || (), one, rest).await);
    }
    for (name, is_watched) in [
        ("a settled attempt, `storage_spans = false`", false),
        ("a settled attempt that has part in a request", true),
    ] {
        let attempts = || vec![attempt.clone(); TOGETHER];
        let settled = |attempts: Vec<Vec<Span>>| {
            let mut together = SettledTogether::new(asking.call(is_watched, TOGETHER), TOGETHER);
            for mut spans in attempts {
                together.add_to(&mut spans);
                recorder.record(spans);
            }
        };
        rows.push(measured(name, (20, TOGETHER), attempts, settled, rest).await);
    }
    for (name, nanoseconds, allocated) in rows {
        table.row(vec![
            name.to_owned(),
            nanoseconds.cell(0),
            format!("{allocated:.1}"),
        ]);
    }
    table.print();
    Ok(())
}

/// Does `act` so many times a try, for so many each time and with what was made for it before, and
/// lets telemetry rest between tries, so that the spans of one fit into the exporter's queue.
async fn measured<T>(
    name: &'static str,
    (rounds, each): (usize, usize),
    make: impl Fn() -> T,
    mut act: impl FnMut(T),
    rest: impl AsyncFn() -> bool,
) -> Row {
    let all = (rounds * each) as f64;
    let mut nanoseconds = Vec::new();
    let mut allocated = 0;
    for _try in 0..TRIES {
        let made: Vec<T> = (0..rounds).map(|_| make()).collect();
        let before = allocations();
        let started = Instant::now();
        made.into_iter().for_each(&mut act);
        nanoseconds.push(started.elapsed().as_nanos() as f64 / all);
        allocated = allocations() - before;
        rest().await;
    }
    let nanoseconds = nanoseconds.into_iter().collect();
    (name, nanoseconds, allocated as f64 / all)
}

/// The spans of an attempt.
fn attempt(recorder: &dyn Recorder) -> Vec<Span> {
    let worker = WorkerId::new("longshore-bench");
    let job = running_job(recorder, &worker);
    let at = job.enqueued_at;
    let context = attempt_context(&job, at, recorder);
    attempt_spans(&facts(&job, &context, &worker, at))
}

fn settle_of(attempt: &[Span]) -> Result<Span> {
    let settle = attempt.iter().find(|span| span.name == name::SETTLE);
    settle
        .cloned()
        .context("an attempt has a span of its settle")
}

/// Storage spans of as many calls.
pub fn spans(recorder: &dyn Recorder, count: usize) -> Result<Vec<Span>> {
    let asking = Asking::new();
    let one = |_| {
        let mut settle = settle_of(&attempt(recorder))?;
        Ok(storage_spans(&mut settle, &asking.call(true, TOGETHER)))
    };
    let all: Result<Vec<Vec<Span>>> = (0..count).map(one).collect();
    Ok(all?.into_iter().flatten().collect())
}
