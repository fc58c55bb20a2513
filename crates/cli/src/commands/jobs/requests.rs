//! What a job asked object storage for, as far as traces have it.

use std::collections::BTreeMap;

use longshore_api::Backend;
use longshore_api::trace::{StoryOf, TracesQuery};
use longshore_core::id::SpanPart;
use longshore_core::{Job, SpanId, StoreInfo, Timestamp, TraceId};
use longshore_instrument::table::{STORAGE_SYSTEMS, key, name};
use longshore_instrument::{AttributeValue, Span};
use longshore_trace::Chart;

use crate::output::{Output, Paint};
use crate::record::requests::{CallJson, RequestsJson};

/// How far the clock of a store and those of its workers may differ for a claim to be found.
const CLOCKS: std::time::Duration = std::time::Duration::from_secs(5);
/// Most claims of several jobs that are looked at for one of a job, those next to it in time.
const CLAIMS: usize = 32;
/// Most claims of one job, and settles of one, that are looked for: its last ones.
const ATTEMPTS: u32 = 64;

/// Whether a store lies on object storage, where each request is billed.
pub(super) fn are_billed(info: &StoreInfo) -> bool {
    let mut systems = STORAGE_SYSTEMS.iter();
    systems.any(|system| system.system == info.system && system.service.is_some())
}

/// What the calls that enqueued, claimed and settled a job asked for. Calls that no trace tells of are
/// named as unknown.
pub(super) async fn of_job(traces: &dyn Backend, chart: &Chart, job: &Job) -> RequestsJson {
    let mut calls = Vec::new();
    let mut unknown = Vec::new();
    let mut note = |what: &'static str, call: Option<CallJson>| match call {
        Some(call) => calls.push(call),
        None => unknown.push(what),
    };
    let context = job.trace.context().and_then(Result::ok);
    let enqueue = context.map(|context| context.span_id);
    note(name::ENQUEUE, call_of(traces, chart, enqueue).await);
    let first = job.claim.saturating_sub(ATTEMPTS);
    for claim in first..job.claim {
        let claim = claim + 1;
        let own = Some(job.id.derive_span_id(claim, SpanPart::Claim));
        let alone = call_of(traces, chart, own).await;
        let claimed = match alone {
            None => shared_claim(traces, job, claim).await,
            alone => alone,
        };
        note(name::CLAIM, claimed);
        // What is under way is no settle yet.
        if job.history.iter().any(|record| record.claim == claim) {
            let settle = Some(job.id.derive_span_id(claim, SpanPart::Settle));
            note(name::SETTLE, call_of(traces, chart, settle).await);
        }
    }
    RequestsJson::of(calls, unknown)
}

/// The requests of the call with this span, if a trace has them.
async fn call_of(traces: &dyn Backend, chart: &Chart, span: Option<SpanId>) -> Option<CallJson> {
    let span = span?;
    let mut rows = chart.rows().iter();
    let row = rows.find(|row| row.span_id == span && !chart.name(row).is_empty())?;
    let trace = chart.trace(row)?;
    let span = traces.span(trace, span).await.ok()?;
    let shared = span.links.iter().find(|link| {
        let mut attributes = link.attributes.iter();
        attributes
            .any(|attribute| attribute.key == key::LINK && text(&attribute.value) == Some("shared"))
    });
    match shared {
        None => tally(chart, &span),
        // They stand beneath the settle of another job.
        Some(link) => whole_call(traces, link.context.trace_id, link.context.span_id).await,
    }
}

/// The requests of a call whose span is of a trace of its own, or of another job's.
async fn whole_call(traces: &dyn Backend, trace: TraceId, span: SpanId) -> Option<CallJson> {
    let story = traces.story(&StoryOf::TraceAlone(trace)).await.ok()?;
    let span = traces.span(trace, span).await.ok()?;
    tally(&story.chart, &span)
}

