//! From spans to a summary.

use std::collections::HashSet;
use std::time::Duration;

use longshore_core::{SpanId, Timestamp, TraceId};
use longshore_instrument::table::{key, name};
use longshore_instrument::{AttributeValue, Span};

use super::TraceSummary;
use crate::story::{joining_links, number, text};

impl TraceSummary {
    /// What `spans` come down to, which are those of `trace_id` among them; a span that is there
    /// twice counts once. One look at each span, and nothing that grows but the set of their ids.
    #[must_use]
    pub fn of<'a>(trace_id: TraceId, spans: impl IntoIterator<Item = &'a Span>) -> Self {
        let mut look = Look::new(trace_id);
        for span in spans {
            if span.trace_id == trace_id && look.ids.insert((trace_id, span.span_id)) {
                look.at(span);
            }
        }
        look.end()
    }

    /// What the spans of several traces that belong together come down to, as if they were one: the
    /// traces of a job, joined. Its trace is that of its root; `None` if there is no span.
    #[must_use]
    pub fn of_story<'a>(spans: impl IntoIterator<Item = &'a Span>) -> Option<Self> {
        let mut look = Look::new(TraceId::from_u128(1));
        for span in spans {
            if look.ids.insert((span.trace_id, span.span_id)) {
                look.at(span);
            }
        }
        let root = look.root?.trace_id;
        let mut summary = look.end();
        summary.trace_id = root;
        summary.linked.retain(|other| *other != root);
        Some(summary)
    }
}

/// What was seen so far.
struct Look<'a> {
    summary: TraceSummary,
    ids: HashSet<(TraceId, SpanId)>,
    parents: Vec<(TraceId, SpanId)>,
    services: Vec<&'a str>,
    stores: Vec<&'a str>,
    root: Option<&'a Span>,
    failed: Option<&'a Span>,
    enqueue: Option<&'a Span>,
    attempts: Vec<&'a Span>,
    waits: Vec<&'a Span>,
    jobs: Vec<&'a Span>,
}

impl<'a> Look<'a> {
    fn new(trace_id: TraceId) -> Self {
        let mut summary = TraceSummary::unknown(trace_id);
        (summary.start, summary.end) = (Timestamp::MAX, Timestamp::from_unix_nanos(i64::MIN));
        Self {
            summary,
            ids: HashSet::new(),
            parents: Vec::new(),
            services: Vec::new(),
            stores: Vec::new(),
            root: None,
            failed: None,
            enqueue: None,
            attempts: Vec::new(),
            waits: Vec::new(),
            jobs: Vec::new(),
        }
    }

    fn at(&mut self, span: &'a Span) {
        let summary = &mut self.summary;
        summary.spans = summary.spans.saturating_add(1);
        summary.start = summary.start.min(span.start);
        summary.end = summary.end.max(span.end).max(span.start);
        summary.open += u32::from(span.is_open());
        if span.status.is_error() {
            summary.errors += 1;
            self.failed = earlier(self.failed, span);
        }
        let parent = span.parent_span_id.map(|id| (span.trace_id, id));
        self.parents.extend(parent);
        self.root = match self.root {
            Some(root) if rank(root) <= rank(span) => Some(root),
            _ => Some(span),
        };
        let service = span.service().unwrap_or_default();
        if let Err(at) = self.services.binary_search(&service) {
            self.services.insert(at, service);
        }
        if let Some(store) = span.store()
            && let Err(at) = self.stores.binary_search(&store)
        {
            self.stores.insert(at, store);
        }
        for link in joining_links(span) {
            let other = link.context.trace_id;
            let known = other == summary.trace_id || summary.linked.contains(&other);
            if !known && summary.linked.len() < TraceSummary::MOST {
                summary.linked.push(other);
            }
        }
        let Some(_) = text(span, key::JOB_ID) else {
            return;
        };
        match span.name.as_ref() {
            name::PROCESS => self.attempts.push(span),
            name::DEQUEUE => self.waits.push(span),
            name::ENQUEUE => self.enqueue = earlier(self.enqueue, span),
            _ => {}
        }
        self.jobs.push(span);
    }

