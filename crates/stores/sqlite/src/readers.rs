//! Connections that read, each used by one call at a time, on tokio's threads for blocking work.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore_core::round_trip::Request;
use longshore_core::{ErrorKind, StoreError};
use rusqlite::Connection;

use crate::connection;
use crate::error::{about, end_request, from_sqlite};
use crate::identity::Identity;
use crate::options::SqliteOptions;

/// Most idle connections that are kept.
const MAX_IDLE: usize = 4;

/// The connections that are idle, and how to open more.
#[derive(Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    identity: Identity,
    busy_timeout: Duration,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(crate) fn new(options: &SqliteOptions, identity: Identity) -> Self {
        Self {
            path: options.path.clone(),
            identity,
            busy_timeout: options.busy_timeout,
            idle: Mutex::default(),
        }
    }

    /// Runs `look`, for which `request` stands, on a snapshot of the file.
    pub(crate) async fn read<T, F>(
        self: &Arc<Self>,
        request: Request,
        look: F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let readers = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || {
            let read = || {
                readers.identity.check()?;
                let conn = readers.take()?;
                let answer = on_snapshot(&conn, look);
                readers.give_back(conn);
                answer
            };
            read().map_err(|error| about(&readers.path, error))
        });
        let answer = reading.await.unwrap_or_else(|error| {
            let problem = "the read was stopped; is the runtime shutting down?";
            Err(StoreError::new(ErrorKind::Unavailable, problem).with_source(error))
        });
        end_request(request, &answer);
        answer
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match idle {
            Some(conn) => Ok(conn),
            None => connection::reader(&self.path, self.busy_timeout),
        }
    }

    fn give_back(&self, conn: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE && conn.is_autocommit() {
            idle.push(conn);
        }
    }
}

fn on_snapshot<T>(
    conn: &Connection,
    look: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    // Dropping the transaction ends it; it wrote nothing.
    let snapshot = conn.unchecked_transaction().map_err(from_sqlite)?;
    look(&snapshot)
}
