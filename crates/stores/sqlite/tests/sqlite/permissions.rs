//! Files and folders that may not be written, by permission or because the disk is mounted so.

use std::fs::{Permissions, set_permissions};
use std::io::BufRead;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use longshore_core::Store;
use longshore_sqlite::{SqliteOptions, SqliteStore};

use crate::child::{can, child_under, command, given_file, is_root, start};
use crate::support::{Folder, claim, jobs};

/// Opens the store and says how that went.
#[tokio::test]
#[expect(clippy::print_stdout, reason = "the parent process reads it")]
async fn part_open() {
    let Some(file) = given_file() else { return };
    match SqliteStore::open(SqliteOptions::at(Path::new(&file))) {
        Ok(_) => println!("\nopened"),
        Err(error) => println!("\n{}: {error}", error.kind().as_str()),
    }
}

/// What a child says that opens `file` as somebody whom permissions bind.
fn opened(file: &Path, folder: &Folder) -> String {
    let exe = std::env::current_exe().unwrap();
    let (mut child, output) = if is_root() {
        // The user may not be able to reach the folder this binary lies in.
        let copy = folder.outside("tests");
        std::fs::copy(exe, &copy).unwrap();
        let who = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let mut other = command("setpriv", &who);
        other.arg(copy);
        start(other, "permissions::part_open", file)
    } else {
        start(Command::new(exe), "permissions::part_open", file)
    };
    let lines: Vec<String> = output.lines().map_while(Result::ok).collect();
    assert!(child.wait().unwrap().success(), "{lines:#?}");
    let said = |line: &&String| *line == "opened" || line.contains("jobs.db");
    lines.iter().find(said).unwrap().clone()
}

fn allow(path: &Path, mode: u32) {
    set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A folder with a store of ten jobs, at rest.
async fn stored() -> Folder {
    let folder = Folder::new();
    let store = folder.store();
    store.enqueue(jobs(&store, 10).await).await.unwrap();
    let copy = Folder::new();
    folder.checkpoint();
    std::fs::copy(folder.file(), copy.file()).unwrap();
    copy
}

#[tokio::test]
async fn what_may_not_be_written_is_refused_by_name() {
    for (file_mode, folder_mode, words) in [
        (Some(0o666), 0o777, "opened"),
        (Some(0o444), 0o777, "may not be written"),
        (Some(0o666), 0o555, "of the file and of its folder"),
        (Some(0o000), 0o777, "write to the file and to the folder"),
        (None, 0o555, "write to the file and to the folder"),
    ] {
        let folder = stored().await;
        let parent = folder.file().parent().unwrap().to_owned();
        match file_mode {
            Some(mode) => allow(&folder.file(), mode),
            None => std::fs::remove_file(folder.file()).unwrap(),
        }
        allow(&parent, folder_mode);
        let said = opened(&folder.file(), &folder);
        allow(&parent, 0o777);
        assert!(
            said.contains(words),
            "{file_mode:?} {folder_mode:o}: {said}"
        );
        if words == "opened" {
            continue;
        }
        // What cannot be opened at all may be there later, as a disk that is mounted.
        let kind = match words {
            "write to the file and to the folder" => "unavailable: /",
            _ => "invalid: /",
        };
        assert!(said.starts_with(kind), "{said}");
        assert!(!folder.log().exists(), "{said}");
        if file_mode.is_some() {
            allow(&folder.file(), 0o666);
            assert_eq!(claim(&folder.store(), 20).await.len(), 10);
        }
    }
}

#[tokio::test]
async fn a_disk_mounted_for_reading_is_refused_by_name() {
    let folder = stored().await;
    let mounted = || {
        let script = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && exec \"$@\"";
        let mut unshare = command("unshare", &["-rm", "sh", "-c", script]);
        unshare.arg(folder.file().parent().unwrap());
        unshare
    };
    let mut probe = mounted();
    probe.arg("true");
    if !can("mount a disk for reading (user namespaces)", probe) {
        return;
    }
    let (mut child, output) = child_under(mounted(), "permissions::part_open", &folder.file());
    let lines: Vec<String> = output.lines().map_while(Result::ok).collect();
    assert!(child.wait().unwrap().success(), "{lines:#?}");
    let said = lines.iter().find(|line| line.contains("jobs.db")).unwrap();
    assert!(said.starts_with("invalid: /"), "{said}");
    assert!(said.contains("how the disk is mounted"), "{said}");
    assert_eq!(claim(&folder.store(), 20).await.len(), 10);
}
