//! What an answer means: whether a request did nothing, did what it was to do, or nobody knows.

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use longshore_bucket::Provider;
use longshore_core::round_trip::Answer as Noted;
use object_store::Error;

/// What the last answer to a request was, as it came from the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// The status; 0 if there was no answer.
    pub(super) status: u16,
    /// The server's word for what is wrong, such as `NoSuchBucket`.
    pub(super) code: String,
    /// Its sentence.
    pub(super) message: String,
}

tokio::task_local! {
    /// The library says less of an error than the server does, so that is kept here meanwhile.
    static HEARD: RefCell<Heard>;
}

/// What came of a request, and what was heard last.
pub(super) struct Answer<T> {
    pub(super) result: T,
    pub(super) heard: Heard,
}

/// Runs a request and keeps what is heard from the server meanwhile.
pub(super) async fn listen<T>(request: impl Future<Output = T> + Send) -> Answer<T> {
    let listening = async {
        let result = request.await;
        let heard = HEARD.try_with(RefCell::take).unwrap_or_default();
        Answer { result, heard }
    };
    HEARD.scope(RefCell::default(), listening).await
}

/// Notes an answer of the server, for whoever listens.
pub(super) fn hear(heard: Heard) {
    // Who sends requests of another kind, for credentials say, does not listen.
    let _ = HEARD.try_with(|place| place.replace(heard));
}

/// Why a request was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its condition does not hold. It did nothing.
    Condition,
    /// The object is not there. It did nothing.
    Absent,
    /// Another request for the same object was under way. It did nothing.
    Conflict,
    /// The server has too much to do.
    Busy,
    /// It will never be done as it is: no permission, no bucket. It did nothing.
    Denied,
    /// No answer came, or one that says nothing.
    Broken,
}

/// A request that was not done, as far as is known.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) refusal: Refusal,
    /// The status of the answer; 0 if there was none.
    status: u16,
    /// What to tell people, without secrets.
    pub(super) message: String,
}

impl Failure {
    /// No answer came in time.
    pub(super) fn silent(patience: Duration, heard: &Heard) -> Self {
        let message = match heard.status {
            0 => format!("no answer within {} s", patience.as_secs()),
            status => format!("status {status}, and then nothing"),
        };
        Self {
            refusal: Refusal::Broken,
            status: heard.status,
            message,
        }
    }

    pub(super) fn of(provider: Provider, error: &Error, heard: &Heard) -> Self {
        let refusal = match error {
            // What the library refuses by itself was never sent.
            Error::NotImplemented { .. }
            | Error::NotSupported { .. }
            | Error::InvalidPath { .. }
            | Error::UnknownConfigurationKey { .. } => Refusal::Denied,
            _ => refusal(provider, heard),
        };
        let message = match heard.status {
            0 => said(provider, without_queries(&chain(error))),
            _ => heard.to_string(),
        };
        Self {
            refusal,
            status: heard.status,
            message,
        }
    }

    /// The same for the span of the request. That nothing is there, or that somebody was first, is
    /// what the store asks for.
    pub(super) fn noted(&self) -> Noted {
        match (self.refusal, self.status) {
            (Refusal::Condition | Refusal::Conflict | Refusal::Absent, _) => Noted::Refused,
            (_, 0) => Noted::failed("no_answer"),
            (_, status) => Noted::code(status.to_string()),
        }
    }
}

/// What went wrong before the server was asked. Where nobody gives credentials, the machine's own
/// service for them is asked at last, which most machines do not have.
fn said(provider: Provider, chain: String) -> String {
    let asked = ["169.254.169.254", "metadata.google.internal"];
    if !asked.into_iter().any(|address| chain.contains(address)) {
        return chain;
    }
    let give = match provider {
        Provider::S3 => "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        Provider::Gcs => {
            "set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account's key"
        }
        Provider::Azure => "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    };
    format!("there are no credentials: {give}, or run it where the machine has a role of its own")
}

impl std::fmt::Display for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "status {}", self.status)?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        match (self.status, self.code.as_str()) {
            (301 | 307, _) => write!(
                f,
                " (the bucket is of another region: say which with `region`)"
            ),
            (_, "RequestTimeTooSkewed") => write!(f, " (set this machine's clock)"),
            _ => Ok(()),
        }
    }
}

