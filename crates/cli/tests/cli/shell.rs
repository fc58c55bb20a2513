//! A folder of its own for every test, and the binary run in it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// A home folder with a store in it, removed at the end.
#[derive(Debug)]
pub(crate) struct Shell {
    pub(crate) folder: PathBuf,
    variables: Vec<(String, String)>,
}

/// What a run said and how it ended.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Shell {
    pub(crate) fn new() -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("cli-{}-{number}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let store = format!("sqlite:{}/jobs.db", folder.display());
        Self {
            folder,
            variables: vec![("LONGSHORE_STORE".to_owned(), store)],
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a store that has nothing in it.
    pub(crate) fn with_store(self) -> Self {
        self.make_store("jobs.db");
        self
    }

    /// Makes a store that has nothing in it, and gives back its URL.
    pub(crate) fn make_store(&self, name: &str) -> String {
        let options = longshore_sqlite::SqliteOptions::at(self.folder.join(name));
        drop(longshore_sqlite::SqliteStore::open(options).unwrap());
        format!("sqlite:{}", self.path(name))
    }

    /// The URL of the store.
    pub(crate) fn store(&self) -> String {
        format!("sqlite:{}/jobs.db", self.folder.display())
    }

    /// The URL of the store that was named last.
    pub(crate) fn store_url(&self) -> String {
        let mut named = self.variables.iter().rev();
        let named = named.find(|(name, _)| name == "LONGSHORE_STORE");
        named.unwrap().1.clone()
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.folder.join(name), content).unwrap();
        self.path(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        command.args(args).current_dir(&self.folder).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", &self.folder);
        let variables = self.variables.iter().filter(|(_, value)| !value.is_empty());
        command.envs(variables.map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    pub(crate) fn run(&self, args: &[&str]) -> Answer {
        self.run_with(args, b"")
    }

    pub(crate) fn run_with(&self, args: &[&str], stdin: &[u8]) -> Answer {
        let mut command = self.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // A program that reads no stdin closes it, which is not this test's matter.
            scope.spawn(move || pipe.write_all(stdin).ok());
            Answer::of(child.wait_with_output().unwrap())
        })
    }

    /// The id of a new job.
    pub(crate) fn enqueue(&self, args: &[&str]) -> String {
        let answer = self.run(&[&["enqueue"], args].concat());
        assert_eq!(answer.code, 0, "{}", answer.err);
        answer.out.trim().to_owned()
    }

    /// Runs the queue `q` to its end by a program.
    pub(crate) fn drain(&self, program: &str) -> Answer {
        self.run(&["worker", "--queue", "q", "--drain", "--exec", program])
    }

    /// Has sent what processes that have ended had no time for, as later ones do: on a slow machine
    /// the receiver's answer comes too late for some.
    pub(crate) fn send_the_rest(&self) {
        let waits = || {
            let said = self.run(&["doctor"]).out;
            said.contains("not exported yet") && !said.contains("; 0 bytes of them")
        };
        // What never leaves is for the caller to miss.
        for _ in 0..100 {
            if !waits() {
                return;
            }
            let nothing = ["worker", "--queue", "nothing", "--drain", "--exec", "true"];
            let later = self.run(&nothing);
            assert_eq!(later.code, 0, "{}", later.err);
        }
    }

    /// The record of a job.
    pub(crate) fn job(&self, id: &str) -> Value {
        self.run(&["jobs", "show", id, "--json"]).json()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _left_behind = std::fs::remove_dir_all(&self.folder);
    }
}

impl Answer {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
