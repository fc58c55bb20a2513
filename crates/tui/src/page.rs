//! Text to read line by line, where a line may lead somewhere.

use longshore_api::job::Holder;
use longshore_api::trace::StoryOf;
use longshore_core::{Timestamp, TraceId};
use longshore_trace::text::{printable, width};

use crate::theme::Role;

/// Lines under each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) lines: Vec<Line>,
    wide: usize,
    unicode: bool,
}

/// A line of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) pieces: Vec<(String, Role)>,
    pub(crate) target: Option<Target>,
}

/// Where a line leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To a story.
    Story(StoryOf),
    /// To the clipboard, with all of a value that may be wrapped or cut here.
    Copy(String),
    /// To the page of a job.
    Job(String),
    /// To a worker among all.
    Worker(String),
}

impl Target {
    /// The way to what another job waits for.
    pub(crate) fn of(holder: &Holder) -> Self {
        match holder {
            Holder::Job(id) => Self::Job(id.clone()),
            Holder::Worker(id) => Self::Worker(id.clone()),
        }
    }
}

impl Page {
    /// A page of so many columns.
    pub(crate) fn new(wide: usize, unicode: bool) -> Self {
        Self {
            lines: Vec::new(),
            wide: wide.max(8),
            unicode,
        }
    }

    /// A line of its own kind, cut at the width.
    pub(crate) fn line(&mut self, pieces: impl IntoIterator<Item = (String, Role)>) {
        self.linked(pieces, None);
    }

    /// A line that leads somewhere.
    pub(crate) fn linked(
        &mut self,
        pieces: impl IntoIterator<Item = (String, Role)>,
        target: Option<Target>,
    ) {
        let clean =
            |(text, role): (String, Role)| (printable(&text, self.unicode).into_owned(), role);
        let pieces = pieces.into_iter().map(clean).collect();
        self.lines.push(Line { pieces, target });
    }

    pub(crate) fn blank(&mut self) {
        if self
            .lines
            .last()
            .is_some_and(|line| !line.pieces.is_empty())
        {
            self.lines.push(Line::default());
        }
    }

    pub(crate) fn heading(&mut self, text: &str) {
        self.blank();
        self.line([(text.to_owned(), Role::Strong)]);
    }

    /// A key and its value; the value is wrapped under itself, or beneath a long key.
    pub(crate) fn pair(&mut self, key: &str, value: &str, role: Role) {
        self.pair_to(key, value, role, Target::Copy(value.to_owned()));
    }

    /// A key and a value that leads somewhere.
    pub(crate) fn pair_to(&mut self, key: &str, value: &str, role: Role, target: Target) {
        let key_width = width(key);
        let whole = !value.contains([' ', '\n']) && width(value) + 2 <= self.wide;
        let indent = match key_width {
            // What would be broken under itself but fits beneath stays whole.
            ..=11 if whole && 12 + width(value) > self.wide => 2,
            ..=11 => 12,
            _ if key_width + 1 + width(value) <= self.wide => key_width + 1,
            _ => 2,
        };
        let target = Some(target);
        let mut lines = wrap(value, self.wide.saturating_sub(indent), self.unicode).into_iter();
        let mut pieces = vec![(key.to_owned(), Role::Dim)];
        if indent > key_width {
            let first = lines.next().unwrap_or_default();
            pieces.push((" ".repeat(indent - key_width), Role::Plain));
            pieces.push((first, role));
        }
        self.linked(pieces, target.clone());
        for line in lines {
            let pieces = [(" ".repeat(indent), Role::Plain), (line, role)];
            self.linked(pieces, target.clone());
        }
    }

    /// Text of any length, wrapped, each line indented.
    pub(crate) fn text(&mut self, text: &str, indent: usize, role: Role) {
        let target = Some(Target::Copy(text.to_owned()));
        for line in wrap(text, self.wide.saturating_sub(indent), self.unicode) {
            let pieces = [(" ".repeat(indent), Role::Plain), (line, role)];
            self.linked(pieces, target.clone());
        }
    }
}

