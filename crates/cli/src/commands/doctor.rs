//! `longshore doctor`: what usually goes wrong, checked.

mod disk;
mod lock_file;
mod object;
mod postgres;
mod redis;
mod span_log;
mod store;
mod work;

use std::borrow::Cow;
use std::time::Duration;

use longshore_core::{Complaint, Severity, Store as _};
use longshore_sqlite::{Examination, SqliteStore};
use longshore_telemetry::config::Exporter;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::args;
use crate::exit::Exit;
use crate::output::Paint;
use crate::session::{OpenStore, Session};
use crate::store_file::quoted;
use crate::text;

/// Most time to wait for a collector.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is said of what cannot be looked at.
const NO_STORE: &str = "not looked at: there is no store";

/// The same where there may be a store, and nothing answers.
const NO_ANSWER: &str = "not looked at: the store does not answer";

/// The check of the file of a store.
const FILE: &str = "file";

/// The column at which messages begin.
const MESSAGE: usize = 24;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
    /// A command that mends it, or a first step to.
    remedy: Option<String>,
}

impl Finding {
    const fn new(check: &'static str, grade: Grade, message: String) -> Self {
        Self {
            check,
            grade,
            message,
            remedy: None,
        }
    }

    /// What a store complains of.
    fn of(check: &'static str, complaint: Complaint) -> Self {
        let grade = match complaint.severity {
            Severity::Warning => Grade::Warning,
            Severity::Problem => Grade::Problem,
        };
        Self::new(check, grade, complaint.message).mended_by(complaint.remedy)
    }

