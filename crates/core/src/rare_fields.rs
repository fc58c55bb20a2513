//! The fields of a job that most jobs have none of, for stores that keep them together.
//!
//! They stay as they were when the job was accepted, so a store of tables needs one column of JSON
//! for them all, which is empty for most jobs. What it picks jobs by, such as the tenant, it may keep
//! in a column of its own as well. The names in the JSON are in the rows of every such store: they
//! stay as they are, and a field that is absent has its default. Fields that a later version added
//! are passed over.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::envelope::{Relation, TraceEnvelope};
use crate::job::Job;
use crate::new_job::NewJob;
use crate::trace_context::SpanContext;

/// The rare fields of a job: what says whom it belongs to, and its trace part without the decision
/// to keep the trace, which may come later.
///
/// ```
/// use longshore_core::rare_fields::RareFields;
/// use longshore_core::{Job, JobId, NewJob, Timestamp};
///
/// let id: JobId = "a-job".parse()?;
/// let mut new = NewJob::new(id, "mail".try_into()?, "send_mail".try_into()?, "{}");
/// assert!(RareFields::of(&new).is_none());
/// new.tenant_id = Some("ann".to_owned());
/// let json = serde_json::to_string(&RareFields::of(&new))?;
/// assert_eq!(json, r#"{"n":"ann"}"#);
///
/// new.tenant_id = None;
/// let mut job = Job::from_new(new, Timestamp::UNIX_EPOCH);
/// serde_json::from_str::<RareFields>(&json)?.put_into(&mut job);
/// assert_eq!(job.tenant_id.as_deref(), Some("ann"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RareFields<'a> {
    #[serde(rename = "t", default, skip_serializing_if = "is_empty")]
    tags: Cow<'a, [String]>,
    #[serde(rename = "m", default, skip_serializing_if = "no_pairs")]
    metadata: Cow<'a, BTreeMap<String, String>>,
    /// The job's own id if there is none.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<Cow<'a, str>>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    parent_correlation_id: Option<Cow<'a, str>>,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    tenant_id: Option<Cow<'a, str>>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    namespace: Option<Cow<'a, str>>,
    /// None if it is the one of a job that was enqueued alone and without telemetry.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    trace: Option<Cow<'a, TraceEnvelope>>,
}

impl<'a> RareFields<'a> {
    /// The rare fields of a new job; `None` if all have their defaults.
    #[must_use]
    pub fn of(new: &'a NewJob) -> Option<Self> {
        let fields = Self {
            tags: Cow::Borrowed(&new.tags),
            metadata: Cow::Borrowed(&new.metadata),
            correlation_id: new.correlation_id.as_deref().map(Cow::Borrowed),
            parent_correlation_id: new.parent_correlation_id.as_deref().map(Cow::Borrowed),
            tenant_id: new.tenant_id.as_deref().map(Cow::Borrowed),
            namespace: new.namespace.as_deref().map(Cow::Borrowed),
            trace: (!is_plain(&new.trace)).then(|| without_keep(&new.trace)),
        };
        (fields.trace.is_some() || !fields.has_only_trace()).then_some(fields)
    }

    /// Whether all but the trace part have their defaults.
    #[must_use]
    pub fn has_only_trace(&self) -> bool {
        self.tags.is_empty()
            && self.metadata.is_empty()
            && self.correlation_id.is_none()
            && self.parent_correlation_id.is_none()
            && self.tenant_id.is_none()
            && self.namespace.is_none()
    }

    /// The context of the enqueue span, if there is one that can be read.
    #[must_use]
    pub fn enqueue_span(&self) -> Option<SpanContext> {
        self.trace.as_ref()?.context()?.ok()
    }

    /// Gives a job these fields. One whose trace part is the default keeps the one it has.
    pub fn put_into(self, job: &mut Job) {
        job.tags = self.tags.into_owned();
        job.metadata = self.metadata.into_owned();
        job.correlation_id = self
            .correlation_id
            .map_or_else(|| job.id.as_str().to_owned(), Cow::into_owned);
        job.parent_correlation_id = self.parent_correlation_id.map(Cow::into_owned);
        job.tenant_id = self.tenant_id.map(Cow::into_owned);
        job.namespace = self.namespace.map(Cow::into_owned);
        if let Some(trace) = self.trace {
            job.trace = trace.into_owned();
        }
    }
}

