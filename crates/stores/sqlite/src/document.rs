//! Versioned documents.

use bytes::Bytes;
use longshore_core::{Document, DocumentEntry, ErrorKind, StoreError};
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
        return Err(outdated(name, version, expected));
    }
    let version = version + 1;
    conn.prepare_cached(include_str!("sql/write_document.sql"))
        .and_then(|mut statement| statement.execute(params![name, version.cast_signed(), body]))
        .map_err(from_sqlite)?;
    Ok(version)
}

/// Deletes a document if its version is still `expected`, or if it is not there.
pub(crate) fn delete(conn: &Connection, name: &str, expected: u64) -> Result<(), StoreError> {
    match read(conn, name)? {
        None => Ok(()),
        Some(document) if document.version != expected => {
            Err(outdated(name, document.version, expected))
        }
        Some(_) => conn
            .prepare_cached(include_str!("sql/delete_document.sql"))
            .and_then(|mut statement| statement.execute([name]))
            .map(drop)
            .map_err(from_sqlite),
    }
}

/// Documents by the beginning of their names, in the order of names.
pub(crate) fn list(
    conn: &Connection,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<DocumentEntry>, StoreError> {
    let start = DocumentEntry::listing_start(prefix, after);
    let most = i64::try_from(limit.min(Document::MAX_LISTED)).unwrap_or(i64::MAX);
    let mut statement = conn
        .prepare_cached(include_str!("sql/list_documents.sql"))
        .map_err(from_sqlite)?;
    let mut rows = statement.query(params![start, most]).map_err(from_sqlite)?;
    let mut listed = Vec::new();
    while let Some(row) = rows.next().map_err(from_sqlite)? {
        let name: String = row.get(0).map_err(from_sqlite)?;
        if !name.starts_with(prefix) {
            break;
        }
        let version = count(row.get(1).map_err(from_sqlite)?)?;
        listed.push(DocumentEntry { name, version });
    }
    Ok(listed)
}

fn outdated(name: &str, version: u64, expected: u64) -> StoreError {
    StoreError::new(
        ErrorKind::Conflict,
        format!("the document `{name}` has version {version}, not {expected}: read it again"),
    )
}
