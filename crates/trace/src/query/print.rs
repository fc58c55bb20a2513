//! From a [`Query`] to the text that says it.

use std::fmt;

use super::scan::is_plain;
use super::value::duration_text;
use super::{Expr, Moment, Op, Query, Standing, Term, Value};

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expr() {
            Some(expr) => write!(f, "{expr}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, between) = match self {
            Self::All(parts) => (parts, " "),
            Self::Any(parts) => (parts, " OR "),
            Self::Not(inner) if matches!(**inner, Self::All(_) | Self::Any(_)) => {
                return write!(f, "-({inner})");
            }
            Self::Not(inner) => return write!(f, "-{inner}"),
            Self::Term(term) => return write!(f, "{term}"),
        };
        for (index, part) in parts.iter().enumerate() {
            let before = if index == 0 { "" } else { between };
            let nested = matches!((self, part), (Self::All(_), Self::Any(_)));
            if nested {
                write!(f, "{before}({part})")?;
            } else {
                write!(f, "{before}{part}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) if Standing::of_word(text).is_some() => quote(text, f),
            Self::Text(text) => word(text, f),
            Self::Is(standing) => f.write_str(match standing {
                Standing::Error => "error",
                Standing::Ok => "ok",
                Standing::Running => "running",
            }),
            Self::Has(key) => {
                f.write_str("has:")?;
                word(&key.name(), f)
            }
            Self::Compare(key, op, value) => {
                let op = match op {
                    Op::Is => "=",
                    Op::Contains => "~",
                    Op::Above => ">",
                    Op::AtLeast => ">=",
                    Op::Below => "<",
                    Op::AtMost => "<=",
                };
                write!(f, "{}{op}{value}", key.name())
            }
            Self::Since(moment) => write!(f, "since:{moment}"),
            Self::Until(moment) => write!(f, "until:{moment}"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => word(text, f),
            Self::Number(number) => write!(f, "{number}"),
            Self::Duration(duration) => f.write_str(&duration_text(*duration)),
            Self::Flag(true) => f.write_str("yes"),
            Self::Flag(false) => f.write_str("no"),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ago {
            Some(ago) => f.write_str(&duration_text(ago)),
            None => write!(f, "{}", self.at),
        }
    }
}

fn word(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if is_plain(text) {
        return f.write_str(text);
    }
    quote(text, f)
}

fn quote(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            f.write_str("\\")?;
        }
        write!(f, "{character}")?;
    }
    f.write_str("\"")
}
