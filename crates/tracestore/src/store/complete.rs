//! What there is to search for.

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::TraceId;
use longshore_instrument::table::{key, resolve};
use longshore_instrument::{AttributeValue, Span};
use longshore_trace::TraceSummary;

use super::TraceStore;
use super::narrow::Scope;
use crate::error::TraceStoreError;
use crate::hot::lock;
use crate::index::Shape;

/// Most traces whose summaries are looked at for values.
const MAX_SUMMARIES: usize = 2_000;
/// Most traces whose spans are.
const MAX_TRACES: usize = 200;
/// Most spans that are looked at, and most of one trace.
const MAX_SPANS: (usize, usize) = (20_000, 1_000);
/// Most values that are given.
const MAX_VALUES: usize = 50;
/// Longest value that is given, in bytes.
const MAX_LENGTH: usize = 200;

impl TraceStore {
    /// Every service, in alphabetical order: those of the log, and of the sealed files whose outlines
    /// are in memory.
    #[must_use]
    pub fn services(&self) -> Vec<String> {
        let mut services = BTreeSet::new();
        self.each_shape(|shape| {
            if !shape.service().is_empty() && !services.contains(shape.service()) {
                services.insert(shape.service().to_owned());
            }
        });
        services.into_iter().collect()
    }

    /// The names of the spans of a service, in alphabetical order, at most 1 000; known as its
    /// services are.
    #[must_use]
    pub fn operations(&self, service: &str) -> Vec<String> {
        let mut names = BTreeSet::new();
        self.each_shape(|shape| {
            if shape.service() == service && !names.contains(shape.name()) {
                names.insert(shape.name().to_owned());
            }
        });
        names.into_iter().take(1_000).collect()
    }

    fn each_shape(&self, mut each: impl FnMut(&Shape)) {
        // The newest sealed file at least is in memory from here on.
        let outlines = {
            let mut tier = lock(&self.tier);
            if let Some(newest) = tier.files().first() {
                let _known = tier.outlines(newest);
            }
            tier.in_memory()
        };
        lock(&self.index).shapes().for_each(&mut each);
        for index in outlines {
            index.shapes().for_each(&mut each);
        }
    }

    /// Values of a key that begin with `prefix`, in whatever case, the most frequent first: those
    /// of the newest traces, at most 50. `name`, `service` and the engine's keys by any of their
    /// names are answered from summaries, others from spans.
    ///
    /// # Errors
    /// [`TraceStoreError::Log`] if a file cannot be read.
    pub fn values(&self, typed: &str, prefix: &str) -> Result<Vec<String>, TraceStoreError> {
        let key = resolve(typed);
        let mut counted = Counted::new(prefix);
        if is_summed_up(key) {
            for trace in self.newest(MAX_SUMMARIES) {
                if let Some(summary) = self.summary(trace) {
                    of_summary(&summary, key).for_each(|value| counted.add(value));
                }
            }
            return Ok(counted.end());
        }
        for span in self.newest_spans()? {
            // What others sent may have the key as it was typed.
            let of_span = [key, typed].into_iter().find_map(|key| span.attribute(key));
            if let Some(value) = of_span.or_else(|| of_resource(&span, key)) {
                each_text(value, |text| counted.add(text));
            }
        }
        Ok(counted.end())
    }

    /// Keys of attributes that begin with `prefix`, in whatever case, the most frequent first: those
    /// of the newest traces, at most 50.
    ///
    /// # Errors
    /// [`TraceStoreError::Log`] if a file cannot be read.
    pub fn keys(&self, prefix: &str) -> Result<Vec<String>, TraceStoreError> {
        let mut counted = Counted::new(prefix);
        for span in self.newest_spans()? {
            let resource = span
                .resource
                .iter()
                .flat_map(|resource| &resource.attributes);
            for attribute in span.attributes.iter().chain(resource) {
                counted.add(&attribute.key);
            }
        }
        Ok(counted.end())
    }

    fn newest(&self, most: usize) -> Vec<TraceId> {
        let ranks = self.ranks(None, Scope::default(), most).into_iter();
        ranks.map(|(_, trace)| trace).collect()
    }

    fn newest_spans(&self) -> Result<Vec<Span>, TraceStoreError> {
        let newest = self.newest(MAX_TRACES);
        let mut spans = Vec::new();
        let (most, of_trace) = MAX_SPANS;
        for trace in newest {
            if spans.len() >= most {
                break;
            }
            let some = self.some_spans_of(trace, of_trace)?;
            spans.extend(some.into_iter().take(of_trace));
        }
        Ok(spans)
    }
}

/// Values and how often they occur.
struct Counted {
    prefix: String,
    counts: BTreeMap<String, usize>,
}

impl Counted {
    fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_lowercase(),
            counts: BTreeMap::new(),
        }
    }

    fn add(&mut self, value: &str) {
        if value.is_empty() || value.len() > MAX_LENGTH {
            return;
        }
        if let Some(count) = self.counts.get_mut(value) {
            *count += 1;
        } else if value.to_lowercase().starts_with(&self.prefix) {
            self.counts.insert(value.to_owned(), 1);
        }
    }

    fn end(self) -> Vec<String> {
        let mut values: Vec<(String, usize)> = self.counts.into_iter().collect();
        values.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let values = values.into_iter().take(MAX_VALUES);
        values.map(|(value, _)| value).collect()
    }
}

fn is_summed_up(key: &str) -> bool {
    matches!(
        key,
        "name"
            | "service"
            | "service.name"
            | key::QUEUE
            | key::KIND
            | key::JOB_ID
            | key::CORRELATION_ID
            | key::TENANT
            | key::NAMESPACE
            | key::OUTCOME
            | key::ERROR_TYPE
            | key::TAGS
    )
}

fn of_summary<'a>(summary: &'a TraceSummary, key: &str) -> Box<dyn Iterator<Item = &'a str> + 'a> {
    let many = |values: &'a [String]| Box::new(values.iter().map(String::as_str));
    let one = |value: &'a Option<String>| Box::new(value.as_deref().into_iter());
    match key {
        "name" => Box::new(std::iter::once(summary.name.as_str())),
        "service" | "service.name" => many(&summary.services),
        key::QUEUE => many(&summary.queues),
        key::KIND => many(&summary.kinds),
        key::JOB_ID => many(&summary.job_ids),
        key::TAGS => many(&summary.tags),
        key::CORRELATION_ID => one(&summary.correlation_id),
        key::TENANT => one(&summary.tenant_id),
        key::NAMESPACE => one(&summary.namespace),
        key::OUTCOME => one(&summary.outcome),
        _ => one(&summary.error_type),
    }
}

fn of_resource<'a>(span: &'a Span, key: &str) -> Option<&'a AttributeValue> {
    let attributes = &span.resource.as_deref()?.attributes;
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    Some(&found.value)
}

fn each_text(value: &AttributeValue, mut each: impl FnMut(&str)) {
    match value {
        AttributeValue::String(text) => each(text),
        AttributeValue::Strings(texts) => texts.iter().for_each(|text| each(text)),
        AttributeValue::Int(number) => each(&number.to_string()),
        AttributeValue::Double(number) => each(&number.to_string()),
        AttributeValue::Bool(yes) => each(if *yes { "true" } else { "false" }),
    }
}