    fn end(mut self) -> TraceSummary {
        if self.summary.spans == 0 {
            return TraceSummary::unknown(self.summary.trace_id);
        }
        let orphans = self.parents.iter().filter(|id| !self.ids.contains(id));
        self.summary.orphans = u32::try_from(orphans.count()).unwrap_or(u32::MAX);
        self.services.retain(|service| !service.is_empty());
        self.services.truncate(TraceSummary::MOST);
        self.summary.services = owned(&self.services);
        self.stores.truncate(TraceSummary::MOST);
        self.summary.stores = owned(&self.stores);
        if let Some(root) = self.root {
            self.summary.name = root.name.to_string();
            root.service()
                .unwrap_or_default()
                .clone_into(&mut self.summary.service);
        }
        self.summary.failed = self.failed.is_some();
        self.summary.error_type = self.failed.map(error_type);
        self.of_jobs();
        self.summary
    }

    /// What the spans of the job that the trace is about say, and which others there are.
    fn of_jobs(&mut self) {
        self.attempts.sort_by_key(|span| (span.start, span.span_id));
        self.jobs.sort_by_key(|span| (span.start, span.span_id));
        let Some(about) = self.attempts.first().copied().or(self.enqueue) else {
            return;
        };
        let summary = &mut self.summary;
        let said = |key: &str| text(about, key).map(str::to_owned);
        (summary.queue, summary.kind) = (said(key::QUEUE), said(key::KIND));
        summary.correlation_id = said(key::CORRELATION_ID);
        summary.tenant_id = said(key::TENANT);
        summary.namespace = said(key::NAMESPACE);
        summary.tags = tags(about);
        let all = || std::iter::once(about).chain(self.jobs.iter().copied());
        summary.job_ids = distinct(all(), key::JOB_ID);
        summary.queues = distinct(all(), key::QUEUE);
        summary.kinds = distinct(all(), key::KIND);
        let id = text(about, key::JOB_ID);
        let own = |span: &&&Span| text(span, key::JOB_ID) == id;
        let took = |spans: &[&Span]| -> Duration {
            let each = spans.iter().filter(own);
            let each = each.map(|span| span.end.since(span.start));
            each.fold(Duration::ZERO, Duration::saturating_add)
        };
        (summary.wait, summary.run) = (took(&self.waits), took(&self.attempts));
        let Some(last) = self.attempts.iter().rfind(own) else {
            return;
        };
        summary.outcome = text(last, key::OUTCOME).map(str::to_owned);
        summary.failed = last.status.is_error();
        summary.error_type = summary.failed.then(|| error_type(last));
        let counted = self.attempts.iter().filter(own).count();
        let counted = u32::try_from(counted).unwrap_or(u32::MAX);
        summary.attempts = number(last, key::ATTEMPT).unwrap_or(counted);
    }
}

/// A root before all others, then the earliest.
fn rank(span: &Span) -> (bool, Timestamp, SpanId) {
    (span.parent_span_id.is_some(), span.start, span.span_id)
}

fn earlier<'a>(one: Option<&'a Span>, other: &'a Span) -> Option<&'a Span> {
    match one {
        Some(one) if (one.start, one.span_id) <= (other.start, other.span_id) => Some(one),
        _ => Some(other),
    }
}

fn error_type(span: &Span) -> String {
    text(span, key::ERROR_TYPE).unwrap_or("error").to_owned()
}

fn tags(span: &Span) -> Vec<String> {
    match span.attribute(key::TAGS) {
        Some(AttributeValue::Strings(tags)) => {
            let tags = tags.iter().take(TraceSummary::MOST);
            tags.map(|tag| tag.to_string()).collect()
        }
        Some(AttributeValue::String(tag)) => vec![tag.to_string()],
        _ => Vec::new(),
    }
}

/// The first values of a key, each once.
fn distinct<'a>(spans: impl Iterator<Item = &'a Span>, key: &str) -> Vec<String> {
    let mut values: Vec<&str> = Vec::new();
    for value in spans.filter_map(|span| text(span, key)) {
        if values.len() == TraceSummary::MOST {
            break;
        }
        if !values.contains(&value) {
            values.push(value);
        }
    }
    owned(&values)
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
