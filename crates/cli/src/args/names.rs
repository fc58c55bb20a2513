//! Things that are named one after another.

use std::error::Error;
use std::str::FromStr;

use clap::Args;
use longshore_core::{BatchId, JobId, Kind, QueueName, ScheduleName};

use super::CallerWords;

/// What a command line can name.
pub(crate) trait Name:
    FromStr<Err: Error + Send + Sync> + Clone + Send + Sync + 'static
{
    /// What stands for it in help.
    const WORD: &'static str;
}

impl Name for JobId {
    const WORD: &'static str = "ID";
}

impl Name for BatchId {
    const WORD: &'static str = "ID";
}

impl Name for QueueName {
    const WORD: &'static str = "QUEUE";
}

impl Name for Kind {
    const WORD: &'static str = "KIND";
}

impl Name for ScheduleName {
    const WORD: &'static str = "NAME";
}

/// What is stopped, and why.
#[derive(Debug, Args)]
pub(crate) struct Paused<T: Args> {
    /// What.
    #[command(flatten)]
    pub(crate) what: T,
    /// Why, on one line: the lists and `longshore doctor` show it, with who stopped it and when.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

/// One or more of a thing.
#[derive(Debug, Args)]
pub(crate) struct Names<T: Name> {
    /// One or more.
    #[arg(value_name = T::WORD, required = true, value_parser = T::from_str)]
    pub(crate) names: Vec<T>,
    /// Prints JSON, a line for each.
    #[arg(long)]
    pub(crate) json: bool,
}

/// One or more of a thing that are to be changed.
#[derive(Debug, Args)]
pub(crate) struct ChangedNames<T: Name> {
    /// Which.
    #[command(flatten)]
    pub(crate) which: Names<T>,
    /// Who calls.
    #[command(flatten)]
    pub(crate) caller: CallerWords,
}