/// Fields with nothing but this trace part.
impl From<TraceEnvelope> for RareFields<'_> {
    fn from(trace: TraceEnvelope) -> Self {
        Self {
            trace: Some(Cow::Owned(trace)),
            ..Self::default()
        }
    }
}

fn is_empty(tags: &[String]) -> bool {
    tags.is_empty()
}

fn no_pairs(metadata: &BTreeMap<String, String>) -> bool {
    metadata.is_empty()
}

/// Whether it is the trace part of a job that was enqueued alone and without telemetry.
fn is_plain(trace: &TraceEnvelope) -> bool {
    trace.traceparent.is_none()
        && trace.enqueue_stub.is_none()
        && trace.tracestate.is_empty()
        && trace.baggage.is_empty()
        && trace.relation == Relation::default()
        && trace.batch_size <= 1
}

fn without_keep(trace: &TraceEnvelope) -> Cow<'_, TraceEnvelope> {
    match trace.keep {
        None => Cow::Borrowed(trace),
        Some(_) => Cow::Owned(TraceEnvelope {
            keep: None,
            ..trace.clone()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    /// All fields as they are in rows of stores: a change of this text breaks them.
    const STORED: &str = r#"{"t":["a","b"],"m":{"k":"v"},"c":"order-7","p":"cart-3","n":"ann","s":"shop","x":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03","tracestate":"ot=th:8","baggage":"tenant=ann","relation":"link","batch_size":9,"enqueue_stub":{"s":5,"p":"b7ad6b7169203332","n":"web","f":"00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203333-03"}}}"#;

    fn new_job() -> NewJob {
        let (queue, kind) = ("mail".parse().unwrap(), "send".parse().unwrap());
        NewJob::new("a-job".parse().unwrap(), queue, kind, "{}")
    }

    fn job() -> Job {
        Job::from_new(new_job(), Timestamp::UNIX_EPOCH)
    }

    fn read(json: &str) -> RareFields<'static> {
        serde_json::from_str(json).unwrap()
    }

    fn with(change: impl FnOnce(&mut NewJob)) -> Option<String> {
        let mut new = new_job();
        change(&mut new);
        RareFields::of(&new).map(|fields| serde_json::to_string(&fields).unwrap())
    }

    #[test]
    fn what_is_stored_is_read_and_written_alike() {
        let fields = read(STORED);
        assert_eq!(serde_json::to_string(&fields).unwrap(), STORED);
        let span = fields.enqueue_span().unwrap();
        assert_eq!(span.span_id.to_string(), "b7ad6b7169203331");
        assert_eq!(span.trace_state.as_str(), "ot=th:8");
        let mut job = job();
        fields.put_into(&mut job);
        assert_eq!(job.tags, ["a", "b"]);
        assert_eq!(job.metadata.get("k").map(String::as_str), Some("v"));
        assert_eq!(job.correlation_id, "order-7");
        assert_eq!(job.parent_correlation_id.as_deref(), Some("cart-3"));
        assert_eq!(job.tenant_id.as_deref(), Some("ann"));
        assert_eq!(job.namespace.as_deref(), Some("shop"));
        assert_eq!(job.trace.baggage.as_str(), "tenant=ann");
        assert_eq!(job.trace.relation, Relation::Link);
        assert_eq!(job.trace.batch_size, 9);
        let stub = job.trace.enqueue_stub.unwrap();
        assert_eq!((stub.started_at.unix_nanos(), &*stub.service), (5, "web"));
    }

    #[test]
    fn a_job_with_defaults_has_none_and_one_field_is_enough() {
        assert_eq!(with(|_| {}), None);
        assert_eq!(with(|new| new.trace.batch_size = 0), None);
        let word = || Some("w".to_owned());
        let one = [
            (with(|new| new.tags.extend(word())), r#"{"t":["w"]}"#),
            (
                with(|new| new.metadata.extend([("k".to_owned(), String::new())])),
                r#"{"m":{"k":""}}"#,
            ),
            (with(|new| new.correlation_id = word()), r#"{"c":"w"}"#),
            (
                with(|new| new.parent_correlation_id = word()),
                r#"{"p":"w"}"#,
            ),
            (with(|new| new.tenant_id = word()), r#"{"n":"w"}"#),
            (with(|new| new.namespace = word()), r#"{"s":"w"}"#),
            (
                with(|new| new.trace.traceparent = word()),
                r#"{"x":{"traceparent":"w"}}"#,
            ),
            (
                with(|new| new.trace.relation = Relation::Parent),
                r#"{"x":{"relation":"parent"}}"#,
            ),
        ];
        for (written, json) in one {
            assert_eq!(written.as_deref(), Some(json));
            assert_eq!(read(json).has_only_trace(), json.contains("\"x\""));
        }
    }

    #[test]
    fn each_part_of_a_trace_is_stored_alone() {
        let stored: TraceEnvelope = read(STORED).trace.unwrap().into_owned();
        let plain = || new_job().trace;
        let parts = [
            TraceEnvelope {
                tracestate: stored.tracestate,
                ..plain()
            },
            TraceEnvelope {
                baggage: stored.baggage,
                ..plain()
            },
            TraceEnvelope {
                batch_size: stored.batch_size,
                ..plain()
            },
            TraceEnvelope {
                enqueue_stub: stored.enqueue_stub,
                ..plain()
            },
        ];
        for part in parts {
            let mut job = job();
            let json = with(|new| new.trace = part.clone()).unwrap();
            read(&json).put_into(&mut job);
            assert_eq!(job.trace, part);
        }
    }

    #[test]
    fn the_decision_to_keep_the_trace_is_left_out() {
        let keep = || {
            Some(crate::Keep {
                reason: "error".to_owned(),
                at: Timestamp::UNIX_EPOCH,
            })
        };
        assert_eq!(with(|new| new.trace.keep = keep()), None);
        let both = with(|new| {
            new.trace.keep = keep();
            new.trace.batch_size = 2;
        });
        assert_eq!(both.as_deref(), Some(r#"{"x":{"batch_size":2}}"#));
    }

    #[test]
    fn what_is_absent_has_its_default() {
        let mut job = job();
        read(STORED).put_into(&mut job);
        let trace = job.trace.clone();
        RareFields::default().put_into(&mut job);
        assert_eq!(job.correlation_id, "a-job");
        assert_eq!((job.tags.len(), job.metadata.len()), (0, 0));
        assert_eq!(job.parent_correlation_id, None);
        assert_eq!(
            (job.tenant_id.as_ref(), job.namespace.as_ref()),
            (None, None)
        );
        assert_eq!(job.trace, trace);
        assert_eq!(read(r#"{"x":{"traceparent":"no"}}"#).enqueue_span(), None);
    }

    #[test]
    fn fields_of_later_versions_are_passed_over() {
        let later = r#"{"n":"ann","z":[{"n":1}],"x":{"batch_size":3,"y":null}}"#;
        let now = r#"{"n":"ann","x":{"batch_size":3}}"#;
        assert_eq!(read(later), read(now));
    }

    #[test]
    fn damaged_text_is_refused() {
        for end in 0..STORED.len() {
            let cut = serde_json::from_str::<RareFields<'_>>(&STORED[..end]);
            assert!(cut.is_err(), "{}", &STORED[..end]);
        }
        for text in [
            "null",
            r#"{"t":"a"}"#,
            r#"{"m":["a"]}"#,
            r#"{"n":7}"#,
            r#"{"n":"a","n":"b"}"#,
            r#"{"x":{"batch_size":-1}}"#,
            r#"{"x":{"relation":"son"}}"#,
            r#"{"n":"a"}}"#,
        ] {
            let read = serde_json::from_str::<RareFields<'_>>(text);
            assert!(read.is_err(), "{text}");
        }
    }
}
