//! Who paused a queue or a kind, when, and why.
//!
//! Whether it rests is said elsewhere, by the store of a queue and by
//! [`Limits`](crate::limit::Limits) of a kind. This is what people leave for each other beside it,
//! in one document, [`PAUSES`]; `longshore-queue` reads and writes it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{ErrorKind, StoreError};
use crate::limit::Scope;
use crate::time::Timestamp;

/// The document with the notes.
pub const PAUSES: &str = "pauses";

/// A pause of a queue or a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when it rests.
    pub since: Timestamp,
    /// Who paused it, such as `ann@web-1`; `None` if a program did that gave no name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, in the words of whoever did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What a newer version has written, kept as it is.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Pause {
    /// Most bytes of a name.
    pub const MAX_BY_BYTES: usize = 100;
    /// Most bytes of a reason.
    pub const MAX_REASON_BYTES: usize = 300;

    /// A pause that begins now.
    ///
    /// # Errors
    /// `Invalid`: name or reason are empty, too long, or have control characters in them.
    pub fn new(
        since: Timestamp,
        by: Option<&str>,
        reason: Option<&str>,
    ) -> Result<Self, StoreError> {
        let checked = |what: &str, text: Option<&str>, most: usize| {
            let Some(text) = text else {
                return Ok(None);
            };
            if text.trim().is_empty() || text.len() > most || text.contains(char::is_control) {
                let message = format!("{what} of a pause is one line of 1 to {most} bytes");
                return Err(StoreError::new(ErrorKind::Invalid, message));
            }
            Ok(Some(text.to_owned()))
        };
        Ok(Self {
            since,
            by: checked("the name", by, Self::MAX_BY_BYTES)?,
            reason: checked("the reason", reason, Self::MAX_REASON_BYTES)?,
            other: Map::new(),
        })
    }
}

/// Everything that was noted of pauses: the body of the document [`PAUSES`].
///
/// ```
/// use longshore_core::Timestamp;
/// use longshore_core::pause::{Pause, Pauses};
/// let mut pauses = Pauses::default();
/// let pause = Pause::new(Timestamp::UNIX_EPOCH, Some("ann@web-1"), Some("the bank is down"))?;
/// pauses.note("kind:call_bank".parse()?, pause);
/// let read = Pauses::decode(&pauses.encode()?)?;
/// let noted = read.get(&"kind:call_bank".parse()?).ok_or("nothing was noted")?;
/// assert_eq!(noted.reason.as_deref(), Some("the bank is down"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pauses {
    pauses: BTreeMap<String, Pause>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl Pauses {
    /// Most notes; of more the oldest goes. They fit into a document, however long they are.
    pub const MAX: usize = 200;

    /// What was noted of a queue or kind.
    #[must_use]
    pub fn get(&self, scope: &Scope) -> Option<&Pause> {
        self.pauses.get(&scope.to_string())
    }

    /// Notes a pause. One that is noted already goes on: who paused it again and why are noted, and
    /// since when it rests stays.
    pub fn note(&mut self, scope: Scope, pause: Pause) {
        let scope = String::from(scope);
        let since = self.pauses.get(&scope).map_or(pause.since, |old| old.since);
        self.pauses.insert(scope, Pause { since, ..pause });
        while self.pauses.len() > Self::MAX {
            let oldest = self.pauses.iter().min_by_key(|(_, pause)| pause.since);
            let Some(oldest) = oldest.map(|(scope, _)| scope.clone()) else {
                break;
            };
            self.pauses.remove(&oldest);
        }
    }

    /// Forgets a pause that is over; gives back what was noted.
    pub fn forget(&mut self, scope: &Scope) -> Option<Pause> {
        self.pauses.remove(&scope.to_string())
    }

    /// The notes in a document's body.
    ///
    /// # Errors
    /// `Corrupt`: the body is none that this or a newer version has written.
    pub fn decode(body: &Bytes) -> Result<Self, StoreError> {
        serde_json::from_slice(body).map_err(|error| {
            let message = format!(
                "the document `{PAUSES}` cannot be read ({error}): restore it from a backup"
            );
            StoreError::new(ErrorKind::Corrupt, message).with_source(error)
        })
    }

    /// The body of the document.
    ///
    /// # Errors
    /// `Internal`: it cannot be written as JSON.
    pub fn encode(&self) -> Result<Bytes, StoreError> {
        serde_json::to_vec(self).map(Bytes::from).map_err(|error| {
            let message = format!("the document `{PAUSES}` cannot be written");
            StoreError::new(ErrorKind::Internal, message).with_source(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::Document;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH.after(Duration::from_secs(seconds))
    }

    #[test]
    fn the_longest_notes_fit_and_the_oldest_goes() {
        let mut pauses = Pauses::default();
        let (by, reason) = ("\"".repeat(100), "\\".repeat(300));
        for count in 0..=Pauses::MAX {
            let scope = Scope::Queue(format!("{count:q<100}").parse().unwrap());
            let pause = Pause::new(at(count as u64), Some(&by), Some(&reason)).unwrap();
            pauses.note(scope, pause);
        }
        assert_eq!(pauses.pauses.len(), Pauses::MAX);
        assert!(pauses.pauses.values().all(|pause| pause.since > at(0)));
        assert!(pauses.encode().unwrap().len() <= Document::MAX_BYTES);
    }

    #[test]
    fn who_pauses_again_does_not_begin_anew() {
        let scope: Scope = "queue:mail".parse().unwrap();
        let mut pauses = Pauses::default();
        pauses.note(scope.clone(), Pause::new(at(1), Some("ann"), None).unwrap());
        pauses.note(scope.clone(), Pause::new(at(9), Some("bob"), None).unwrap());
        let noted = pauses.forget(&scope).unwrap();
        assert_eq!((noted.since, noted.by.as_deref()), (at(1), Some("bob")));
        assert_eq!(pauses.get(&scope), None);
    }

    #[test]
    fn a_reason_is_one_short_line() {
        for wrong in ["", " ", "a\nb", "\u{1b}[2J", &"x".repeat(301)] {
            let error = Pause::new(at(0), None, Some(wrong)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{wrong:?}");
        }
    }

    #[test]
    fn what_a_newer_version_wrote_stays() {
        let body =
            r#"{"pauses":{"queue:a":{"since":"2026-05-01T08:30:00Z","until":7}},"format":2}"#;
        let pauses = Pauses::decode(&Bytes::from(body)).unwrap();
        let written: Value = serde_json::from_slice(&pauses.encode().unwrap()).unwrap();
        assert_eq!(
            (&written["pauses"]["queue:a"]["until"], &written["format"]),
            (&7.into(), &2.into())
        );
        assert!(Pauses::decode(&Bytes::from_static(b"[")).is_err());
    }
}
