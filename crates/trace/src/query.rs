//! The search language: what somebody types to find traces.
//!
//! One small grammar of words, `key=value` and times, which `docs/search.md` explains. [`parse`]
//! reads it, [`Query::decide`] answers from a [`TraceSummary`] alone where that is possible and
//! [`Query::matches`] fetches the spans where it is not; [`complete`] helps while it is typed.
//!
//! ```
//! use longshore_core::Timestamp;
//! use longshore_trace::query::parse;
//!
//! let now = Timestamp::from_unix_millis(1_777_624_200_000);
//! let query = parse("orders error >2s tenant.id=t-17 since:1h", now).unwrap();
//! assert_eq!(query.to_string(), "orders error duration>2s tenant=t-17 since:1h");
//!
//! let error = parse("queu=orders", now).unwrap_err();
//! assert_eq!(error.nearest.as_deref(), Some("queue"));
//! ```
//!
//! [`TraceSummary`]: crate::TraceSummary

mod complete;
mod key;
mod matching;
mod page;
mod parse;
mod print;
mod scan;
mod sought;
mod value;

use std::time::Duration;

use longshore_core::{JobId, SpanId, Timestamp, TraceId};

pub use complete::{Completion, complete};
pub use key::{KEYS, Key, KeyInfo, Shape};
pub use page::search_reference;
pub use parse::{QueryError, parse};
pub use sought::Sought;

/// What somebody asked for. One that is empty is met by every trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    expr: Option<Expr>,
}

/// A part of a [`Query`].
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// All of these; never fewer than two, none of them such a list itself.
    All(Vec<Self>),
    /// Any of these; never fewer than two, none of them such a list itself.
    Any(Vec<Self>),
    /// Not this, which is not itself a negation.
    Not(Box<Self>),
    /// One condition.
    Term(Term),
}

/// One condition. Several of a query may be met by different spans of a trace.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// A text that stands, in whatever case, in a name, service, queue, kind, job id, tag, error or
    /// other attribute.
    Text(String),
    /// How it stands.
    Is(Standing),
    /// A key is there.
    Has(Key),
    /// A key compares to a value.
    Compare(Key, Op, Value),
    /// Something of it was going on at this time or later.
    Since(Moment),
    /// It began at this time or before.
    Until(Moment),
}

/// How a trace stands, as a bare word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It failed: its last attempt, or, without jobs, any span.
    Error,
    /// It has ended and did not fail.
    Ok,
    /// Something in it has not ended.
    Running,
}

/// How a key compares to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The same.
    Is,
    /// The value is a part of it, in whatever case.
    Contains,
    /// Greater.
    Above,
    /// Greater or the same.
    AtLeast,
    /// Less.
    Below,
    /// Less or the same.
    AtMost,
}

/// What a key is compared to.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(f64),
    /// A time that something took.
    Duration(Duration),
    /// Yes or no.
    Flag(bool),
}

/// A point in time, as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// How long ago that was when it was read, if it was typed so.
    pub ago: Option<Duration>,
}

/// Where to go at once instead of searching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Jump {
    /// To a trace, and a span of it if one was typed.
    Trace(TraceId, Option<SpanId>),
    /// To a job.
    Job(JobId),
    /// To the job of this id if there is one; else it is a text to search for.
    Perhaps(JobId),
}

impl Query {
    /// Most bytes of a text that is read.
    pub const MAX_BYTES: usize = 4096;

    /// A query of this expression.
    #[must_use]
    pub const fn of(expr: Option<Expr>) -> Self {
        Self { expr }
    }

    /// What it is made of; `None` if it asks for nothing.
    #[must_use]
    pub const fn expr(&self) -> Option<&Expr> {
        self.expr.as_ref()
    }

    /// The conditions that every match meets: those that an index may start from. Others may be
    /// nested in [`Query::expr`].
    pub fn required(&self) -> impl Iterator<Item = &Term> {
        let all = match self.expr() {
            Some(Expr::All(all)) => all.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        all.iter().filter_map(|expr| match expr {
            Expr::Term(term) => Some(term),
            Expr::All(_) | Expr::Any(_) | Expr::Not(_) => None,
        })
    }

    /// The time before which no match has ended.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        let since = self.required().filter_map(|term| match term {
            Term::Since(moment) => Some(moment.at),
            _ => None,
        });
        since.max()
    }

    /// The time after which no match began.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        let until = self.required().filter_map(|term| match term {
            Term::Until(moment) => Some(moment.at),
            _ => None,
        });
        until.min()
    }

    /// The value that a key must have in every match: for an index by job id, queue or the like.
    #[must_use]
    pub fn required_value(&self, wanted: &Key) -> Option<&str> {
        self.required().find_map(|term| match term {
            Term::Compare(key, Op::Is, Value::Text(value)) if key == wanted => Some(value.as_str()),
            _ => None,
        })
    }

    /// Where to go at once: a trace id or a job id was typed, anywhere; a whole `traceparent` counts.
    /// What is negated is no place to go to.
    #[must_use]
    pub fn jump(&self) -> Option<Jump> {
        let certain = self.required().find_map(|term| match term {
            Term::Text(text) => value::jump(text),
            Term::Compare(Key::Trace, Op::Is, Value::Text(id)) => value::jump(id),
            Term::Compare(Key::Job, Op::Is, Value::Text(id)) => id.parse().ok().map(Jump::Job),
            _ => None,
        });
        certain.or_else(|| match self.expr() {
            Some(Expr::Term(Term::Text(text))) => text.parse().ok().map(Jump::Perhaps),
            _ => None,
        })
    }
}

impl Expr {
    /// All of `parts`; `None` if there are none.
    #[must_use]
    pub fn all(parts: Vec<Self>) -> Option<Self> {
        Self::join(parts, |part| match part {
            Self::All(inner) => Ok(inner),
            other => Err(other),
        })
        .map(|mut parts| match (parts.len(), parts.pop()) {
            (1, Some(only)) => only,
            (_, last) => {
                parts.extend(last);
                Self::All(parts)
            }
        })
    }

    /// Any of `parts`; `None` if there are none.
    #[must_use]
    pub fn any(parts: Vec<Self>) -> Option<Self> {
        Self::join(parts, |part| match part {
            Self::Any(inner) => Ok(inner),
            other => Err(other),
        })
        .map(|mut parts| match (parts.len(), parts.pop()) {
            (1, Some(only)) => only,
            (_, last) => {
                parts.extend(last);
                Self::Any(parts)
            }
        })
    }

    /// What this is not.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    fn join(
        parts: Vec<Self>,
        inner: impl Fn(Self) -> Result<Vec<Self>, Self>,
    ) -> Option<Vec<Self>> {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match inner(part) {
                Ok(parts) => flat.extend(parts),
                Err(part) => flat.push(part),
            }
        }
        (!flat.is_empty()).then_some(flat)
    }
}

#[cfg(test)]
mod tests;
