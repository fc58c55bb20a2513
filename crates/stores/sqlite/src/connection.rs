//! Connections: what each is told when it opens.

use std::path::Path;
use std::time::Duration;

use longshore_core::{ErrorKind, StoreError};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::from_sqlite;
use crate::options::{Durability, SqliteOptions};

/// Statements kept prepared per connection; more than there are.
const STATEMENTS: usize = 64;
/// Pages of the log after which it is copied back into the file: 16 MiB.
const CHECKPOINT_PAGES: u32 = 4096;
/// Page cache of the writer, in KiB.
const WRITER_CACHE_KIB: i64 = 64 << 10;

/// Opens the connection that writes, on a file that is ours.
pub(crate) fn writer(options: &SqliteOptions) -> Result<Connection, StoreError> {
    let path = &options.path;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = open(path, flags)?;
    let about = |error: StoreError| {
        StoreError::new(error.kind(), format!("{}: {error}", path.display())).with_source(error)
    };
    conn.busy_timeout(options.busy_timeout)
        .map_err(from_sqlite)?;
    crate::migrations::check(&conn).map_err(about)?;
    if conn.is_readonly("main").map_err(from_sqlite)? {
        return Err(StoreError::new(
            ErrorKind::Invalid,
            format!(
                "{} may not be written: check its permissions",
                path.display()
            ),
        ));
    }
    tune(&conn, options).map_err(from_sqlite).map_err(about)?;
    crate::migrations::run(&mut conn).map_err(about)?;
    if let Some(pages) = options.max_pages {
        conn.pragma_update(None, "max_page_count", pages)
            .map_err(from_sqlite)?;
    }
    // From here on the writer waits in its own way; see `writer.rs`.
    conn.busy_timeout(Duration::ZERO).map_err(from_sqlite)?;
    Ok(conn)
}

/// Opens a connection that only reads.
pub(crate) fn reader(path: &Path, busy_timeout: Duration) -> Result<Connection, StoreError> {
    // Readers write too: their marks in the shared memory of the log.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = open(path, flags)?;
    let set = || -> rusqlite::Result<()> {
        conn.busy_timeout(busy_timeout)?;
        conn.pragma_update(None, "query_only", true)?;
        conn.pragma_update(None, "temp_store", "memory")?;
        conn.pragma_update(None, "mmap_size", 1_i64 << 30)
    };
    set().map_err(from_sqlite)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    Connection::open_with_flags(path, flags).map_err(|error| {
        let error = from_sqlite(error);
        StoreError::new(error.kind(), format!("{}: {error}", path.display())).with_source(error)
    })
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
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}
