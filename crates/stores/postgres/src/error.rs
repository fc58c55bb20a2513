//! PostgreSQL's errors as the contract's, by what the caller must do. A message says which
//! database, what is wrong, what PostgreSQL said, and how to mend it.

use std::error::Error as _;
use std::fmt::Display;

use longshore_core::round_trip::Answer;
use longshore_core::{ErrorKind, StoreError};
use sqlx::Error;

/// What is wrong and how to mend it, for errors of one kind.
struct Advice {
    kind: ErrorKind,
    problem: &'static str,
    remedy: &'static str,
}

const fn advice(kind: ErrorKind, problem: &'static str, remedy: &'static str) -> Advice {
    Advice {
        kind,
        problem,
        remedy,
    }
}

/// Converts an error of PostgreSQL or of the line to it. The caller adds where it was by [`about`].
pub(crate) fn from_postgres(error: Error) -> StoreError {
    let Advice {
        kind,
        problem,
        remedy,
    } = match &error {
        Error::Database(database) => of_database(
            database.code().as_deref().unwrap_or_default(),
            database.message(),
        ),
        other => of_line(other),
    };
    let message = format!("{problem} ({}): {remedy}", said(&error));
    StoreError::new(kind, message).with_source(error)
}

/// The same for the span of a request: the server's code, or a word for what went wrong on the way.
pub(crate) fn answer_of(error: &Error) -> Answer {
    match error {
        Error::Database(database) => match database.code() {
            Some(code) => Answer::code(code),
            None => Answer::failed("database"),
        },
        Error::PoolTimedOut => Answer::failed("no_connection_free"),
        Error::Io(_) | Error::Tls(_) | Error::Protocol(_) => Answer::failed("connection"),
        _ => Answer::failed("client"),
    }
}

/// The error of a row that cannot be read back.
pub(crate) fn corrupt(what: &str, detail: impl Display) -> StoreError {
    StoreError::new(
        ErrorKind::Corrupt,
        format!("the stored {what} cannot be read ({detail}): restore the database from a backup"),
    )
}

/// The error of a call on the store at `location`: with its name, unless the call itself was wrong.
pub(crate) fn about(location: &str, error: &StoreError) -> StoreError {
    StoreError::new(error.kind(), format!("{location}: {error}"))
}

/// The error of a call that took too long.
pub(crate) fn timed_out(seconds: u64) -> StoreError {
    StoreError::new(
        ErrorKind::Unavailable,
        format!(
            "the server did not answer within {seconds} s: check that it runs and can be reached, \
             and look for locks by `longshore doctor`"
        ),
    )
}

/// A text that PostgreSQL has no way to store.
pub(crate) fn refuse_zero<'a>(
    texts: impl IntoIterator<Item = (&'static str, &'a str)>,
) -> Result<(), StoreError> {
    match texts.into_iter().find(|(_, text)| text.contains('\0')) {
        None => Ok(()),
        Some((what, _)) => Err(StoreError::new(
            ErrorKind::Invalid,
            format!("the {what} has a zero byte, which PostgreSQL cannot store: leave it out"),
        )),
    }
}

/// Whether PostgreSQL took everything back since others did the same at the same time. Repeating
/// the call is safe then, whatever it is.
pub(crate) fn was_taken_back(error: &StoreError) -> bool {
    let source = error.source();
    let found: Option<&Error> = source.and_then(<dyn std::error::Error>::downcast_ref);
    let code = match found {
        Some(Error::Database(database)) => database.code(),
        _ => None,
    };
    matches!(code.as_deref(), Some("40001" | "40P01"))
}

/// PostgreSQL's own words, without the text of the statement.
fn said(error: &Error) -> String {
    match error {
        Error::Database(database) => match database.code() {
            Some(code) => format!("PostgreSQL: {}, code {code}", database.message()),
            None => format!("PostgreSQL: {}", database.message()),
        },
        other => other.to_string(),
    }
}

fn of_line(error: &Error) -> Advice {
    use ErrorKind as K;
    match error {
        Error::PoolTimedOut => advice(
            K::Unavailable,
            "no connection was free in time",
            "allow more of them by `connections` in the URL, or have fewer workers in this process",
        ),
        Error::Configuration(_) | Error::InvalidArgument(_) => advice(
            K::Invalid,
            "the store cannot be connected to as its URL says",
            "mend the URL",
        ),
        Error::Tls(_) => advice(
            K::Unavailable,
            "no encrypted connection could be made",
            "check sslmode and sslrootcert in the URL, and the server's certificate",
        ),
        Error::ColumnDecode { .. } | Error::Decode(_) | Error::ColumnNotFound(_) => advice(
            K::Corrupt,
            "a stored value has the wrong form",
            "restore the database from a backup",
        ),
        _ => advice(
            K::Unavailable,
            "the connection to the server failed",
            "check that it runs and can be reached, and try again",
        ),
    }
}

