//! The project's own checks and measurements: `cargo xtask <command>`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people at a terminal"
)]

mod bench;
mod documents;
mod layers;
mod links;
mod run;
mod sources;
mod tests_of_all;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  check-layers   who may depend on whom, how source files are laid out, and where links lead
  check-links    whether an application can link sqlx's SQLite beside Longshore's
  test           the whole test suite: units, documents, examples, real input
  bench          measurements of docs/performance.md; `bench --quick` for a short run,
                 `bench worker latency` for those groups alone; `bench stores` for the stores
                 beside other job queues, on private servers
";

fn main() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    match command.as_str() {
        "check-layers" if rest.is_empty() => check_layers(),
        "check-links" if rest.is_empty() => links::check(&run::workspace_root()?),
        "test" if rest.is_empty() => tests_of_all::run(),
        "bench" => bench::run(&rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        _ => bail!("no such command\n{USAGE}"),
    }
}

fn check_layers() -> Result<()> {
    let root = run::workspace_root()?;
    let mut problems = layers::check(&root)?;
    problems.extend(sources::check(&root)?);
    problems.extend(documents::check(&root)?);
    if problems.is_empty() {
        println!("layers, source files and links are in order");
        return Ok(());
    }
    bail!("{}\n{} problem(s)", problems.join("\n"), problems.len())
}
