//! More spans than can leave: every one is exported or counted as lost, with a reason.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use longshore_instrument::Span;

use crate::measure::Table;
use crate::sink::Sink;
use crate::worker;

/// Spans that each thread makes.
const SPANS: usize = 500_000;
const THREADS: usize = 2;

/// Threads that do nothing but record the spans given, again and again.
pub async fn rows(spans: &[Span]) -> Result<()> {
    let sink = Sink::start()?;
    let telemetry = worker::telemetry(1.0, &sink)?;
    let started = Instant::now();
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (recorder, spans) = (telemetry.recorder(), spans.to_vec());
            std::thread::spawn(move || {
                for _batch in 0..SPANS / spans.len() {
                    recorder.record(spans.clone());
                }
            })
        })
        .collect();
    for thread in threads {
        ensure!(thread.join().is_ok(), "a thread that recorded panicked");
    }
    let seconds = started.elapsed().as_secs_f64();
    telemetry.shutdown(Duration::from_secs(30)).await;
    let counters = telemetry.counters();
    let made = SPANS / spans.len() * spans.len() * THREADS;
    ensure!(
        made as u64 == counters.exported + counters.dropped_total(),
        "{made} spans were made, but {} exported and {} dropped",
        counters.exported,
        counters.dropped_total(),
    );
    let mut table = Table::new(
        "A flood of spans: those made are those exported and those dropped, with a reason",
        &["made", "a second", "exported", "dropped"],
    );
    let dropped = counters.dropped.iter();
    let dropped: Vec<String> = dropped
        .map(|(reason, count)| format!("{count} {}", reason.as_str()))
        .collect();
    table.row(vec![
        made.to_string(),
        format!("{:.0}", made as f64 / seconds),
        counters.exported.to_string(),
        dropped.join(", "),
    ]);
    table.print();
    Ok(())
}
