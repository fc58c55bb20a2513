//! SQLite's errors as the contract's, by what the caller must do.

use longshore_core::{ErrorKind, StoreError};
use rusqlite::ErrorCode;

/// Converts an error of SQLite.
pub(crate) fn from_sqlite(error: rusqlite::Error) -> StoreError {
    let (kind, message) = describe(&error);
    StoreError::new(kind, format!("{message}: {error}")).with_source(error)
}

/// The error of a row that cannot be read back.
pub(crate) fn corrupt(what: &str, detail: impl std::fmt::Display) -> StoreError {
    StoreError::new(
        ErrorKind::Corrupt,
        format!("the stored {what} cannot be read ({detail}): restore the file from a backup"),
    )
}

fn describe(error: &rusqlite::Error) -> (ErrorKind, &'static str) {
    use rusqlite::Error as E;
    match error {
        E::FromSqlConversionFailure(..)
        | E::IntegralValueOutOfRange(..)
        | E::Utf8Error(..)
        | E::InvalidColumnType(..) => (
            ErrorKind::Corrupt,
            "a stored value has the wrong form; restore the file from a backup",
        ),
        _ => error
            .sqlite_error_code()
            .map_or((ErrorKind::Internal, "SQLite refused a statement"), of_code),
    }
}

fn of_code(code: ErrorCode) -> (ErrorKind, &'static str) {
    use ErrorCode as C;
    match code {
        C::DatabaseBusy | C::DatabaseLocked | C::FileLockingProtocolFailed => (
            ErrorKind::Unavailable,
            "the store is busy with other processes; try again",
        ),
        C::DiskFull => (
            ErrorKind::Unavailable,
            "the disk of the store is full; make room and try again",
        ),
        C::SystemIoFailure => (
            ErrorKind::Unavailable,
            "the disk of the store failed; check it and try again",
        ),
        C::OutOfMemory | C::OperationInterrupted | C::OperationAborted => (
            ErrorKind::Unavailable,
            "the store was interrupted; try again",
        ),
        C::ReadOnly => (
            ErrorKind::Invalid,
            "the store may not be written; check the permissions of its file and folder",
        ),
        C::CannotOpen | C::PermissionDenied | C::AuthorizationForStatementDenied => (
            ErrorKind::Invalid,
            "the store cannot be opened; check that its folder exists and may be written",
        ),
        C::NotADatabase => (
            ErrorKind::Invalid,
            "the file is not a SQLite database; give the path of another",
        ),
        C::DatabaseCorrupt => (
            ErrorKind::Corrupt,
            "the file is damaged; restore it from a backup",
        ),
        C::TooBig => (
            ErrorKind::Invalid,
            "a value is larger than SQLite can store",
        ),
        _ => (ErrorKind::Internal, "SQLite refused a statement"),
    }
}
