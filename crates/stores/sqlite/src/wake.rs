//! Waking those who wait for jobs: at a commit of this process, and at one of another, which a
//! thread looks out for while somebody waits.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::{ErrorKind, StoreError};
use rusqlite::Connection;
use tokio::sync::watch;

use crate::connection;
use crate::error::from_sqlite;

/// How often the file is looked at while somebody waits.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The same once nothing has happened for [`QUIET_LOOKS`]: a look costs little, but a worker may
/// wait all night.
const LOOK_EVERY_QUIET: Duration = Duration::from_millis(15);
/// Looks that see nothing before the file counts as quiet: a second.
const QUIET_LOOKS: u32 = 200;

/// Counts the commits that may have made a job due.
#[derive(Debug)]
pub(crate) struct Wake {
    commits: watch::Sender<u64>,
    waiters: Mutex<Waiters>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiters {
    count: usize,
    closed: bool,
}

impl Wake {
    /// Starts the thread that looks out for commits of other processes.
    pub(crate) fn start(path: &Path) -> Result<Arc<Self>, StoreError> {
        let conn = connection::reader(path, Duration::ZERO)?;
        let wake = Arc::new(Self {
            commits: watch::Sender::new(0),
            waiters: Mutex::default(),
            changed: Condvar::new(),
        });
        let looking = Arc::clone(&wake);
        let mut seen = data_version(&conn).map_err(from_sqlite)?;
        std::thread::Builder::new()
            .name("longshore-sqlite-watch".to_owned())
            .spawn(move || {
                let mut in_vain: u32 = 0;
                while looking.somebody_waits(pause(in_vain)) {
                    let version = data_version(&conn).unwrap_or(seen);
                    in_vain = in_vain.saturating_add(1);
                    if version != seen {
                        (seen, in_vain) = (version, 0);
                        looking.notify();
                    }
                }
            })
            .map_err(|error| {
                StoreError::new(ErrorKind::Unavailable, "no thread could be started")
                    .with_source(error)
            })?;
        Ok(wake)
    }

    /// Wakes everyone who waits.
    pub(crate) fn notify(&self) {
        self.commits.send_modify(|commits| *commits += 1);
    }

    /// Hears of every commit from now on, for as long as it lives.
    pub(crate) fn listen(self: &Arc<Self>) -> Listener {
        self.lock().count += 1;
        self.changed.notify_all();
        Listener {
            commits: self.commits.subscribe(),
            wake: Arc::clone(self),
        }
    }

    /// Ends the thread.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Sleeps until somebody waits and then for `pause`; `false` once the store is closed.
    fn somebody_waits(&self, pause: Duration) -> bool {
        let waiters = self
            .changed
            .wait_while(self.lock(), |waiters| waiters.count == 0 && !waiters.closed)
            .unwrap_or_else(PoisonError::into_inner);
        let (waiters, _) = self
            .changed
            .wait_timeout_while(waiters, pause, |waiters| !waiters.closed)
            .unwrap_or_else(PoisonError::into_inner);
        !waiters.closed
    }

    fn lock(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to wait before the next look.
const fn pause(looks_in_vain: u32) -> Duration {
    if looks_in_vain < QUIET_LOOKS {
        LOOK_EVERY
    } else {
        LOOK_EVERY_QUIET
    }
}

/// SQLite's count of commits by other connections.
pub(crate) fn data_version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))
}

/// Somebody who waits.
#[derive(Debug)]
pub(crate) struct Listener {
    commits: watch::Receiver<u64>,
    wake: Arc<Wake>,
}

impl Listener {
    /// Returns at the next commit, or after `timeout`.
    pub(crate) async fn heard(mut self, timeout: Duration) {
        // Both ends are good news for one who only hopes for a hint.
        let _ended = tokio::time::timeout(timeout, self.commits.changed()).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut waiters = self.wake.lock();
        waiters.count = waiters.count.saturating_sub(1);
    }
}