/// Text in lines of at most `wide` columns: broken at blanks, long words after a slash, a dot or
/// a colon, else where they must be. Lines that were indented stay so.
pub(crate) fn wrap(text: &str, wide: usize, unicode: bool) -> Vec<String> {
    let wide = wide.max(4);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let paragraph = paragraph.replace('\t', "    ");
        let clean = printable(&paragraph, unicode);
        let text = clean.trim_start();
        let indent = (clean.len() - text.len()).min(wide / 3);
        let mut rest = text.trim_end();
        let mut lead = indent;
        loop {
            let (line, after) = break_at(rest, wide - lead);
            lines.push(format!("{}{}", " ".repeat(lead), line.trim_end()));
            rest = after.trim_start();
            if rest.is_empty() {
                break;
            }
            lead = (indent + 2).min(wide / 2);
        }
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

/// As much of a text as fits into `wide` columns, and the rest.
fn break_at(text: &str, wide: usize) -> (&str, &str) {
    let mut used = 0;
    let mut good: Option<usize> = None;
    let mut fair: Option<usize> = None;
    for (at, character) in text.char_indices() {
        let mut buffer = [0; 4];
        used += width(character.encode_utf8(&mut buffer));
        if used > wide && character == ' ' {
            return text.split_at(at);
        }
        if used > wide {
            // An id that is broken cannot be copied from the screen.
            let word = text.get(good.unwrap_or(0)..).unwrap_or_default();
            let id = word.split([' ', ',', ';']).next().unwrap_or_default();
            let whole = is_id(id) && width(id) <= wide;
            let enough = |end: &usize| *end * 2 > at || whole;
            let end = good
                .filter(enough)
                .or(fair.filter(enough))
                .or(good)
                .unwrap_or(at);
            let end = if end == 0 {
                at.max(character.len_utf8())
            } else {
                end
            };
            return text.split_at(end);
        }
        let after = at + character.len_utf8();
        match character {
            ' ' => good = Some(after),
            '/' | '.' | ':' | ',' | ';' | '&' | '?' | '-' | '_' | '(' => fair = Some(after),
            _ => {}
        }
    }
    (text, "")
}

/// Whether a word is an id made of hexadecimal digits and dashes.
fn is_id(word: &str) -> bool {
    let fits = |character: char| character.is_ascii_hexdigit() || character == '-';
    word.len() >= 16 && word.chars().all(fits)
}

/// How long ago something was, in few characters.
pub(crate) fn ago(now: Timestamp, at: Timestamp) -> String {
    let seconds = now.since(at).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A time of day in UTC, to the millisecond.
pub(crate) fn clock(at: Timestamp) -> String {
    let millis = at.unix_millis().rem_euclid(86_400_000);
    let (seconds, rest) = (millis / 1_000, millis % 1_000);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{rest:03}Z", seconds % 60)
}

/// A time with its day, to the second.
pub(crate) fn moment(at: Timestamp) -> String {
    let whole = Timestamp::from_unix_millis(at.unix_millis().div_euclid(1_000) * 1_000);
    whole.to_string().replace('T', " ")
}

/// The beginning and the end of a trace id.
pub(crate) fn short(trace: TraceId, unicode: bool) -> String {
    let id = trace.to_string();
    let (first, last) = (id.get(..4).unwrap_or(&id), id.get(28..).unwrap_or(""));
    format!("{first}{}{last}", if unicode { "…" } else { ".." })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_at_blanks_and_keeps_its_indent() {
        let text = "error: could not reach payments\n    at shop::pay (src/pay.rs:10)";
        let lines = wrap(text, 18, true);
        assert_eq!(
            lines,
            [
                "error: could not",
                "  reach payments",
                "    at shop::pay",
                "      (src/pay.rs:",
                "      10)"
            ]
        );
        assert!(lines.iter().all(|line| width(line) <= 18));
    }

    #[test]
    fn an_id_that_fits_into_a_line_is_not_broken() {
        let text = "1 held by job slow 01a20335-97f5-7515-84d9-02f7f8834857 for 7 s";
        for wide in [38, 50, 60] {
            let lines = wrap(text, wide, true);
            let whole = |line: &String| line.contains("01a20335-97f5-7515-84d9-02f7f8834857");
            assert!(lines.iter().any(whole), "{lines:?}");
        }
    }

    #[test]
    fn words_without_blanks_and_wide_characters_are_broken_too() {
        for (text, wide) in [
            ("aaaaaaaaaaaaaaaaaaaaaaaaaa", 7),
            ("支払い処理支払い処理支払い処理", 5),
            ("", 4),
        ] {
            let lines = wrap(text, wide, true);
            assert!(lines.iter().all(|line| width(line) <= wide), "{lines:?}");
            let joined: String = lines.iter().map(|line| line.trim()).collect();
            assert_eq!(joined, text);
        }
    }

    #[test]
    fn times_are_short() {
        let at = Timestamp::from_unix_millis(1_777_624_201_042);
        assert_eq!(clock(at), "08:30:01.042Z");
        assert_eq!(moment(at), "2026-05-01 08:30:01Z");
        assert_eq!(
            ago(at.after(std::time::Duration::from_secs(7_300)), at),
            "2h"
        );
    }
}
