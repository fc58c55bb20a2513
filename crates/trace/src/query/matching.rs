//! Whether a trace is what somebody asked for: first by its summary, then by its spans.

use std::cmp::Ordering;
use std::time::Duration;

use longshore_instrument::table::key;
use longshore_instrument::{Attribute, AttributeValue, Span, SpanStatus};

use super::{Expr, Key, Op, Query, Standing, Term, Value};
use crate::TraceSummary;

impl Query {
    /// Whether a trace matches as far as its summary says; `None` if only its spans do.
    #[must_use]
    pub fn decide(&self, summary: &TraceSummary) -> Option<bool> {
        let Some(expr) = self.expr() else {
            return Some(true);
        };
        expr.decide(&|term| term.decide(summary))
    }

    /// Whether a trace matches. `spans` is called for its spans only if the summary does not say.
    pub fn matches<S: AsRef<[Span]>>(
        &self,
        summary: &TraceSummary,
        spans: impl FnOnce() -> S,
    ) -> bool {
        match (self.decide(summary), self.expr()) {
            (Some(decided), _) => decided,
            (None, None) => true,
            (None, Some(expr)) => {
                let spans = spans();
                let met = |term: &Term| {
                    let by_summary = term.decide(summary);
                    by_summary.or_else(|| Some(spans.as_ref().iter().any(|span| term.finds(span))))
                };
                expr.decide(&met) == Some(true)
            }
        }
    }

    /// Whether a span is one that somebody looked for: it meets a condition that is not negated.
    /// What is said of the whole trace, such as its time, finds no span.
    #[must_use]
    pub fn finds(&self, span: &Span) -> bool {
        self.expr().is_some_and(|expr| expr.finds(span))
    }
}

impl Expr {
    /// By what is known of the terms: a part that is not known leaves the whole unknown only if it
    /// matters.
    fn decide(&self, term: &impl Fn(&Term) -> Option<bool>) -> Option<bool> {
        let (parts, settles) = match self {
            Self::Term(one) => return term(one),
            Self::Not(inner) => return inner.decide(term).map(|holds| !holds),
            Self::All(parts) => (parts, false),
            Self::Any(parts) => (parts, true),
        };
        let mut known = true;
        for part in parts {
            match part.decide(term) {
                Some(holds) if holds == settles => return Some(settles),
                Some(_) => {}
                None => known = false,
            }
        }
        known.then_some(!settles)
    }

    fn finds(&self, span: &Span) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.finds(span)),
            Self::Not(_) => false,
            Self::Term(term) => term.finds(span),
        }
    }
}

impl Term {
    fn decide(&self, summary: &TraceSummary) -> Option<bool> {
        match self {
            Self::Text(text) => says(summary, text).then_some(true),
            Self::Is(Standing::Error) => Some(summary.failed),
            Self::Is(Standing::Ok) => {
                // Of a job that still waits nothing has ended.
                let has_ended = summary.outcome.is_some() || summary.job_ids.is_empty();
                Some(!summary.failed && summary.open == 0 && has_ended)
            }
            Self::Is(Standing::Running) => Some(summary.open > 0),
            Self::Since(moment) => Some(summary.end >= moment.at || summary.open > 0),
            Self::Until(moment) => Some(summary.start <= moment.at),
            Self::Has(key) => has(summary, key),
            Self::Compare(key, op, value) => compare(summary, key, *op, value),
        }
    }

    /// Whether one span meets it.
    fn finds(&self, span: &Span) -> bool {
        match self {
            Self::Text(text) => mentions(span, text),
            Self::Is(Standing::Error) => span.status.is_error(),
            Self::Is(Standing::Running) => span.is_open(),
            Self::Is(Standing::Ok) | Self::Since(_) | Self::Until(_) => false,
            Self::Has(key) => values(span, key).next().is_some(),
            Self::Compare(Key::Duration, op, Value::Duration(limit)) => {
                orders(*op, span.end.since(span.start).cmp(limit))
            }
            Self::Compare(Key::Name, op, Value::Text(text)) => compares(*op, &span.name, text),
            Self::Compare(Key::Service, op, Value::Text(text)) => {
                let service = span.service();
                service.is_some_and(|service| compares(*op, service, text))
            }
            Self::Compare(key, op, value) => values(span, key).any(|held| meets(held, *op, value)),
        }
    }
}

