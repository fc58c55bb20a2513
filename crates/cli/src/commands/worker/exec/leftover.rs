//! Folders of attempts whose worker was killed before it could remove them.

use std::fs::{DirEntry, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use longshore_core::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, getuid, test_kill_process};

/// What the folder of an attempt is called: this, the number of its worker's process, and its own.
pub(super) const NAME: &str = "longshore-exec-";

/// How old a folder is at least that is removed: one that was just made may not be held yet.
const OLD: Duration = Duration::from_secs(10 * 60);

/// Most entries of the folder of temporary files that are looked at.
const MOST: usize = 100_000;

/// Removes what killed workers left in the folder of temporary files. What cannot be removed stays.
pub(in crate::commands::worker) fn sweep(now: Timestamp) {
    sweep_in(&std::env::temp_dir(), now);
}

fn sweep_in(among: &Path, now: Timestamp) {
    let Ok(entries) = std::fs::read_dir(among) else {
        return;
    };
    for entry in entries.take(MOST).flatten() {
        if is_left_behind(&entry, now) {
            let _in_use = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether nobody comes back to it: a folder of this user, old, of a process that is gone. Processes
/// of other containers may not be seen from here, but they hold their folders.
fn is_left_behind(entry: &DirEntry, now: Timestamp) -> bool {
    let name = entry.file_name();
    let process = name.to_str().and_then(|name| {
        let (process, _) = name.strip_prefix(NAME)?.split_once('-')?;
        Pid::from_raw(process.parse().ok()?)
    });
    let (Some(process), Ok(of)) = (process, entry.metadata()) else {
        return false;
    };
    let changed = Timestamp::from_unix_millis(of.mtime().saturating_mul(1_000));
    let own = of.is_dir() && of.uid() == getuid().as_raw();
    own && now.since(changed) >= OLD
        && test_kill_process(process).is_err()
        && hold(&entry.path()).is_some()
}

/// Holds a folder until the file is closed or this process ends, however it ends. `None` if somebody
/// else holds it, or it cannot be held on this file system.
pub(super) fn hold(folder: &Path) -> Option<File> {
    let file = File::open(folder).ok()?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::{Clock as _, SystemClock};

    /// No process has this number on Linux or macOS.
    const GONE: &str = "2147483646";

    #[test]
    fn only_old_folders_of_workers_that_are_gone_are_removed() {
        let here = std::process::id();
        let among = std::env::temp_dir().join(format!("longshore-leftover-{here}"));
        let make = |name: String| {
            let folder = among.join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("progress"), "7").unwrap();
            folder
        };
        let left = make(format!("{NAME}{GONE}-0"));
        let stays = [
            make(format!("{NAME}{here}-1")),
            make(format!("{NAME}{GONE}-2")),
            make(format!("{NAME}{GONE}")),
            make(format!("{NAME}x-1")),
            make(format!("someone-{GONE}-0")),
        ];
        let held = hold(&stays[1]).unwrap();
        let link = among.join(format!("{NAME}{GONE}-3"));
        std::os::unix::fs::symlink(&stays[4], &link).unwrap();

        let now = SystemClock::new().now();
        sweep_in(&among, now);
        assert!(left.exists(), "it is young");
        sweep_in(&among, now.after(OLD * 2));
        assert!(!left.exists());
        for folder in &stays {
            assert!(folder.join("progress").exists(), "{}", folder.display());
        }
        assert!(link.is_symlink());

        drop(held);
        sweep_in(&among, now.after(OLD * 2));
        assert!(!stays[1].exists());
        std::fs::remove_dir_all(&among).unwrap();
        sweep_in(&among, now);
    }
}
