//! `longshore doctor`: what usually goes wrong, checked.

mod lock_file;

use std::time::Duration;

use longshore_core::{Clock as _, SystemClock};
use longshore_telemetry::config::Exporter;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::args;
use crate::exit::Exit;
use crate::output::Paint;
use crate::session::Session;
use crate::text;

/// Most time to wait for a collector.
const PATIENCE: Duration = Duration::from_secs(2);

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Grade {
    Ok,
    Warning,
    Problem,
}

/// A check, as `docs/cli.md` documents it.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    grade: Grade,
    message: String,
}

impl Finding {
    const fn new(check: &'static str, grade: Grade, message: String) -> Self {
        Self {
            check,
            grade,
            message,
        }
    }
}

pub(crate) async fn run(session: &Session<'_>, args: &args::Doctor) -> anyhow::Result<Exit> {
    let findings = vec![
        configuration(session),
        store(session).await,
        waiting(session).await,
        collector(session).await,
        lock_file::check(&args.lock_file),
    ];
    let sick = findings
        .iter()
        .any(|finding| finding.grade == Grade::Problem);
    if args.json {
        let record = serde_json::json!({ "ok": !sick, "checks": findings });
        session.output.json(&record)?;
    } else {
        for finding in &findings {
            let (paint, word) = match finding.grade {
                Grade::Ok => (Paint::Green, "ok     "),
                Grade::Warning => (Paint::Yellow, "warning"),
                Grade::Problem => (Paint::Red, "problem"),
            };
            let word = session.output.paint(paint, word);
            session.output.data(&format!(
                "{word}  {:<13}  {}",
                finding.check, finding.message
            ))?;
        }
    }
    Ok(if sick { Exit::Failed } else { Exit::Done })
}

fn configuration(session: &Session<'_>) -> Finding {
    const CHECK: &str = "configuration";
    match session.config() {
        Err(error) => Finding::new(CHECK, Grade::Problem, error.to_string()),
        Ok(config) if !config.warnings().is_empty() => {
            let warnings: Vec<String> = config.warnings().iter().map(ToString::to_string).collect();
            Finding::new(CHECK, Grade::Warning, warnings.join("; "))
        }
        Ok(_) => Finding::new(CHECK, Grade::Ok, "in order".to_owned()),
    }
}

async fn store(session: &Session<'_>) -> Finding {
    const CHECK: &str = "store";
    let store = match session.store() {
        Ok(store) => store,
        Err(error) => return Finding::new(CHECK, Grade::Problem, format!("{error:#}")),
    };
    let clock = SystemClock::new();
    let started = clock.monotonic();
    let (here, there) = (clock.now(), store.now().await);
    let took = clock.monotonic().saturating_sub(started);
    let there = match there {
        Ok(there) => there,
        Err(error) => return Finding::new(CHECK, Grade::Problem, error.to_string()),
    };
    let info = store.info();
    let apart = here.since(there).max(there.since(here));
    let message = format!(
        "{} at {} answers in {}",
        info.system,
        info.location,
        text::duration(took)
    );
    if apart > Duration::from_secs(5) {
        let apart = text::duration(apart);
        let message = format!("{message}, but its clock and this machine's are {apart} apart");
        return Finding::new(CHECK, Grade::Warning, message);
    }
    Finding::new(CHECK, Grade::Ok, message)
}

/// Jobs that nobody seems to take.
async fn waiting(session: &Session<'_>) -> Finding {
    const CHECK: &str = "queues";
    let Ok(store) = session.store() else {
        return Finding::new(
            CHECK,
            Grade::Warning,
            "not looked at: there is no store".to_owned(),
        );
    };
    let queues = match store.queue_stats().await {
        Ok(queues) => queues,
        Err(error) => return Finding::new(CHECK, Grade::Problem, error.to_string()),
    };
    let stuck: Vec<String> = queues
        .iter()
        .filter(|queue| queue.running == 0 && queue.available > 0)
        .filter_map(|queue| Some((queue, queue.as_of.since(queue.oldest_available_at?))))
        .filter(|(_, age)| *age > Duration::from_secs(300))
        .map(|(queue, age)| format!("{} for {}", queue.queue, text::duration(age)))
        .collect();
    if stuck.is_empty() {
        return Finding::new(
            CHECK,
            Grade::Ok,
            format!("{} queues, none stuck", queues.len()),
        );
    }
    let message = format!(
        "jobs wait and nothing runs: {}; is a worker there?",
        stuck.join(", ")
    );
    Finding::new(CHECK, Grade::Warning, message)
}

/// Whether anything listens where spans are to go.
async fn collector(session: &Session<'_>) -> Finding {
    const CHECK: &str = "telemetry";
    let Ok(config) = session.config() else {
        return Finding::new(CHECK, Grade::Warning, "not looked at".to_owned());
    };
    let settings = config.telemetry();
    let url = &settings.endpoint.url;
    match settings.exporter {
        _ if !settings.enabled => return Finding::new(CHECK, Grade::Ok, "switched off".to_owned()),
        Exporter::None => {
            let message =
                "spans go nowhere: set OTEL_EXPORTER_OTLP_ENDPOINT to see them".to_owned();
            return Finding::new(CHECK, Grade::Ok, message);
        }
        Exporter::Stdout => return Finding::new(CHECK, Grade::Ok, "to stdout".to_owned()),
        Exporter::Otlp => {}
    }
    let answer = match address(url) {
        Some(address) => timeout(PATIENCE, TcpStream::connect(address)).await,
        None => return Finding::new(CHECK, Grade::Problem, format!("{url} names no host")),
    };
    match answer {
        Ok(Ok(_)) => Finding::new(CHECK, Grade::Ok, format!("{url} can be reached")),
        Ok(Err(error)) => Finding::new(
            CHECK,
            Grade::Problem,
            format!("{url} cannot be reached: {error}"),
        ),
        Err(_) => {
            let patience = text::duration(PATIENCE);
            Finding::new(
                CHECK,
                Grade::Problem,
                format!("{url} gave no answer within {patience}"),
            )
        }
    }
}

/// Host and port of a URL.
fn address(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let authority = authority.rsplit('@').next()?;
    let port = if scheme == "https" { 443 } else { 80 };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, number)) if !host.ends_with(':') => (host, number.parse().ok()?),
        _ => (authority, port),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_urls() {
        let is =
            |url: &str, host: &str, port| assert_eq!(address(url), Some((host.to_owned(), port)));
        is("http://localhost:4318/v1/traces", "localhost", 4318);
        is(
            "https://user:pw@collector.example/x",
            "collector.example",
            443,
        );
        is("http://[::1]:4317", "::1", 4317);
        assert_eq!(address("localhost"), None);
    }
}
