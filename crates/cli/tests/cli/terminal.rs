//! What people see: on a terminal of some width, with and without colours.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use crate::shell::{Answer, Shell};

/// Runs a command line on a terminal of this many columns; stdout and stderr come as one.
pub(crate) fn on_terminal(shell: &Shell, columns: usize, args: &str) -> Answer {
    typing(shell, columns, args, "")
}

/// The same with keys that a person presses.
pub(crate) fn typing(shell: &Shell, columns: usize, args: &str, keys: &str) -> Answer {
    let program = env!("CARGO_BIN_EXE_longshore");
    let mut terminal = Terminal::start(shell, columns, &format!("'{program}' {args}"));
    terminal.keyboard.write_all(keys.as_bytes()).unwrap();
    terminal.keyboard.flush().unwrap();
    terminal.end()
}

/// A terminal with a command line that runs on it.
pub(crate) struct Terminal {
    running: Child,
    screen: ChildStdout,
    shown: Vec<u8>,
    /// Nobody hangs up before the end.
    keyboard: ChildStdin,
}

impl Terminal {
    /// Starts a command line of a shell on a terminal of this many columns.
    pub(crate) fn start(shell: &Shell, columns: usize, line: &str) -> Self {
        let line = format!("stty cols {columns} rows 24; {line}");
        let mut command = shell.command(&[]);
        let mut terminal = Command::new("script");
        terminal.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        terminal.env_clear().current_dir(&shell.folder);
        for (name, value) in command.env("TERM", "xterm").get_envs() {
            terminal.env(name, value.unwrap());
        }
        terminal.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = terminal.spawn().unwrap();
        Self {
            screen: running.stdout.take().unwrap(),
            keyboard: running.stdin.take().unwrap(),
            shown: Vec::new(),
            running,
        }
    }

    /// Waits until a text was written.
    pub(crate) fn wait_for(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.shown).contains(text) {
            let mut some = [0; 4_096];
            let read = self.screen.read(&mut some).unwrap();
            let shown = String::from_utf8_lossy(&self.shown);
            assert!(read > 0, "it ended without {text}: {shown}");
            self.shown.extend_from_slice(&some[..read]);
        }
    }

    /// Presses keys, and waits for the end.
    pub(crate) fn end_with(mut self, keys: &str) -> Answer {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
        self.end()
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Answer {
        self.screen.read_to_end(&mut self.shown).unwrap();
        let status = self.running.wait().unwrap();
        let (stdout, stderr) = (self.shown, Vec::new());
        Answer::of(Output {
            status,
            stdout,
            stderr,
        })
    }
}

/// Text without the escape sequences of colours.
pub(crate) fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.map(|part| part.split_once(['m', 'K']).map_or(part, |(_, text)| text));
    first + &rest.collect::<String>()
}

#[test]
fn the_progress_of_the_demo_stays_on_its_line() {
    for (columns, colour) in [(40, true), (80, false)] {
        let shell = Shell::new().with("NO_COLOR", if colour { "" } else { "1" });
        let answer = on_terminal(&shell, columns, "demo --folder shop --orders 6");
        assert_eq!(answer.code, 0, "{}", answer.out);
        let progress: Vec<&str> = answer.out.split("\r\x1b[2K").skip(1).collect();
        assert!(progress.iter().any(|line| line.contains("/25 done")));
        // The last one is empty and followed by the summary.
        for line in &progress[..progress.len() - 1] {
            assert!(plain(line).chars().count() < columns, "{line:?}");
        }
        assert_eq!(answer.out.contains("\x1b[32m"), colour);
    }
}

#[test]
fn tables_fit_the_terminal() {
    let shell = Shell::new();
    let kind = "a_kind_with_a_name_that_goes_on_and_on";
    let id = shell.enqueue(&["a_queue_with_a_long_name", kind]);
    for columns in [40, 60, 80, 140] {
        for args in ["jobs list", "queues list", "config show"] {
            let answer = on_terminal(&shell, columns, args);
            assert_eq!(answer.code, 0, "{}", answer.out);
            for line in answer.out.lines() {
                assert!(plain(line).chars().count() <= columns, "{columns}: {line}");
            }
        }
        assert!(on_terminal(&shell, columns, "jobs list").out.contains(&id));
    }
    let whole = shell.run(&["jobs", "list"]).out;
    assert!(
        whole.contains(kind),
        "nothing is cut where no terminal is: {whole}"
    );
}

#[test]
fn nothing_that_was_given_steers_the_terminal() {
    let evil = "\x1b]0;owned\x07\x1b[2J\u{9b}31m\u{202e}\r";
    let shell = Shell::new();
    let meta = format!("{evil}={evil}");
    let args = ["q", "k", "--tag", evil, "--meta", &meta, "--tenant", evil];
    let more = [
        "--correlation-id",
        evil,
        "--namespace",
        evil,
        "--max-attempts",
        "1",
    ];
    let body = format!("{{\"{}\": 1}}", "\u{202e}\u{9b}");
    let id = shell.enqueue(&[&args[..], &more, &["--unique-key", evil, &body]].concat());
    let program = shell.write("say", format!("{evil}words"));
    let program = format!("cat {program}; cat {program} >&2; exit 1");
    assert_eq!(shell.drain(&program).code, 3);
    let store = format!("sqlite:{}/{evil}/x", shell.folder.display());
    let lines = shell.write("lines", format!("1\n{evil}\n"));
    shell.write("longshore.toml", "[worker]\n'\u{9b}31m' = 1\n");
    let quiet = |answer: Answer| {
        let all = answer.out + &answer.err;
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!all.contains(steers), "{all:?}");
    };
    quiet(shell.run(&["config", "check"]));
    std::fs::remove_file(shell.path("longshore.toml")).unwrap();
    quiet(shell.run(&["jobs", "show", &id]));
    quiet(shell.run(&["jobs", "list"]));
    quiet(shell.run(&["--store", &store, "doctor"]));
    quiet(shell.run(&["--store", &store, "queues", "list"]));
    quiet(shell.run(&["--config", evil, "queues", "list"]));
    quiet(shell.run(&["jobs", "show", evil]));
    quiet(shell.run(&[evil]));
    quiet(shell.run(&["enqueue", "q", "k", evil]));
    quiet(shell.run(&["enqueue", "q", "k", "--lines", &lines]));
    quiet(shell.run(&["enqueue", "q", "k", "--lines", evil]));
    quiet(shell.run(&["enqueue", "q", "k", "--traceparent", evil]));
    let shell = Shell::new().with("OTEL_SERVICE_NAME", evil);
    quiet(shell.run(&["config", "show"]));
    let shell = Shell::new().with("LONGSHORE_WORKER_LEASE", evil);
    quiet(shell.run(&["config", "check"]));
}
