//! What the server says, by what the caller must do.

use std::fmt;

use longshore_core::round_trip::Answer;
use longshore_core::{ErrorKind, StoreError};
use redis::RedisError;

/// Whether the server does not know the functions: it was restarted or emptied, or failed over to
/// one that never had them.
pub(crate) fn knows_no_functions(error: &RedisError) -> bool {
    let detail = error.detail().unwrap_or_default();
    error.code() == Some("NOSCRIPT") || detail.contains("Function not found")
}

/// Whether functions that could not be loaded may still run as a script: the user lacks the right to
/// load them, memory is short, or the server has no libraries after all.
pub(crate) fn may_be_a_script(error: &RedisError) -> bool {
    let detail = error.detail().unwrap_or_default();
    matches!(error.code(), Some("NOPERM" | "OOM")) || detail.contains("unknown command")
}

/// Whether another connection, perhaps to another server, may do better.
pub(crate) fn wants_other_connection(error: &RedisError) -> bool {
    let codes = [
        "READONLY",
        "MOVED",
        "ASK",
        "MASTERDOWN",
        "CLUSTERDOWN",
        "LOADING",
    ];
    error.is_io_error()
        || error.is_connection_dropped()
        || error.is_timeout()
        || error.is_unrecoverable_error()
        || error.code().is_some_and(|code| codes.contains(&code))
}

/// An error for the span of a request: the server's word, or one for what went wrong on the way.
pub(crate) fn answer_of(error: &RedisError) -> Answer {
    match error.code() {
        Some(code) => Answer::code(code),
        None if error.is_timeout() => Answer::failed("timeout"),
        None if error.is_io_error() || error.is_connection_dropped() => {
            Answer::failed("connection")
        }
        None => Answer::failed("client"),
    }
}

/// An error of the client as the contract names it; `location` is the store.
pub(crate) fn from_redis(location: &str, error: RedisError) -> StoreError {
    let (kind, mend) = judge(&error);
    let said = match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        _ => error.to_string(),
    };
    let message = match mend {
        "" => format!("the Redis store {location}: {said}"),
        mend => format!("the Redis store {location}: {said}; {mend}"),
    };
    StoreError::new(kind, message).with_source(Cause { said, error })
}

/// What the client knows of an error, in the words of the message, so that who prints causes as well
/// does not say it twice.
#[derive(Debug)]
struct Cause {
    said: String,
    error: RedisError,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

impl std::error::Error for Cause {}

/// For the span of a request that failed before it could be sent.
pub(crate) fn answer_of_store(error: &StoreError) -> Answer {
    let source = std::error::Error::source(error);
    let cause: Option<&Cause> = source.and_then(<dyn std::error::Error>::downcast_ref);
    cause.map_or(Answer::failed(error.kind().as_str()), |cause| {
        answer_of(&cause.error)
    })
}

/// What the caller must do, and what mends it.
fn judge(error: &RedisError) -> (ErrorKind, &'static str) {
    use ErrorKind as K;
    let refused = redis::ErrorKind::AuthenticationFailed == error.kind();
    // Before version 7 a script's own error wraps that of its command.
    let is_oom = |detail: &str| detail.contains(" -OOM ");
    let code = match error.detail() {
        Some(detail) if is_oom(detail) => "OOM",
        _ => error.code().unwrap_or_default(),
    };
    match code {
        "OOM" => (
            K::Unavailable,
            "its memory is full and nothing was stored: raise `maxmemory`, run workers, or prune jobs \
             that are over (`longshore jobs prune`)",
        ),
        "CORRUPT" => (
            K::Corrupt,
            "was it changed by another program? `longshore doctor` says what to look at",
        ),
        "NOAUTH" | "WRONGPASS" => (K::Invalid, "write the user and the password into the URL"),
        _ if refused => (K::Invalid, "write the user and the password into the URL"),
        "NOPERM" => (
            K::Invalid,
            "give the user the rights that `longshore docs redis` lists",
        ),
        "MISCONF" => (
            K::Unavailable,
            "it takes no writes since it cannot save to its disk: its log says why",
        ),
        "READONLY" => (
            K::Unavailable,
            "this is a replica: name the master, or use sentinel",
        ),
        "LOADING" => (K::Unavailable, "it reads its data after a start: try again"),
        "CROSSSLOT" | "WRONGTYPE" => (K::Corrupt, "a key of the store is not as Longshore left it"),
        "MOVED" | "ASK" => (
            K::Unavailable,
            "this is one node of a cluster: write redis-cluster://",
        ),
        "" => match of_certificates(&error.to_string()) {
            "" if error.is_connection_refusal() => {
                (K::Unavailable, "check that it runs, and try again")
            }
            "" if error.is_io_error() => (
                K::Unavailable,
                "check that it runs and can be reached, and that it speaks TLS if the URL says \
                 rediss, and try again",
            ),
            mend => (K::Unavailable, mend),
        },
        "ERR" => of_refusal(error.detail().unwrap_or_default()),
        _ => (K::Unavailable, ""),
    }
}

/// What a server says that is another than the URL has it, and what is wrong with the functions.
fn of_refusal(detail: &str) -> (ErrorKind, &'static str) {
    use ErrorKind as K;
    if is_a_bug(detail) {
        (K::Internal, "please report this")
    } else if detail.contains("DB index is out of range") {
        (
            K::Invalid,
            "it has no such database: write another number after the host, or raise `databases` in \
             its configuration",
        )
    } else if detail.contains("unknown command 'SENTINEL'") {
        (
            K::Invalid,
            "this is no sentinel: name the sentinels, or write redis:// for the server itself",
        )
    } else if detail.contains("cluster support disabled") {
        (K::Invalid, "it is in no cluster: write redis://")
    } else if detail.contains("max number of clients") {
        (K::Unavailable, "raise `maxclients`, and try again")
    } else {
        (K::Unavailable, "")
    }
}

/// What mends a connection that TLS refused.
fn of_certificates(said: &str) -> &'static str {
    if said.contains("CertificateRequired") {
        "it asks for a certificate: give one with `cert=FILE&key=FILE` in the URL"
    } else if said.contains("UnknownIssuer") {
        "give the certificate of who vouches for it with `cacert=FILE` in the URL"
    } else {
        ""
    }
}

