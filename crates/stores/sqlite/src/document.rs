//! Versioned documents.

use bytes::Bytes;
use longshore_core::{Document, ErrorKind, StoreError};
use rusqlite::{Connection, OptionalExtension, params};

use crate::admin::count;
use crate::error::from_sqlite;

/// The document of this name.
pub(crate) fn read(conn: &Connection, name: &str) -> Result<Option<Document>, StoreError> {
    let found: Option<(i64, Vec<u8>)> = conn
        .prepare_cached(include_str!("sql/read_document.sql"))
        .and_then(|mut statement| {
            statement
                .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
        .map_err(from_sqlite)?;
    let Some((version, body)) = found else {
        return Ok(None);
    };
    Ok(Some(Document {
        version: count(version)?,
        body: Bytes::from(body),
    }))
}

/// Writes a document if its version is still `expected`; gives back the new version.
pub(crate) fn write(
    conn: &Connection,
    name: &str,
    expected: u64,
    body: &[u8],
) -> Result<u64, StoreError> {
    if body.len() > Document::MAX_BYTES {
        return Err(StoreError::new(
            ErrorKind::Invalid,
            format!(
                "the document `{name}` takes {} bytes, more than the {} allowed",
                body.len(),
                Document::MAX_BYTES
            ),
        ));
    }
    let version = read(conn, name)?.map_or(0, |document| document.version);
    if version != expected {
        return Err(StoreError::new(
            ErrorKind::Conflict,
            format!("the document `{name}` has version {version}, not {expected}: read it again"),
        ));
    }
    let version = version + 1;
    conn.prepare_cached(include_str!("sql/write_document.sql"))
        .and_then(|mut statement| statement.execute(params![name, version.cast_signed(), body]))
        .map_err(from_sqlite)?;
    Ok(version)
}
