//! A line that is being typed.

use crate::key::Key;

/// Longest line that can be typed, in bytes.
const LONGEST: usize = 1_024;

/// The text, and the byte of it where the cursor is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Typed {
    pub(crate) text: String,
    pub(crate) cursor: usize,
    /// Whether all of it gives way to the next text that is put in.
    pub(crate) selected: bool,
}

impl Typed {
    /// A line with the cursor at its end.
    pub(crate) fn new(text: &str) -> Self {
        let text: String = text.chars().take(LONGEST / 4).collect();
        Self {
            cursor: text.len(),
            text,
            selected: false,
        }
    }

    /// A line that the next letter replaces, unless it is changed or moved in before.
    pub(crate) fn selected(text: &str) -> Self {
        let typed = Self::new(text);
        Self {
            selected: !typed.text.is_empty(),
            ..typed
        }
    }

    /// What stands before the cursor.
    pub(crate) fn head(&self) -> &str {
        self.text.get(..self.cursor).unwrap_or_default()
    }

    /// Changes the text as a line editor does; says whether it changed.
    pub(crate) fn edit(&mut self, key: Key) -> bool {
        let before = self.text.clone();
        let replaces = matches!(key, Key::Char(_));
        self.selected &= replaces;
        match key {
            Key::Char(character) => self.insert(character.encode_utf8(&mut [0; 4])),
            Key::Backspace => {
                let from = self.previous();
                self.remove(from, self.cursor);
            }
            Key::Delete => {
                let to = self.next();
                self.remove(self.cursor, to);
            }
            Key::Left => self.cursor = self.previous(),
            Key::Right => self.cursor = self.next(),
            Key::Home | Key::Ctrl('a') => self.cursor = 0,
            Key::End | Key::Ctrl('e') => self.cursor = self.text.len(),
            Key::Ctrl('u') => self.remove(0, self.cursor),
            Key::Ctrl('k') => self.remove(self.cursor, self.text.len()),
            Key::Ctrl('w') => {
                let head = self.head().trim_end();
                let from = head.rfind(' ').map_or(0, |at| at + 1);
                self.remove(from, self.cursor);
            }
            _ => {}
        }
        self.text != before
    }

    /// Puts text in where the cursor is, or in the place of what is selected; what does not fit is
    /// left out.
    pub(crate) fn insert(&mut self, text: &str) {
        if self.selected {
            self.remove(0, self.text.len());
        }
        let fine: String = text
            .chars()
            .filter(|character| !character.is_control())
            .collect();
        if self.text.len() + fine.len() <= LONGEST {
            self.text.insert_str(self.cursor, &fine);
            self.cursor += fine.len();
        }
    }

    /// Takes a part out; the cursor is then where it was.
    pub(crate) fn remove(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        (self.cursor, self.selected) = (from, false);
    }

    fn previous(&self) -> usize {
        self.head()
            .char_indices()
            .next_back()
            .map_or(0, |(at, _)| at)
    }

    fn next(&self) -> usize {
        let tail = self.text.get(self.cursor..).unwrap_or_default();
        self.cursor + tail.chars().next().map_or(0, char::len_utf8)
    }
}
