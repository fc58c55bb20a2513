//! What an id on the command line names: a job or a trace, by its whole id or by how it begins.

use std::time::Duration;

use longshore_api::job::{Job, JobsQuery};
use longshore_api::trace::{StoryOf, TracesQuery};
use longshore_api::{ApiError, Backend};
use longshore_core::{JobId, Timestamp, TraceId};
use longshore_trace::TraceSummary;

use crate::exit::Usage;
use crate::text;

/// Fewest digits of an id that begins: of a job's, they say to a minute when it was made.
const LEAST: usize = 8;
/// The digits of a whole id, of a job or of a trace.
const WHOLE: usize = 32;
/// By how much the clock of who made an id and that of the store may differ.
const APART: Duration = Duration::from_secs(3600);
/// Most that an id may be meant for and that are named.
const NAMED: usize = 10;
/// Jobs or traces of a page.
const PAGE: usize = 1000;
/// Most pages that are looked at.
const PAGES: usize = 20;

/// What somebody could mean, as a line, and by its whole id.
type Candidate = (String, String);

/// The job of an id, or the one whose id begins so. An id that is nobody's is given back as it is.
///
/// # Errors
/// Several begin so, or the store cannot be asked.
pub(crate) async fn job(view: &dyn Backend, id: &JobId) -> anyhow::Result<JobId> {
    let Some(begin) = beginning(id.as_str()) else {
        return Ok(id.clone());
    };
    if found(view.job(id.as_str()).await)?.is_some() {
        return Ok(id.clone());
    }
    match the_only(id.as_str(), jobs(view, &begin).await?)? {
        Some(whole) => Ok(whole.parse()?),
        None => Ok(id.clone()),
    }
}

/// The trace or job that a text names by its id, or by how that begins.
///
/// # Errors
/// It is no id, several begin so, or what is looked at cannot be asked.
pub(crate) async fn story(view: &dyn Backend, id: &str) -> anyhow::Result<StoryOf> {
    if let Some(trace) = TraceId::from_hex(&id.to_ascii_lowercase()) {
        return Ok(StoryOf::Trace(trace));
    }
    let job: JobId = id
        .parse()
        .map_err(|_error| Usage(format!("{id:?} is neither the id of a trace nor of a job")))?;
    let as_it_is = || StoryOf::Job(job.as_str().to_owned());
    let Some(begin) = beginning(id) else {
        return Ok(as_it_is());
    };
    if found(view.job(id).await)?.is_some() {
        return Ok(as_it_is());
    }
    let of_jobs = jobs(view, &begin).await?;
    let of_traces = traces(view, &begin).await?;
    let is_trace = of_jobs.is_empty();
    let all = of_jobs.into_iter().chain(of_traces).collect();
    Ok(match the_only(id, all)? {
        Some(whole) if is_trace => TraceId::from_hex(&whole).map_or_else(as_it_is, StoryOf::Trace),
        Some(whole) => StoryOf::Job(whole),
        None => as_it_is(),
    })
}

/// The trace that a text names, by its own id or by that of its job, or by how one of them begins;
/// nothing if it is no id of anything, so that it may be a search.
///
/// # Errors
/// Several begin so, it names a job without a trace, or what is looked at cannot be asked.
pub(crate) async fn trace(view: &dyn Backend, text: &str) -> anyhow::Result<Option<TraceId>> {
    let text = text.trim();
    let is_id = |c: char| c.is_ascii_hexdigit() || c == '-';
    let digits = text.chars().filter(char::is_ascii_hexdigit).count();
    if !text.chars().all(is_id) || !(LEAST..=WHOLE).contains(&digits) {
        return Ok(None);
    }
    let id = match story(view, text).await? {
        StoryOf::Trace(trace) | StoryOf::TraceAlone(trace) => return Ok(Some(trace)),
        StoryOf::Job(id) => id,
    };
    let Some(job) = found(view.job(&id).await)? else {
        return Ok(None);
    };
    let none = || Usage(format!("no trace is known of job {id}"));
    Ok(Some(job.trace.trace_id.ok_or_else(none)?))
}

/// The name of a job that does not look like an id that was made, so that it may be meant as a word
/// to search for.
pub(crate) fn no_id(of: &StoryOf) -> Option<&str> {
    let StoryOf::Job(id) = of else {
        return None;
    };
    let is_digit = |c: char| c.is_ascii_hexdigit() || c == '-';
    (!id.chars().all(is_digit)).then_some(id)
}

/// How an id begins, if it is a part of one that is made of digits; no other is looked for.
fn beginning(id: &str) -> Option<String> {
    let is_digit = |c: char| c.is_ascii_hexdigit() || c == '-';
    let digits = id.chars().filter(char::is_ascii_hexdigit).count();
    let is_part = id.chars().all(is_digit) && (LEAST..WHOLE).contains(&digits);
    is_part.then(|| id.to_ascii_lowercase())
}

/// When a job was enqueued whose id begins so: the id of a job begins with the milliseconds at which
/// it was made.
fn made(begin: &str) -> Option<(Timestamp, Timestamp)> {
    let digits: String = begin.chars().filter(|c| *c != '-').take(12).collect();
    let bits = 4 * u32::try_from(12_usize.checked_sub(digits.len())?).ok()?;
    let first = i64::from_str_radix(&digits, 16).ok()?.checked_shl(bits)?;
    let last = first | ((1 << bits) - 1);
    let at = |millis| Timestamp::from_unix_millis(millis);
    Some((at(first).before(APART), at(last).after(APART)))
}