fn refusal(provider: Provider, heard: &Heard) -> Refusal {
    match (heard.status, heard.code.as_str()) {
        (_, "NoSuchBucket" | "ContainerNotFound") => Refusal::Denied,
        (304 | 412, _) => Refusal::Condition,
        // Azure's answer to a create of what is there; with S3 it is a race that nobody has won.
        (409, "BlobAlreadyExists" | "ObjectAlreadyExists") => Refusal::Condition,
        (409, _) if provider == Provider::Azure => Refusal::Condition,
        (409, _) => Refusal::Conflict,
        (404, _) => Refusal::Absent,
        (429 | 503, _) | (_, "SlowDown" | "ServerBusy") => Refusal::Busy,
        // The server gave up waiting for the body: it did nothing, and another try may go well.
        (408, _) | (400, "RequestTimeout") => Refusal::Busy,
        (300..=499, _) => Refusal::Denied,
        _ => Refusal::Broken,
    }
}

/// An error and all that caused it, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = String::new();
    let all = std::iter::successors(Some(error), |error| error.source());
    for words in all.map(ToString::to_string) {
        if !said.contains(&words) {
            let apart = if said.is_empty() { "" } else { ": " };
            said = format!("{said}{apart}{words}");
        }
    }
    said
}

/// What follows the question mark of a URL may be a signature.
fn without_queries(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.split_once('?') {
        Some((url, _)) if url.contains("://") => url,
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(status: u16, code: &str) -> Heard {
        Heard {
            status,
            code: code.to_owned(),
            message: String::new(),
        }
    }

    /// Instead of the words of a service that most machines do not have.
    #[test]
    fn credentials_that_nobody_gives_are_told_with_what_to_set() {
        let asked = "Error performing PUT http://169.254.169.254/latest/api/token in 1.3ms";
        for (provider, variable) in [
            (
                Provider::S3,
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            ),
            (Provider::Gcs, "set GOOGLE_APPLICATION_CREDENTIALS"),
            (Provider::Azure, "set AZURE_STORAGE_ACCOUNT_NAME"),
        ] {
            let said = said(provider, asked.to_owned());
            assert!(
                said.contains(variable) && !said.contains("169.254"),
                "{said}"
            );
        }
        let other = "connection refused".to_owned();
        assert_eq!(said(Provider::S3, other.clone()), other);
    }

    #[test]
    fn every_answer_means_one_thing() {
        use Refusal::{Absent, Broken, Busy, Condition, Conflict, Denied};
        for (status, code, meant) in [
            (0, "", Broken),
            (304, "", Condition),
            (412, "PreconditionFailed", Condition),
            (404, "NoSuchKey", Absent),
            (404, "NoSuchBucket", Denied),
            (403, "AccessDenied", Denied),
            (301, "PermanentRedirect", Denied),
            (400, "InvalidArgument", Denied),
            (400, "RequestTimeout", Busy),
            (409, "ConditionalRequestConflict", Conflict),
            (409, "OperationAborted", Conflict),
            (429, "", Busy),
            (503, "SlowDown", Busy),
            (500, "InternalError", Broken),
            (500, "SlowDown", Busy),
            (502, "", Broken),
        ] {
            assert_eq!(
                refusal(Provider::S3, &heard(status, code)),
                meant,
                "{status} {code}"
            );
        }
        let azure = |status, code| refusal(Provider::Azure, &heard(status, code));
        assert_eq!(azure(409, "BlobAlreadyExists"), Condition);
        assert_eq!(azure(404, "ContainerNotFound"), Denied);
        assert_eq!(azure(503, "ServerBusy"), Busy);
    }

    #[test]
    fn signatures_are_not_told() {
        let text = "Error performing PUT https://a.example/c/k?sig=hush&se=1 in 3ms - cut off?";
        let told = without_queries(text);
        assert_eq!(
            told,
            "Error performing PUT https://a.example/c/k in 3ms - cut off?"
        );
    }

    #[tokio::test]
    async fn what_is_heard_is_heard_by_its_own_request() {
        let one = listen(async { hear(heard(412, "one")) }).await;
        let two = listen(async {}).await;
        hear(heard(500, "nobody"));
        assert_eq!(
            (one.heard, two.heard),
            (heard(412, "one"), Heard::default())
        );
    }
}
