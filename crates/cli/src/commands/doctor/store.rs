//! Whether the store can be used, and whether its times make sense.

use std::path::Path;
use std::time::Duration;

use longshore_core::{Clock as _, JobFilter, Store, StoreError, SystemClock, Timestamp};
use rustix::fs::{Access, access};

use super::{Finding, Grade, quoted};
use crate::exit::{Exit, Usage, exit_of, told};
use crate::session::{OpenStore, Session};
use crate::store_file::NoStore;
use crate::text;

const CHECK: &str = "store";

/// More than clocks that are kept right differ by.
const APART: Duration = Duration::from_secs(5);

/// How the store is, and whether it can be looked at.
pub(super) struct Checked {
    pub(super) finding: Finding,
    /// How a verb ends that needs the store, if it cannot be used.
    pub(super) failure: Option<Exit>,
    /// Whether its server has no such store: nothing is to be asked of it, which would make it.
    pub(super) is_missing: bool,
}

/// The check of the store the settings name.
pub(super) async fn check(session: &Session<'_>) -> Checked {
    let missing = session.missing().await;
    if let Ok(Some(nothing)) = missing {
        let finding = Finding::new(CHECK, Grade::Warning, nothing);
        return Checked {
            finding: finding.mended_by("longshore enqueue QUEUE KIND"),
            failure: None,
            is_missing: true,
        };
    }
    let looked = async {
        missing?;
        Ok(look(&*session.store()?).await?)
    };
    let error: anyhow::Error = match looked.await {
        Ok(finding) => {
            return Checked {
                finding,
                failure: None,
                is_missing: false,
            };
        }
        Err(error) => error,
    };
    let absent = error.downcast_ref::<NoStore>();
    // Before the first job, there is none where nobody said where it is to be.
    let grade = match absent.is_some_and(|absent| !absent.is_told()) {
        true => Grade::Warning,
        false => Grade::Problem,
    };
    let finding = Finding::new(CHECK, grade, told(&error));
    Checked {
        finding: match remedy(session, &error) {
            Some(remedy) => finding.mended_by(remedy),
            None => finding,
        },
        failure: (grade == Grade::Problem).then(|| exit_of(&error)),
        is_missing: false,
    }
}

/// Reads the newest job, which tells how fast the store answers and what its clock said last.
async fn look(store: &dyn Store) -> Result<Finding, StoreError> {
    let clock = SystemClock::new();
    let started = clock.monotonic();
    let newest = store.list(&JobFilter::default(), None, 1).await?;
    let took = clock.monotonic().saturating_sub(started);
    let (here, there) = (clock.now(), store.now().await?);
    let info = store.info();
    let answers = format!(
        "{} at {} answers in {}",
        info.system,
        info.location,
        text::duration(took)
    );
    let ahead = newest.jobs.first().map(|job| job.enqueued_at.since(here));
    let ahead = ahead.unwrap_or_default();
    let apart = here.since(there).max(there.since(here));
    let written = written(&info.location).map(|at| at.since(here));
    let written = written.unwrap_or_default();
    let wrong = if apart > APART {
        let apart = text::duration(apart);
        format!("its clock and this machine's are {apart} apart")
    } else if ahead > APART {
        format!(
            "its newest job was enqueued {} from now: this machine's clock was ahead then or is \
             behind now, and jobs wait until it says that they are due",
            text::duration(ahead)
        )
    } else if written > APART {
        format!(
            "its file was written {} from now: this machine's clock was ahead then or was set back \
             since",
            text::duration(written)
        )
    } else {
        return Ok(Finding::new(CHECK, Grade::Ok, answers));
    };
    let message = format!("{answers}, but {wrong}");
    Ok(Finding::new(CHECK, Grade::Warning, message).mended_by("timedatectl set-ntp true"))
}

/// When the file of a store was written last, as its file system says.
fn written(location: &str) -> Option<Timestamp> {
    let modified = std::fs::metadata(location).ok()?.modified().ok()?;
    let age = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_unix_nanos(
        i64::try_from(age.as_nanos()).ok()?,
    ))
}

/// The command for what is wrong with a store that cannot be opened.
fn remedy(session: &Session<'_>, error: &anyhow::Error) -> Option<String> {
    if error.downcast_ref::<Usage>().is_some() {
        return Some("export LONGSHORE_STORE=sqlite:jobs.db".to_owned());
    }
    if told(error).contains("newer version") {
        return Some("git pull && cargo install --path crates/cli".to_owned());
    }
    if let Some(absent) = error.downcast_ref::<NoStore>() {
        return Some(absent.remedy());
    }
    let url = session.store_url().ok()?;
    match session.open_store() {
        Ok(OpenStore::Redis(store)) => {
            return Some(super::redis::remedy(&store.info().location, &told(error)));
        }
        Ok(OpenStore::Object(store)) if exit_of(error) == Exit::StoreUnavailable => {
            return Some(store.reach());
        }
        _ => {}
    }
    if let Ok(options) = longshore_postgres::PostgresOptions::from_url(&url) {
        return Some(options.remedy(&told(error)));
    }
    let path = url.strip_prefix("sqlite:")?.split('?').next()?;
    remedy_of_path(&std::path::absolute(path).ok()?)
}

/// What the file system lacks for a store at this path.
fn remedy_of_path(path: &Path) -> Option<String> {
    if path.is_dir() {
        let url = quoted("sqlite:", &path.join("jobs.db"));
        return Some(format!("export LONGSHORE_STORE={url}"));
    }
    let folder = path.parent()?;
    if !folder.exists() {
        return Some(format!("mkdir -p {}", quoted("", folder)));
    }
    let may_write = |path: &Path| access(path, Access::READ_OK | Access::WRITE_OK).is_ok();
    let closed = [folder, path].into_iter();
    let closed = closed.filter(|path| path.exists() && !may_write(path));
    let closed: Vec<String> = closed.map(|path| quoted("", path)).collect();
    (!closed.is_empty()).then(|| format!("chmod u+rwX {}", closed.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_missing_is_made_and_one_for_a_file_is_filled() {
        let remedy = remedy_of_path(Path::new("/no where/at all/jobs.db"));
        assert_eq!(remedy.as_deref(), Some("mkdir -p '/no where/at all'"));
        let remedy = remedy_of_path(Path::new("/"));
        let file = "export LONGSHORE_STORE=sqlite:/jobs.db";
        assert_eq!(remedy.as_deref(), Some(file));
    }
}