async fn jobs(view: &dyn Backend, begin: &str) -> anyhow::Result<Vec<Candidate>> {
    let Some((after, before)) = made(begin) else {
        return Ok(Vec::new());
    };
    let mut query = JobsQuery {
        enqueued_after: Some(after),
        enqueued_before: Some(before),
        limit: Some(PAGE),
        ..JobsQuery::default()
    };
    let mut candidates = Vec::new();
    for _ in 0..PAGES {
        let page = view.jobs(&query).await?;
        let meant = page.jobs.iter().filter(|job| job.id.starts_with(begin));
        candidates.extend(meant.map(of_job));
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            return Ok(candidates);
        }
    }
    Err(too_many(begin, "jobs"))
}

fn of_job(job: &Job) -> Candidate {
    let said = format!("{}  {}/{} {}", job.id, job.queue, job.kind, job.state);
    (said, job.id.clone())
}

async fn traces(view: &dyn Backend, begin: &str) -> anyhow::Result<Vec<Candidate>> {
    let mut query = TracesQuery {
        search: format!("trace~{begin}"),
        limit: Some(PAGE),
        all_stores: true,
        ..TracesQuery::default()
    };
    let mut candidates = Vec::new();
    for _ in 0..PAGES {
        let page = match view.traces(&query).await {
            // No traces are kept here.
            Err(ApiError::NotFound(_)) => return Ok(candidates),
            page => page?,
        };
        let is_meant = |trace: &&TraceSummary| trace.trace_id.to_string().starts_with(begin);
        candidates.extend(page.traces.iter().filter(is_meant).map(of_trace));
        query.cursor = page.next_cursor;
        if query.cursor.is_none() && !page.reading {
            return Ok(candidates);
        }
    }
    Err(too_many(begin, "traces"))
}

fn of_trace(trace: &TraceSummary) -> Candidate {
    let kind = trace.kind.as_deref().unwrap_or(&trace.name);
    let queue = trace.queue.as_deref().unwrap_or(&trace.service);
    let started = text::moment(trace.start);
    let id = trace.trace_id.to_string();
    (format!("{id}  {queue}/{kind} {started}"), id)
}

fn too_many(begin: &str, what: &str) -> anyhow::Error {
    Usage(format!(
        "too many {what} to find the one whose id begins with {begin}: write more of it"
    ))
    .into()
}

/// The one that is meant; nothing if there is none.
fn the_only(id: &str, mut candidates: Vec<Candidate>) -> anyhow::Result<Option<String>> {
    candidates.sort();
    candidates.dedup();
    if candidates.len() <= 1 {
        return Ok(candidates.pop().map(|(_, whole)| whole));
    }
    let named = candidates.iter().take(NAMED);
    let named: Vec<String> = named.map(|(said, _)| format!("  {said}")).collect();
    let more = match candidates.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("\n  and {more} more"),
    };
    let count = candidates.len();
    let named = named.join("\n");
    Err(Usage(format!(
        "{count} ids begin with {id}: write more of it\n{named}{more}"
    ))
    .into())
}

/// What is there, if anything is.
fn found<T>(answer: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
    match answer {
        Ok(one) => Ok(Some(one)),
        Err(ApiError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::{Clock as _, Random, SystemClock};

    use super::*;

    #[derive(Debug)]
    struct Zero;

    impl Random for Zero {
        fn next_u64(&self) -> u64 {
            0
        }
    }

    #[test]
    fn the_beginning_of_an_id_says_when_it_was_made() {
        let now = SystemClock::new().now();
        let id = JobId::generate(now, &Zero);
        for digits in [8, 9, 13, 20, 35] {
            let begin = beginning(&id.as_str()[..digits]).unwrap();
            let (after, before) = made(&begin).unwrap();
            assert!(after <= now && now <= before, "{begin}");
            assert!(before.since(after) <= 2 * APART + Duration::from_secs(66));
        }
    }

    #[test]
    fn what_is_no_part_of_a_made_id_is_left_as_it_is() {
        let whole = "019ed6a2-5d3c-7b1e-8f00-3a5b1c2d4e6f";
        for id in ["order-17", "abc", "1234567", "no such job", whole] {
            assert_eq!(beginning(id), None, "{id}");
        }
        assert_eq!(beginning("01A20249").as_deref(), Some("01a20249"));
    }

    #[test]
    fn several_that_may_be_meant_are_listed() {
        let one = |id: &str| (format!("{id}  q/k completed"), id.to_owned());
        assert_eq!(the_only("01a2", vec![]).unwrap(), None);
        let only = the_only("01a2", vec![one("01a20"), one("01a20")]);
        assert_eq!(only.unwrap().as_deref(), Some("01a20"));
        let many = (0..12).map(|number| one(&format!("01a2{number:02}")));
        let error = the_only("01a2", many.collect()).unwrap_err().to_string();
        assert!(error.starts_with("12 ids begin with 01a2"), "{error}");
        assert!(error.contains("01a200  q/k"), "{error}");
        assert!(error.ends_with("and 2 more"), "{error}");
    }
}
