//! Text that may stand on a terminal, and lines of it that never grow past a width.

use std::borrow::Cow;
use std::fmt::Write;

use unicode_width::UnicodeWidthChar;

/// What a piece of text is, from which its colour follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Style {
    #[default]
    Plain,
    Bold,
    Dim,
    Enqueue,
    Wait,
    Attempt,
    Handler,
    Settle,
    User,
    Error,
    Good,
}

impl Style {
    /// The parameters of the terminal's "select graphic rendition" sequence. Only the sixteen
    /// colours that a person's own theme defines.
    const fn parameters(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Dim => "90",
            Self::Wait => "33",
            Self::Enqueue => "36",
            Self::Attempt => "34",
            Self::Handler => "94",
            Self::Settle => "35",
            Self::User | Self::Good => "32",
            Self::Error => "31",
        }
    }
}

/// How many columns a text takes.
#[must_use]
pub fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

fn char_width(character: char) -> usize {
    character.width().unwrap_or(0)
}

/// Text from outside as it may stand on a terminal: nothing that moves the cursor, reorders the
/// line or joins characters into a width nobody can know. Where `unicode` is false, only ASCII.
///
/// ```
/// assert_eq!(longshore_trace::text::printable("a\x1b[2J", true), "a·[2J");
/// assert_eq!(longshore_trace::text::printable("812 µs", false), "812 us");
/// ```
#[must_use]
pub fn printable(text: &str, unicode: bool) -> Cow<'_, str> {
    let fine = |character: char| match character {
        ' '..='~' => true,
        _ if !unicode => false,
        '\u{300}'..='\u{36f}' => true,
        _ => char_width(character) > 0 || character.is_alphabetic(),
    };
    if text.chars().all(fine) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|character| match character {
        _ if fine(character) => character,
        // Of microseconds, either sign.
        'µ' | 'μ' if !unicode => 'u',
        _ if unicode => '·',
        _ => '?',
    });
    Cow::Owned(shown.collect())
}

/// Cuts a text to `most` columns; one that is cut ends in `mark`.
#[must_use]
pub fn fit<'a>(text: &'a str, most: usize, mark: &str) -> Cow<'a, str> {
    if width(text) <= most {
        return Cow::Borrowed(text);
    }
    let room = most.saturating_sub(width(mark));
    let mut used = 0;
    let mut cut: String = text
        .chars()
        .take_while(|character| {
            used += char_width(*character);
            used <= room
        })
        .collect();
    if room < most {
        cut.push_str(mark);
    }
    Cow::Owned(cut)
}

/// A line in the making.
#[derive(Debug)]
pub(crate) struct Line {
    pieces: Vec<(String, Style, bool)>,
    used: usize,
    most: usize,
}

impl Line {
    /// An empty line that grows to at most `most` columns.
    pub(crate) const fn new(most: usize) -> Self {
        Self {
            pieces: Vec::new(),
            used: 0,
            most,
        }
    }

    pub(crate) const fn used(&self) -> usize {
        self.used
    }

    /// Appends text, as much of it as there is room for.
    pub(crate) fn push(&mut self, text: &str, style: Style) {
        self.add(text, style, false);
    }

    /// Appends text in inverse video.
    pub(crate) fn push_inverse(&mut self, text: &str, style: Style) {
        self.add(text, style, true);
    }

    /// Appends blanks up to `column`.
    pub(crate) fn pad_to(&mut self, column: usize) {
        let blanks = column.min(self.most).saturating_sub(self.used);
        self.push(&" ".repeat(blanks), Style::Plain);
    }

    /// Appends text so that it ends at `column`, if it fits after what is there and a blank.
    pub(crate) fn push_right(&mut self, column: usize, text: &str, style: Style) {
        let wide = width(text);
        if self.used + wide + usize::from(self.used > 0) <= column {
            self.pad_to(column - wide);
            self.push(text, style);
        }
    }

    fn add(&mut self, text: &str, style: Style, inverse: bool) {
        let text = fit(text, self.most - self.used, "");
        if text.is_empty() {
            return;
        }
        self.used += width(&text);
        match self.pieces.last_mut() {
            Some((last, of, inverted)) if *of == style && *inverted == inverse => {
                last.push_str(&text);
            }
            _ => self.pieces.push((text.into_owned(), style, inverse)),
        }
    }

    /// Writes the line and a line break, without blanks at its end.
    pub(crate) fn write(&self, ansi: bool, out: &mut String) {
        let visible =
            |(text, _, inverse): &(String, Style, bool)| *inverse || !text.trim_end().is_empty();
        let end = self.pieces.iter().rposition(visible).map_or(0, |at| at + 1);
        for (at, (text, style, inverse)) in self.pieces.iter().take(end).enumerate() {
            let last = at + 1 == end && !inverse;
            let text = if last { text.trim_end() } else { text };
            let parameters = style.parameters();
            if !ansi || (parameters.is_empty() && !inverse) {
                out.push_str(text);
                continue;
            }
            let invert = if *inverse { ";7" } else { "" };
            // Writing to a String cannot fail.
            let _ = write!(out, "\x1b[{parameters}{invert}m{text}\x1b[0m");
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_reordering_marks_do_not_get_through() {
        assert_eq!(printable("a\x1b[2Jb\nc", true), "a·[2Jb·c");
        assert_eq!(printable("a\u{202e}b", true), "a·b");
        assert_eq!(printable("café", false), "caf?");
        assert_eq!(printable("支払い", true), "支払い");
    }

    #[test]
    fn wide_characters_are_cut_whole() {
        assert_eq!(fit("支払い処理", 7, "…"), "支払い…");
        assert_eq!(fit("支払い処理", 6, "…"), "支払…");
        assert_eq!(fit("pay", 3, "…"), "pay");
        assert_eq!(fit("payment", 0, "…"), "");
    }

    #[test]
    fn a_line_stops_at_its_width() {
        let mut line = Line::new(5);
        line.push("支払い", Style::Plain);
        line.push("abc", Style::Error);
        let mut out = String::new();
        line.write(true, &mut out);
        assert_eq!(out, "支払\u{1b}[31ma\u{1b}[0m\n");
    }
}
