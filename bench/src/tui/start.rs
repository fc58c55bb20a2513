//! The start of the whole program on a terminal: from the call that runs it to what a person sees.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use longshore_sqlite::{SqliteOptions, SqliteStore};

use super::{SIZE, TRACES, row};
use crate::Folder;
use crate::measure::{Scale, Table};
use crate::tracestore::{engine_log, seal_all};

/// What is on the first picture, whatever is known by then.
const PICTURE: &str = "Schedules";
/// What each trace that is made has in the list.
const TRACE: &str = "send_mail";
/// How long a program that does nothing more is looked at.
const QUIET: Duration = Duration::from_millis(500);

/// When a start came how far, and the memory that it took.
struct Start {
    picture: Duration,
    traces: Duration,
    /// The most until traces were seen, and until nothing more was done.
    kilobytes: [u64; 2],
}

/// Rows for traces that are in the log, and for those that are sealed.
pub(super) fn rows(table: &mut Table, folder: &Folder, scale: Scale) -> Result<String> {
    let program = program()?;
    let log = folder.fresh().with_extension("log");
    let spans = engine_log(&log, TRACES as usize * 5)?;
    let store = folder.fresh();
    drop(SqliteStore::open(SqliteOptions::at(&store))?);
    let mut memory = Vec::new();
    for place in ["in the log", "sealed"] {
        if place == "sealed" {
            seal_all(&log, spans)?;
        }
        let starts: Result<Vec<_>> = (0..scale.rounds(10))
            .map(|_| start(&program, &store, &log))
            .collect();
        let starts = starts?;
        let mut add = |what: &str, of: &dyn Fn(&Start) -> Duration| {
            let what = format!("start of the program, traces {place}: {what}");
            row(table, &what, starts.iter().map(of).collect());
        };
        add("first picture", &|start| start.picture);
        add("the first traces", &|start| start.traces);
        let most = |of: usize| starts.iter().map(|start| start.kilobytes[of]).max();
        let [first, last] = [0, 1].map(|of| most(of).unwrap_or_default() >> 10);
        memory.push(format!(
            "{place} {first} MB at the first traces and {last} MB later"
        ));
    }
    std::fs::remove_dir_all(&log)?;
    Ok(format!("memory of the program: {}", memory.join(", ")))
}

/// The command line of this tree, built as the measurements are.
fn program() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let words =
        "build --release --locked -p longshore-cli --message-format=json-render-diagnostics";
    let built = Command::new("cargo")
        .args(words.split(' '))
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(built.status.success(), "the command line cannot be built");
    let told = String::from_utf8(built.stdout)?;
    let executable = |line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    };
    told.lines()
        .find_map(executable)
        .context("cargo does not say where the command line is")
}

fn start(program: &Path, store: &Path, log: &Path) -> Result<Start> {
    let mut command = Command::new(program);
    command
        .args(["tui", "--store"])
        .arg(format!("sqlite:{}", store.display()))
        .arg("--span-log")
        .arg(log)
        .env_clear()
        .envs([("TERM", "xterm-256color"), ("HOME", "/nonexistent")]);
    let started = Instant::now();
    let mut terminal = Terminal::start(&mut command)?;
    terminal.wait_for(PICTURE)?;
    let picture = started.elapsed();
    terminal.wait_for(TRACE)?;
    let traces = started.elapsed();
    let first = terminal.most_kilobytes()?;
    terminal.be_quiet()?;
    let last = terminal.most_kilobytes()?;
    terminal.end()?;
    Ok(Start {
        picture,
        traces,
        kilobytes: [first, last],
    })
}

/// A terminal, and the program that has it.
struct Terminal {
    child: Child,
    master: File,
    shown: Vec<u8>,
}

impl Terminal {
    fn start(command: &mut Command) -> Result<Self> {
        let (master, slave) = pair()?;
        let with = || slave.try_clone().map(Stdio::from);
        command.stdin(with()?).stdout(with()?).stderr(with()?);
        // SAFETY: both calls are safe between fork and exec, and touch no memory.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command.spawn()?;
        // What is kept of the other end here would keep it open after the program.
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        drop(slave);
        Ok(Self {
            child,
            master,
            shown: Vec::new(),
        })
    }

    /// Waits until a text was drawn.
    fn wait_for(&mut self, text: &str) -> Result<()> {
        let mut some = vec![0; 64 << 10];
        while !self
            .shown
            .windows(text.len())
            .any(|shown| shown == text.as_bytes())
        {
            match self.master.read(&mut some) {
                Ok(read) if read > 0 => self.shown.extend_from_slice(&some[..read]),
                _ => bail!(
                    "it ended without {text}: {}",
                    String::from_utf8_lossy(&self.shown)
                ),
            }
        }
        Ok(())
    }

    /// Waits until it takes no more of the processor.
    fn be_quiet(&self) -> Result<()> {
        let taken = || -> Result<String> {
            let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
            let (_, rest) = text.rsplit_once(')').context("no process")?;
            let fields = rest.split_whitespace().skip(11).take(2);
            Ok(fields.collect::<Vec<_>>().join(" "))
        };
        let mut before = taken()?;
        loop {
            std::thread::sleep(QUIET);
            let now = taken()?;
            if now == before {
                return Ok(());
            }
            before = now;
        }
    }

    fn most_kilobytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let most = most.context("no memory is said")?;
        Ok(most.trim().trim_end_matches(" kB").parse()?)
    }

    fn end(mut self) -> Result<()> {
        self.master.write_all(b"q")?;
        let mut rest = vec![0; 64 << 10];
        // Until nobody has the other end any more, which is an error here.
        while matches!(self.master.read(&mut rest), Ok(read) if read > 0) {}
        ensure!(self.child.wait()?.success(), "it did not end well");
        Ok(())
    }
}

/// Both ends of a new terminal.
fn pair() -> Result<(File, OwnedFd)> {
    let (mut master, mut slave) = (0, 0);
    let size = libc::winsize {
        ws_col: SIZE.0,
        ws_row: SIZE.1,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let nothing = std::ptr::null_mut();
    // SAFETY: the places are there, and what may be missing is.
    let made = unsafe { libc::openpty(&mut master, &mut slave, nothing, nothing.cast(), &size) };
    ensure!(
        made == 0,
        "there is no terminal: {}",
        std::io::Error::last_os_error()
    );
    // SAFETY: both are open, and nobody else has them.
    unsafe { Ok((File::from_raw_fd(master), OwnedFd::from_raw_fd(slave))) }
}
