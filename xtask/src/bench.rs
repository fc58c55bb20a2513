//! Builds and runs the measurements, which live in a workspace of their own with their peers.

use anyhow::Result;

use crate::run;

/// Hands `arguments` on to the measuring program.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let root = run::workspace_root()?.join("bench");
    let mut all = vec!["run", "--release", "--locked", "--"];
    all.extend(arguments.iter().map(String::as_str));
    run::succeed(run::command(&root, "cargo", &all))
}