/// The claim of several jobs of which this one was one.
async fn shared_claim(traces: &dyn Backend, job: &Job, claim: u32) -> Option<CallJson> {
    let mut ended = job.history.iter();
    let ended = ended.find(|record| record.claim == claim);
    let running = || Some((job.claimed_at?, job.worker.as_ref()?));
    let (at, worker) = match ended {
        Some(record) => (record.claimed_at, &record.worker),
        None => running()?,
    };
    let worker = worker.as_str().replace('\\', "\\\\").replace('"', "\\\"");
    let query = TracesQuery {
        search: format!(
            "name={} {}=\"{worker}\" since:{} until:{}",
            name::CLAIM,
            key::WORKER,
            at.before(CLOCKS),
            at.after(CLOCKS)
        ),
        limit: Some(1000),
        all_stores: true,
        ..TracesQuery::default()
    };
    let mut found = traces.traces(&query).await.ok()?.traces;
    let distance = |start: Timestamp| at.since(start).max(start.since(at));
    found.sort_by_key(|trace| distance(trace.start));
    let process = job.id.derive_span_id(claim, SpanPart::Process);
    for trace in found.iter().take(CLAIMS) {
        let of = StoryOf::TraceAlone(trace.trace_id);
        let Ok(story) = traces.story(&of).await else {
            continue;
        };
        let chart = &story.chart;
        for row in chart.rows() {
            if chart.name(row) != name::CLAIM {
                continue;
            }
            let Ok(span) = traces.span(trace.trace_id, row.span_id).await else {
                continue;
            };
            let mut links = span.links.iter();
            if links.any(|link| link.context.span_id == process) {
                return tally(chart, &span);
            }
        }
    }
    None
}

/// Counts what stands beneath a call's span; `None` if nothing is known of its requests.
fn tally(chart: &Chart, span: &Span) -> Option<CallJson> {
    let above = chart.find(span.trace_id, span.span_id)?;
    let mut by_type: BTreeMap<&str, u64> = BTreeMap::new();
    for row in chart.children(above).filter_map(|child| chart.row(child)) {
        let (service, operation) = chart.name(row).split_once(' ').unwrap_or_default();
        let is_request = STORAGE_SYSTEMS
            .iter()
            .any(|system| system.service == Some(service) && system.examples.contains(&operation));
        if is_request {
            *by_type.entry(operation).or_default() += 1;
        }
    }
    let there: u64 = by_type.values().sum();
    let all = number(span, key::STORAGE_REQUESTS).unwrap_or(0).max(there);
    let of = |operation| by_type.get(operation).copied().unwrap_or_default();
    (all > 0).then(|| CallJson {
        call: match span.name.as_ref() {
            name::ENQUEUE => name::ENQUEUE,
            name::CLAIM => name::CLAIM,
            _ => name::SETTLE,
        },
        jobs: number(span, key::BATCH_COUNT).unwrap_or(1).max(1),
        put: of("PutObject"),
        get: of("GetObject"),
        list: of("ListObjectsV2"),
        delete: of("DeleteObject"),
        other: all - there,
    })
}

fn number(span: &Span, key: &str) -> Option<u64> {
    match span.attribute(key)? {
        AttributeValue::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

fn text(value: &AttributeValue) -> Option<&str> {
    match value {
        AttributeValue::String(text) => Some(text),
        _ => None,
    }
}

/// Prints the job's share, and of which calls it is one.
pub(super) fn print(output: &Output, requests: &RequestsJson) -> anyhow::Result<()> {
    let name = output.paint(Paint::Dim, &format!("{:<12}", "requests"));
    let share = [
        (requests.put, "PUT"),
        (requests.get, "GET"),
        (requests.list, "LIST"),
        (requests.delete, "DELETE"),
        (requests.other, "more"),
    ];
    let share = share.iter().filter(|(count, _)| *count > 0.0);
    let share: Vec<String> = share
        .map(|(count, what)| format!("{} {what}", rounded(*count)))
        .collect();
    let total = match share.is_empty() {
        true => "its traces tell of none".to_owned(),
        false => format!("{}, its share of", share.join(", ")),
    };
    output.data(&format!("  {name} {total}"))?;
    for call in &requests.calls {
        let counts = [
            (call.put, "PUT"),
            (call.get, "GET"),
            (call.list, "LIST"),
            (call.delete, "DELETE"),
            (call.other, "more"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let of = match call.jobs {
            1 => "for it alone".to_owned(),
            jobs => format!("for {jobs} jobs"),
        };
        let counts = counts.join(", ");
        output.data(&format!("    {:<14} {counts} {of}", call.call))?;
    }
    for call in &requests.unknown {
        output.data(&format!("    {call:<14} in no trace that is here"))?;
    }
    Ok(())
}

/// A share with three digits at most behind the point.
fn rounded(count: f64) -> String {
    let text = format!("{count:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_told_without_zeros_at_its_end() {
        let told: Vec<String> = [3.0, 0.25, 0.0104, 10.0].map(rounded).into();
        assert_eq!(told, ["3", "0.25", "0.01", "10"]);
    }
}
