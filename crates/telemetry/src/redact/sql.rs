//! Statements without their literals.
//!
//! The dialects disagree on what a literal is: whether `\'` ends one, whether `"x"` is a name or
//! a text, whether `#` begins a comment. Where they do, the reading that shows less is taken, and
//! what cannot be read at all is refused, so that the caller shows nothing of it.

mod lexer;

use lexer::{Kind, Lexer, Token};

/// Statements longer than this are not read.
const LONGEST: usize = 65_536;

/// Words that statements begin with. What begins otherwise, such as a command of Redis, holds
/// its values where this module does not look for them.
const FIRST_WORDS: &[&str] = &[
    "ALTER",
    "ANALYZE",
    "BEGIN",
    "CALL",
    "CLOSE",
    "COMMIT",
    "CREATE",
    "DECLARE",
    "DELETE",
    "DESCRIBE",
    "DROP",
    "END",
    "EXPLAIN",
    "FETCH",
    "GRANT",
    "INSERT",
    "LISTEN",
    "LOCK",
    "MERGE",
    "NOTIFY",
    "PREPARE",
    "REFRESH",
    "REINDEX",
    "RELEASE",
    "REPLACE",
    "RESET",
    "REVOKE",
    "ROLLBACK",
    "SAVEPOINT",
    "SELECT",
    "SHOW",
    "START",
    "TABLE",
    "TRUNCATE",
    "UNLISTEN",
    "UPDATE",
    "UPSERT",
    "USE",
    "VACUUM",
    "VALUES",
    "WITH",
];

/// Statements whose values need not be quoted. Redis has a command of the name `SET`, too.
const BARE_VALUES: &[&str] = &["EXEC", "EXECUTE", "PRAGMA", "SET"];

/// The statement with `?` for every literal and without comments; lists of values become one.
/// `None` if it cannot be read wholly.
pub(super) fn sanitized(statement: &str) -> Option<String> {
    if statement.len() > LONGEST {
        return None;
    }
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let mut lexer = Lexer::new(statement);
    while let Some(token) = lexer.next_token()? {
        tokens.push(token);
    }
    if let Some(word) = starts(&tokens)? {
        return Some(format!("{word} ?"));
    }
    let quoted = names(&tokens);
    for (token, is_name) in tokens.iter_mut().zip(quoted) {
        if token.kind == Kind::Quoted && !is_name {
            token.kind = Kind::Literal;
        }
        if token.kind == Kind::Literal {
            token.text = "?";
        }
    }
    hide_password(&mut tokens);
    Some(written(&folded(tokens)))
}

/// Whether every statement begins with a word known here. `Some(Some(word))` if it is but one,
/// whose values need not be quoted.
fn starts(tokens: &[Token<'_>]) -> Option<Option<&'static str>> {
    let mut statements = tokens
        .split(|token| token.text == ";")
        .filter_map(|statement| statement.iter().find(|token| token.text != "("));
    let known = |words: &[&'static str], token: &Token<'_>| {
        let is_it = |word: &&&str| word.eq_ignore_ascii_case(token.text);
        let found = words.iter().find(is_it).copied();
        found.filter(|_| token.kind == Kind::Word)
    };
    let Some(first) = statements.next() else {
        return Some(None);
    };
    if let Some(word) = known(BARE_VALUES, first) {
        return Some(Some(word));
    }
    known(FIRST_WORDS, first)?;
    statements
        .all(|token| known(FIRST_WORDS, token).is_some())
        .then_some(None)
}

/// After `IDENTIFIED`, a password may stand without quotes.
fn hide_password(tokens: &mut Vec<Token<'_>>) {
    let is_it = |token: &Token<'_>| token.text.eq_ignore_ascii_case("IDENTIFIED");
    if let Some(index) = tokens.iter().position(is_it) {
        tokens.truncate(index + 1);
        tokens.push(Token {
            kind: Kind::Literal,
            text: "?",
            spaced: true,
        });
    }
}

/// For each token whether, if it is in double quotes, it can be nothing but a name.
fn names(tokens: &[Token<'_>]) -> Vec<bool> {
    let text = |index: Option<usize>| index.and_then(|i| tokens.get(i)).map_or("", |t| t.text);
    let is_name = |(index, token): (usize, &Token<'_>)| {
        let before = text(index.checked_sub(1));
        let dotted = before == "." || text(Some(index + 1)) == ".";
        let introduced = ["FROM", "INTO", "JOIN", "TABLE", "UPDATE"]
            .iter()
            .any(|word| word.eq_ignore_ascii_case(before));
        token.kind == Kind::Quoted && (dotted || introduced) && is_plain(token.text)
    };
    tokens.iter().enumerate().map(is_name).collect()
}

/// Whether a quoted text looks like a name.
fn is_plain(quoted: &str) -> bool {
    let inner = quoted.trim_matches(['"', '`']);
    let starts = inner.starts_with(|c: char| c.is_alphabetic() || c == '_');
    starts && inner.len() <= 64 && inner.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Lists of literals in brackets as one, and rows of such lists as one.
fn folded(tokens: Vec<Token<'_>>) -> Vec<Token<'_>> {
    let mut out: Vec<Token<'_>> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let texts = |out: &[Token<'_>], count: usize, wanted: &[&str]| {
            let last = out
                .get(out.len().saturating_sub(count)..)
                .unwrap_or_default();
            last.iter()
                .map(|token| token.text)
                .eq(wanted.iter().copied())
        };
        if token.text == "?" && texts(&out, 3, &["(", "?", ","]) {
            out.pop();
            continue;
        }
        out.push(token);
        if texts(&out, 7, &["(", "?", ")", ",", "(", "?", ")"]) {
            out.truncate(out.len() - 4);
        }
    }
    out
}

/// The tokens with a space wherever there was one.
fn written(tokens: &[Token<'_>]) -> String {
    let mut out = String::new();
    for token in tokens {
        if token.spaced && !out.is_empty() {
            out.push(' ');
        }
        out.push_str(token.text);
    }
    out
}

#[cfg(test)]
mod tests;
