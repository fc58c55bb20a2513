//! The commands of a guide are run, and say what it says that they do.

use std::process::Command;

use longshore_testkit::Port;

use crate::absent::a_mistyped_name_makes_no_store;
use crate::shell::{Answer, Shell};

const MOVING: &str = include_str!("../../../../docs/guides/moving.md");
const OPERATING: &str = include_str!("../../../../docs/guides/operating.md");
const OUTBOX: &str = include_str!("../../../../docs/guides/outbox.md");

/// What a run prints before the output of a block.
const MARK: &str = "@@@ block";

/// Commands, and what the guide shows of their output.
#[derive(Debug)]
struct Block<'a> {
    commands: &'a str,
    shown: &'a str,
}

/// The blocks of a part. What is shown after other words than commands is not checked: it needs
/// more than a test can make, such as a full disk.
fn blocks(part: &str) -> Vec<Block<'_>> {
    let (mut found, mut rest) = (Vec::new(), part);
    while let Some((_, after)) = rest.split_once("```sh\n") {
        let (commands, after) = after.split_once("```\n").unwrap();
        let shown = after.strip_prefix("\n```text\n");
        let shown = shown.and_then(|shown| Some(shown.split_once("```\n")?.0));
        let shown = shown.unwrap_or_default();
        found.push(Block { commands, shown });
        rest = after;
    }
    found
}

/// The words of a line that are the same in every run, and whether they are all of it.
fn words(line: &str) -> (Vec<&str>, bool) {
    let is_cut = line.ends_with('…');
    let stays = |word: &&str| {
        let units = ["µs", "ms", "s", "m", "h", "d", "bytes", "KiB", "MiB", "GiB"];
        let digits = word.chars().any(|letter| letter.is_ascii_digit());
        let is_of_machine = digits || word.contains('@');
        !is_of_machine && !units.contains(&word.trim_end_matches([',', ';', ':'])) && *word != "…"
    };
    (line.split_whitespace().filter(stays).collect(), !is_cut)
}

/// Whether the lines that are shown are in the output, in their order.
fn assert_said(part: &str, block: &Block<'_>, output: &str) {
    let mut lines = output.lines().map(words);
    for shown in block.shown.lines().filter(|line| *line != "…") {
        let (wanted, whole) = words(shown);
        let is_same = |(said, _): (Vec<&str>, bool)| {
            said.starts_with(&wanted) && (!whole || said.len() == wanted.len())
        };
        assert!(
            lines.any(is_same),
            "{part}\n{}\ndoes not say, or not in this place: {shown}\nbut:\n{output}",
            block.commands
        );
    }
}

/// Runs the commands of a part in a folder of their own.
fn run(name: &str, setup: &str, part: &[Block<'_>], variables: &[(&str, &str)]) {
    let shell = Shell::new().with_store();
    let mut script = format!("set -eu\nexec 2>&1\n{setup}");
    for block in part {
        script.push_str(&format!("echo '{MARK}'\n{}", block.commands));
    }
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_longshore"));
    let mut path = vec![program.parent().unwrap().to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let mut bash = Command::new("bash");
    bash.args(["-c", &script])
        .current_dir(&shell.folder)
        .env_clear()
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("HOME", &shell.folder)
        .env("USER", "ann")
        .env("LONGSHORE_STORE", "sqlite:jobs.db")
        .envs(variables.iter().copied());
    let answer = Answer::of(bash.output().unwrap());
    assert_eq!(answer.code, 0, "{name}: {}", answer.out);
    let outputs: Vec<&str> = answer.out.split(MARK).skip(1).collect();
    assert_eq!(outputs.len(), part.len(), "{name}");
    for (block, output) in part.iter().zip(outputs) {
        assert_said(name, block, output);
    }
}

fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output();
    found.is_ok_and(|output| output.status.success())
}

#[test]
fn the_guide_to_operating_does_what_it_says() {
    if !is_there("bash") {
        return;
    }
    let mut parts = OPERATING.split("\n## ");
    let setup = blocks(parts.next().unwrap())[0].commands;
    let parts: Vec<(&str, Vec<Block<'_>>)> = parts
        .map(|part| (part.lines().next().unwrap_or_default(), blocks(part)))
        .collect();
    assert!(parts.len() >= 10);
    std::thread::scope(|scope| {
        for (name, part) in &parts {
            assert!(!part.is_empty(), "{name} has no command");
            let needs_sqlite = part.iter().any(|block| block.commands.contains("sqlite3 "));
            if !needs_sqlite || is_there("sqlite3") {
                scope.spawn(|| run(name, setup, part, &[]));
            }
        }
    });
}

#[test]
fn the_guide_to_moving_does_what_it_says() {
    let commands = blocks(MOVING);
    assert!(commands.len() >= 5);
    if is_there("bash") {
        run("Moving", "", &commands, &[]);
    }
}

/// A private PostgreSQL, ended with the test.
#[derive(Debug)]
struct Server {
    folder: String,
    url: String,
    _port: Port,
}

impl Server {
    /// `None` where PostgreSQL is not installed.
    fn start(name: &str) -> Option<Self> {
        let initdb = "command -v initdb || ls /usr/lib/postgresql/*/bin/initdb";
        let found = Command::new("sh").args(["-c", initdb]).output();
        if !found.is_ok_and(|found| found.status.success()) || !is_there("psql") {
            return None;
        }
        let port = Port::reserve().unwrap();
        let number = port.number();
        // Its user must be able to reach the folder.
        let folder = std::env::temp_dir().join(format!("longshore-{name}-{}", std::process::id()));
        let server = Self {
            folder: folder.display().to_string(),
            url: format!("postgres://postgres@127.0.0.1:{number}/postgres"),
            _port: port,
        };
        let answer = server.ask("start", &number.to_string());
        assert_eq!(answer.code, 0, "{}", answer.err);
        Some(server)
    }

    fn ask(&self, what: &str, port: &str) -> Answer {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/pgmq/pg.sh");
        let mut bash = Command::new("bash");
        bash.args([script, what, &self.folder, port]);
        Answer::of(bash.output().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ask("stop", "");
    }
}

#[test]
fn a_mistyped_schema_makes_no_store_on_postgresql() {
    let Some(server) = Server::start("mistyped") else {
        return;
    };
    let other = format!("{}?schema=shop", server.url);
    let url = format!("{}?schema=shpo", server.url);
    let shell = Shell::new().with("LONGSHORE_STORE", &other);
    shell.enqueue(&["q", "k"]);
    a_mistyped_name_makes_no_store(Shell::new(), &url, "schema=shop", &other);
}

#[test]
fn the_guide_to_the_outbox_does_what_it_says() {
    let commands = blocks(OUTBOX);
    assert!(commands.len() >= 5);
    if let Some(server) = Server::start("outbox") {
        run("Outbox", "", &commands, &[("SHOP_DB", &server.url)]);
        return;
    }
    // Without a server a shell must be able to read it at least.
    for block in commands {
        let read = Command::new("bash")
            .args(["-n", "-c", block.commands])
            .output();
        assert!(
            read.is_ok_and(|read| read.status.success()),
            "{}",
            block.commands
        );
    }
}
