//! The verbs, a file each.

mod batches;
mod completions;
mod config;
mod demo;
pub(crate) mod docs;
mod doctor;
mod enqueue;
mod jobs;
mod kinds;
mod limits;
mod manual;
mod queues;
mod schedule;
mod serve;
mod store;
mod traces;
mod tui;
mod worker;
mod workers;

use std::time::Duration;

use crate::args::limits::Limits;
use crate::args::schedule::Schedule;
use crate::args::{Cli, Command};
use crate::exit::{Exit, Usage};
use crate::output::Output;
use crate::session::{Flags, Patience, Session};

/// Does what the command line asks.
///
/// # Errors
/// What was wrong, where, and how to mend it.
pub(crate) async fn run(cli: Cli, output: &Output) -> anyhow::Result<Exit> {
    let flags = Flags {
        store: cli.store,
        config: cli.config,
        span_log: cli.span_log,
    };
    let session = Session::new(flags, output, makes_store(&cli.command));
    // What a program that runs for long leaves behind, it may have been the only one to send.
    let patience = match cli.command {
        Command::Worker(_) | Command::Serve(_) => Patience::Long,
        _ => Patience::Short,
    };
    if asks_store(&cli.command)
        && let Err(error) = session.know_of_missing().await
        // What these show of a server that is away, they say themselves, and some go on without it.
        && (error.is::<Usage>() || !matches!(cli.command, Command::Tui(_) | Command::Traces(_)))
    {
        session.close(Patience::Short).await;
        return Err(error);
    }
    let exit = match cli.command {
        Command::Enqueue(args) => enqueue::run(&session, *args).await,
        Command::Worker(args) => worker::run(&session, args).await,
        Command::Jobs(args) => jobs::run(&session, args).await,
        Command::Queues(args) => queues::run(&session, args).await,
        Command::Batches(args) => batches::run(&session, args).await,
        Command::Schedule(args) => schedule::run(&session, args).await,
        Command::Limits(args) => limits::run(&session, args).await,
        Command::Kinds(args) => kinds::run(&session, args).await,
        Command::Serve(args) => serve::run(&session, args).await,
        Command::Store(args) => store::run(&session, args).await,
        Command::Traces(args) => traces::run(&session, args).await,
        Command::Workers(args) => workers::run(&session, args).await,
        Command::Tui(args) => tui::run(&session, args).await,
        Command::Demo(args) => demo::run(&session, args).await,
        Command::Config(args) => config::run(&session, &args),
        Command::Doctor(args) => doctor::run(&session, &args).await,
        Command::Docs(args) => docs::run(output, &args),
        Command::Completions(args) => completions::run(output, &args),
        Command::Man(args) => manual::run(output, &args),
        Command::Guard { grace_ms } => worker::watch(output, Duration::from_millis(grace_ms)).await,
    };
    session.close(patience).await;
    exit
}

/// Whether a verb is about the store that the settings name, and says nothing better itself of one that
/// is not there.
const fn asks_store(command: &Command) -> bool {
    match command {
        Command::Tui(args) => args.view.connect.is_none(),
        Command::Traces(verb) => verb.looks_at_store(),
        Command::Store(_) | Command::Demo(_) | Command::Config(_) => false,
        Command::Doctor(_) | Command::Docs(_) | Command::Completions(_) => false,
        Command::Man(_) | Command::Guard { .. } => false,
        _ => true,
    }
}

/// Whether a verb makes a store that is not there: it puts the first thing into it. All others would
/// find nothing in a new one, so that whoever mistyped its name would not notice.
const fn makes_store(command: &Command) -> bool {
    match command {
        Command::Enqueue(_) | Command::Worker(_) | Command::Serve(_) | Command::Demo(_) => true,
        Command::Schedule(verb) => matches!(verb, Schedule::Add(_)),
        Command::Limits(verb) => matches!(verb, Limits::Set(_)),
        _ => false,
    }
}
