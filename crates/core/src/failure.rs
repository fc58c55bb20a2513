//! Failures that are alike as one: what the errors of attempts have in common.

use std::collections::HashMap;

use xxhash_rust::xxh3::Xxh3;

use crate::attempt::AttemptError;
use crate::id::{JobId, TraceId};
use crate::job::Job;
use crate::name::Kind;
use crate::time::Timestamp;

/// Most characters of a normalised message.
const MAX_CHARS: usize = 200;
/// Fewest characters of a run of hexadecimal digits and hyphens that is taken for an id.
const ID_CHARS: usize = 8;

/// What tells failures apart: the kind of job, the class of the error, its message without what
/// differs from job to job, and the place that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of an error of a job of this kind.
    #[must_use]
    pub fn of(kind: &Kind, error: &AttemptError) -> Self {
        let place = place(&error.message).unwrap_or_default();
        let message = normalised(&error.message);
        let mut hash = Xxh3::new();
        for part in [kind.as_str(), &error.class, &message, place] {
            hash.update(part.as_bytes());
            hash.update(&[0]);
        }
        Self(hash.digest())
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What a message says without what differs from job to job: of its last line that says anything,
/// with `#` for numbers and ids, and `…` for what is in quotation marks; at most 200 characters.
///
/// ```
/// use longshore_core::failure::normalised;
/// let message = "trying again\ncould not open '/tmp/17/a' for order 4711: error 5\n";
/// assert_eq!(normalised(message), "could not open '…' for order #: error #");
/// ```
#[must_use]
pub fn normalised(message: &str) -> String {
    let is_said = |line: &&str| !line.trim().is_empty();
    let line = message.lines().rfind(is_said).unwrap_or_default();
    let mut rest = line.trim();
    let mut words = String::new();
    while let Some(first) = rest.chars().next() {
        if words.chars().count() >= MAX_CHARS {
            break;
        }
        let (said, taken) = token(rest, first, words.chars().next_back());
        if !(said == " " && words.ends_with(' ')) {
            words.push_str(said);
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    let cut: String = words.chars().take(MAX_CHARS).collect();
    cut.trim_end().to_owned()
}

/// What is said for the beginning of `rest`, and how many bytes of it that stands for.
fn token(rest: &str, first: char, before: Option<char>) -> (&str, usize) {
    let taken = first.len_utf8();
    let as_it_is = (rest.get(..taken).unwrap_or_default(), taken);
    let follows_word = before.is_some_and(|before| before.is_alphanumeric() || before == '#');
    match first {
        _ if first.is_whitespace() || first.is_control() => (" ", taken),
        // An apostrophe within a word quotes nothing.
        '\'' if follows_word => as_it_is,
        '"' | '`' | '\'' => quoted(rest, first).unwrap_or(as_it_is),
        _ if !follows_word && let Some(taken) = id(rest) => ("#", taken),
        _ if first.is_numeric() => {
            let end = rest.find(|c: char| !c.is_numeric());
            ("#", end.unwrap_or(rest.len()))
        }
        _ => as_it_is,
    }
}

/// A quotation that ends, without what it quotes.
fn quoted(rest: &str, mark: char) -> Option<(&'static str, usize)> {
    let inner = rest.get(1..)?;
    let end = inner.find(mark)?;
    let shown = match mark {
        '"' => "\"…\"",
        '`' => "`…`",
        _ => "'…'",
    };
    Some((shown, end + 2))
}

/// How many bytes at the beginning are an id: long, and of hexadecimal digits and hyphens alone.
fn id(rest: &str) -> Option<usize> {
    let is_of_word = |c: char| c.is_alphanumeric() || c == '-';
    let end = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
    let word = rest.get(..end)?;
    let is_of_id = |c: char| c.is_ascii_hexdigit() || c == '-';
    let is_id = word.len() >= ID_CHARS
        && word.chars().all(is_of_id)
        && word.contains(|c: char| c.is_ascii_digit());
    is_id.then_some(end)
}

/// The last place in a program that a message names, such as `src/mail.rs:17`.
#[must_use]
pub fn place(message: &str) -> Option<&str> {
    let ends_place = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '\'' | ',' | ';');
    let words = message.split(ends_place).rev();
    words.filter_map(place_of).next()
}

/// `FILE.EXTENSION:LINE` at the beginning of a word, perhaps with a column after it.
fn place_of(word: &str) -> Option<&str> {
    let (file, rest) = word.split_once(':')?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (stem, extension) = file.rsplit_once('.')?;
    let is_extension =
        (1..=4).contains(&extension.len()) && extension.chars().all(|c| c.is_ascii_alphabetic());
    let is_place = !stem.is_empty() && is_extension && (1..=7).contains(&digits);
    is_place.then(|| word.get(..=file.len() + digits)).flatten()
}

/// Failures that are alike.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What they have in common.
    pub fingerprint: Fingerprint,
    /// The kind of their jobs.
    pub kind: Kind,
    /// The class of their errors.
    pub class: String,
    /// The message of the last one, as it was stored: redact it before anyone sees it, and then
    /// [normalise](normalised) it.
    pub message: String,
    /// How many attempts ended so.
    pub attempts: u64,
    /// Of how many jobs.
    pub jobs: u64,
    /// When the first of them ended.
    pub first_seen: Timestamp,
    /// When the last of them ended.
    pub last_seen: Timestamp,
    /// The job of the last one.
    pub last_job: JobId,
    /// The trace of the last one, if it was traced.
    pub last_trace: Option<TraceId>,
}

/// The failures of any number of jobs, those that are alike as one.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    alike: HashMap<Fingerprint, Failure>,
    ungrouped: u64,
}

