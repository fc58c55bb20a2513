//! The list of jobs, and the one that is looked at.

use std::time::Duration;

use longshore_api::job::{Job, JobsQuery};
use longshore_core::Timestamp;

use super::{Listing, Slot};
use crate::binding::Tab;
use crate::cursor::Cursor;

/// States in the order in which the key goes through them, with how the screen calls each list.
pub(crate) const STATES: [(&str, &[&str]); 6] = [
    ("all", &[]),
    ("failed", &["retryable", "discarded"]),
    ("running", &["running"]),
    ("waiting", &["available", "scheduled"]),
    ("completed", &["completed"]),
    ("cancelled", &["cancelled"]),
];

/// Which of [`STATES`] are those that failed.
pub(crate) const FAILED: usize = 1;

/// The jobs.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    pub(crate) list: Listing<Job>,
    pub(crate) next_cursor: Option<String>,
    /// What was searched for, as it was typed.
    pub(crate) search: String,
    pub(crate) query: JobsQuery,
    /// Which of [`STATES`] is shown.
    pub(crate) state: usize,
    /// The selected job, whole.
    pub(crate) job: Option<Box<Job>>,
    pub(crate) job_slot: Slot,
    /// The job that was asked for last.
    pub(crate) asked: Option<String>,
    /// Whether those that took longest come first, not the newest.
    pub(crate) longest_first: bool,
    /// The job that was gone into, or to as a failure: the next failure is another one.
    pub(crate) looked_at: Option<String>,
    /// Whether the cursor is in the job, not in the list.
    pub(crate) inside: bool,
    pub(crate) cursor: Cursor,
    /// The job to go to once it is listed, and whether into its page.
    pub(crate) wanted: Option<(String, bool)>,
    /// What may be the id of a job, and was looked for where none of it is.
    pub(crate) sought: Option<String>,
    pub(crate) sought_slot: Slot,
    /// Where to go back to from a job that another one waits for.
    pub(crate) before: Vec<Before>,
}

/// Where somebody came from.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    pub(crate) tab: Tab,
    pub(crate) search: String,
    pub(crate) query: JobsQuery,
    pub(crate) state: usize,
    /// The job with the cursor, and whether its page had it.
    pub(crate) job: Option<(String, bool)>,
}

impl Jobs {
    /// Most places to go back to.
    const MOST_BEFORE: usize = 32;

    /// Most jobs that are listed.
    pub(crate) const MOST: usize = 1_000;

    /// The selected job: all of it if that is known.
    pub(crate) fn selected(&self) -> Option<&Job> {
        let listed = self.list.selected()?;
        let whole = self.job.as_deref().filter(|job| job.id == listed.id);
        Some(whole.unwrap_or(listed))
    }

    /// Keeps where to go back to.
    pub(crate) fn leave(&mut self, tab: Tab) {
        let id = self.list.selected().map(|job| job.id.clone());
        self.before.push(Before {
            tab,
            search: self.search.clone(),
            query: self.query.clone(),
            state: self.state,
            job: id.map(|id| (id, self.inside)),
        });
        let too_many = self.before.len().saturating_sub(Self::MOST_BEFORE);
        self.before.drain(..too_many);
    }

    /// Puts jobs into the order in which they are shown.
    pub(crate) fn sort(&self, jobs: &mut [Job], now: Timestamp) {
        if self.longest_first {
            jobs.sort_by_key(|job| std::cmp::Reverse(took(job, now)));
        }
    }

    /// Whether there are more than are listed.
    pub(crate) fn is_full(&self) -> bool {
        self.list.items().len() >= Self::MOST && self.next_cursor.is_some()
    }

    /// What to ask for the list.
    pub(crate) fn asks(&self) -> JobsQuery {
        let mut query = self.query.clone();
        if query.states.is_empty() {
            let states = STATES.get(self.state).map_or(&[][..], |(_, states)| states);
            query.states = states.iter().map(|&state| state.to_owned()).collect();
        }
        let least = if query.text.is_some() {
            Self::MOST
        } else {
            200
        };
        query.limit = Some(self.list.items().len().clamp(least, Self::MOST));
        query
    }
}

/// How long a job has been there: from when it was enqueued until it was over, or until now.
pub(crate) fn took(job: &Job, now: Timestamp) -> Duration {
    job.finished_at.unwrap_or(now).since(job.enqueued_at)
}

/// Whether the last attempt of a job failed.
pub(crate) fn failed(job: &Job) -> bool {
    let error = job
        .history
        .last()
        .is_some_and(|attempt| attempt.error.is_some());
    matches!(job.state.as_str(), "discarded" | "retryable") || (error && job.state != "completed")
}

/// Keys that a search for jobs knows, with what they mean.
pub(crate) const KEYS: [(&str, &str); 9] = [
    (
        "state=",
        "scheduled, available, running, retryable, completed, cancelled, discarded",
    ),
    ("queue=", "in this queue"),
    ("kind=", "of this kind"),
    ("tag=", "with this tag"),
    ("meta.", "with this metadata pair, as meta.KEY=VALUE"),
    ("tenant=", "of this tenant"),
    ("namespace=", "of this namespace"),
    ("correlation=", "with this correlation id"),
    ("error=", "whose last error is of this class"),
];

/// What a search for jobs asks for; words alone are a text that they say.
pub(crate) fn parse(text: &str) -> Result<JobsQuery, String> {
    let mut query = JobsQuery::default();
    let mut words: Vec<&str> = Vec::new();
    for word in text.split_whitespace() {
        let Some((key, value)) = word.split_once(['=', ':']) else {
            words.push(word);
            continue;
        };
        let value = value.to_owned();
        if value.is_empty() {
            return Err(format!("{key}= needs a value"));
        }
        match key {
            "state" => query.states.push(value),
            "queue" | "queue.name" => query.queue = Some(value),
            "kind" | "job.type" => query.kind = Some(value),
            "tag" => query.tag = Some(value),
            "tenant" => query.tenant_id = Some(value),
            "namespace" => query.namespace = Some(value),
            "correlation" => query.correlation_id = Some(value),
            "error" => query.error_class = Some(value),
            _ => match key.strip_prefix("meta.") {
                Some(name) => query.metadata = Some(format!("{name}={value}")),
                None => return Err(unknown(key, &value)),
            },
        }
    }
    if !words.is_empty() {
        query.text = Some(words.join(" "));
    }
    Ok(query)
}

/// What to say of a key that is none of jobs.
fn unknown(key: &str, value: &str) -> String {
    let keys = KEYS.map(|(key, _)| key.trim_end_matches(['=', '.']));
    let begun = keys
        .iter()
        .find(|known| known.starts_with(key) || key.starts_with(*known));
    let near = match begun {
        Some(known) => format!("{known}={value}"),
        None => format!("meta.{key}={value}"),
    };
    let keys = keys.join(" ");
    format!("{key} is no key of jobs; did you mean {near}? There are: {keys}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_for_jobs_says_what_it_does_not_know() {
        let query = parse("queue=orders meta.order=7 card declined").unwrap();
        assert_eq!(query.queue.as_deref(), Some("orders"));
        assert_eq!(query.metadata.as_deref(), Some("order=7"));
        assert_eq!(query.text.as_deref(), Some("card declined"));
        let error = parse("que=orders").unwrap_err();
        assert!(error.contains("did you mean queue=orders? There are: state queue"));
        let error = parse("order=17").unwrap_err();
        assert!(error.contains("did you mean meta.order=17?"), "{error}");
        assert_eq!(parse("state=").unwrap_err(), "state= needs a value");
    }
}
