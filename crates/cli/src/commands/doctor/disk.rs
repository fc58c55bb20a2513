//! Whether there is room where the store and the spans lie, and whether all may be written that
//! lies there.

use std::cmp::Reverse;
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
/// A log of the store that is shorter need not be spoken of.
const WORTH_IT: u64 = 1 << 20;

/// The check of the disks.
pub(super) fn space(session: &Session<'_>) -> Finding {
    const CHECK: &str = "disk";
    let store = file_of(session);
    let spans = session.span_log().ok().flatten();
    let of_spans = spans.as_ref().and_then(|spans| {
        let mut there = spans.folder.ancestors().filter(|folder| folder.exists());
        std::path::absolute(there.next()?).ok()
    });
    let of_store = store
        .as_ref()
        .and_then(|file| Some(file.parent()?.to_owned()));
    let looked = of_store.into_iter().chain(of_spans).filter_map(|folder| {
        let found = statvfs(&folder).ok()?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        // Some file systems make them as they are needed, and say that there are none.
        let files = (found.f_files > 0).then_some(found.f_favail);
        Some((judged(free, files), folder))
    });
    // The first of the worst: where both are on one disk, that of the store.
    let worst = looked.min_by_key(|((grade, _), _)| Reverse(*grade));
    let Some(((grade, said), folder)) = worst else {
        return Finding::new(CHECK, Grade::Warning, NO_STORE.to_owned());
    };
    let message = format!("{said} at {}", folder.display());
    if grade == Grade::Ok {
        return Finding::new(CHECK, grade, message);
    }
    let is_here = |path: &Path| device(path).is_some() && device(path) == device(&folder);
    let log = store
        .map(|file| beside(&file, "-wal"))
        .filter(|log| is_here(log));
    let log = log.and_then(|log| Some(log.metadata().ok()?.len()));
    let spans = spans.filter(|spans| is_here(&spans.folder));
    let spans = spans.and_then(|spans| Some((spans.holdings().ok()?.bytes, spans.folder)));
    let advice = first_to_go(log.unwrap_or_default(), spans);
    let remedy = format!("du -xh {} | sort -h | tail", quoted("", &folder));
    Finding::new(CHECK, grade, format!("{message}{advice}")).mended_by(remedy)
}

/// What frees room where nothing can be written, so that jobs cannot be deleted either.
fn first_to_go(log: u64, spans: Option<(u64, PathBuf)>) -> String {
    let log = (log >= WORTH_IT).then(|| {
        let log = text::bytes(log);
        format!("; {log} are the store's log, which goes when all that use the store have ended")
    });
    let spans = spans
        .filter(|(bytes, _)| *bytes > 0)
        .map(|(bytes, folder)| {
            let (bytes, folder) = (text::bytes(bytes), folder.display());
            format!("; {bytes} are spans in {folder}, which may be deleted")
        });
    format!("{}{}", log.unwrap_or_default(), spans.unwrap_or_default())
}

/// The disk that a file or folder is on.
fn device(path: &Path) -> Option<u64> {
    path.metadata().ok().map(|found| found.dev())
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
    let all: Vec<PathBuf> = ["", "-wal", "-shm"].map(|end| beside(&file, end)).into();
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

/// A file that SQLite makes beside that of the store.
fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
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

    #[test]
    fn what_can_go_is_named_if_it_is_worth_it() {
        assert_eq!(first_to_go(WORTH_IT - 1, Some((0, "spans".into()))), "");
        let said = first_to_go(9 << 20, Some((5 << 20, "spans".into())));
        let log =
            "; 9.0 MiB are the store's log, which goes when all that use the store have ended";
        assert_eq!(
            said,
            format!("{log}; 5.0 MiB are spans in spans, which may be deleted")
        );
    }
}
