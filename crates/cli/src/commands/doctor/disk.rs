//! Whether there is room where the store and the spans lie, and whether all may be written that
//! lies there.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

use super::{Finding, Grade, NO_STORE, quoted};
use crate::session::Session;
use crate::text;

/// Less than this is soon gone: the log of a store alone may grow to 64 MiB.
const SCARCE: u64 = 1 << 30;
/// With less than this, the next burst of jobs may find the disk full.
const GONE: u64 = 128 << 20;

/// The check of the disks.
pub(super) fn space(session: &Session<'_>) -> Finding {
    const CHECK: &str = "disk";
    let store = file_of(session).and_then(|file| Some(file.parent()?.to_owned()));
    let log = session.config().ok().and_then(|config| {
        let telemetry = config.telemetry();
        let log = telemetry.span_log.filter(|_| telemetry.enabled)?;
        let mut there = log.folder.ancestors().filter(|folder| folder.exists());
        std::path::absolute(there.next()?).ok()
    });
    let folders: BTreeSet<PathBuf> = store.into_iter().chain(log).collect();
    let mut findings: Vec<Finding> = Vec::new();
    for folder in folders {
        let Ok(found) = statvfs(&folder) else {
            continue;
        };
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        // Some file systems make them as they are needed, and say that there are none.
        let files = (found.f_files > 0).then_some(found.f_favail);
        let (grade, said) = judged(free, files);
        let message = format!("{said} at {}", folder.display());
        let finding = Finding::new(CHECK, grade, message);
        findings.push(match grade {
            Grade::Ok => finding,
            Grade::Warning | Grade::Problem => {
                finding.mended_by(format!("du -xh {} | sort -h | tail", quoted("", &folder)))
            }
        });
    }
    let worst = findings.into_iter().max_by_key(|finding| finding.grade);
    worst.unwrap_or_else(|| Finding::new(CHECK, Grade::Warning, NO_STORE.to_owned()))
}

fn judged(free: u64, files: Option<u64>) -> (Grade, String) {
    let room = text::bytes(free);
    match files {
        Some(0) => (
            Grade::Problem,
            format!("{room} free, but no more files can be made"),
        ),
        _ if free < GONE => (Grade::Problem, format!("only {room} free")),
        _ if free < SCARCE => (Grade::Warning, format!("only {room} free")),
        _ => (Grade::Ok, format!("{room} free")),
    }
}

/// The check of who may read and write the files of the store.
pub(super) fn files(session: &Session<'_>) -> Finding {
    const CHECK: &str = "permissions";
    let Some(file) = file_of(session).filter(|file| file.exists()) else {
        return Finding::new(CHECK, Grade::Warning, NO_STORE.to_owned());
    };
    let beside = |suffix: &str| {
        let mut name = file.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    };
    let all: Vec<PathBuf> = ["", "-wal", "-shm"].map(beside).into();
    let there: Vec<&PathBuf> = all.iter().filter(|path| path.exists()).collect();
    let of = |wrong: &dyn Fn(&Path) -> bool| -> Vec<String> {
        let found = there.iter().filter(|path| wrong(path));
        found.map(|path| quoted("", path)).collect()
    };
    let closed = of(&|path| access(path, Access::READ_OK | Access::WRITE_OK).is_err());
    if !closed.is_empty() {
        let closed = closed.join(" ");
        let message =
            format!("this user may not read and write {closed}: SQLite needs all of them");
        return Finding::new(CHECK, Grade::Problem, message).mended_by(format!(
            "sudo chown --reference={} {closed}",
            folder_of(&file)
        ));
    }
    let owner = |path: &Path| path.metadata().ok().map(|found| (found.uid(), found.gid()));
    let strange = of(&|path| owner(path) != owner(&file));
    if !strange.is_empty() {
        let strange = strange.join(" ");
        let message = format!(
            "{strange} belongs to another user than {}: somebody, root perhaps, has used the store \
             and made files that its usual user may not write",
            file.display()
        );
        return Finding::new(CHECK, Grade::Warning, message).mended_by(format!(
            "sudo chown --reference={} {strange}",
            quoted("", &file)
        ));
    }
    let open = of(&|path| path.metadata().is_ok_and(|found| found.mode() & 0o002 != 0));
    if !open.is_empty() {
        let open = open.join(" ");
        let message = format!("every user of this machine may change {open}");
        return Finding::new(CHECK, Grade::Warning, message).mended_by(format!("chmod o-w {open}"));
    }
    Finding::new(
        CHECK,
        Grade::Ok,
        "the files of the store can be read and written".to_owned(),
    )
}

fn folder_of(file: &Path) -> String {
    quoted("", file.parent().unwrap_or(file))
}

/// The file of the store the settings name, as an absolute path.
fn file_of(session: &Session<'_>) -> Option<PathBuf> {
    let url = session.store_url().ok()?;
    let path = url.strip_prefix("sqlite:")?.split('?').next()?;
    std::path::absolute(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_room_is_a_warning_and_none_a_problem() {
        let grade = |free, files| judged(free, files).0;
        assert_eq!(grade(SCARCE, Some(9)), Grade::Ok);
        assert_eq!(grade(SCARCE - 1, None), Grade::Warning);
        assert_eq!(grade(GONE - 1, Some(9)), Grade::Problem);
        assert_eq!(grade(SCARCE, Some(0)), Grade::Problem);
        assert_eq!(judged(3 << 20, None).1, "only 3.0 MiB free");
    }
}
