//! What many spans have in common, held once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use longshore_core::{SpanId, TraceId};
use longshore_instrument::table::{key, name};
use longshore_instrument::{Attribute, AttributeValue, Resource, Span, SpanKind, SpanStatus};
use longshore_trace::otlp::{SpanView, StatusView, Value};

/// What a summary is made of besides ids: few values, the same in many spans.
const LABELS: [&str; 8] = [
    key::QUEUE,
    key::KIND,
    key::TENANT,
    key::NAMESPACE,
    key::OUTCOME,
    key::ERROR_TYPE,
    key::ATTEMPT,
    key::TAGS,
];

/// A job as spans name it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct JobName {
    pub(super) id: Box<str>,
    pub(super) correlation: Option<Box<str>>,
}

/// Everything about a span that a summary is made of, but for its ids and times: a span without
/// those.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(super) template: Span,
}

impl Shape {
    pub(crate) fn service(&self) -> &str {
        self.template.service().unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        &self.template.name
    }
}

/// Shapes and jobs, each once.
#[derive(Debug, Default)]
pub(super) struct Pool {
    shapes: HashMap<Box<[u8]>, Arc<Shape>>,
    jobs: HashMap<Box<[u8]>, Arc<JobName>>,
    scratch: Vec<u8>,
}

impl Pool {
    pub(super) fn shape(&mut self, span: &SpanView<'_>) -> Arc<Shape> {
        let status = match span.status {
            StatusView::Unset => 0,
            StatusView::Ok => 1,
            StatusView::Error(_) => 2,
        };
        self.begin(
            span.resource.service_and_store(),
            span.name,
            span.kind,
            status,
        );
        let scratch = &mut self.scratch;
        for (key, value) in labels(span) {
            scratch.push(0xff);
            put(scratch, key.as_bytes());
            match value {
                Value::Int(number) => put(scratch, &number.to_le_bytes()),
                Value::Text(text) => put(scratch, text.as_bytes()),
                Value::List(values) => {
                    for text in values.filter_map(|value| value.as_text()) {
                        put(scratch, text.as_bytes());
                    }
                }
                _ => {}
            }
        }
        once(&mut self.shapes, scratch, || Shape {
            template: template(span),
        })
    }

    /// The shape of a span that has no more than what a summary is made of, and its job.
    pub(super) fn of_outline(&mut self, outline: &Span) -> (Arc<Shape>, Option<Arc<JobName>>) {
        let status = match outline.status {
            SpanStatus::Unset => 0,
            SpanStatus::Ok => 1,
            SpanStatus::Error(_) => 2,
        };
        let from = (outline.service(), outline.store());
        self.begin(from, &outline.name, outline.kind, status);
        let of_a_job = names_a_job(&outline.name);
        let failed = outline.status.is_error();
        let is_label = |attribute: &&Attribute| {
            let key = attribute.key.as_ref();
            (of_a_job && LABELS.contains(&key)) || (failed && key == key::ERROR_TYPE)
        };
        for attribute in outline.attributes.iter().filter(is_label) {
            put_attribute(&mut self.scratch, attribute);
        }
        let shape = once(&mut self.shapes, &self.scratch, || {
            let labels = outline.attributes.iter().filter(is_label);
            Shape {
                template: Span {
                    attributes: labels.cloned().collect(),
                    ..outline.clone()
                },
            }
        });
        let text = |key: &str| match outline.attribute(key)? {
            AttributeValue::String(text) => Some(text.as_ref()),
            _ => None,
        };
        let id = text(key::JOB_ID).filter(|_| of_a_job);
        let job = id.map(|id| self.job_named(id, text(key::CORRELATION_ID)));
        (shape, job)
    }

    fn begin(
        &mut self,
        (service, store): (Option<&str>, Option<&str>),
        name: &str,
        kind: SpanKind,
        status: u8,
    ) {
        self.scratch.clear();
        for text in [service, store] {
            put(&mut self.scratch, text.unwrap_or_default().as_bytes());
        }
        put(&mut self.scratch, name.as_bytes());
        self.scratch.extend([kind as u8, status]);
    }

    /// The job that an engine's span is about.
    pub(super) fn job(&mut self, span: &SpanView<'_>) -> Option<Arc<JobName>> {
        if !names_a_job(span.name) {
            return None;
        }
        let attributes = span.attributes();
        let id = attributes.get(key::JOB_ID)?.as_text()?;
        let correlation = attributes.get(key::CORRELATION_ID);
        let correlation = correlation.and_then(|value| value.as_text());
        Some(self.job_named(id, correlation))
    }

