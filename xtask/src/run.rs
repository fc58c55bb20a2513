//! Starting other programs in the workspace's root.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The folder of the workspace this program was built from.
pub(crate) fn workspace_root() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .context("xtask lies in no workspace")
}

/// Announces a step on standard output, in order with what its program prints.
pub(crate) fn heading(text: &str) {
    println!("\n==> {text}");
}

/// A program with its arguments, to run in `root`.
pub(crate) fn command(root: &Path, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(root)
        .args(arguments)
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end and fails if it does.
pub(crate) fn succeed(mut command: Command) -> Result<()> {
    let text = format!("{command:?}");
    let status = command
        .status()
        .with_context(|| format!("cannot start {text}"))?;
    if !status.success() {
        bail!("{text} failed: {status}");
    }
    Ok(())
}

/// Runs a command and gives back its standard output.
pub(crate) fn output(mut command: Command) -> Result<String> {
    let text = format!("{command:?}");
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {text}"))?;
    if !output.status.success() {
        bail!("{text} failed: {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{text} printed no UTF-8"))
}

/// Where cargo puts what it builds.
pub(crate) fn target(root: &Path) -> PathBuf {
    let given = std::env::var_os("CARGO_TARGET_DIR");
    given.map_or_else(|| root.join("target"), |given| root.join(given))
}
