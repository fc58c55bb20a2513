//! Processes of a test's own: this test binary, told by a variable to run one of the tests named
//! `part_…`, perhaps under a program that limits it or makes its system calls fail.

use std::io::BufReader;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

const FILE: &str = "LONGSHORE_TEST_FILE";

/// Runs the test `part` in a process of its own, on `file`.
pub(crate) fn child(part: &str, file: &Path) -> (Child, BufReader<ChildStdout>) {
    let exe = std::env::current_exe().unwrap();
    start(Command::new(exe), part, file)
}

/// The same under another program, which takes the command to run as its last words.
pub(crate) fn child_under(
    mut program: Command,
    part: &str,
    file: &Path,
) -> (Child, BufReader<ChildStdout>) {
    program.arg(std::env::current_exe().unwrap());
    start(program, part, file)
}

/// Starts a command that ends in this test binary.
pub(crate) fn start(
    mut command: Command,
    part: &str,
    file: &Path,
) -> (Child, BufReader<ChildStdout>) {
    let mut child = command
        .args([part, "--exact", "--nocapture"])
        .env(FILE, file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

/// The file a child is to work on; `None` in an ordinary run of the tests.
pub(crate) fn given_file() -> Option<std::ffi::OsString> {
    std::env::var_os(FILE)
}

/// A shell script that gets the command to run as its arguments.
pub(crate) fn shell(script: &str) -> Command {
    command("sh", &["-c", script, "sh"])
}

pub(crate) fn command(program: &str, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words);
    command
}

/// Whether this machine can do what a test needs. Where it cannot, the test says so and is skipped.
#[expect(clippy::print_stderr, reason = "a test that is skipped must be seen")]
pub(crate) fn can(what: &str, mut probe: Command) -> bool {
    let problem = match probe.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    eprintln!("skipped, since this machine cannot {what}: {probe:?}: {problem}");
    false
}

/// The same, for what `.ci/run` installs: there it must be so.
pub(crate) fn can_in_ci(what: &str, probe: Command) -> bool {
    let able = can(what, probe);
    let ci = std::env::var_os("LONGSHORE_CI").is_some();
    assert!(able || !ci, "CI must be able to {what}");
    able
}

/// Whether this process may do everything, permissions or not.
pub(crate) fn is_root() -> bool {
    let output = command("id", &["-u"]).output().unwrap();
    output.stdout == b"0\n"
}
