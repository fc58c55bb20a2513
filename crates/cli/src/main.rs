//! `longshore`: enqueue jobs, run them, and look at what became of them.
//!
//! The words of the command line stand in [`args`]; each verb has a file of its own under
//! [`commands`]. What a program may read goes to stdout, what a person may read to stderr, both
//! through [`output`]. `docs/cli.md` documents exit codes and JSON.

mod address;
mod args;
mod caller;
mod commands;
mod desk;
mod exit;
mod named;
mod output;
mod person;
mod record;
mod session;
mod store_file;
mod suggestion;
mod table;
mod text;
mod upkeep;
mod view;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Cli;
use crate::exit::Exit;
use crate::output::Output;

/// Gives memory back that a large trace took. The usual one keeps it, for each thread that ever
/// read such a trace: 1.2 GB instead of 0.2 GB after three answers of a million spans.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whether no word of the command line could steer a terminal that a message repeats it to.
fn words_are_tame() -> bool {
    let mut words = std::env::args_os();
    words.all(|word| !word.to_string_lossy().contains(text::steers))
}

/// Says what is wrong with the command line, or what was asked of it: its help.
fn refused(output: &Output, refusal: &clap::Error) -> ExitCode {
    if !refusal.use_stderr() || words_are_tame() {
        refusal.exit();
    }
    output.talk(&text::tame_lines(&refusal.to_string()));
    Exit::Usage.into()
}

fn main() -> ExitCode {
    let output = Output::of_process();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(refusal) => return refused(&output, &suggestion::with_nearest(refusal)),
    };
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
