//! What is logged, by whatever thread.

use std::sync::{Arc, Mutex, Once, PoisonError};

use longshore_core::SystemClock;
use longshore_telemetry::LogFormat;
use longshore_telemetry::logs::log_subscriber;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
static LISTENING: Once = Once::new();

/// Keeps warnings from now on. All tests of this program share them.
pub(crate) fn listen() {
    LISTENING.call_once(|| {
        let clock = Arc::new(SystemClock::new());
        let lines = log_subscriber(LogFormat::Human, "warn", clock, None, |line| {
            let line = String::from_utf8_lossy(line).into_owned();
            lines().push(line);
            Ok(())
        });
        tracing::subscriber::set_global_default(lines.unwrap()).unwrap();
    });
}

/// How many lines there are by now: what [`since`] counts from.
pub(crate) fn count() -> usize {
    lines().len()
}

/// How many lines after the first `count` warn about `host`, and not about one whose port only
/// begins alike.
pub(crate) fn since(count: usize, host: &str, warning: &str) -> usize {
    let names_host = |line: &str| {
        let ends = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_digit());
        line.match_indices(host)
            .any(|(at, _)| ends(&line[at + host.len()..]))
    };
    let lines = lines();
    let matching = lines
        .iter()
        .skip(count)
        .filter(|line| line.contains(warning) && names_host(line));
    matching.count()
}

/// How many lines hold both texts.
pub(crate) fn with(one: &str, other: &str) -> usize {
    let lines = lines();
    let matching = lines
        .iter()
        .filter(|line| line.contains(one) && line.contains(other));
    matching.count()
}

fn lines() -> std::sync::MutexGuard<'static, Vec<String>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}
