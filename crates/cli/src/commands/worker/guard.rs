//! The guard: a small process beside a worker that stops the worker's programs if the worker
//! itself is killed.
//!
//! SIGKILL leaves a worker no time to stop anything, and a program that goes on would run beside
//! its job's next attempt. So the worker tells its guard of every process group through a pipe,
//! and the end of that pipe, which the kernel closes for the dead too, is the guard's signal. The
//! guard has a session of its own, so that Ctrl-C and a kill of the worker's group pass it by.

mod watch;

use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Pid;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

pub(crate) use watch::watch;

/// Most time for the guard to start, and for an idle one to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// The worker's end of the pipe.
#[derive(Debug)]
pub(super) struct Guard {
    pipe: Mutex<Option<ChildStdin>>,
}

/// The guard as a process.
#[derive(Debug)]
pub(super) struct GuardProcess(Child);

/// A process group the guard knows of, until this is dropped.
#[derive(Debug)]
pub(super) struct Registered {
    guard: Arc<Guard>,
    group: Pid,
}

impl Guard {
    /// Starts a guard that gives programs this long between SIGTERM and SIGKILL.
    ///
    /// # Errors
    /// The program cannot be started again, or ends at once.
    pub(super) async fn start(grace: Duration) -> io::Result<(Arc<Self>, GuardProcess)> {
        let mut command = Command::new(own_program()?);
        command.arg0("longshore").arg("guard").arg("--grace-ms");
        command.arg(grace.as_millis().to_string()).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn()?;
        let (pipe, ready) = (child.stdin.take(), child.stdout.take());
        if let Some(mut ready) = ready {
            timeout(PATIENCE, ready.read_u8()).await??;
        }
        let pipe = Mutex::new(pipe);
        Ok((Arc::new(Self { pipe }), GuardProcess(child)))
    }

    /// Tells the guard of a process group.
    pub(super) fn register(self: &Arc<Self>, group: Pid) -> Registered {
        self.tell('+', group);
        Registered {
            guard: Arc::clone(self),
            group,
        }
    }

    /// A line is shorter than what a pipe takes whole, and the pipe does not block: a guard that
    /// does not listen costs the worker nothing.
    fn tell(&self, sign: char, group: Pid) {
        let pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = &*pipe {
            let line = format!("{sign}{}\n", group.as_raw_nonzero());
            let _not_listening = rustix::io::write(pipe.as_fd(), line.as_bytes());
        }
    }

    /// Closes the pipe: the guard stops the groups that it still knows of, and ends.
    fn dismiss(&self) {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        drop(pipe.take());
    }
}

impl GuardProcess {
    /// Returns when the guard has ended.
    pub(super) async fn ended(&mut self) {
        let _status = self.0.wait().await;
    }

    /// Ends the guard and waits for it.
    pub(super) async fn dismiss(mut self, guard: &Guard) {
        guard.dismiss();
        let _in_time = timeout(PATIENCE, self.ended()).await;
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.guard.tell('-', self.group);
    }
}

/// The file of this program. Linux finds it even after an update has replaced it.
fn own_program() -> io::Result<PathBuf> {
    let linux = Path::new("/proc/self/exe");
    if linux.exists() {
        return Ok(linux.to_owned());
    }
    std::env::current_exe()
}
