//! How many jobs of a queue are in which state: changes are gathered over a call and written
//! once, so that telling how the queues stand never counts jobs.

use longshore_core::{JobState, StoreError};
use rusqlite::{Connection, ffi, params};

use crate::error::{corrupt, from_sqlite};
use crate::row::state_code;

/// The changes of one call.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    queues: Vec<(String, [i64; 7])>,
}

impl Counts {
    /// Notes that a job of `queue` went from one state to another; `None` is outside the store.
    pub(crate) fn moved(&mut self, queue: &str, from: Option<JobState>, to: Option<JobState>) {
        let found = self.queues.iter().position(|(name, _)| name == queue);
        let at = found.unwrap_or(self.queues.len());
        if found.is_none() {
            self.queues.push((queue.to_owned(), [0; 7]));
        }
        let Some((_, changes)) = self.queues.get_mut(at) else {
            return;
        };
        for (state, by) in [(from, -1), (to, 1)] {
            let code = state.and_then(|state| usize::try_from(state_code(state)).ok());
            if let Some(change) = code.and_then(|code| changes.get_mut(code)) {
                *change += by;
            }
        }
    }

    /// Writes the changes.
    pub(crate) fn flush(self, conn: &Connection) -> Result<(), StoreError> {
        for (
            queue,
            [
                scheduled,
                retryable,
                available,
                running,
                completed,
                cancelled,
                discarded,
            ],
        ) in self.queues
        {
            conn.prepare_cached(include_str!("sql/count.sql"))
                .and_then(|mut statement| {
                    statement.execute(params![
                        queue, scheduled, retryable, available, running, completed, cancelled,
                        discarded
                    ])
                })
                .map_err(overflown)?;
        }
        Ok(())
    }
}

/// A count that is no whole number any more was too large before, which no jobs make it.
fn overflown(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error() {
        Some(cause) if cause.extended_code == ffi::SQLITE_CONSTRAINT_DATATYPE => {
            corrupt("count", error)
        }
        _ => from_sqlite(error),
    }
}
