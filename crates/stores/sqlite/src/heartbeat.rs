//! Extending leases.

use longshore_core::{Beat, BeatAnswer, StoreError, Timestamp};
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
