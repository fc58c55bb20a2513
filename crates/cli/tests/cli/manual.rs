//! Completions, pages of the manual, and help in narrow terminals.

use std::process::Command;

use crate::shell::{Answer, Shell};

/// Whether a program is on this machine.
fn is_there(program: &str) -> bool {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("command -v {program}")]);
    shell.output().is_ok_and(|output| output.status.success())
}

/// What bash offers for the last of some words.
fn offered(shell: &Shell, words: &[&str]) -> String {
    let last = words.len() - 1;
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        "source <('{}' completions bash)\nCOMP_WORDS=({})\nCOMP_CWORD={last}\n\
         _longshore longshore {} {}\necho \"${{COMPREPLY[@]}}\"",
        env!("CARGO_BIN_EXE_longshore"),
        quoted.join(" "),
        quoted[last],
        quoted[last - 1],
    );
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", &script])
        .current_dir(&shell.folder);
    let answer = Answer::of(bash.output().unwrap());
    assert_eq!((answer.code, answer.err.as_str()), (0, ""), "{words:?}");
    answer.out.trim().to_owned()
}

#[test]
fn bash_completes_verbs_words_and_values() {
    if !is_there("bash") {
        return;
    }
    let shell = Shell::new();
    assert_eq!(offered(&shell, &["longshore", "enq"]), "enqueue");
    assert_eq!(
        offered(&shell, &["longshore", "enqueue", "--prio"]),
        "--priority"
    );
    let shells = offered(&shell, &["longshore", "completions", ""]);
    assert!(
        shells.contains("bash elvish fish powershell zsh"),
        "{shells}"
    );
    let states = offered(&shell, &["longshore", "jobs", "list", "--state", ""]);
    assert!(
        states.contains("available") && states.contains("discarded"),
        "{states}"
    );
    let conflict = ["longshore", "enqueue", "q", "k", "--on-conflict", ""];
    assert_eq!(offered(&shell, &conflict), "reject keep replace");
    let relation = ["longshore", "enqueue", "q", "k", "--relation", ""];
    assert_eq!(offered(&shell, &relation), "parent link auto");
}

#[test]
fn every_shell_gets_a_script_whatever_the_settings_are() {
    let shell = Shell::new();
    shell.write("longshore.toml", "this is no TOML");
    for name in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = shell.run(&["completions", name]);
        assert_eq!((script.code, script.err.as_str()), (0, ""), "{name}");
        assert!(script.out.contains("schedule"), "{name}");
        for hidden in ["grace-ms", "tracestate"] {
            assert!(!script.out.contains(hidden), "{name} tells of {hidden}");
        }
        let file = shell.write(name, &script.out);
        if ["bash", "zsh", "fish"].contains(&name) && is_there(name) {
            let read = Answer::of(Command::new(name).args(["-n", &file]).output().unwrap());
            assert_eq!((read.code, read.err.as_str()), (0, ""), "{name}");
        }
    }
    assert_eq!(shell.run(&["completions", "tcsh"]).code, 2);
}

