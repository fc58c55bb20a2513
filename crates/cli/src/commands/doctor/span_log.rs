//! Whether spans can be written down, and how many wait to be exported.

use std::path::Path;

use longshore_telemetry::SpanLogSettings;
use longshore_telemetry::config::Exporter;
use rustix::fs::{Access, access};

use super::{Finding, Grade};
use crate::session::Session;
use crate::text;

const CHECK: &str = "span log";

/// The check of the folder that spans are written to.
pub(super) fn check(session: &Session<'_>) -> Finding {
    let Ok(config) = session.config() else {
        return Finding::new(CHECK, Grade::Warning, "not looked at".to_owned());
    };
    let settings = config.telemetry();
    match &settings.span_log {
        Some(log) if settings.enabled => look(log, settings.exporter != Exporter::None),
        _ => Finding::new(CHECK, Grade::Ok, "switched off".to_owned()),
    }
}

fn look(log: &SpanLogSettings, is_exported: bool) -> Finding {
    let folder = log.folder.display();
    if let Some(problem) = problem_with(&log.folder) {
        let message = format!("{folder} cannot be written: {problem}; jobs go on without it");
        return Finding::new(CHECK, Grade::Problem, message)
            .mended_by("export LONGSHORE_TELEMETRY_SPAN_LOG=FOLDER");
    }
    if !log.folder.exists() {
        let message = format!("{folder} is made when there is something to write");
        return Finding::new(CHECK, Grade::Ok, message);
    }
    let holdings = match log.holdings() {
        Ok(holdings) => holdings,
        Err(error) => return Finding::new(CHECK, Grade::Problem, error.to_string()),
    };
    let held = format!(
        "{folder} can be written and holds {} in {}, at most {}",
        text::bytes(holdings.bytes),
        text::counted(holdings.files, "file"),
        text::bytes(log.policy.max_bytes),
    );
    let message = if is_exported {
        let waiting = text::bytes(holdings.unshipped_bytes);
        format!("{held}; {waiting} of them are not exported yet")
    } else {
        held
    };
    Finding::new(CHECK, Grade::Ok, message)
}

/// Why a folder cannot be written, or be made if it is not there.
fn problem_with(folder: &Path) -> Option<String> {
    let there = folder.ancestors().find(|path| path.exists());
    // A path without a root begins in the current folder.
    let there = there.filter(|path| !path.as_os_str().is_empty());
    let there = there.unwrap_or(Path::new("."));
    if !there.is_dir() {
        return Some(format!("{} is not a folder", there.display()));
    }
    let may = access(there, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK);
    may.err()
        .map(|error| format!("{}: {error}", there.display()))
}
