//! The only module that prints. Data goes to stdout, talk to stderr.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::text::tame_lines;

/// Where the program's words go, and whether in colour.
#[derive(Debug)]
pub(crate) struct Output {
    data_colour: bool,
    talk_colour: bool,
    talk_is_terminal: bool,
    /// A progress line is on the screen.
    progress_shown: AtomicBool,
    /// The reader of stdout has gone; that is its right, and no error.
    data_closed: AtomicBool,
}

/// How a word stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

impl Paint {
    const fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Cyan => "36",
        }
    }

    fn apply(self, text: &str) -> String {
        format!("\x1b[{}m{text}\x1b[0m", self.code())
    }
}

impl Output {
    /// The process's own stdout and stderr; colours only for a terminal that wants them.
    pub(crate) fn of_process() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let wanted = !set("NO_COLOR") && !dumb;
        let talk_is_terminal = io::stderr().is_terminal();
        Self {
            data_colour: wanted && io::stdout().is_terminal(),
            talk_colour: wanted && talk_is_terminal,
            talk_is_terminal,
            progress_shown: AtomicBool::new(false),
            data_closed: AtomicBool::new(false),
        }
    }

    /// A line of data.
    ///
    /// # Errors
    /// What the operating system says, except that the reader has gone: then the rest is dropped.
    pub(crate) fn data(&self, line: &str) -> io::Result<()> {
        if self.data_closed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        match writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.data_closed.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                let said = format!("stdout cannot be written: {error}");
                Err(io::Error::new(error.kind(), said))
            }
            Ok(()) => Ok(()),
        }
    }

    /// A value as one line of JSON.
    ///
    /// # Errors
    /// As [`Output::data`].
    pub(crate) fn json<T: serde::Serialize>(&self, value: &T) -> anyhow::Result<()> {
        Ok(self.data(&serde_json::to_string(value)?)?)
    }

    /// A line for a person. Nobody can be told that it could not be written.
    pub(crate) fn talk(&self, line: &str) {
        Self::last_words(line);
    }

    /// The same from where the process ends without regard to what else goes on.
    pub(crate) fn last_words(line: &str) {
        let _unheard = writeln!(io::stderr().lock(), "{line}");
    }

    /// A line that says what went amiss without stopping the command.
    pub(crate) fn warn(&self, what: &str) {
        let head = self.paint_talk(Paint::Yellow, "warning:");
        self.talk(&format!("{head} {}", tame_lines(what)));
    }

    /// A line that says why the command failed.
    pub(crate) fn error(&self, what: &str) {
        let head = self.paint_talk(Paint::Red, "error:");
        self.talk(&format!("{head} {}", tame_lines(what)));
    }

    /// Overwrites the progress line; nothing unless a terminal shows it. What does not fit the
    /// terminal is cut: a line that wrapped could not be overwritten.
    pub(crate) fn progress(&self, line: &str) {
        if self.talk_is_terminal {
            self.progress_shown.store(true, Ordering::Relaxed);
            let columns = columns(io::stderr()).saturating_sub(1);
            let line: String = line.chars().take(columns).collect();
            let bar: String = line.chars().filter(|c| *c == '█').collect();
            let line = line.replacen(&bar, &self.paint_talk(Paint::Green, &bar), 1);
            let mut stderr = io::stderr().lock();
            let _unheard = write!(stderr, "\r\x1b[2K{line}").and_then(|()| stderr.flush());
        }
    }

    /// Removes the progress line, if one is shown.
    pub(crate) fn end_progress(&self) {
        if self.progress_shown.swap(false, Ordering::Relaxed) {
            self.progress("");
            self.progress_shown.store(false, Ordering::Relaxed);
        }
    }

    /// Whether the reader of data has gone, so that nobody sees what is still to come.
    pub(crate) fn is_closed(&self) -> bool {
        self.data_closed.load(Ordering::Relaxed)
    }

    /// Whether a progress line is seen.
    pub(crate) const fn shows_progress(&self) -> bool {
        self.talk_is_terminal
    }

    /// The columns that data has to fit into; `None` if it goes to no terminal.
    pub(crate) fn data_columns(&self) -> Option<usize> {
        let stdout = io::stdout();
        stdout.is_terminal().then(|| columns(stdout))
    }

    /// Whether data may be coloured.
    pub(crate) const fn data_colour(&self) -> bool {
        self.data_colour
    }

    /// Whether talk may be coloured.
    pub(crate) const fn talk_colour(&self) -> bool {
        self.talk_colour
    }

    /// A word of data.
    pub(crate) fn paint(&self, paint: Paint, text: &str) -> String {
        if self.data_colour {
            paint.apply(text)
        } else {
            text.to_owned()
        }
    }

    /// A word of talk.
    pub(crate) fn paint_talk(&self, paint: Paint, text: &str) -> String {
        if self.talk_colour {
            paint.apply(text)
        } else {
            text.to_owned()
        }
    }
}

/// The columns of a terminal; 80 if it does not say.
fn columns(terminal: impl AsFd) -> usize {
    let size = rustix::termios::tcgetwinsize(terminal);
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 { 80 } else { columns }
}