    fn mended_by(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

pub(crate) async fn run(session: &Session<'_>, args: &args::Doctor) -> anyhow::Result<Exit> {
    let store = store::check(session).await;
    let away = store.failure == Some(Exit::StoreUnavailable);
    let mut findings = vec![configuration(session), store.finding];
    if store.is_missing {
        findings.extend(match session.opened() {
            Some(OpenStore::Redis(store)) => redis::checks(store).await,
            Some(OpenStore::Object(store)) => object::checks(store).await,
            _ => Vec::new(),
        });
    } else {
        findings.extend(of_store(session, away).await);
    }
    findings.push(disk::space(session));
    findings.extend(match away {
        _ if store.is_missing => work::blind(NO_STORE),
        true => work::blind(NO_ANSWER),
        false => work::checks(session).await,
    });
    findings.push(collector(session).await);
    findings.push(span_log::check(session));
    findings.push(lock_file::check(&args.lock_file));
    let sick = findings
        .iter()
        .any(|finding| finding.grade == Grade::Problem);
    if args.json {
        let record = serde_json::json!({ "ok": !sick, "checks": findings });
        session.output.json(&record)?;
    } else {
        let columns = session.output.data_columns();
        let columns = columns.map_or(usize::MAX, |columns| columns.saturating_sub(MESSAGE));
        for finding in &findings {
            let (paint, word) = match finding.grade {
                Grade::Ok => (Paint::Green, "ok     "),
                Grade::Warning => (Paint::Yellow, "warning"),
                Grade::Problem => (Paint::Red, "problem"),
            };
            let word = session.output.paint(paint, word);
            let mut head = format!("{word}  {:<13}  ", finding.check);
            for line in text::wrapped(&text::tame(&finding.message), columns) {
                session.output.data(&format!("{head}{line}"))?;
                head = " ".repeat(MESSAGE);
            }
            if let Some(remedy) = &finding.remedy {
                let remedy = session.output.paint(Paint::Bold, &text::tame(remedy));
                let indent = " ".repeat(MESSAGE);
                session.output.data(&format!("{indent}try: {remedy}"))?;
            }
        }
    }
    Ok(match sick {
        false => Exit::Done,
        // As every other verb ends on such a store.
        true => store.failure.unwrap_or(Exit::Failed),
    })
}

/// The checks of where the store is.
async fn of_store(session: &Session<'_>, away: bool) -> Vec<Finding> {
    match session.open_store() {
        // What is true of the store as a whole was said.
        Ok(OpenStore::Postgres(_) | OpenStore::Redis(_) | OpenStore::Object(_)) if away => {
            Vec::new()
        }
        Ok(OpenStore::Postgres(store)) => postgres::checks(store).await,
        Ok(OpenStore::Redis(store)) => redis::checks(store).await,
        Ok(OpenStore::Object(store)) => object::checks(store).await,
        Ok(OpenStore::Sqlite(store)) => vec![disk::files(session), file(store).await],
        Err(_told) if away => Vec::new(),
        Err(_told) => {
            let file = Finding::new(FILE, Grade::Warning, NO_STORE.to_owned());
            vec![disk::files(session), file]
        }
    }
}

fn configuration(session: &Session<'_>) -> Finding {
    const CHECK: &str = "configuration";
    const REMEDY: &str = "longshore config check";
    match session.config() {
        Err(error) => Finding::new(CHECK, Grade::Problem, error.to_string()).mended_by(REMEDY),
        Ok(config) if !config.warnings().is_empty() => {
            let warnings: Vec<String> = config.warnings().iter().map(ToString::to_string).collect();
            Finding::new(CHECK, Grade::Warning, warnings.join("; ")).mended_by(REMEDY)
        }
        Ok(_) => Finding::new(CHECK, Grade::Ok, "in order".to_owned()),
    }
}

/// Whether the file of the store is sound and its log no larger than it should be.
async fn file(store: &SqliteStore) -> Finding {
    const CHECK: &str = FILE;
    let found = match store.examine().await {
        Ok(found) => found,
        Err(error) => return Finding::new(CHECK, Grade::Problem, error.to_string()),
    };
    let path = store.info().location;
    if !found.damage.is_empty() {
        let message = format!(
            "{path} is damaged: stop what uses it and restore it from a backup, or save what can \
             still be read by `.recover` of the sqlite3 program from sqlite.org; SQLite says: {}",
            found.damage.join("; ").replace('\n', " ")
        );
        return Finding::new(CHECK, Grade::Problem, message);
    }
    let sizes = format!(
        "{} and a log of {}",
        text::bytes(found.file_bytes),
        text::bytes(found.log_bytes)
    );
    if found.log_bytes > Examination::LOG_LIMIT {
        let message = format!(
            "{path} has {sizes}, more than {}: some program has kept a transaction open, or the \
             disk refuses to take the log's changes back; end the program, or mend the disk",
            text::bytes(Examination::LOG_LIMIT)
        );
        return Finding::new(CHECK, Grade::Warning, message);
    }
    let version = found.schema_version;
    let message = format!("sound, schema version {version}, {sizes}");
    Finding::new(CHECK, Grade::Ok, message)
}

/// Whether anything listens where spans are to go.
async fn collector(session: &Session<'_>) -> Finding {
    const CHECK: &str = "telemetry";
    let Ok(config) = session.config() else {
        return Finding::new(CHECK, Grade::Warning, "not looked at".to_owned());
    };
    let settings = config.telemetry();
    match settings.exporter {
        _ if !settings.enabled => return Finding::new(CHECK, Grade::Ok, "switched off".to_owned()),
        Exporter::None => {
            let message =
                "spans stay on this machine: set OTEL_EXPORTER_OTLP_ENDPOINT to export them"
                    .to_owned();
            return Finding::new(CHECK, Grade::Ok, message);
        }
        Exporter::Stdout => return Finding::new(CHECK, Grade::Ok, "to stdout".to_owned()),
        Exporter::File => {
            let message = format!("to the file {}", settings.file.path.display());
            return Finding::new(CHECK, Grade::Ok, message);
        }
        Exporter::Otlp | Exporter::CloudTrace => {}
    }
    let url = &settings.endpoint.url;
    let address = address(url);
    // It may carry a password.
    let url = session
        .redactor()
        .map_or(Cow::Borrowed("the endpoint"), |redactor| redactor.text(url));
    let Some(address) = address else {
        return Finding::new(CHECK, Grade::Problem, format!("{url} names no host"));
    };
    let (host, port) = address.clone();
    let wrong = match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(_)) => return Finding::new(CHECK, Grade::Ok, format!("{url} can be reached")),
        Ok(Err(error)) => format!("cannot be reached: {error}"),
        Err(_) => format!("gave no answer within {}", text::duration(PATIENCE)),
    };
    let shown = config.shown();
    let mut endpoints = shown.iter().filter(|one| one.key.ends_with("endpoint"));
    let set_by = endpoints
        .find(|one| !one.value.is_empty())
        .map_or_else(String::new, |setting| {
            format!(" (set by {})", setting.origin)
        });
    let meanwhile = match settings.span_log {
        Some(_) => "spans wait in the span log",
        None => "spans are dropped",
    };
    let message = format!("{url}{set_by} {wrong}; {meanwhile}, jobs go on");
    Finding::new(CHECK, Grade::Problem, message).mended_by(format!(
        "nc -vz {host} {port}, once a collector listens there"
    ))
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