impl Failures {
    /// Most kinds of failures that are told apart; attempts of more are only counted.
    pub const MAX: usize = 10_000;

    /// Adds the failed attempts of a job.
    pub fn add(&mut self, job: &Job) {
        let mut of_job = Vec::new();
        let failed = job
            .history
            .iter()
            .filter(|record| record.outcome.is_failure());
        for (record, error) in failed.filter_map(|record| Some((record, record.error.as_ref()?))) {
            let fingerprint = Fingerprint::of(&job.kind, error);
            if self.alike.len() >= Self::MAX && !self.alike.contains_key(&fingerprint) {
                self.ungrouped += 1;
                continue;
            }
            let failure = self.alike.entry(fingerprint).or_insert_with(|| Failure {
                fingerprint,
                kind: job.kind.clone(),
                class: error.class.clone().into_owned(),
                message: String::new(),
                attempts: 0,
                jobs: 0,
                first_seen: record.ended_at,
                last_seen: Timestamp::UNIX_EPOCH,
                last_job: job.id.clone(),
                last_trace: None,
            });
            failure.attempts += 1;
            if !of_job.contains(&fingerprint) {
                failure.jobs += 1;
                of_job.push(fingerprint);
            }
            failure.first_seen = failure.first_seen.min(record.ended_at);
            if failure.last_seen <= record.ended_at {
                failure.last_seen = record.ended_at;
                failure.message.clone_from(&error.message);
                failure.last_job.clone_from(&job.id);
                let of_job = || job.trace.context()?.ok().map(|context| context.trace_id);
                failure.last_trace = record.trace_id.or_else(of_job);
            }
        }
    }

    /// How many attempts failed in more ways than are told apart.
    #[must_use]
    pub const fn ungrouped(&self) -> u64 {
        self.ungrouped
    }

    /// The failures, those of most attempts first, then the latest.
    #[must_use]
    pub fn into_sorted(self) -> Vec<Failure> {
        let mut all: Vec<Failure> = self.alike.into_values().collect();
        all.sort_by(|one, other| {
            let key =
                |failure: &Failure| (failure.attempts, failure.last_seen, failure.fingerprint);
            key(other).cmp(&key(one))
        });
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_differs_from_job_to_job_is_left_out() {
        let cases = [
            ("", ""),
            (" \n", ""),
            ("exit code 17", "exit code #"),
            ("took 1.25s at 12:30:01", "took #.#s at #:#:#"),
            ("user user42 isn't 7's", "user user# isn't #'s"),
            (
                "order 01a1ff9c-8155-7ed0-84b4-efd965fd1388 is gone",
                "order # is gone",
            ),
            ("commit deadbeef and deadbee5", "commit deadbeef and #"),
            ("key \"a b\" or 'c' of `d`", "key \"…\" or '…' of `…`"),
            ("an open \" stays", "an open \" stays"),
            ("Traceback:\n  File x\nKeyError: 'id'\n\n", "KeyError: '…'"),
        ];
        for (message, expected) in cases {
            assert_eq!(normalised(message), expected, "{message}");
        }
    }

    #[test]
    fn the_last_place_is_told() {
        let cases = [
            ("panicked at src/mail.rs:17:5: no", Some("src/mail.rs:17")),
            (
                "at a (x.js:1:2)\nat b (/srv/y.js:30:4)",
                Some("/srv/y.js:30"),
            ),
            ("host.example:80 12:30 a.b:c", None),
            ("see http://x.rs:1", None),
        ];
        for (message, expected) in cases {
            assert_eq!(place(message), expected, "{message}");
        }
    }

    proptest! {
        #[test]
        fn a_message_is_normalised_once(message in "\\PC{0,300}") {
            let once = normalised(&message);
            prop_assert_eq!(normalised(&once), once.clone());
            prop_assert!(once.chars().count() <= MAX_CHARS);
            prop_assert!(!once.contains(|c: char| c.is_numeric()));
        }

        #[test]
        fn numbers_do_not_tell_messages_apart(parts in prop::collection::vec("[a-z '\"\n]{0,9}", 1..8), one: [u32; 8], other: [u32; 8]) {
            let with = |numbers: [u32; 8]| -> String {
                let pairs = parts.iter().zip(numbers);
                pairs.map(|(part, number)| format!("{part} {number} ")).collect()
            };
            prop_assert_eq!(normalised(&with(one)), normalised(&with(other)));
        }

        #[test]
        fn any_text_has_a_place_or_none(message in any::<String>()) {
            let place = place(&message);
            prop_assert!(place.is_none_or(|place| message.contains(place)));
        }
    }
}
