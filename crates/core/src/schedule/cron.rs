//! Cron expressions: what they mean, and where a wrong one is wrong.

mod field;
mod next;

use std::fmt;
use std::str::FromStr;

use self::field::{DAY, HOUR, MINUTE, MONTH, SECOND, Set, WEEKDAY, Word};

/// A cron expression: the moments at which something is to happen, by the clock on the wall.
///
/// Five fields (minute, hour, day of month, month, day of week) or six (second first), or one of
/// `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight`, `@hourly`. Each field is
/// `*` (or `?`), a value, a range `a-b`, a step `*/n`, `a-b/n` or `a/n`, or a list of those with
/// commas; months and weekdays have names of three letters, Sunday is 0 or 7, `L` is the last day
/// of the month, `FRI#2` its second Friday and `FRIL` its last.
///
/// If neither day field begins with `*`, a day matches that matches either of them, as in every
/// cron; else it must match both.
///
/// ```
/// use longshore_core::schedule::{Cron, Zone};
/// let cron: Cron = "30 2 * * MON-FRI".parse()?;
/// let zone: Zone = "Europe/Berlin".parse()?;
/// let next = cron.next_after("2026-05-01T12:00:00Z".parse()?, &zone);
/// assert_eq!(next, Some("2026-05-04T00:30:00Z".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cron {
    text: String,
    second: Set,
    minute: Set,
    hour: Set,
    day: Set,
    month: Set,
    weekday: Set,
}

/// A text that is not a cron expression, and the place in it that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a cron expression: {problem}")]
pub struct InvalidCron {
    text: String,
    place: (usize, usize),
    problem: String,
}

impl InvalidCron {
    /// The text and, below, a mark under what is wrong in it: two lines for a person.
    ///
    /// ```
    /// use longshore_core::schedule::Cron;
    /// let wrong = "0 25 * * *".parse::<Cron>().unwrap_err();
    /// assert_eq!(wrong.pointed(), "0 25 * * *\n  ^^");
    /// ```
    #[must_use]
    pub fn pointed(&self) -> String {
        let (from, to) = self.place;
        let marks = to.saturating_sub(from).max(1);
        format!("{}\n{}{}", self.text, " ".repeat(from), "^".repeat(marks))
    }

    /// An `@every` with something wrong from the character `at` on.
    pub(super) fn of_every(text: &str, at: usize, problem: &str) -> Self {
        let length = text.trim_end().chars().count();
        Self {
            text: text.chars().take(SHOWN).collect(),
            place: (at.min(SHOWN), length.max(at + 1).min(SHOWN)),
            problem: problem.to_owned(),
        }
    }

    /// Which characters of the text are wrong, the second number being one past the last.
    #[must_use]
    pub const fn place(&self) -> (usize, usize) {
        self.place
    }
}

/// What is wrong with a part of the text, by bytes.
#[derive(Debug)]
struct Fault {
    from: usize,
    to: usize,
    problem: String,
}

/// Most characters of a wrong text that a message repeats.
const SHOWN: usize = 80;

const SHORTHANDS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

impl Cron {
    /// Longest expression, in bytes.
    pub const MAX_BYTES: usize = 200;

    /// Whether the hours are not named but go on (`*`, `*/2`): such an expression follows the
    /// clock through a change of summer time, while one that names hours fires once a day for each
    /// of them.
    #[must_use]
    pub const fn goes_on(&self) -> bool {
        self.hour.starred
    }

    /// The text it was read from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn read(text: &str) -> Result<Self, Fault> {
        let whole = |problem: String| Fault {
            from: 0,
            to: text.len(),
            problem,
        };
        if text.len() > Self::MAX_BYTES {
            let most = Self::MAX_BYTES;
            return Err(whole(format!("it is longer than {most} bytes")));
        }
        if text.trim_start().starts_with('@') {
            let named = text.trim();
            let known = SHORTHANDS.iter().find(|(name, _)| *name == named);
            let (_, means) = known.ok_or_else(|| whole(unknown_shorthand(named)))?;
            let cron = Self::read(means)?;
            return Ok(Self {
                text: named.to_owned(),
                ..cron
            });
        }
        let words = words(text);
        let second = Word { text: "0", at: 0 };
        let [second, minute, hour, day, month, weekday] = match *words.as_slice() {
            [minute, hour, day, month, weekday] => [second, minute, hour, day, month, weekday],
            [second, minute, hour, day, month, weekday] => {
                [second, minute, hour, day, month, weekday]
            }
            ref other => return Err(whole(miscounted(other.len()))),
        };
        let joined: Vec<&str> = words.iter().map(|word| word.text).collect();
        let cron = Self {
            text: joined.join(" "),
            second: field::read(second, &SECOND)?,
            minute: field::read(minute, &MINUTE)?,
            hour: field::read(hour, &HOUR)?,
            day: field::read(day, &DAY)?,
            month: field::read(month, &MONTH)?,
            weekday: field::read(weekday, &WEEKDAY)?,
        };
        if !cron.has_a_day() {
            return Err(Fault {
                from: day.at,
                to: weekday.at + weekday.text.len(),
                problem: "no year has such a day, so it would never fire".to_owned(),
            });
        }
        Ok(cron)
    }
}

fn unknown_shorthand(named: &str) -> String {
    if named.starts_with("@reboot") {
        return "there is no reboot to wait for: enqueue the job when the program starts"
            .to_owned();
    }
    let names: Vec<&str> = SHORTHANDS.iter().map(|(name, _)| *name).collect();
    format!(
        "the words that begin with @ are {}, and `@every 10s`",
        names.join(", ")
    )
}

fn miscounted(count: usize) -> String {
    format!(
        "it has {count} field{} instead of five (minute, hour, day of month, month, day of week) \
         or six (second first)",
        if count == 1 { "" } else { "s" }
    )
}

/// The words of a text and where each begins.
fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::with_capacity(6);
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start();
        if trimmed.is_empty() {
            return words;
        }
        let end = trimmed.find(char::is_whitespace).unwrap_or(trimmed.len());
        let (word, after) = trimmed.split_at(end);
        words.push(Word {
            text: word,
            at: text.len() - trimmed.len(),
        });
        rest = after;
    }
}

impl FromStr for Cron {
    type Err = InvalidCron;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text).map_err(|fault| {
            let chars = |bytes: usize| text.get(..bytes).map_or(0, |before| before.chars().count());
            InvalidCron {
                text: text.chars().take(SHOWN).collect(),
                place: (chars(fault.from).min(SHOWN), chars(fault.to).min(SHOWN)),
                problem: fault.problem,
            }
        })
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
