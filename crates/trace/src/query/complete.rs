//! Help while a search is typed.

use std::ops::Range;

use super::key::{KEYS, META, STANDINGS, Shape, spellings};
use super::scan::is_plain;
use super::{Key, Query};

/// Most completions of a kind.
const MOST: usize = 20;

/// A way to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Which bytes of the text it replaces.
    pub replaces: Range<usize>,
    /// What it puts there.
    pub text: String,
    /// What that means; empty for a value.
    pub doc: &'static str,
}

/// Ways to go on at `cursor`, a place in bytes, the likeliest first: keys and words where a word
/// begins, values behind a key. `values` is asked for the values of a key that begin with a prefix,
/// as many as it likes; for an empty key, for the keys of attributes. What it gives back may be
/// anything.
#[must_use]
pub fn complete(
    text: &str,
    cursor: usize,
    values: impl Fn(&str, &str) -> Vec<String>,
) -> Vec<Completion> {
    let Some(before) = text
        .get(..cursor)
        .filter(|text| text.len() <= Query::MAX_BYTES)
    else {
        return Vec::new();
    };
    let from = beginning(before);
    let typed = before.get(from..).unwrap_or_default();
    let sign = typed.find(['=', '~', ':', '<', '>', '!']);
    match sign
        .filter(|at| *at > 0)
        .and_then(|at| typed.split_at_checked(at))
    {
        Some((key, rest)) => {
            let value = rest.trim_start_matches(['=', '~', ':', '<', '>', '!']);
            let replaces = cursor - value.len()..cursor;
            of_value(key, value.trim_start_matches('"'), &replaces, &values)
        }
        None => of_word(typed, &(from..cursor), &values),
    }
}

/// Where the word at the end of a text begins; within a quotation, all of that belongs to it.
fn beginning(text: &str) -> usize {
    let (mut from, mut quoted, mut escaped) = (0, false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' | ')' if !quoted => from = at + 1,
            '-' if !quoted && at == from => from = at + 1,
            space if !quoted && space.is_whitespace() => from = at + space.len_utf8(),
            _ => {}
        }
    }
    from
}

fn of_word(
    typed: &str,
    replaces: &Range<usize>,
    values: &impl Fn(&str, &str) -> Vec<String>,
) -> Vec<Completion> {
    let completion = |text: String, doc| Completion {
        replaces: replaces.clone(),
        text,
        doc,
    };
    let fits = |name: &str| name.starts_with(typed);
    let words = [
        ("error", "It failed."),
        ("ok", "It ended and did not fail."),
        ("running", "Something in it has not ended."),
        ("since:", "Going on since a time, such as `1h`."),
        ("until:", "Begun by a time, such as `2026-05-01T08:30`."),
        ("has:", "A key is there."),
    ];
    let words = words.into_iter().filter(|(word, _)| fits(word));
    let words = words.map(|(word, doc)| completion(word.to_owned(), doc));
    let keys = KEYS.iter().filter(|info| fits(info.name));
    let keys = keys.map(|info| completion(format!("{}{}", info.name, sign(info.shape)), info.doc));
    let others = other_spellings(typed).into_iter();
    let others = others.map(|(name, doc)| completion(name, doc));
    let meta = (!typed.is_empty() && fits(META)).then(|| {
        completion(
            META.to_owned(),
            "A pair of the job's metadata, such as `meta.order=17`.",
        )
    });
    let attributes = match typed {
        "" => Vec::new(),
        typed => values("", typed),
    };
    let attributes = attributes.into_iter().filter(|name| fits(name)).take(MOST);
    let attributes = attributes.map(|name| completion(format!("{name}="), "An attribute."));
    let own = keys.chain(words).chain(meta).chain(others);
    own.chain(attributes).collect()
}

/// The keys that have other spellings that begin so, with what they say.
fn other_spellings(typed: &str) -> Vec<(String, &'static str)> {
    let mut found: Vec<(String, &str)> = Vec::new();
    for spelling in spellings().filter(|known| !typed.is_empty() && known.starts_with(typed)) {
        let Some(key) = Key::find(spelling) else {
            continue;
        };
        let name = format!("{}{}", key.name(), sign(key.shape()));
        let is_there = found.iter().any(|(known, _)| *known == name);
        if !is_there && !key.name().starts_with(typed) {
            found.push((name, key.doc()));
        }
    }
    found
}

const fn sign(shape: Shape) -> &'static str {
    match shape {
        Shape::Duration | Shape::Number => ">",
        Shape::Text | Shape::Words(_) | Shape::Flag => "=",
    }
}

fn of_value(
    key: &str,
    typed: &str,
    replaces: &Range<usize>,
    values: &impl Fn(&str, &str) -> Vec<String>,
) -> Vec<Completion> {
    let fixed = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let found: Vec<String> = match key {
        "since" => fixed(&["15m", "1h", "6h", "1d", "7d"]),
        "until" => fixed(&["15m", "1h", "1d"]),
        "has" => {
            let keys = KEYS.iter().map(|info| info.name.to_owned());
            keys.chain(values("", typed)).collect()
        }
        key => match Key::find(key) {
            None => Vec::new(),
            Some(key) => match key.shape() {
                Shape::Words(_) if key == Key::Status => fixed(STANDINGS),
                Shape::Words(words) => fixed(words),
                Shape::Flag => fixed(&["yes", "no"]),
                Shape::Duration => fixed(&["100ms", "1s", "10s", "1m"]),
                Shape::Number => Vec::new(),
                Shape::Text => values(&key.name(), typed),
            },
        },
    };
    let fits = found.into_iter().filter(|value| value.starts_with(typed));
    let completions = fits.take(MOST).map(|value| Completion {
        replaces: replaces.clone(),
        text: written(&value),
        doc: "",
    });
    completions.collect()
}

/// A value as it is typed.
fn written(value: &str) -> String {
    if is_plain(value) {
        return value.to_owned();
    }
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}
