//! Extending leases.

use longshore_core::{Beat, BeatAnswer, ErrorKind, StoreError, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use crate::blob::{self, Part};
use crate::error::from_sqlite;

/// Extends the leases and stores what the beats carry.
pub(crate) fn heartbeat(
    conn: &Connection,
    beats: &[Beat],
    now: Timestamp,
) -> Result<Vec<BeatAnswer>, StoreError> {
    beats
        .iter()
        .map(|beat| beat_one(conn, beat, now).map_err(from_sqlite))
        .collect()
}

/// Refuses a checkpoint that is too large, before anything is written.
pub(crate) fn check(beats: &[Beat]) -> Result<(), StoreError> {
    let size = |beat: &Beat| beat.checkpoint.as_ref().map_or(0, bytes::Bytes::len);
    match beats
        .iter()
        .find(|beat| size(beat) > Beat::MAX_CHECKPOINT_BYTES)
    {
        None => Ok(()),
        Some(beat) => Err(StoreError::new(
            ErrorKind::Invalid,
            format!(
                "the checkpoint of job {} takes {} bytes, more than the {} allowed: \
                 store it elsewhere and keep a reference",
                beat.job_id,
                size(beat),
                Beat::MAX_CHECKPOINT_BYTES
            ),
        )),
    }
}

fn beat_one(conn: &Connection, beat: &Beat, now: Timestamp) -> rusqlite::Result<BeatAnswer> {
    let until = now.after(beat.extend_by);
    let held: Option<(i64, i64, bool)> = conn
        .prepare_cached(include_str!("sql/extend_lease.sql"))?
        .query_row(
            params![
                beat.job_id.as_str(),
                beat.token.get(),
                until.unix_nanos(),
                beat.progress
            ],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let Some((seq, outside, cancel_requested)) = held else {
        return Ok(BeatAnswer::Lost);
    };
    if let Some(checkpoint) = &beat.checkpoint {
        let with = blob::put(conn, seq, Part::Checkpoint, checkpoint, outside)?;
        if with != outside {
            conn.prepare_cached(include_str!("sql/set_outside.sql"))?
                .execute([seq, with])?;
        }
    }
    Ok(if cancel_requested {
        BeatAnswer::CancelRequested(until)
    } else {
        BeatAnswer::Held(until)
    })
}
