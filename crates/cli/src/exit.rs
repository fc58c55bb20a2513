//! How the program ends: exit codes, and errors as a person reads them.

use std::fmt;
use std::process::ExitCode;

use longshore_api::ApiError;
use longshore_core::{ErrorKind, StoreError};

use crate::output::Output;
use crate::store_file::NoStore;

/// What the exit code says. The numbers are documented in `docs/cli.md` and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// What was asked for is done.
    Done = 0,
    /// It is not done; stderr says why.
    Failed = 1,
    /// The command line is wrong; nothing was tried.
    Usage = 2,
    /// `worker --drain` finished, but some job was discarded.
    Discarded = 3,
    /// The store cannot be reached or is busy, or a limit has no room; the same call may succeed
    /// later.
    StoreUnavailable = 4,
    /// Ended by SIGHUP, as a shell says it: 128 and the signal's number.
    HungUp = 129,
    /// Ended by SIGINT.
    Interrupted = 130,
    /// Ended by SIGTERM.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command line that parses and yet makes no sense.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// What the store does not allow is a mistake of whoever typed it; what its server does not, such as a
/// password, is none, and has the server's answer for its cause.
pub(crate) fn refused(error: StoreError) -> anyhow::Error {
    let is_of_server = std::error::Error::source(&error).is_some();
    match error.kind() {
        ErrorKind::Invalid if !is_of_server => Usage(error.to_string()).into(),
        _ => error.into(),
    }
}

/// Prints an error to stderr and gives back how to exit.
pub(crate) fn report(output: &Output, error: &anyhow::Error) -> Exit {
    output.error(&told(error));
    exit_of(error)
}

/// An error with its causes; what a cause repeats of the words above it is said once.
pub(crate) fn told(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| {
        let cause = cause.to_string();
        match cause.as_str() {
            _ if told.is_empty() => cause,
            cause if told.contains(cause) => told,
            cause => format!("{told}: {cause}"),
        }
    })
}

/// The one code of its kind of error, wherever it is met.
pub(crate) fn exit_of(error: &anyhow::Error) -> Exit {
    let is_usage = error.downcast_ref::<Usage>().is_some();
    if is_usage || error.downcast_ref::<NoStore>().is_some() {
        return Exit::Usage;
    }
    match error.downcast_ref::<ApiError>() {
        Some(ApiError::Invalid(_)) => return Exit::Usage,
        Some(ApiError::Unavailable(_) | ApiError::Limited(_)) => return Exit::StoreUnavailable,
        _ => {}
    }
    let mut causes = error.chain();
    let store_error = causes.find_map(|cause| cause.downcast_ref::<StoreError>());
    match store_error.map(StoreError::kind) {
        Some(ErrorKind::Unavailable | ErrorKind::Limited) => Exit::StoreUnavailable,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_does_not_hide_the_kind_of_an_error() {
        let busy = StoreError::new(ErrorKind::Unavailable, "the file is locked");
        let error = anyhow::Error::new(busy).context("opening the store");
        assert_eq!(exit_of(&error), Exit::StoreUnavailable);
        assert_eq!(exit_of(&anyhow::anyhow!("other")), Exit::Failed);
        assert_eq!(exit_of(&Usage("both".to_owned()).into()), Exit::Usage);
    }

    #[test]
    fn what_a_server_refuses_is_no_mistake_of_who_typed_the_job() {
        let bound = StoreError::new(ErrorKind::Invalid, "the args are too large");
        assert_eq!(exit_of(&refused(bound)), Exit::Usage);
        let password = StoreError::new(ErrorKind::Invalid, "the server lets nobody in");
        let password = password.with_source(fmt::Error);
        assert_eq!(exit_of(&refused(password)), Exit::Failed);
    }
}