/// Some codes stand for several things, which the message tells apart, unless the server speaks
/// another language.
fn of_database(code: &str, message: &str) -> Advice {
    use ErrorKind as K;
    match code {
        "08P01" if message.contains("startup parameter") => advice(
            K::Invalid,
            "a pooler in between does not know a parameter that the connection begins with",
            "leave it out of the URL, or add it to the pooler's `ignore_startup_parameters`",
        ),
        "53300" if message.contains("for role") || message.contains("for database") => advice(
            K::Unavailable,
            "a bound of connections is reached",
            "raise the CONNECTION LIMIT of what PostgreSQL names, or lower `connections` in the URL",
        ),
        "26000" | "42P05" => advice(
            K::Unavailable,
            "a pooler in between gives a connection for one transaction only",
            "say `pooler=transaction` in the URL",
        ),
        "57014" if message.contains("statement timeout") => advice(
            K::Unavailable,
            "a statement took longer than `statement_timeout`",
            "raise that for this user by ALTER ROLE, at least for a first start after an upgrade, or \
             try again",
        ),
        code => of_code(code),
    }
}

fn of_code(code: &str) -> Advice {
    of_one_code(code).unwrap_or_else(|| of_class(code.get(..2).unwrap_or_default()))
}

fn of_one_code(code: &str) -> Option<Advice> {
    use ErrorKind as K;
    Some(match code {
        "53100" => advice(
            K::Unavailable,
            "the disk of the server is full",
            "make room on it and try again",
        ),
        "53300" => advice(
            K::Unavailable,
            "the server has no connection left",
            "raise max_connections, lower `connections` in the URL, or put a pooler in between",
        ),
        "40001" | "40P01" | "55P03" | "57014" => advice(
            K::Unavailable,
            "the server gave up on others that did the same at the same time, or took too long",
            "try again",
        ),
        "25006" => advice(
            K::Unavailable,
            "the server may only be read",
            "connect to the primary, or wait until it is one; if it is, set \
             default_transaction_read_only = off for the user and the database",
        ),
        "42501" => advice(
            K::Invalid,
            "the user may not do that",
            "have the owner grant it: `longshore doctor` has the command",
        ),
        "22021" | "22P05" => advice(
            K::Invalid,
            "a text has a byte that the database cannot store",
            "leave zero bytes out, and give the database the encoding UTF8",
        ),
        "3D000" => advice(
            K::Invalid,
            "there is no such database",
            "create it by `createdb`, or mend the URL",
        ),
        "3F000" | "42P01" | "42703" | "42883" | "42P10" => advice(
            K::Corrupt,
            "a table, column, index or function of Longshore's is missing",
            "run `longshore doctor`, and restore the schema from a backup",
        ),
        _ => return None,
    })
}

fn of_class(class: &str) -> Advice {
    use ErrorKind as K;
    match class {
        "28" => advice(
            K::Invalid,
            "the server does not let this user in",
            "check user and password in the URL, and pg_hba.conf",
        ),
        "08" | "53" | "57" | "58" => advice(
            K::Unavailable,
            "the server cannot serve now",
            "check that it runs, and try again",
        ),
        "XX" => advice(
            K::Corrupt,
            "the database is damaged",
            "look into the server's log, and restore the database from a backup",
        ),
        "54" => advice(
            K::Invalid,
            "a value is larger than PostgreSQL can store",
            "make it smaller",
        ),
        _ => advice(
            K::Internal,
            "PostgreSQL refused a statement",
            "if nobody altered the schema, report this as a bug",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_several_meanings_are_told_apart() {
        for (code, message, mend) in [
            (
                "53300",
                "too many connections for role \"app\"",
                "CONNECTION LIMIT",
            ),
            (
                "53300",
                "sorry, too many clients already",
                "max_connections",
            ),
            (
                "57014",
                "canceling statement due to statement timeout",
                "ALTER ROLE",
            ),
            (
                "57014",
                "canceling statement due to user request",
                "try again",
            ),
            (
                "08P01",
                "unsupported startup parameter: x",
                "ignore_startup_parameters",
            ),
            (
                "26000",
                "prepared statement \"s_1\" does not exist",
                "pooler=transaction",
            ),
        ] {
            let advice = of_database(code, message);
            assert!(
                advice.remedy.contains(mend),
                "{code} {message}: {}",
                advice.remedy
            );
        }
    }

    #[test]
    fn what_went_wrong_on_the_way_has_a_word() {
        let none_free = answer_of(&Error::PoolTimedOut);
        assert_eq!(none_free, Answer::failed("no_connection_free"));
        let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert_eq!(answer_of(&Error::Io(broken)), Answer::failed("connection"));
        let own = answer_of(&Error::RowNotFound);
        assert_eq!(own, Answer::failed("client"));
    }
}
