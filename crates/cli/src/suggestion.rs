//! What a verb or an option that does not exist was meant to be: where a verb is so short that clap
//! does not tell, and where what clap tells is far from what was typed.

use clap::error::{ContextKind, ContextValue, Error};
use clap::{Command, CommandFactory as _};

use crate::args::Cli;

/// The same error with the verbs that are nearly what was typed, unless it names some, and without an
/// option that is far from it.
pub(crate) fn with_nearest(mut error: Error) -> Error {
    if let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidArg) {
        let typed = typed.clone();
        let named = error.get(ContextKind::SuggestedArg);
        let is_far = matches!(named, Some(ContextValue::String(named)) if !is_near(&typed, named));
        if is_far {
            error.remove(ContextKind::SuggestedArg);
        }
        // What looks like an option is no id and no name, so that it is hardly meant as one.
        if typed.starts_with("--") {
            error.remove(ContextKind::Suggested);
        }
        return error;
    }
    if error.get(ContextKind::SuggestedSubcommand).is_some() {
        return error;
    }
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    let near = nearest(&Cli::command(), std::env::args().skip(1), typed);
    if !near.is_empty() {
        error.insert(
            ContextKind::SuggestedSubcommand,
            ContextValue::Strings(near),
        );
    }
    error
}

/// The verbs beneath those that were typed rightly.
fn nearest(cli: &Command, words: impl Iterator<Item = String>, typed: &str) -> Vec<String> {
    let mut level = cli;
    for word in words.take_while(|word| word != typed) {
        level = level.find_subcommand(&word).unwrap_or(level);
    }
    let verbs = level.get_subcommands().filter(|verb| !verb.is_hide_set());
    let names = verbs.map(Command::get_name);
    let near = names.filter(|name| is_slip(typed, name));
    near.map(str::to_owned).collect()
}

/// Whether an option may have been meant: one begins as the other, or few letters differ.
fn is_near(typed: &str, option: &str) -> bool {
    let name = |word: &str| {
        let word = word.trim_start_matches('-');
        let end = word.find(['=', ' ']).unwrap_or(word.len());
        word.get(..end).unwrap_or_default().to_owned()
    };
    let (typed, option) = (name(typed), name(option));
    let begins = |one: &str, other: &str| one.len() >= 3 && other.starts_with(one);
    let allowed = (typed.chars().count() / 3).max(2);
    begins(&typed, &option)
        || begins(&option, &typed)
        || strsim::osa_distance(&typed, &option) <= allowed
}

/// Whether two words differ by their order of letters, or by one letter.
fn is_slip(typed: &str, name: &str) -> bool {
    let sorted = |word: &str| {
        let mut letters: Vec<char> = word.chars().collect();
        letters.sort_unstable();
        letters
    };
    let (mine, theirs): (Vec<char>, Vec<char>) = (typed.chars().collect(), name.chars().collect());
    let same = |(one, other): &(&char, &char)| one == other;
    let before = mine.iter().zip(&theirs).take_while(same).count();
    let behind = mine.iter().rev().zip(theirs.iter().rev());
    let behind = behind.take_while(same).count();
    let longest = mine.len().max(theirs.len());
    let one_letter = mine.len().abs_diff(theirs.len()) <= 1 && before + behind + 1 >= longest;
    sorted(typed) == sorted(name) || one_letter
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn a_slip_in_a_short_verb_is_told() {
        let near = |words: &[&str]| {
            let typed = words.last().unwrap();
            let words = words.iter().map(|word| (*word).to_owned());
            nearest(&Cli::command(), words, typed)
        };
        assert_eq!(near(&["tiu"]), ["tui"]);
        assert_eq!(near(&["tu"]), ["tui"]);
        assert_eq!(near(&["mna"]), ["man"]);
        assert_eq!(near(&["limits", "ste"]), ["set"]);
        assert!(near(&["queues", "tiu"]).is_empty());
        assert!(near(&["xyz"]).is_empty());
    }

    #[test]
    fn an_option_is_told_only_if_it_is_near() {
        let said = |words: &[&str]| {
            let words = std::iter::once("longshore").chain(words.iter().copied());
            let refusal = Cli::try_parse_from(words).unwrap_err();
            with_nearest(refusal).to_string()
        };
        for far in ["--wrong-flag", "--frobnicate", "--no-wrap"] {
            let said = said(&["tui", far]);
            assert!(said.contains(far) && !said.contains("tip:"), "{said}");
        }
        for near in ["--confg", "--conf", "--connfig=x"] {
            assert!(said(&["tui", near]).contains("'--config'"), "{near}");
        }
    }
}
