//! From a text to a [`Query`].

use std::ops::Range;

use longshore_core::Timestamp;

use super::key::{Shape, nearest};
use super::scan::{PairOp, Piece, Unclosed, scan};
use super::value::{duration, moment, number};
use super::{Expr, Key, Op, Query, Standing, Term, Value};

/// Most conditions of a query.
const MOST_TERMS: usize = 64;

/// Deepest nesting of parentheses.
const DEEPEST: usize = 16;

/// Why a text is no query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// Which bytes of the text it is about.
    pub at: Range<usize>,
    /// What is wrong and how to mend it, in a sentence without a full stop.
    pub what: String,
    /// The known key that is most like an unknown one, if one is like it.
    pub nearest: Option<String>,
}

impl std::fmt::Display for QueryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.what)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for QueryError {}

fn error(at: Range<usize>, what: impl Into<String>) -> QueryError {
    QueryError {
        at,
        what: what.into(),
        nearest: None,
    }
}

/// Reads a query. Times such as `since:1h` count from `now`.
///
/// # Errors
///
/// An unknown key, a value that does not fit its key, a parenthesis or quotation that is not closed,
/// more than 4096 bytes, 64 conditions or 16 levels: with the place, and the nearest key.
pub fn parse(text: &str, now: Timestamp) -> Result<Query, QueryError> {
    if text.len() > Query::MAX_BYTES {
        let most = Query::MAX_BYTES;
        return Err(error(
            0..text.len(),
            format!("a search has at most {most} bytes"),
        ));
    }
    let pieces = scan(text).map_err(|Unclosed(at)| {
        error(
            at..text.len(),
            "a quotation is not closed: end it with `\"`",
        )
    })?;
    let mut parser = Parser {
        pieces,
        next: 0,
        end: text.len(),
        now,
        depth: 0,
        terms: 0,
    };
    let expr = parser.any()?;
    match parser.peek() {
        None => Ok(Query::of(expr)),
        Some((at, _)) => Err(error(
            at.clone(),
            "this parenthesis closes nothing; leave it out, or quote it to search for it",
        )),
    }
}

struct Parser {
    pieces: Vec<(Range<usize>, Piece)>,
    next: usize,
    end: usize,
    now: Timestamp,
    depth: usize,
    terms: usize,
}

impl Parser {
    fn peek(&self) -> Option<&(Range<usize>, Piece)> {
        self.pieces.get(self.next)
    }

    fn take(&mut self) -> Option<(Range<usize>, Piece)> {
        let piece = self.peek().cloned();
        self.next += usize::from(piece.is_some());
        piece
    }

    fn takes(&mut self, wanted: &Piece) -> Option<Range<usize>> {
        let at = self.peek().filter(|(_, piece)| piece == wanted)?.0.clone();
        self.next += 1;
        Some(at)
    }

    /// Lists of conditions with `OR` between them.
    fn any(&mut self) -> Result<Option<Expr>, QueryError> {
        let mut parts = Vec::new();
        loop {
            let before = self.peek().map_or(self.end..self.end, |(at, _)| at.clone());
            let part = self.all()?;
            let or = self.takes(&Piece::Or);
            match (part, &or) {
                (Some(part), _) => parts.push(part),
                (None, None) if parts.is_empty() => {}
                (None, _) => {
                    return Err(error(
                        before,
                        "`OR` stands between two conditions; quote it to search for the word",
                    ));
                }
            }
            if or.is_none() {
                return Ok(Expr::any(parts));
            }
        }
    }

    /// Conditions that all hold.
    fn all(&mut self) -> Result<Option<Expr>, QueryError> {
        let mut parts = Vec::new();
        while let Some((at, piece)) = self.peek().cloned() {
            if matches!(piece, Piece::Close | Piece::Or) {
                break;
            }
            self.next += 1;
            if piece == Piece::And {
                continue;
            }
            parts.extend(self.item(at, piece)?);
        }
        Ok(Expr::all(parts))
    }

    fn item(&mut self, at: Range<usize>, piece: Piece) -> Result<Option<Expr>, QueryError> {
        match piece {
            Piece::Open => self.group(&at),
            Piece::Minus => self.negation(at),
            Piece::Text { text, quoted } => self.count(&at, Term::of_text(text, quoted)).map(Some),
            Piece::Pair {
                key,
                op,
                value,
                quoted,
                value_at,
            } => {
                let any = value.as_deref() == Some("*") && !quoted;
                let any = any && matches!(op, PairOp::Colon | PairOp::Op(Op::Is));
                let name_at = at.start..at.start + key.len();
                let term = match value {
                    Some(_) if any && !key.is_empty() => Term::Has(find(&key, name_at)?),
                    Some(value) => self.pair((&key, name_at), op, (&value, value_at))?,
                    None => return Err(error(at, missing(&key))),
                };
                let expr = self.count(&at, term)?;
                Ok(Some(if op == PairOp::Not {
                    expr.negated()
                } else {
                    expr
                }))
            }
            Piece::Close | Piece::Or | Piece::And => Ok(None),
        }
    }

    fn count(&mut self, at: &Range<usize>, term: Term) -> Result<Expr, QueryError> {
        self.terms += 1;
        if self.terms > MOST_TERMS {
            return Err(error(
                at.clone(),
                format!("a search has at most {MOST_TERMS} conditions"),
            ));
        }
        Ok(Expr::Term(term))
    }

