//! The terminal: taken over, and given back whatever happens.

use std::io::{self, Stdout, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

/// The longest text that is copied: terminals refuse more.
const LONGEST: usize = 74_994;

/// The terminal while it is ours. Dropping it gives it back.
pub(crate) struct Screen {
    pub(crate) terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal over. A panic gives it back before it is reported.
    pub(crate) fn take() -> io::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
        enable_raw_mode()?;
        let taken = execute!(
            io::stdout(),
            EnterAlternateScreen,
            EnableMouseCapture,
            EnableBracketedPaste
        )
        .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        match taken {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Makes the terminal what it was. There is nobody to tell if that fails.
fn give_back() {
    let _ = execute!(
        io::stdout(),
        DisableBracketedPaste,
        DisableMouseCapture,
        LeaveAlternateScreen,
        Show
    );
    let _ = disable_raw_mode();
}

/// Puts text into the clipboard of the terminal's machine, wherever this runs (OSC 52).
pub(crate) fn copy(text: &str, tmux: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(copying(text, tmux).as_bytes())?;
    out.flush()
}

/// The sequence that copies; within tmux, it is handed through as well.
fn copying(text: &str, tmux: bool) -> String {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text.get(..end).unwrap_or_default();
    let plain = format!("\x1b]52;c;{}\x07", STANDARD.encode(text));
    if tmux {
        let inner = plain.replace('\x1b', "\x1b\x1b");
        format!("{plain}\x1bPtmux;{inner}\x1b\\")
    } else {
        plain
    }
}

/// Makes an address that stands somewhere on the screen one that can be followed (OSC 8).
pub(crate) fn link(url: &str, lines: &[(u16, u16, String)]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(linking(url, lines).as_bytes())?;
    out.flush()
}

/// The sequence that writes the pieces of an address over themselves as one link.
fn linking(url: &str, lines: &[(u16, u16, String)]) -> String {
    let url: String = url
        .chars()
        .filter(|character| !character.is_control())
        .collect();
    let mut text = String::from("\x1b7");
    for (x, y, piece) in lines {
        let (line, column) = (y + 1, x + 1);
        let begin = format!("\x1b[{line};{column}H\x1b[36m\x1b]8;id=longshore;{url}\x1b\\");
        text.push_str(&begin);
        text.push_str(piece);
        text.push_str("\x1b]8;;\x1b\\\x1b[0m");
    }
    text.push_str("\x1b8");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copying_is_handed_through_tmux_and_bounded() {
        assert_eq!(copying("abc", false), "\x1b]52;c;YWJj\x07");
        let tmux = copying("abc", true);
        assert!(tmux.ends_with("\x1bPtmux;\x1b\x1b]52;c;YWJj\x07\x1b\\"));
        let long = copying(&"é".repeat(LONGEST), false);
        assert!(long.len() < 100_020);
    }

    #[test]
    fn an_address_cannot_end_its_own_link() {
        let text = linking(
            "https://a.example/\x1b]8;;evil",
            &[(2, 3, "https://a.example/".to_owned())],
        );
        assert!(text.contains("\x1b[4;3H"));
        assert!(!text.contains("\x1b]8;;evil"));
    }
}
