//! The pieces of a text that is typed, with where they stand.

use std::ops::Range;

use super::Op;

/// A piece.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Open,
    Close,
    Minus,
    Or,
    And,
    /// A word, or a text in quotation marks.
    Text {
        text: String,
        quoted: bool,
    },
    /// `key op value`. The key is empty where none was typed, as in `>2s`; the value is `None` where
    /// none was.
    Pair {
        key: String,
        op: PairOp,
        value: Option<String>,
        /// Whether the value stood in quotation marks.
        quoted: bool,
        /// Where the value stands.
        value_at: Range<usize>,
    },
}

/// What stands between a key and a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PairOp {
    Colon,
    Not,
    Op(Op),
}

/// The operators, those first that begin with others.
const OPERATORS: [(&str, PairOp); 9] = [
    ("!=", PairOp::Not),
    (">=", PairOp::Op(Op::AtLeast)),
    ("<=", PairOp::Op(Op::AtMost)),
    ("=~", PairOp::Op(Op::Contains)),
    ("=", PairOp::Op(Op::Is)),
    (">", PairOp::Op(Op::Above)),
    ("<", PairOp::Op(Op::Below)),
    ("~", PairOp::Op(Op::Contains)),
    (":", PairOp::Colon),
];

/// A quotation that was not closed, and where it begins.
#[derive(Debug)]
pub(super) struct Unclosed(pub(super) usize);

/// Cuts a text into pieces.
pub(super) fn scan(text: &str) -> Result<Vec<(Range<usize>, Piece)>, Unclosed> {
    let mut scanner = Scanner { text, at: 0 };
    let mut pieces = Vec::new();
    while let Some(piece) = scanner.next()? {
        pieces.push(piece);
    }
    Ok(pieces)
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Takes as much as `is_part` says and gives it back.
    fn take(&mut self, is_part: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn next(&mut self) -> Result<Option<(Range<usize>, Piece)>, Unclosed> {
        self.take(char::is_whitespace);
        let from = self.at;
        let Some(first) = self.rest().chars().next() else {
            return Ok(None);
        };
        let piece = match first {
            '(' | ')' | '-' => {
                self.at += 1;
                match first {
                    '(' => Piece::Open,
                    ')' => Piece::Close,
                    _ => Piece::Minus,
                }
            }
            '"' => Piece::Text {
                text: self.quoted()?,
                quoted: true,
            },
            _ => self.word()?,
        };
        Ok(Some((from..self.at, piece)))
    }

    /// A word, or a pair if its first part can be a key and an operator follows.
    fn word(&mut self) -> Result<Piece, Unclosed> {
        let from = self.at;
        let key = self.take(is_of_key);
        let may_be_key = key.is_empty() || key.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if let Some(op) = self.operator(key).filter(|_| may_be_key) {
            return self.pair(key, op);
        }
        self.at = from;
        let text = self.take(is_of_word);
        Ok(match text {
            "OR" => Piece::Or,
            "AND" => Piece::And,
            text => Piece::Text {
                text: text.to_owned(),
                quoted: false,
            },
        })
    }

    fn operator(&mut self, key: &str) -> Option<PairOp> {
        let rest = self.rest();
        let (text, op) = OPERATORS.iter().find(|(text, _)| rest.starts_with(text))?;
        let address = *op == PairOp::Colon && rest.starts_with("://");
        let compares = matches!(
            op,
            PairOp::Op(Op::Above | Op::AtLeast | Op::Below | Op::AtMost)
        );
        if address || (key.is_empty() && !compares) {
            return None;
        }
        self.at += text.len();
        Some(*op)
    }

    fn pair(&mut self, key: &str, op: PairOp) -> Result<Piece, Unclosed> {
        let from = self.at;
        let quoted = self.rest().starts_with('"');
        let value = if quoted {
            Some(self.quoted()?)
        } else {
            let value = self.take(is_of_word);
            (!value.is_empty()).then(|| value.to_owned())
        };
        Ok(Piece::Pair {
            key: key.to_owned(),
            op,
            value,
            quoted,
            value_at: from..self.at,
        })
    }

    /// A text in quotation marks, in which `\` takes the next character for what it is.
    fn quoted(&mut self) -> Result<String, Unclosed> {
        let from = self.at;
        let mut text = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.at = from + at + 1;
                    return Ok(text);
                }
                '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
                other => text.push(other),
            }
        }
        Err(Unclosed(from))
    }
}

fn is_of_key(character: char) -> bool {
    character.is_alphanumeric() || "_.-/".contains(character)
}

fn is_of_word(character: char) -> bool {
    !character.is_whitespace() && !"()\"".contains(character)
}

/// Whether a text read as a word is that word.
pub(super) fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !matches!(text, "OR" | "AND")
        && text.chars().all(|c| is_of_key(c) || "#@,+".contains(c))
}
