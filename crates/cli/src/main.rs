//! `longshore`: enqueue jobs, run them, and look at what became of them.
//!
//! The words of the command line stand in [`args`]; each verb has a file of its own under
//! [`commands`]. What a program may read goes to stdout, what a person may read to stderr, both
//! through [`output`]. `docs/cli.md` documents exit codes and JSON.

mod args;
mod caller;
mod commands;
mod desk;
mod exit;
mod output;
mod record;
mod session;
mod table;
mod text;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Cli;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::of_process();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = anyhow::Error::new(error).context("the runtime could not be started");
            return exit::report(&output, &error).into();
        }
    };
    let exit = match runtime.block_on(commands::run(cli, &output)) {
        Ok(exit) => exit,
        Err(error) => exit::report(&output, &error),
    };
    // Threads that still wait for a disk or a name lookup must not hold up the shell.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    exit.into()
}
