//! How large the log may grow. SQLite copies it back into the file after every 16 MiB and then
//! begins it anew, but only in a moment when nobody reads from it.

use std::time::Duration;

use rusqlite::Connection;

use crate::identity::Identity;

/// Size from which the writer itself begins the log anew.
pub(crate) const RESTART_BYTES: u32 = 32 << 20;
/// How much the log grows before the next try, after one that failed.
const STEP_BYTES: u64 = 16 << 20;
/// How long a try waits for those who read; nobody can write meanwhile.
const PATIENCE: Duration = Duration::from_millis(20);

/// When to begin the log anew.
#[derive(Debug)]
pub(crate) struct LogKeeper {
    next_try: u64,
}

impl LogKeeper {
    pub(crate) fn new() -> Self {
        Self {
            next_try: RESTART_BYTES.into(),
        }
    }

    /// To be called when no transaction is open: begins a log anew that has become too large,
    /// which it does where readers follow each other so closely that there is no moment without.
    /// A reader that stays prevents it, and another try follows after some more writes.
    pub(crate) fn look(&mut self, conn: &Connection, identity: &Identity) {
        let size = identity.log_bytes();
        if size < u64::from(RESTART_BYTES) {
            self.next_try = RESTART_BYTES.into();
        }
        if size < self.next_try {
            return;
        }
        let restart = || -> rusqlite::Result<i64> {
            conn.busy_timeout(PATIENCE)?;
            let busy = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
            conn.busy_timeout(Duration::ZERO)?;
            busy
        };
        self.next_try = match restart() {
            Ok(0) => RESTART_BYTES.into(),
            // What is in the log is safe there.
            Ok(_) | Err(_) => size + STEP_BYTES,
        };
    }
}
