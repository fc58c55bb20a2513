//! The tokens of a statement, in a reading that holds for every dialect.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a name.
    Word,
    /// Something in double quotes: a name in one dialect, a text in another.
    Quoted,
    /// A value.
    Literal,
    /// A sign, or a placeholder.
    Sign,
}

/// A piece of a statement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'sql> {
    pub(super) kind: Kind,
    pub(super) text: &'sql str,
    /// Whether a space or comment stood before it.
    pub(super) spaced: bool,
}

pub(super) struct Lexer<'sql> {
    text: &'sql str,
    at: usize,
}

impl<'sql> Lexer<'sql> {
    pub(super) const fn new(text: &'sql str) -> Self {
        Self { text, at: 0 }
    }

    /// The next token; `Some(None)` at the end, `None` if there is something that is no token.
    pub(super) fn next_token(&mut self) -> Option<Option<Token<'sql>>> {
        let before = self.at;
        self.skip_blank()?;
        let start = self.at;
        let spaced = start > before;
        let Some(first) = self.rest().chars().next() else {
            return Some(None);
        };
        let kind = match first {
            '\'' => self.text_literal(false)?,
            '"' => self.quoted('"', Kind::Quoted)?,
            '`' => self.name_in_backticks()?,
            '$' => self.dollar()?,
            '?' => self.question_mark(),
            ':' => self.after_colon(),
            '@' => self.variable(),
            '%' if self.rest().starts_with("%s") => self.sign(2),
            '0'..='9' => self.number(),
            '.' if self.second().is_some_and(|c| c.is_ascii_digit()) && !self.after_name() => {
                self.number()
            }
            c if c.is_alphabetic() || c == '_' => self.word()?,
            c if "()+-*/=<>!|&^~%.,;[]{}".contains(c) => self.sign(1),
            _ => return None,
        };
        let text = self.text.get(start..self.at)?;
        Some(Some(Token { kind, text, spaced }))
    }

    fn rest(&self) -> &'sql str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }

    /// Whether a name or a closing bracket stands right before, so that a dot is no fraction.
    fn after_name(&self) -> bool {
        let before = self
            .text
            .get(..self.at)
            .and_then(|text| text.chars().next_back());
        before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '"' | '`' | ']'))
    }

    /// Spaces and comments. What a comment says is nobody's business: it may hold a value.
    fn skip_blank(&mut self) -> Option<()> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("--") || trimmed.starts_with('#') {
                self.at += line_comment(trimmed)?;
            } else if trimmed.starts_with("/*") {
                self.at += block_comment(trimmed)?;
            } else {
                return Some(());
            }
        }
    }

    /// `?` or `?1`.
    fn question_mark(&mut self) -> Kind {
        let number = self
            .rest()
            .bytes()
            .skip(1)
            .take_while(u8::is_ascii_digit)
            .count();
        self.sign(if number <= 5 { 1 + number } else { 1 })
    }

    const fn sign(&mut self, length: usize) -> Kind {
        self.at += length;
        Kind::Sign
    }

    /// A text in single quotes. A quote after a backslash ends it in one dialect and not in the
    /// other, so such a text is refused, unless an `E` before it says that it does not.
    fn text_literal(&mut self, escapes: bool) -> Option<Kind> {
        let mut at = self.at + 1;
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(at)? {
                b'\\' if escapes => at += 2,
                b'\\' => {
                    let run = bytes
                        .get(at..)?
                        .iter()
                        .take_while(|byte| **byte == b'\\')
                        .count();
                    at += run;
                    if bytes.get(at) == Some(&b'\'') {
                        return None;
                    }
                }
                b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 2,
                b'\'' => {
                    self.at = at + 1;
                    return Some(Kind::Literal);
                }
                _ => at += 1,
            }
        }
    }

    fn quoted(&mut self, quote: char, kind: Kind) -> Option<Kind> {
        let mut inner = self.rest().get(1..)?;
        let whole = self.rest().len();
        loop {
            let end = inner.find(quote)?;
            if inner.get(..end)?.ends_with('\\') {
                return None;
            }
            inner = inner.get(end + 1..)?;
            match inner.strip_prefix(quote) {
                Some(more) => inner = more,
                None => break,
            }
        }
        self.at += whole - inner.len();
        Some(kind)
    }

    fn name_in_backticks(&mut self) -> Option<Kind> {
        let start = self.at;
        self.quoted('`', Kind::Word)?;
        let plain = super::is_plain(self.text.get(start..self.at)?);
        Some(if plain { Kind::Word } else { Kind::Literal })
    }

    /// `$1`, `$$…$$` or `$tag$…$tag$`.
    fn dollar(&mut self) -> Option<Kind> {
        let rest = self.rest();
        let digits = rest
            .get(1..)?
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        if digits > 0 {
            // More digits than a placeholder has are a value.
            let kind = if digits <= 5 {
                Kind::Sign
            } else {
                Kind::Literal
            };
            self.at += 1 + digits;
            return Some(kind);
        }
        let name = rest
            .get(1..)?
            .find(|c: char| !c.is_alphanumeric() && c != '_')?;
        let tag = rest.get(..name + 2).filter(|tag| tag.ends_with('$'))?;
        let end = rest.get(tag.len()..)?.find(tag)?;
        self.at += tag.len() * 2 + end;
        Some(Kind::Literal)
    }

    /// `::` before a type, `:name`, or the colon of a slice.
    fn after_colon(&mut self) -> Kind {
        if self.rest().starts_with("::") {
            return self.sign(2);
        }
        self.named_placeholder(1)
    }

    fn variable(&mut self) -> Kind {
        let signs = self.rest().bytes().take_while(|byte| *byte == b'@').count();
        self.named_placeholder(signs.min(2))
    }

    fn named_placeholder(&mut self, signs: usize) -> Kind {
        let name = self.rest().get(signs..).unwrap_or("");
        let length = name
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(name.len());
        self.at += signs + length;
        // A number after a colon is a part of a time or a slice.
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            Kind::Literal
        } else {
            Kind::Sign
        }
    }

    /// A number, and whatever letters and digits are written together with it.
    fn number(&mut self) -> Kind {
        let mut before = ' ';
        let rest = self.rest();
        let belongs = |c: char| {
            let exponent = matches!(c, '+' | '-') && matches!(before, 'e' | 'E');
            let is_part = c.is_alphanumeric() || matches!(c, '_' | '.') || exponent;
            before = c;
            !is_part
        };
        self.at += rest.find(belongs).unwrap_or(rest.len());
        Kind::Literal
    }

    /// A word, or a literal with a word before its quote, such as `E'…'`, `X'…'` and `q'[…]'`.
    fn word(&mut self) -> Option<Kind> {
        let rest = self.rest();
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
        let length = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
        let word = rest.get(..length)?;
        let after = rest.get(length..)?;
        if after.starts_with("&'") && word.eq_ignore_ascii_case("u") {
            self.at += length + 1;
            return self.text_literal(false);
        }
        if !after.starts_with('\'') {
            self.at += length;
            // A name may hold dollars, but two in a row rather quote something.
            return (!word.contains("$$")).then_some(Kind::Word);
        }
        self.at += length;
        if word.eq_ignore_ascii_case("q") || word.eq_ignore_ascii_case("nq") {
            return self.alternative_quotes();
        }
        self.text_literal(word.eq_ignore_ascii_case("e"))
    }

    /// Oracle's `q'[…]'`.
    fn alternative_quotes(&mut self) -> Option<Kind> {
        let rest = self.rest().get(1..)?;
        let open = rest.chars().next()?;
        let close = match open {
            '[' => ']',
            '(' => ')',
            '{' => '}',
            '<' => '>',
            other => other,
        };
        let body = rest.get(open.len_utf8()..)?;
        let end = body.find(&format!("{close}'"))?;
        self.at += 1 + open.len_utf8() + end + close.len_utf8() + 1;
        Some(Kind::Literal)
    }
}

/// The length of the comment to the end of the line at the beginning. `--` and `#` begin one in
/// some dialects only; where the line has quotes, the other reading could take them for the
/// beginning of a text, and the comment is refused.
fn line_comment(text: &str) -> Option<usize> {
    let line = text.split('\n').next().unwrap_or(text);
    let certain = line
        .strip_prefix("--")
        .is_some_and(|said| said.starts_with([' ', '\t']));
    (certain || !line.contains(['\'', '"', '`', '$'])).then_some(line.len())
}

/// The length of the comment at the beginning; comments may stand within each other.
fn block_comment(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        match (bytes.get(at)?, bytes.get(at + 1)?) {
            (b'/', b'*') => {
                depth += 1;
                at += 2;
            }
            (b'*', b'/') => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
}
