//! `longshore completions`: the command line, told to a shell.

use clap::{Arg, Command, ValueHint};
use clap_complete::Shell;

use super::manual::{print, shown};
use crate::args::manual::Completions;
use crate::exit::Exit;
use crate::output::Output;

/// Writes the script that completes words in a shell.
pub(crate) fn run(output: &Output, args: &Completions) -> anyhow::Result<Exit> {
    let mut command = offered(&shown());
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "longshore", &mut script);
    if args.shell == Shell::Fish {
        script.extend(positionals(&command).into_bytes());
    }
    print(output, script)
}

/// A command without the words that nobody is told of, and with names of files offered only where
/// a file is meant.
fn offered(command: &Command) -> Command {
    let word = |arg: &Arg| match arg.get_value_hint() {
        ValueHint::Unknown if has_free_value(arg) => arg.clone().value_hint(ValueHint::Other),
        _ => arg.clone(),
    };
    let words = command.get_arguments().filter(|arg| !arg.is_hide_set());
    Command::new(command.get_name().to_owned())
        .about(command.get_about().cloned().unwrap_or_default())
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .args(words.map(word))
        .subcommands(command.get_subcommands().map(offered))
}

fn has_free_value(arg: &Arg) -> bool {
    arg.get_action().takes_values() && arg.get_possible_values().is_empty()
}

/// What fish is to offer for words that stand by themselves, of which the generator tells it
/// nothing, so that it would offer files.
fn positionals(command: &Command) -> String {
    let mut lines = String::new();
    for verb in command.get_subcommands() {
        let of_verb = format!("__fish_longshore_using_subcommand {}", verb.get_name());
        lines.extend(positional(verb, &of_verb));
        for below in verb.get_subcommands() {
            let of_below = format!(
                "{of_verb}; and __fish_seen_subcommand_from {}",
                below.get_name()
            );
            lines.extend(positional(below, &of_below));
        }
    }
    lines
}

/// The line for a verb; none if it has no such words, or takes files.
fn positional(verb: &Command, condition: &str) -> Option<String> {
    let words: Vec<&Arg> = verb.get_positionals().collect();
    let takes_files =
        |word: &&Arg| has_free_value(word) && word.get_value_hint() != ValueHint::Other;
    if words.is_empty() || words.iter().any(takes_files) {
        return None;
    }
    let values = words.iter().flat_map(|word| word.get_possible_values());
    let values: Vec<String> = values.map(|value| value.get_name().to_owned()).collect();
    let line = format!("complete -c longshore -n \"{condition}\" -f");
    Some(match values.as_slice() {
        [] => format!("{line}\n"),
        values => format!("{line} -a \"{}\"\n", values.join(" ")),
    })
}