    fn job_named(&mut self, id: &str, correlation: Option<&str>) -> Arc<JobName> {
        self.begin_job(id, correlation);
        once(&mut self.jobs, &self.scratch, || JobName {
            id: id.into(),
            correlation: correlation.map(Into::into),
        })
    }

    fn begin_job(&mut self, id: &str, correlation: Option<&str>) {
        self.scratch.clear();
        put(&mut self.scratch, id.as_bytes());
        put(
            &mut self.scratch,
            correlation.unwrap_or_default().as_bytes(),
        );
    }

    /// Forgets a job if this is the last that somebody has of it.
    pub(super) fn let_go(&mut self, job: &Arc<JobName>) {
        if Arc::strong_count(job) <= 2 {
            self.begin_job(&job.id, job.correlation.as_deref());
            self.jobs.remove(self.scratch.as_slice());
        }
    }

    /// Forgets shapes that nothing has any more.
    pub(super) fn tidy(&mut self) {
        self.shapes.retain(|_, shape| Arc::strong_count(shape) > 1);
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.shapes.is_empty() && self.jobs.is_empty()
    }

    pub(super) fn shapes(&self) -> impl Iterator<Item = &Shape> {
        self.shapes.values().map(|shape| &**shape)
    }
}

fn once<T>(known: &mut HashMap<Box<[u8]>, Arc<T>>, key: &[u8], make: impl FnOnce() -> T) -> Arc<T> {
    if let Some(found) = known.get(key) {
        return Arc::clone(found);
    }
    let made = Arc::new(make());
    known.insert(key.into(), Arc::clone(&made));
    made
}

fn put(scratch: &mut Vec<u8>, part: &[u8]) {
    scratch.extend_from_slice(&part.len().to_le_bytes());
    scratch.extend_from_slice(part);
}

fn put_attribute(scratch: &mut Vec<u8>, attribute: &Attribute) {
    scratch.push(0xff);
    put(scratch, attribute.key.as_bytes());
    match &attribute.value {
        AttributeValue::Int(number) => put(scratch, &number.to_le_bytes()),
        AttributeValue::String(text) => put(scratch, text.as_bytes()),
        AttributeValue::Strings(texts) => {
            for text in texts {
                put(scratch, text.as_bytes());
            }
        }
        AttributeValue::Double(_) | AttributeValue::Bool(_) => {}
    }
}

/// Whether a summary takes the job from a span of this name.
fn names_a_job(name: &str) -> bool {
    matches!(name, name::PROCESS | name::ENQUEUE | name::DEQUEUE)
}

fn labels<'a>(span: &SpanView<'a>) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
    let of_a_job = names_a_job(span.name);
    let failed = matches!(span.status, StatusView::Error(_));
    span.attributes().filter(move |(key, _)| {
        (of_a_job && LABELS.contains(key)) || (failed && *key == key::ERROR_TYPE)
    })
}

fn template(span: &SpanView<'_>) -> Span {
    let (service, store) = span.resource.service_and_store();
    let resource = outlined_resource(service, store);
    Span {
        name: word(span.name, &[name::PROCESS, name::ENQUEUE, name::DEQUEUE]),
        kind: span.kind,
        status: match span.status {
            StatusView::Unset => SpanStatus::Unset,
            StatusView::Ok => SpanStatus::Ok,
            StatusView::Error(_) => SpanStatus::Error("".into()),
        },
        attributes: labels(span)
            .map(|(key, value)| Attribute {
                key: word(key, &LABELS),
                value: match value {
                    Value::Int(number) => AttributeValue::Int(number),
                    Value::List(values) => AttributeValue::Strings(
                        values
                            .filter_map(|value| Some(value.as_text()?.to_owned().into()))
                            .collect(),
                    ),
                    value => value.as_text().unwrap_or_default().to_owned().into(),
                },
            })
            .collect(),
        resource,
        ..Span::unknown(TraceId::from_u128(1), SpanId::from_u64(1))
    }
}

/// A resource as far as a summary needs it; nothing if there is nothing to say.
pub(crate) fn outlined_resource(
    service: Option<&str>,
    store: Option<&str>,
) -> Option<Arc<Resource>> {
    let service = service.map(|service| Attribute::new("service.name", service.to_owned()));
    let store = store.map(|store| Attribute::new(key::STORE, store.to_owned()));
    let attributes: Vec<Attribute> = service.into_iter().chain(store).collect();
    (!attributes.is_empty()).then(|| Arc::new(Resource { attributes }))
}

fn word(text: &str, known: &[&'static str]) -> std::borrow::Cow<'static, str> {
    match known.iter().find(|word| **word == text) {
        Some(word) => (*word).into(),
        None => text.to_owned().into(),
    }
}
