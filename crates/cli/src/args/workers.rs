//! The words of `workers`.

use clap::{Args, Subcommand};

use super::Plain;

/// `workers`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "A worker shows itself when it starts and every ten seconds. One that was killed, \
    hangs or cannot reach the store is `not seen` after half a minute, and is forgotten after ten \
    minutes, if another worker is there to do so. What it had is taken back when its leases expire.\
    \n\nExample: longshore workers"
)]
pub(crate) struct Workers {
    /// What to do with them [default: list].
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
    /// As of `workers list`.
    #[command(flatten)]
    pub(crate) list: Plain,
}

/// `workers …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Lists workers: where they run, what they take, how busy they are, when they were last seen.
    #[command(after_help = "Example: longshore workers list --json")]
    List(Plain),
}