#[test]
fn fish_offers_values_and_files_only_where_a_file_is_meant() {
    if !is_there("fish") {
        return;
    }
    let shell = Shell::new();
    shell.write("a-file", "");
    let script = shell.write("script", shell.run(&["completions", "fish"]).out);
    let offered = |line: &str| {
        let commands = format!("source '{script}'; complete -C '{line}'");
        let mut fish = Command::new("fish");
        fish.args(["--no-config", "-c", &commands])
            .current_dir(&shell.folder);
        let answer = Answer::of(fish.env("HOME", &shell.folder).output().unwrap());
        assert_eq!((answer.code, answer.err.as_str()), (0, ""), "{line}");
        let words = answer
            .out
            .lines()
            .filter_map(|line| line.split('\t').next());
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(offered("longshore enq"), ["enqueue"]);
    assert_eq!(offered("longshore jobs f"), ["failures"]);
    assert_eq!(offered("longshore jobs list --state dis"), ["discarded"]);
    let limits = ["concurrency", "enqueue-rate", "fair", "length", "rate"];
    assert_eq!(offered("longshore limits remove queue:mail "), limits);
    for free in ["jobs show ", "enqueue q k --tag ", "queues pause a "] {
        assert_eq!(offered(&format!("longshore {free}")), [""; 0], "{free}");
    }
    assert!(offered("longshore enqueue q k --lines ").contains(&"a-file".to_owned()));
}

#[test]
fn the_manual_has_a_page_for_every_verb_and_renders_without_a_warning() {
    let shell = Shell::new();
    let pages = shell.path("man/man1");
    let written = shell.run(&["man", &pages]);
    assert_eq!(written.code, 0, "{}", written.err);
    let mut names: Vec<String> = std::fs::read_dir(&pages)
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(
        written.err.contains(&format!("{} pages", names.len())),
        "{}",
        written.err
    );
    for page in [
        "longshore.1",
        "longshore-enqueue.1",
        "longshore-jobs-list.1",
    ] {
        assert!(names.iter().any(|name| name == page), "{page}");
    }
    assert!(
        !names
            .iter()
            .any(|name| name.contains("guard") || name.contains("help"))
    );
    let first = shell.run(&["man"]);
    let of_folder = std::fs::read_to_string(format!("{pages}/longshore.1")).unwrap();
    assert_eq!(first.out, of_folder);
    if !is_there("groff") {
        return;
    }
    for name in &names {
        let mut groff = Command::new("groff");
        groff.args(["-man", "-ww", "-z", "-Tutf8", &format!("{pages}/{name}")]);
        let answer = Answer::of(groff.output().unwrap());
        assert_eq!((answer.code, answer.err.as_str()), (0, ""), "{name}");
    }
}

#[test]
fn a_folder_for_pages_that_cannot_be_made_is_named() {
    let shell = Shell::new();
    let file = shell.write("file", "");
    let answer = shell.run(&["man", &format!("{file}/man1")]);
    assert_eq!(answer.code, 1);
    assert!(answer.err.contains("file/man1"), "{}", answer.err);
}

#[test]
fn help_fits_narrow_terminals() {
    let shell = Shell::new();
    let pages = shell.path("man");
    assert_eq!(shell.run(&["man", &pages]).code, 0);
    for page in std::fs::read_dir(&pages).unwrap() {
        let name = page.unwrap().file_name().into_string().unwrap();
        let verbs: Vec<&str> = name.trim_end_matches(".1").split('-').skip(1).collect();
        for columns in [60, 80, 100] {
            let mut command = shell.command(&[&verbs[..], &["--help"]].concat());
            command.env("COLUMNS", columns.to_string());
            let help = Answer::of(command.output().unwrap());
            for line in help.out.lines() {
                let wide = line.chars().count() > columns;
                // Neither is the line of usage, nor a word of an example.
                let can_be_broken = line.trim_start().contains(' ') && !line.starts_with("Usage:");
                assert!(!wide || !can_be_broken, "{verbs:?} at {columns}: {line}");
            }
        }
    }
}

#[test]
fn the_documents_come_with_the_program() {
    let shell = Shell::new();
    let all = shell.run(&["docs"]);
    assert_eq!(all.code, 0, "{}", all.err);
    assert!(all.out.contains("search"), "{}", all.out);
    let search = shell.run(&["docs", "search"]).out;
    assert!(search.starts_with("# Searching for traces"), "{search}");
    let wrong = shell.run(&["docs", "serch"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("'search'"), "{}", wrong.err);
}

#[test]
fn a_mistyped_verb_is_understood_at_every_level() {
    let shell = Shell::new();
    for (words, meant) in [
        (&["tiu"][..], "'tui'"),
        (&["jbos", "list"], "'jobs'"),
        (&["limits", "ste"], "'set'"),
        (&["jobs", "list", "--qeueu", "q"], "'--queue'"),
    ] {
        let answer = shell.run(words);
        assert_eq!(answer.code, 2);
        assert!(answer.err.contains(meant), "{words:?}: {}", answer.err);
    }
}