/// Whether a summary mentions a text.
fn says(summary: &TraceSummary, text: &str) -> bool {
    let one = [&summary.name, &summary.service];
    let some = [
        &summary.error_type,
        &summary.correlation_id,
        &summary.tenant_id,
        &summary.namespace,
        &summary.outcome,
    ];
    let lists = [
        &summary.services,
        &summary.queues,
        &summary.kinds,
        &summary.job_ids,
        &summary.tags,
    ];
    let all = one.into_iter().chain(some.into_iter().flatten());
    let mut all = all.chain(lists.into_iter().flatten());
    let is_id = text.len() >= 8 && text.chars().all(|c| c.is_ascii_hexdigit());
    all.any(|held| contains(held, text)) || is_id && contains(&summary.trace_id.to_string(), text)
}

/// What a summary holds under a key, and whether that is all there is.
fn texts<'s>(summary: &'s TraceSummary, wanted: &Key) -> Option<(Vec<&'s str>, bool)> {
    let one_job = summary.job_ids.len() <= 1;
    let list = |list: &'s [String]| {
        let texts = list.iter().map(String::as_str).collect();
        Some((texts, list.len() < TraceSummary::MOST))
    };
    let one =
        |text: &'s Option<String>, all: bool| Some((text.as_deref().into_iter().collect(), all));
    match wanted {
        Key::Name => Some((vec![summary.name.as_str()], summary.spans == 1)),
        Key::Service => list(&summary.services),
        Key::Queue => list(&summary.queues),
        Key::Kind => list(&summary.kinds),
        Key::Job => list(&summary.job_ids),
        Key::Tag => list(&summary.tags).map(|(tags, all)| (tags, all && one_job)),
        Key::Correlation => one(&summary.correlation_id, one_job),
        Key::Tenant => one(&summary.tenant_id, one_job),
        Key::Namespace => one(&summary.namespace, one_job),
        Key::Outcome => one(&summary.outcome, one_job && summary.attempts <= 1),
        Key::ErrorType => one(&summary.error_type, summary.errors == 0),
        Key::Trace | Key::Status | Key::Duration | Key::Wait | Key::Run => None,
        Key::Attempt | Key::Spans | Key::Errors | Key::Orphans | Key::Kept => None,
        Key::Attribute(_) => None,
    }
}

fn has(summary: &TraceSummary, wanted: &Key) -> Option<bool> {
    match wanted {
        Key::Attribute(attribute) => {
            let of_job = Key::of_messages(attribute)?;
            has(summary, &of_job).filter(|holds| *holds)
        }
        Key::Wait | Key::Run | Key::Attempt => Some(summary.attempts > 0),
        Key::Kept => Some(summary.kept),
        Key::Errors => Some(summary.errors > 0),
        Key::Orphans => Some(summary.orphans > 0),
        Key::Trace | Key::Status | Key::Duration | Key::Spans => Some(true),
        other => {
            let (texts, all) = texts(summary, other)?;
            match texts.is_empty() {
                false => Some(true),
                true => all.then_some(false),
            }
        }
    }
}

fn compare(summary: &TraceSummary, wanted: &Key, op: Op, value: &Value) -> Option<bool> {
    let took = |held: Duration| match value {
        Value::Duration(limit) => Some(orders(op, held.cmp(limit))),
        _ => Some(false),
    };
    let counts = |held: u32| match value {
        Value::Number(limit) => Some(
            f64::from(held)
                .partial_cmp(limit)
                .is_some_and(|order| orders(op, order)),
        ),
        _ => Some(false),
    };
    match wanted {
        Key::Duration => took(summary.duration()),
        Key::Wait => took(summary.wait),
        Key::Run => took(summary.run),
        Key::Attempt => counts(summary.attempts),
        Key::Spans => counts(summary.spans),
        Key::Errors => counts(summary.errors),
        Key::Orphans => counts(summary.orphans),
        Key::Kept => Some(*value == Value::Flag(summary.kept)),
        Key::Status => Some(false),
        Key::Attribute(attribute) => {
            // A job's says yes at once; that none does says nothing about other spans.
            let of_job = Key::of_messages(attribute)?;
            compare(summary, &of_job, op, value).filter(|holds| *holds)
        }
        Key::Trace => match value {
            Value::Text(text) => Some(compares(op, &summary.trace_id.to_string(), text)),
            _ => Some(false),
        },
        other => {
            let Value::Text(text) = value else {
                return Some(false);
            };
            let (texts, all) = texts(summary, other)?;
            match texts.iter().any(|held| compares(op, held, text)) {
                true => Some(true),
                false => all.then_some(false),
            }
        }
    }
}

