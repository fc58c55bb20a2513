//! Large values, kept apart from the rows that every transition rewrites.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

/// Longest value kept within the row: beyond it a row no longer fits a page, and every transition
/// would write the value anew.
pub(crate) const MAX_INLINE: usize = 1024;

/// Which large value of a job.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    Args,
    Checkpoint,
    Result,
}

impl Part {
    /// The bit of the part in the column `outside`.
    pub(crate) const fn bit(self) -> i64 {
        match self {
            Self::Args => 1,
            Self::Checkpoint => 2,
            Self::Result => 4,
        }
    }

    const fn key(self, seq: i64) -> i64 {
        // A damaged file may hold any seq.
        seq.wrapping_mul(4).wrapping_add(match self {
            Self::Args => 0,
            Self::Checkpoint => 1,
            Self::Result => 2,
        })
    }
}

/// Stores a value; gives back `outside` with its bit set.
pub(crate) fn put(
    conn: &Connection,
    seq: i64,
    part: Part,
    body: &[u8],
    outside: i64,
) -> rusqlite::Result<i64> {
    conn.prepare_cached(include_str!("sql/put_blob.sql"))?
        .execute(params![part.key(seq), body])?;
    Ok(outside | part.bit())
}

/// Reads a value, if `outside` says that there is one.
pub(crate) fn get(
    conn: &Connection,
    seq: i64,
    part: Part,
    outside: i64,
) -> rusqlite::Result<Option<Bytes>> {
    if outside & part.bit() == 0 {
        return Ok(None);
    }
    conn.prepare_cached(include_str!("sql/get_blob.sql"))?
        .query_row([part.key(seq)], |row| row.get::<_, Vec<u8>>(0))
        .optional()
        .map(|body| body.map(Bytes::from))
}

/// Deletes a value, if there is one; gives back `outside` with its bit cleared.
pub(crate) fn delete(
    conn: &Connection,
    seq: i64,
    part: Part,
    outside: i64,
) -> rusqlite::Result<i64> {
    if outside & part.bit() != 0 {
        conn.prepare_cached(include_str!("sql/delete_blob.sql"))?
            .execute([part.key(seq)])?;
    }
    Ok(outside & !part.bit())
}
