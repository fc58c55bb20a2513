//! `longshore man`: the command line, told to `man`.

use std::path::Path;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::args::Cli;
use crate::args::manual;
use crate::exit::Exit;
use crate::output::Output;
use crate::text;

/// Writes the pages of the manual.
pub(crate) fn run(output: &Output, args: &manual::Man) -> anyhow::Result<Exit> {
    let mut command = shown().disable_help_subcommand(true);
    // Gives every verb its whole name.
    command.build();
    let Some(folder) = &args.folder else {
        return print(output, page(&command)?);
    };
    std::fs::create_dir_all(folder)
        .with_context(|| format!("the folder {} could not be made", folder.display()))?;
    let pages = write_all(&command, folder)?;
    let pages = text::counted(pages, "page");
    output.talk(&format!("{pages} written into {}.", folder.display()));
    Ok(Exit::Done)
}

/// The command line without the verbs that people do not type.
pub(super) fn shown() -> Command {
    let all = Cli::command();
    let verbs = all.get_subcommands().filter(|verb| !verb.is_hide_set());
    Command::new("longshore")
        .about(all.get_about().cloned().unwrap_or_default())
        .after_help(all.get_after_help().cloned().unwrap_or_default())
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .args(all.get_arguments().cloned())
        .subcommands(verbs.cloned())
}

/// Writes the page of a command and of every verb below it; says how many.
fn write_all(command: &Command, folder: &Path) -> anyhow::Result<usize> {
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name());
    let file = folder.join(format!("{name}.1"));
    std::fs::write(&file, page(command)?)
        .with_context(|| format!("{} could not be written", file.display()))?;
    let verbs = command.get_subcommands();
    verbs
        .map(|verb| write_all(verb, folder))
        .sum::<anyhow::Result<usize>>()
        .map(|below| below + 1)
}

fn page(command: &Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    Ok(page)
}

/// Prints a text that ends with a line break.
pub(super) fn print(output: &Output, text: Vec<u8>) -> anyhow::Result<Exit> {
    let text = String::from_utf8(text)?;
    output.data(text.trim_end_matches('\n'))?;
    Ok(Exit::Done)
}