/// Whether a text, or a part of it, is what is wanted.
fn compares(op: Op, held: &str, wanted: &str) -> bool {
    match op {
        Op::Is => held == wanted,
        Op::Contains => contains(held, wanted),
        Op::Above | Op::AtLeast | Op::Below | Op::AtMost => false,
    }
}

fn orders(op: Op, order: Ordering) -> bool {
    match op {
        Op::Is => order.is_eq(),
        Op::Above => order.is_gt(),
        Op::AtLeast => order.is_ge(),
        Op::Below => order.is_lt(),
        Op::AtMost => order.is_le(),
        Op::Contains => false,
    }
}

/// Every value that a span has under a key: of its own, of its resource and of its events.
fn values<'s>(span: &'s Span, wanted: &'s Key) -> impl Iterator<Item = &'s AttributeValue> {
    let name = wanted.attribute().unwrap_or_default();
    let also = match wanted {
        Key::ErrorType => key::EXCEPTION_TYPE,
        _ => name,
    };
    let fits = move |attribute: &&Attribute| attribute.key == name || attribute.key == also;
    let found = attributes(span).filter(fits);
    found
        .filter(move |_| !name.is_empty())
        .map(|attribute| &attribute.value)
}

pub(super) fn attributes(span: &Span) -> impl Iterator<Item = &Attribute> {
    let resource = span.resource.as_deref().into_iter();
    let resource = resource.flat_map(|resource| &resource.attributes);
    let events = span.events.iter().flat_map(|event| &event.attributes);
    span.attributes.iter().chain(resource).chain(events)
}

/// Whether an attribute's value is what is wanted.
fn meets(held: &AttributeValue, op: Op, wanted: &Value) -> bool {
    let limit = match wanted {
        Value::Text(text) => return says_value(held, |held| compares(op, held, text)),
        Value::Number(number) => *number,
        Value::Duration(duration) => duration.as_secs_f64(),
        Value::Flag(_) => return false,
    };
    let number = match held {
        AttributeValue::Int(number) => number.to_string().parse().ok(),
        AttributeValue::Double(number) => Some(*number),
        AttributeValue::String(text) => text.parse().ok(),
        AttributeValue::Bool(_) | AttributeValue::Strings(_) => None,
    };
    let order = number.and_then(|number: f64| number.partial_cmp(&limit));
    order.is_some_and(|order| orders(op, order))
}

/// Whether a value, as a person would write it, is what is wanted.
pub(super) fn says_value(held: &AttributeValue, wanted: impl Fn(&str) -> bool) -> bool {
    match held {
        AttributeValue::String(text) => wanted(text),
        AttributeValue::Strings(texts) => texts.iter().any(|text| wanted(text)),
        AttributeValue::Int(number) => wanted(&number.to_string()),
        AttributeValue::Double(number) => wanted(&number.to_string()),
        AttributeValue::Bool(yes) => wanted(if *yes { "true" } else { "false" }),
    }
}

/// Whether a span mentions a text: in its name, its service, its error, an attribute or an event.
fn mentions(span: &Span, text: &str) -> bool {
    let described = match &span.status {
        SpanStatus::Error(described) => contains(described, text),
        SpanStatus::Unset | SpanStatus::Ok => false,
    };
    let own = span.attributes.iter();
    let events = span.events.iter().flat_map(|event| &event.attributes);
    described
        || contains(&span.name, text)
        || span
            .service()
            .is_some_and(|service| contains(service, text))
        || span.events.iter().any(|event| contains(&event.name, text))
        || own
            .chain(events)
            .any(|attribute| says_value(&attribute.value, |held| contains(held, text)))
}

/// Whether `part` stands in `whole`, in whatever case.
fn contains(whole: &str, part: &str) -> bool {
    if !part.is_ascii() {
        return whole.to_lowercase().contains(&part.to_lowercase());
    }
    let (whole, part) = (whole.as_bytes(), part.as_bytes());
    part.is_empty()
        || whole
            .windows(part.len())
            .any(|window| window.eq_ignore_ascii_case(part))
}
