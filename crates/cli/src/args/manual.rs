//! The words of `completions`, `docs` and `man`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueHint};
use clap_complete::Shell;

use crate::commands::docs::NAMES;

/// `completions`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    source <(longshore completions bash)\n  \
    longshore completions bash > ~/.local/share/bash-completion/completions/longshore\n  \
    longshore completions zsh > ~/.zfunc/_longshore\n  \
    longshore completions fish > ~/.config/fish/completions/longshore.fish")]
pub(crate) struct Completions {
    /// The shell to write for.
    pub(crate) shell: Shell,
}

/// `docs`.
#[derive(Debug, Args)]
#[command(after_help = "The pages are those of this version, as Markdown.\n\n\
    Examples:\n  \
    longshore docs\n  \
    longshore docs search\n  \
    longshore docs operating | less")]
pub(crate) struct Docs {
    /// The page to print [default: the names of all].
    #[arg(value_name = "PAGE", value_parser = PossibleValuesParser::new(NAMES), hide_possible_values = true)]
    pub(crate) page: Option<String>,
}

/// `man`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    longshore man ~/.local/share/man/man1\n  \
    longshore man | man -l -")]
pub(crate) struct Man {
    /// Writes a page for every verb into this folder, which is made [default: the first page
    /// alone, to stdout].
    #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(crate) folder: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _, Parser as _};

    use crate::args::Cli;

    /// The words of a command, as a shell reads them as far as `'` quotes them and up to what
    /// ends or redirects it.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        for (part, text) in line.split('\'').enumerate() {
            let is_quoted = part % 2 == 1;
            let end = text.find([')', '|', '>', '&']).filter(|_| !is_quoted);
            for (index, word) in text[..end.unwrap_or(text.len())].split(' ').enumerate() {
                match words.last_mut().unwrap() {
                    last if index == 0 => last.push_str(word),
                    last if is_quoted => *last = format!("{last} {word}"),
                    _ => words.push(word.to_owned()),
                }
            }
            if end.is_some() {
                break;
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    /// Every verb that does something, with its whole name.
    fn verbs(of: &Command, name: &str, found: &mut Vec<(String, Command)>) {
        for verb in of.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let name = format!("{name} {}", verb.get_name());
            if verb.has_subcommands() {
                verbs(verb, &name, found);
            } else {
                found.push((name, verb.clone()));
            }
        }
    }

    #[test]
    fn every_verb_has_an_example_that_is_understood() {
        let mut found = Vec::new();
        verbs(&Cli::command(), "longshore", &mut found);
        assert!(found.len() > 20);
        for (name, verb) in found {
            let help = verb.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            let lines = help.lines();
            let examples: Vec<&str> = lines
                .filter_map(|line| Some(&line[line.find(&name)?..]))
                .collect();
            assert!(!examples.is_empty(), "`{name}` has no example in its help");
            for example in examples {
                let understood = Cli::try_parse_from(words(example));
                assert!(understood.is_ok(), "{example}: {}", understood.unwrap_err());
            }
        }
    }
}
