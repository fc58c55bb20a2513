//! Connections: what each is told when it opens.

use std::path::Path;
use std::time::Duration;

use longshore_core::{ErrorKind, StoreError};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::{from_sqlite, is_busy};
use crate::log::RESTART_BYTES;
use crate::options::{Durability, SqliteOptions};

/// Statements kept prepared per connection; more than there are.
const STATEMENTS: usize = 64;
/// Pages of the log after which it is copied back into the file: 16 MiB.
const CHECKPOINT_PAGES: u32 = 4096;
/// How often opening is tried again while others keep the file busy.
const OPEN_POLL: Duration = Duration::from_millis(1);
/// Page cache of the writer, in KiB: what the jobs lie on that run and that are next. A larger one
/// costs more than it saves, since SQLite looks through all of it at every commit for which it
/// reordered pages.
const WRITER_CACHE_KIB: i64 = 4 << 10;

/// Opens the connection that writes, on a file that is ours. Its errors do not name the file.
pub(crate) fn writer(options: &SqliteOptions) -> Result<Connection, StoreError> {
    let path = &options.path;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = open(path, flags)?;
    conn.busy_timeout(options.busy_timeout)
        .map_err(from_sqlite)?;
    if conn.is_readonly("main").map_err(from_sqlite)? {
        return Err(StoreError::new(
            ErrorKind::Invalid,
            "the store may not be written: check the permissions of the file and of its folder, \
             and how the disk is mounted",
        ));
    }
    patiently(options.busy_timeout, || {
        crate::migrations::check(&conn)?;
        tune(&conn, options).map_err(from_sqlite)?;
        crate::migrations::run(&mut conn)
    })?;
    if let Some(pages) = options.max_pages {
        conn.pragma_update(None, "max_page_count", pages)
            .map_err(from_sqlite)?;
    }
    // From here on the writer waits in its own way; see `writer.rs`.
    conn.busy_timeout(Duration::ZERO).map_err(from_sqlite)?;
    Ok(conn)
}

/// Repeats what others keep from being done. SQLite waits by itself, but gives up at once where
/// two processes that both switch a new file to its log would wait for each other.
fn patiently(
    limit: Duration,
    mut task: impl FnMut() -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut waited = Duration::ZERO;
    loop {
        match task() {
            Err(error) if is_busy(&error) && waited < limit => {
                std::thread::park_timeout(OPEN_POLL);
                waited += OPEN_POLL;
            }
            done => return done,
        }
    }
}

/// Opens a connection that only reads.
pub(crate) fn reader(path: &Path, busy_timeout: Duration) -> Result<Connection, StoreError> {
    // Readers write too: their marks in the shared memory of the log.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = open(path, flags)?;
    let set = || -> rusqlite::Result<()> {
        conn.busy_timeout(busy_timeout)?;
        conn.pragma_update(None, "query_only", true)?;
        // No `mmap_size`: a disk that fails under a mapping kills the process.
        conn.pragma_update(None, "temp_store", "memory")
    };
    set().map_err(from_sqlite)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    Connection::open_with_flags(path, flags).map_err(from_sqlite)
}

fn tune(conn: &Connection, options: &SqliteOptions) -> rusqlite::Result<()> {
    let mode: String =
        conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    debug_assert_eq!(mode, "wal");
    let synchronous = match options.durability {
        Durability::Full => "full",
        Durability::Relaxed => "normal",
    };
    // Else SQLite plans a statement anew whenever its parameters change.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "synchronous", synchronous)?;
    conn.pragma_update(None, "temp_store", "memory")?;
    conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    // A log that had to grow shrinks again when it is next begun anew.
    conn.pragma_update(None, "journal_size_limit", RESTART_BYTES)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_durability_asked_for_is_in_force() {
        let folder = std::env::temp_dir().join(format!("longshore-conn-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let options = SqliteOptions::at(folder.join("jobs.db"));
        for (durability, synchronous) in [(Durability::Full, 2), (Durability::Relaxed, 1)] {
            let conn = writer(&options.clone().with_durability(durability)).unwrap();
            let pragma = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            assert_eq!(pragma("synchronous").unwrap(), synchronous);
            let mode: String = conn
                .pragma_query_value(None, "journal_mode", |row| row.get(0))
                .unwrap();
            assert_eq!(mode, "wal");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
