//! Builds and runs the measurements, which live in workspaces of their own with their peers.

use anyhow::Result;

use crate::run;

/// Hands `arguments` on to the measuring program; after the word `stores`, to the one that measures
/// stores on servers.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut root = run::workspace_root()?.join("bench");
    let arguments = match arguments.split_first() {
        Some((first, rest)) if first == "stores" => {
            root.push("stores");
            rest
        }
        _ => arguments,
    };
    let mut all = vec!["run", "--release", "--locked", "--"];
    all.extend(arguments.iter().map(String::as_str));
    run::succeed(run::command(&root, "cargo", &all))
}
