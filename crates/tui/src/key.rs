//! Keys, as bindings and tests name them.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A key that was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A character, upper case with the shift key.
    Char(char),
    /// A letter with the control key.
    Ctrl(char),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Tab with the shift key.
    BackTab,
    /// Backspace.
    Backspace,
    /// Delete.
    Delete,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
}

/// Keys that have a name, as it is written.
const NAMED: [(Key, &str, &str); 15] = [
    (Key::Enter, "Enter", "⏎"),
    (Key::Esc, "Esc", "Esc"),
    (Key::Tab, "Tab", "Tab"),
    (Key::BackTab, "BackTab", "⇧Tab"),
    (Key::Backspace, "Backspace", "⌫"),
    (Key::Delete, "Delete", "Del"),
    (Key::Up, "Up", "↑"),
    (Key::Down, "Down", "↓"),
    (Key::Left, "Left", "←"),
    (Key::Right, "Right", "→"),
    (Key::Home, "Home", "Home"),
    (Key::End, "End", "End"),
    (Key::PageUp, "PageUp", "PgUp"),
    (Key::PageDown, "PageDown", "PgDn"),
    (Key::Char(' '), "Space", "Space"),
];

impl Key {
    /// The key of a name: a character, `^T` for one with the control key, or a word such as
    /// `Enter`, `Space` or `PageDown`.
    ///
    /// ```
    /// use longshore_tui::Key;
    /// assert_eq!(Key::parse("^t"), Some(Key::Ctrl('t')));
    /// assert_eq!(Key::parse("Enter"), Some(Key::Enter));
    /// assert_eq!(Key::parse("G"), Some(Key::Char('G')));
    /// assert_eq!(Key::parse("Nothing"), None);
    /// ```
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if let Some((key, ..)) = NAMED.iter().find(|(_, named, _)| *named == name) {
            return Some(*key);
        }
        let mut characters = name.chars();
        match (characters.next(), characters.next(), characters.next()) {
            (Some(character), None, _) => Some(Self::Char(character)),
            (Some('^'), Some(letter), None) => Some(Self::Ctrl(letter)),
            _ => None,
        }
    }

    /// The key as a hint shows it.
    #[must_use]
    pub fn label(self, unicode: bool) -> String {
        let named = NAMED.iter().find(|(key, ..)| *key == self);
        match (self, named) {
            (_, Some((_, _, sign))) if unicode => (*sign).to_owned(),
            (_, Some((_, name, _))) => (*name).to_owned(),
            (Self::Ctrl(letter), _) => format!("^{}", letter.to_ascii_uppercase()),
            (Self::Char(character), _) => character.to_string(),
            _ => String::new(),
        }
    }

    /// The key of a terminal's event; nothing for releases and keys that nothing here is bound to.
    pub(crate) fn of(event: KeyEvent) -> Option<Self> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        Some(match event.code {
            KeyCode::Char(letter) if control => Self::Ctrl(letter.to_ascii_lowercase()),
            KeyCode::Char(character) => Self::Char(character),
            KeyCode::Enter => Self::Enter,
            KeyCode::Esc => Self::Esc,
            KeyCode::Tab => Self::Tab,
            KeyCode::BackTab => Self::BackTab,
            KeyCode::Backspace => Self::Backspace,
            KeyCode::Delete => Self::Delete,
            KeyCode::Up => Self::Up,
            KeyCode::Down => Self::Down,
            KeyCode::Left => Self::Left,
            KeyCode::Right => Self::Right,
            KeyCode::Home => Self::Home,
            KeyCode::End => Self::End,
            KeyCode::PageUp => Self::PageUp,
            KeyCode::PageDown => Self::PageDown,
            _ => return None,
        })
    }
}
