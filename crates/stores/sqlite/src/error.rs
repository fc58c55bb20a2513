//! SQLite's errors as the contract's, by what the caller must do. A message says which file, what
//! is wrong, what SQLite said, and how to mend it.

use std::error::Error as _;
use std::path::Path;

use longshore_core::round_trip::{Answer, Request};
use longshore_core::{ErrorKind, StoreError};
use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER;

/// What is wrong and how to mend it, for errors of one kind.
struct Advice {
    kind: ErrorKind,
    problem: &'static str,
    remedy: &'static str,
}

/// How to go on with a file that is damaged.
const RESTORE: &str = "stop what uses it and restore it from a backup, or save what can still be \
     read by `.recover` of the sqlite3 program from sqlite.org";

/// Converts an error of SQLite. The caller adds the file by [`about`].
pub(crate) fn from_sqlite(error: rusqlite::Error) -> StoreError {
    let Advice {
        kind,
        problem,
        remedy,
    } = advice(&error);
    let message = format!("{problem} (SQLite: {}): {remedy}", said(&error));
    StoreError::new(kind, message).with_source(error)
}

/// The error of a row that cannot be read back.
pub(crate) fn corrupt(what: &str, detail: impl std::fmt::Display) -> StoreError {
    StoreError::new(
        ErrorKind::Corrupt,
        format!("the stored {what} cannot be read ({detail}): restore the file from a backup"),
    )
}

/// An error of the file at `path`, by its name. SQLite's own error is in the message and need not
/// follow it once more as its source.
pub(crate) fn named(path: &Path, error: &StoreError) -> StoreError {
    StoreError::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The same error for another caller, without its source.
pub(crate) fn copy(error: &StoreError) -> StoreError {
    StoreError::new(error.kind(), error.to_string())
}

/// The error of a call on the file at `path`: with its name, unless it has it already or the call
/// itself was wrong.
pub(crate) fn about(path: &Path, error: StoreError) -> StoreError {
    let of_call = !matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::Corrupt | ErrorKind::Internal
    );
    let called = error.to_string().starts_with(&*path.to_string_lossy());
    if called || (of_call && sqlite_error(&error).is_none()) {
        return error;
    }
    named(path, &error)
}

/// Ends the request of a call with its answer.
pub(crate) fn end_request<T>(request: Request, answer: &Result<T, StoreError>) {
    request.end(match answer {
        Ok(_) => Answer::Good,
        Err(error) if error.kind() == ErrorKind::Conflict => Answer::Refused,
        Err(error) => Answer::failed(error.kind().as_str()),
    });
}

/// Whether another process kept SQLite from it.
pub(crate) fn is_busy(error: &StoreError) -> bool {
    let code = sqlite_error(error).and_then(rusqlite::Error::sqlite_error_code);
    code == Some(ErrorCode::DatabaseBusy)
}

/// Whether SQLite found the file itself damaged, as opposed to a value in it.
pub(crate) fn is_damage(error: &StoreError) -> bool {
    let code = sqlite_error(error).and_then(rusqlite::Error::sqlite_error_code);
    matches!(
        code,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

fn sqlite_error(error: &StoreError) -> Option<&rusqlite::Error> {
    error
        .source()
        .and_then(<dyn std::error::Error>::downcast_ref)
}

/// SQLite's own words, without the text of the statement.
fn said(error: &rusqlite::Error) -> String {
    use rusqlite::Error as E;
    match error {
        E::SqliteFailure(failure, message) => {
            let code = failure.extended_code;
            let message = message.clone().unwrap_or_else(|| failure.to_string());
            format!("{message}, code {code}")
        }
        E::SqlInputError { error, msg, .. } => format!("{msg}, code {}", error.extended_code),
        other => other.to_string(),
    }
}

fn advice(error: &rusqlite::Error) -> Advice {
    use rusqlite::Error as E;
    match error {
        E::FromSqlConversionFailure(..)
        | E::IntegralValueOutOfRange(..)
        | E::Utf8Error(..)
        | E::InvalidColumnType(..) => Advice {
            kind: ErrorKind::Corrupt,
            problem: "a stored value has the wrong form",
            remedy: "restore the file from a backup",
        },
        _ => error.sqlite_error().map_or(REFUSED, |failure| {
            if failure.extended_code == SQLITE_CONSTRAINT_TRIGGER {
                return Advice {
                    kind: ErrorKind::Invalid,
                    problem: "a trigger in the file refused the change",
                    remedy: "remove it from Longshore's tables",
                };
            }
            of_code(failure.code)
        }),
    }
}

const REFUSED: Advice = Advice {
    kind: ErrorKind::Internal,
    problem: "SQLite refused a statement",
    remedy: "if nobody altered the file, report this as a bug",
};

fn of_code(code: ErrorCode) -> Advice {
    use ErrorCode as C;
    let advice = |kind, problem, remedy| Advice {
        kind,
        problem,
        remedy,
    };
    match code {
        C::DatabaseBusy | C::DatabaseLocked | C::FileLockingProtocolFailed => advice(
            ErrorKind::Unavailable,
            "the store is busy with other processes",
            "try again, and look for one that holds a transaction open",
        ),
        C::DiskFull => advice(
            ErrorKind::Unavailable,
            "the disk of the store is full",
            "delete other files there than its own, since deleting jobs needs room as well, and try again",
        ),
        C::SystemIoFailure => advice(
            ErrorKind::Unavailable,
            "the disk of the store could not be read or written",
            "check that it has room and is sound, and try again",
        ),
        C::OutOfMemory | C::OperationInterrupted | C::OperationAborted => advice(
            ErrorKind::Unavailable,
            "the store was interrupted",
            "try again",
        ),
        C::ReadOnly => advice(
            ErrorKind::Invalid,
            "the store may not be written",
            "check the permissions of the file and of its folder, and how the disk is mounted",
        ),
        // As a server that cannot be reached: a folder that is not there may lie on a disk that is
        // mounted later.
        C::CannotOpen => advice(
            ErrorKind::Unavailable,
            "the store cannot be opened",
            "check that its folder exists, and that you may write to the file and to the folder",
        ),
        C::PermissionDenied | C::AuthorizationForStatementDenied => advice(
            ErrorKind::Invalid,
            "the store cannot be opened",
            "check that its folder exists, and that you may write to the file and to the folder",
        ),
        C::NotADatabase => advice(
            ErrorKind::Invalid,
            "the file is not a SQLite database",
            "give the path of another, or of none and it will be made; if it was a store, restore \
             it from a backup",
        ),
        C::DatabaseCorrupt => advice(ErrorKind::Corrupt, "the file is damaged", RESTORE),
        C::TooBig => advice(
            ErrorKind::Invalid,
            "a value is larger than SQLite can store",
            "make it smaller",
        ),
        _ => REFUSED,
    }
}