fn is_a_bug(detail: &str) -> bool {
    [
        "user_script",
        "Error running",
        "Wrong number",
        "wrong number",
    ]
    .iter()
    .any(|sign| detail.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> StoreError {
        let error = redis::parse_redis_value(format!("-{text}\r\n").as_bytes());
        let error = match error.unwrap() {
            redis::Value::ServerError(error) => RedisError::from(error),
            other => unreachable!("{other:?}"),
        };
        from_redis("redis://there", error)
    }

    #[test]
    fn a_full_memory_is_known_in_the_words_of_each_version() {
        for text in [
            "OOM command not allowed when used memory > 'maxmemory'.",
            "ERR Error running script (call to f_bb6abeb1): @user_script:451: @user_script: 451: -OOM \
             command not allowed when used memory > 'maxmemory'.",
        ] {
            let error = said(text);
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            assert!(error.to_string().contains("jobs prune"), "{error}");
        }
        let bug =
            said("ERR Error running script (call to f_1): @user_script:3: attempt to index nil");
        assert_eq!(bug.kind(), ErrorKind::Internal);
    }

    #[test]
    fn a_server_that_is_another_than_the_url_says_is_told_with_what_to_write() {
        for (text, mend) in [
            ("ERR DB index is out of range", "another number"),
            (
                "ERR unknown command 'SENTINEL', with args",
                "write redis://",
            ),
            (
                "ERR This instance has cluster support disabled",
                "write redis://",
            ),
            (
                "NOAUTH Authentication required.",
                "the password into the URL",
            ),
        ] {
            let error = said(text);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            assert!(error.to_string().contains(mend), "{error}");
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(error.to_string().contains(&cause), "{error}: {cause}");
        }
    }

    #[test]
    fn a_server_that_is_away_is_told_with_what_to_do() {
        for kind in [
            std::io::ErrorKind::ConnectionRefused,
            std::io::ErrorKind::HostUnreachable,
        ] {
            let error = std::io::Error::new(kind, "no");
            let error = from_redis("redis://there", RedisError::from(error));
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(
                error.to_string().contains("; check that it runs"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_went_wrong_on_the_way_has_a_word() {
        let of = |kind| answer_of(&RedisError::from(std::io::Error::new(kind, "no")));
        assert_eq!(of(std::io::ErrorKind::TimedOut), Answer::failed("timeout"));
        let refused = of(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(refused, Answer::failed("connection"));
        let own = RedisError::from((redis::ErrorKind::Client, "the answer makes no sense"));
        assert_eq!(answer_of(&own), Answer::failed("client"));
    }
}
