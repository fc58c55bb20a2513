//! Processes of a test's own: this test binary, told by variables to run one of the tests named
//! `part_…`, perhaps under a program that gives it a disk of its own.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const FOLDER: &str = "LONGSHORE_FAULTS_FOLDER";
const WORDS: &str = "LONGSHORE_FAULTS_WORDS";

/// Starts the test `part` in a process of its own.
pub(crate) fn start(part: &str, folder: &Path, words: &str) -> Child {
    let program = Command::new(std::env::current_exe().unwrap());
    start_under(program, part, folder, words)
}

/// The same by a command that ends in this test binary.
pub(crate) fn start_under(mut command: Command, part: &str, folder: &Path, words: &str) -> Child {
    command
        .args([part, "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .env(WORDS, words)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// What a child was told; nothing in an ordinary run of the tests.
pub(crate) fn told() -> Option<(OsString, String)> {
    let folder = std::env::var_os(FOLDER)?;
    let words = std::env::var_os(WORDS)?.into_string().ok()?;
    Some((folder, words))
}

/// Runs a part on a small disk of its own, mounted with these options on a folder. Where that is
/// not allowed, says so and gives false.
#[expect(clippy::print_stderr, reason = "a test that is skipped must be seen")]
pub(crate) fn on_disk_of_its_own(part: &str, folder: &Path, options: &str) -> bool {
    let mounted = || {
        let script = "mount -t tmpfs -o \"$0\" longshore \"$1\" && shift && exec \"$@\"";
        let mut unshare = Command::new("unshare");
        unshare
            .args(["-rm", "sh", "-c", script, options])
            .arg(folder);
        unshare
    };
    let probe = mounted().arg("true").output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        eprintln!("skipped, since this machine cannot mount a small disk (user namespaces)");
        return false;
    }
    let mut command = mounted();
    command.arg(std::env::current_exe().unwrap());
    let status = start_under(command, part, folder, "").wait().unwrap();
    assert!(status.success(), "{part}: {status}");
    true
}
