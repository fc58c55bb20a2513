//! What every match has at least one span with, for an index to start from.

use longshore_instrument::table::key;
use longshore_instrument::{Attribute, Span};

use super::matching::{attributes, says_value};
use super::{Expr, Key, Op, Query, Term, Value};

/// An attribute of a span, of its resource or of an event of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sought<'q> {
    /// Its key; empty for the name of the span, which is no attribute.
    pub key: &'q str,
    /// Its value as a person writes it: `200`, `true`; of a list any one of it.
    pub value: &'q str,
}

impl Sought<'_> {
    /// The key that stands for the name of a span.
    pub const NAME: &'static str = "";

    /// Whether a span has it.
    #[must_use]
    pub fn is_in(&self, span: &Span) -> bool {
        if self.key == Self::NAME {
            return span.name == self.value;
        }
        let is_it = |attribute: &Attribute| {
            attribute.key == self.key && says_value(&attribute.value, |held| held == self.value)
        };
        attributes(span).any(is_it)
    }
}

impl Query {
    /// Its text, if what it says of spans that do not change never changes either, but for
    /// [`Query::since`]; nothing if it depends on the time at which it was read.
    #[must_use]
    pub fn lasting(&self) -> Option<String> {
        let lasts = match self.expr() {
            Some(Expr::All(all)) => all.iter().all(Expr::lasts_but_for_since),
            Some(one) => one.lasts_but_for_since(),
            None => true,
        };
        lasts.then(|| self.to_string())
    }

    /// What spans are found by: of each list every match has at least one, in some span. Empty if no
    /// condition that every match meets asks for a value that is the same.
    #[must_use]
    pub fn sought(&self) -> Vec<Vec<Sought<'_>>> {
        let all = match self.expr() {
            Some(Expr::All(all)) => all.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        all.iter().filter_map(Expr::sought).collect()
    }
}

impl Expr {
    /// With time fewer things were going on since so long ago, and not one more.
    fn lasts_but_for_since(&self) -> bool {
        matches!(self, Self::Term(Term::Since(_))) || self.lasts()
    }

    fn lasts(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().all(Self::lasts),
            Self::Not(inner) => inner.lasts(),
            Self::Term(Term::Since(moment) | Term::Until(moment)) => moment.ago.is_none(),
            Self::Term(_) => true,
        }
    }

    fn sought(&self) -> Option<Vec<Sought<'_>>> {
        match self {
            Self::Term(term) => term.sought(),
            Self::All(parts) => parts.iter().find_map(Self::sought),
            Self::Any(parts) => {
                let each: Option<Vec<_>> = parts.iter().map(Self::sought).collect();
                Some(each?.into_iter().flatten().collect())
            }
            Self::Not(_) => None,
        }
    }
}

impl Term {
    fn sought(&self) -> Option<Vec<Sought<'_>>> {
        let Self::Compare(wanted, Op::Is, Value::Text(value)) = self else {
            return None;
        };
        let one = |key| Some(vec![Sought { key, value }]);
        match wanted {
            Key::Name => one(Sought::NAME),
            Key::Service => one("service.name"),
            // A failure without a type is called that.
            Key::ErrorType if value == "error" => None,
            Key::ErrorType => {
                let keys = [key::ERROR_TYPE, key::EXCEPTION_TYPE];
                Some(keys.map(|key| Sought { key, value }).into())
            }
            other => one(other.attribute()?),
        }
    }
}
