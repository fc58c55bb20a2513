//! The schema and its versions.

use std::collections::BTreeMap;

use longshore_core::{ErrorKind, StoreError};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::from_sqlite;

/// `application_id` of our files: `LSHO` in ASCII.
const APPLICATION_ID: i64 = 0x4c53_484f;

/// What leads from each version to the next; the first makes version 1. Never change one.
const MIGRATIONS: [&str; 6] = [
    include_str!("migrations/0001_jobs.sql"),
    include_str!("migrations/0002_failed.sql"),
    include_str!("migrations/0003_short_forms.sql"),
    include_str!("migrations/0004_unique.sql"),
    include_str!("migrations/0005_over.sql"),
    include_str!("migrations/0006_tenants.sql"),
];

/// Refuses a file that is not ours, newer than we are or altered by hand, before anything of it
/// changes.
pub(crate) fn check(conn: &Connection) -> Result<(), StoreError> {
    let snapshot = conn.unchecked_transaction().map_err(from_sqlite)?;
    let (version, found) = (version(&snapshot)?, objects(&snapshot)?);
    let made = Connection::open_in_memory().map_err(from_sqlite)?;
    for migration in MIGRATIONS.iter().take(version) {
        made.execute_batch(migration).map_err(from_sqlite)?;
    }
    compare(&objects(&made)?, &found)
}

/// Tables and indexes by name, each with its definition. What others added is theirs.
fn objects(conn: &Connection) -> Result<BTreeMap<String, String>, StoreError> {
    let read = || -> rusqlite::Result<_> {
        let mut statement = conn.prepare(
            "SELECT type || ' ' || name, sql FROM sqlite_schema \
             WHERE sql IS NOT NULL AND type IN ('table', 'index')",
        )?;
        let objects = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        objects.collect()
    };
    read().map_err(from_sqlite)
}

fn compare(
    made: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
) -> Result<(), StoreError> {
    for (name, definition) in made {
        let problem = match found.get(name) {
            None => "is missing",
            Some(found) if !alike(found, definition) => "is not as Longshore made it",
            Some(_) => continue,
        };
        return Err(StoreError::new(
            ErrorKind::Corrupt,
            format!(
                "the {name} {problem}; somebody altered the file by hand: undo that, or restore \
                 the file from a backup"
            ),
        ));
    }
    Ok(())
}

/// Whether two definitions differ in comments and layout only.
fn alike(one: &str, other: &str) -> bool {
    fn words(definition: &str) -> impl Iterator<Item = &str> {
        let code = |line: &'_ str| -> usize { line.find("--").unwrap_or(line.len()) };
        definition
            .lines()
            .flat_map(move |line| line.get(..code(line)).unwrap_or(line).split_whitespace())
    }
    words(one).eq(words(other))
}

/// The version of the file's schema; 0 if it has none yet. Takes several looks, so asks for a
/// transaction: another process may be bringing the file up to date.
fn version(conn: &Transaction<'_>) -> Result<usize, StoreError> {
    let application_id: i64 = pragma(conn, "application_id")?;
    if application_id != APPLICATION_ID {
        let objects: i64 = conn
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(from_sqlite)?;
        if application_id != 0 || objects != 0 {
            return Err(StoreError::new(
                ErrorKind::Invalid,
                "this SQLite file was not made by Longshore: give the path of another, \
                 or of none and it will be made",
            ));
        }
        return Ok(0);
    }
    let version: i64 = pragma(conn, "user_version")?;
    match usize::try_from(version) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(StoreError::new(
            ErrorKind::Invalid,
            format!(
                "this store has schema version {version} and this program knows up to {}: \
                 run a newer version of Longshore",
                MIGRATIONS.len()
            ),
        )),
    }
}

/// Brings the schema to the newest version, in one transaction; another process that does the
/// same at the same time waits and then finds nothing left to do.
pub(crate) fn run(conn: &mut Connection) -> Result<(), StoreError> {
    let snapshot = conn.unchecked_transaction().map_err(from_sqlite)?;
    if version(&snapshot)? == MIGRATIONS.len() {
        return Ok(());
    }
    drop(snapshot);
    let transaction = conn
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(from_sqlite)?;
    let version = version(&transaction)?;
    apply(&transaction, version).map_err(from_sqlite)?;
    transaction.commit().map_err(from_sqlite)
}

fn apply(transaction: &Transaction<'_>, version: usize) -> rusqlite::Result<()> {
    for migration in MIGRATIONS.iter().skip(version) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    let newest = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    transaction.pragma_update(None, "user_version", newest)
}

fn pragma(conn: &Connection, name: &str) -> Result<i64, StoreError> {
    conn.pragma_query_value(None, name, |row| row.get(0))
        .map_err(from_sqlite)
}
