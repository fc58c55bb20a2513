//! Versioned documents.

use bytes::Bytes;
use longshore_core::{Document, DocumentEntry, ErrorKind, StoreError};
use sqlx::postgres::PgConnection;

use crate::error::{corrupt, refuse_zero};
use crate::row::{Columns, before_zero};
use crate::session::Context;
use crate::statement::{all, one, run};

/// The document of this name.
pub(crate) async fn read(
    conn: &mut PgConnection,
    context: &Context,
    name: &str,
) -> Result<Option<Document>, StoreError> {
    if name.contains('\0') {
        return Ok(None);
    }
    let sql = &context.sql;
    let row = one(conn, sql.query(&sql.read_document).bind(name)).await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let from = &mut Columns::from(&row, 0);
    Ok(Some(Document {
        version: version(from.value()?)?,
        body: Bytes::from(from.value::<Vec<u8>>()?),
    }))
}

fn version(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_ignored| corrupt("version", number))
}

/// Writes a document if its version is still `expected`; gives back the new version.
pub(crate) async fn write(
    conn: &mut PgConnection,
    context: &Context,
    (name, expected): (&str, u64),
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
    refuse_zero([("document's name", name)])?;
    let sql = &context.sql;
    let query = match i64::try_from(expected) {
        Ok(0) => sql.query(&sql.insert_document).bind(name).bind(body),
        Ok(version) => sql
            .query(&sql.update_document)
            .bind(name)
            .bind(body)
            .bind(version),
        Err(_too_large) => return Err(outdated(conn, context, name, expected).await),
    };
    match run(conn, query).await? {
        0 => Err(outdated(conn, context, name, expected).await),
        _ => Ok(expected + 1),
    }
}

/// Deletes a document if its version is still `expected`, or if it is not there.
pub(crate) async fn delete(
    conn: &mut PgConnection,
    context: &Context,
    name: &str,
    expected: u64,
) -> Result<(), StoreError> {
    let sql = &context.sql;
    if let (Ok(version), false) = (i64::try_from(expected), name.contains('\0')) {
        let query = sql.query(&sql.delete_document).bind(name).bind(version);
        if run(conn, query).await? > 0 {
            return Ok(());
        }
    }
    match read(conn, context, name).await? {
        None => Ok(()),
        Some(_) => Err(outdated(conn, context, name, expected).await),
    }
}

/// Documents by the beginning of their names, in the order of the names' bytes.
pub(crate) async fn list(
    conn: &mut PgConnection,
    context: &Context,
    prefix: &str,
    (after, limit): (Option<&str>, usize),
) -> Result<Vec<DocumentEntry>, StoreError> {
    if prefix.contains('\0') {
        return Ok(Vec::new());
    }
    let most = i64::try_from(limit.min(Document::MAX_LISTED)).unwrap_or(i64::MAX);
    let sql = &context.sql;
    let after = after.map(before_zero);
    let start = after.map_or(prefix, |after| after.max(prefix));
    let query = sql.query(&sql.list_documents).bind(start);
    let query = query.bind(after).bind(most);
    let mut listed = Vec::new();
    for row in all(conn, query).await? {
        let from = &mut Columns::from(&row, 0);
        let name: String = from.value()?;
        if !name.starts_with(prefix) {
            break;
        }
        let version = version(from.value()?)?;
        listed.push(DocumentEntry { name, version });
    }
    Ok(listed)
}

async fn outdated(
    conn: &mut PgConnection,
    context: &Context,
    name: &str,
    expected: u64,
) -> StoreError {
    let version = match read(conn, context, name).await {
        Ok(found) => found.map_or(0, |document| document.version),
        Err(error) => return error,
    };
    StoreError::new(
        ErrorKind::Conflict,
        format!("the document `{name}` has version {version}, not {expected}: read it again"),
    )
}
