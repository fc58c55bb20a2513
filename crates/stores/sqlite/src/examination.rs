//! A look at the whole file: whether it is sound, and how large its log has grown.

use std::path::Path;

use longshore_core::StoreError;
use rusqlite::Connection;

use crate::error::{from_sqlite, is_damage};
use crate::identity::with_suffix;

/// Most findings of damage that are told; more of them say no more.
const MAX_FINDINGS: usize = 10;

/// What [`crate::SqliteStore::examine`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Examination {
    /// What is damaged, in SQLite's words, 10 lines at most; empty if the file is sound.
    pub damage: Vec<String>,
    /// Which version of the tables it has; a store that is opened is brought to the newest that
    /// this program knows.
    pub schema_version: u32,
    /// The size of the file in bytes.
    pub file_bytes: u64,
    /// The size of its log in bytes.
    pub log_bytes: u64,
}

impl Examination {
    /// The size a log keeps to, in bytes, while no reader holds an old state of the file open and
    /// no single call writes more than that.
    pub const LOG_LIMIT: u64 = 64 << 20;
}

/// Reads the whole file.
pub(crate) fn examine(conn: &Connection, path: &Path) -> Result<Examination, StoreError> {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    let resolved = path
        .canonicalize()
        .unwrap_or_else(|_ignored| path.to_owned());
    Ok(Examination {
        damage: damage(conn)?,
        schema_version: conn
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(from_sqlite)?,
        file_bytes: size(&resolved),
        log_bytes: size(&with_suffix(&resolved, "-wal")),
    })
}

fn damage(conn: &Connection) -> Result<Vec<String>, StoreError> {
    let check = || -> rusqlite::Result<Vec<String>> {
        let mut statement = conn.prepare(&format!("PRAGMA quick_check({MAX_FINDINGS})"))?;
        let lines = statement.query_map([], |row| row.get(0))?;
        lines.collect()
    };
    match check().map_err(from_sqlite) {
        Ok(lines) => Ok(lines.into_iter().filter(|line| line != "ok").collect()),
        Err(error) if is_damage(&error) => Ok(vec![error.to_string()]),
        Err(error) => Err(error),
    }
}