    fn deeper(&mut self, at: &Range<usize>) -> Result<(), QueryError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(error(
                at.clone(),
                format!("a search is nested at most {DEEPEST} deep"),
            ));
        }
        Ok(())
    }

    fn group(&mut self, at: &Range<usize>) -> Result<Option<Expr>, QueryError> {
        self.deeper(at)?;
        let expr = self.any()?;
        self.depth -= 1;
        match self.takes(&Piece::Close) {
            Some(_) => Ok(expr),
            None => Err(error(at.clone(), "this parenthesis is not closed")),
        }
    }

    fn negation(&mut self, at: Range<usize>) -> Result<Option<Expr>, QueryError> {
        let Some((next, piece)) = self.take().filter(|(next, _)| next.start == at.end) else {
            return Err(error(
                at,
                "`-` stands right before what is not wanted; quote it to search for it",
            ));
        };
        if matches!(piece, Piece::Close | Piece::Or | Piece::And) {
            return Err(error(
                at,
                "`-` stands right before what is not wanted; quote it to search for it",
            ));
        }
        self.deeper(&at)?;
        let expr = self.item(next, piece)?;
        self.depth -= 1;
        Ok(expr.map(Expr::negated))
    }

    fn pair(
        &self,
        (name, name_at): (&str, Range<usize>),
        op: PairOp,
        (value, value_at): (&str, Range<usize>),
    ) -> Result<Term, QueryError> {
        match name {
            "since" | "until" => return self.time(name, op, value, value_at),
            "has" if matches!(op, PairOp::Colon | PairOp::Op(Op::Is)) => {
                return find(value, value_at).map(Term::Has);
            }
            _ => {}
        }
        let key = match name {
            "" => Key::Duration,
            name => find(name, name_at)?,
        };
        let op = match op {
            PairOp::Colon | PairOp::Not => Op::Is,
            PairOp::Op(op) => op,
        };
        compare(key, op, value, value_at)
    }

    fn time(
        &self,
        name: &str,
        op: PairOp,
        value: &str,
        at: Range<usize>,
    ) -> Result<Term, QueryError> {
        let is_until = name == "until";
        let found = moment(value, self.now, is_until);
        let found = found.filter(|_| matches!(op, PairOp::Colon | PairOp::Op(Op::Is)));
        match found {
            Some(moment) if is_until => Ok(Term::Until(moment)),
            Some(moment) => Ok(Term::Since(moment)),
            None => Err(error(
                at,
                format!(
                    "`{name}:` takes how long ago, such as `1h`, or a time in UTC, such as `2026-05-01` or `2026-05-01T08:30`"
                ),
            )),
        }
    }
}

fn missing(name: &str) -> String {
    match name {
        "" => "a duration is missing, such as in `>2s`".to_owned(),
        name => format!("`{name}` lacks a value, such as in `queue=orders` or `wait>1m`"),
    }
}

/// The key of a spelling.
fn find(typed: &str, at: Range<usize>) -> Result<Key, QueryError> {
    Key::find(typed).ok_or_else(|| QueryError {
        at,
        what: format!("`{typed}` is no key that can be searched by; attributes have a dot in theirs, and a text that only looks like a key is put in quotation marks"),
        nearest: nearest(typed),
    })
}

/// A condition whose value fits its key.
fn compare(key: Key, op: Op, value: &str, at: Range<usize>) -> Result<Term, QueryError> {
    let ordered = matches!(op, Op::Above | Op::AtLeast | Op::Below | Op::AtMost);
    let name = key.name();
    let text = || Value::Text(value.to_owned());
    let read = match key.shape() {
        Shape::Words(words) if key == Key::Status => return standing(op, value, words, at),
        Shape::Text | Shape::Words(_) if ordered && !matches!(key, Key::Attribute(_)) => {
            return Err(error(at, format!("`{name}` is a text: compare it with `=`, `!=` or `~`")));
        }
        Shape::Text if ordered => number(value)
            .map(Value::Number)
            .or_else(|| duration(value).map(Value::Duration))
            .ok_or_else(|| format!("`{value}` is neither a number nor a duration such as `2s`, which is what `<` and `>` compare")),
        Shape::Text | Shape::Words(_) => Ok(text()),
        _ if op == Op::Contains => Err(format!("`{name}` is no text: compare it with `=`, `<` or `>`")),
        Shape::Number => number(value)
            .map(Value::Number)
            .ok_or_else(|| format!("`{name}` is a number, which `{value}` is not")),
        Shape::Duration => duration(value)
            .map(Value::Duration)
            .ok_or_else(|| format!("`{name}` takes a duration with its unit, such as `2s`, `100ms` or `1h30m`")),
        Shape::Flag if ordered => Err(format!("`{name}` is `yes` or `no`")),
        Shape::Flag => match value {
            "yes" | "true" => Ok(Value::Flag(true)),
            "no" | "false" => Ok(Value::Flag(false)),
            _ => Err(format!("`{name}` is `yes` or `no`")),
        },
    };
    match read {
        Ok(value) => Ok(Term::Compare(key, op, value)),
        Err(what) => Err(error(at, what)),
    }
}

fn standing(op: Op, value: &str, words: &[&str], at: Range<usize>) -> Result<Term, QueryError> {
    let standing = Standing::of_word(value).filter(|_| op == Op::Is);
    standing.map(Term::Is).ok_or_else(|| {
        let words = words.join("`, `");
        error(
            at,
            format!("`status` is one of `{words}`; how an attempt ended is `outcome`"),
        )
    })
}

impl Term {
    /// What a word means: `error`, `ok` and `running` say how a trace stands.
    fn of_text(text: String, quoted: bool) -> Self {
        match Standing::of_word(&text).filter(|_| !quoted) {
            Some(standing) => Self::Is(standing),
            None => Self::Text(text),
        }
    }
}

impl Standing {
    pub(super) fn of_word(word: &str) -> Option<Self> {
        match word {
            "error" | "failed" => Some(Self::Error),
            "ok" => Some(Self::Ok),
            "running" => Some(Self::Running),
            _ => None,
        }
    }
}
