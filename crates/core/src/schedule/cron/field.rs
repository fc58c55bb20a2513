//! One field of a cron expression.

use super::Fault;

/// A word of the expression and where it begins, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

/// What a field matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Set {
    /// The values, a bit each.
    pub(super) bits: u64,
    /// Whether the field begins with `*` or `?`.
    pub(super) starred: bool,
    /// Of the days of a month: the last, whichever it is.
    pub(super) last_day: bool,
    /// Of the weekdays: those that match in the first to fifth week only, a bit each.
    pub(super) nth: [u8; 5],
    /// Of the weekdays: those that match in the last week only.
    pub(super) last_of_month: u8,
}

impl Set {
    pub(super) const fn has(&self, value: u8) -> bool {
        self.bits >> value & 1 == 1
    }

    /// The least value from `from` on.
    pub(super) fn next(&self, from: u8) -> Option<u8> {
        let rest = self.bits.checked_shr(u32::from(from))?;
        let ahead = u8::try_from(rest.trailing_zeros()).ok()?;
        (rest != 0).then(|| from + ahead)
    }
}

/// What a field can hold.
#[derive(Debug)]
pub(super) struct Field {
    name: &'static str,
    first: u8,
    /// The last value of a `*`.
    last: u8,
    /// The last that can be written.
    most: u8,
    names: &'static [&'static str],
}

const fn plain(name: &'static str, first: u8, last: u8) -> Field {
    Field {
        name,
        first,
        last,
        most: last,
        names: &[],
    }
}

pub(super) const SECOND: Field = plain("second", 0, 59);
pub(super) const MINUTE: Field = plain("minute", 0, 59);
pub(super) const HOUR: Field = plain("hour", 0, 23);
pub(super) const DAY: Field = plain("day of month", 1, 31);
pub(super) const MONTH: Field = Field {
    names: &[
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ],
    ..plain("month", 1, 12)
};
pub(super) const WEEKDAY: Field = Field {
    most: 7,
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    ..plain("day of week", 0, 6)
};

/// Reads a field.
pub(super) fn read(word: Word<'_>, field: &Field) -> Result<Set, Fault> {
    let mut set = Set {
        starred: word.text.starts_with(['*', '?']),
        ..Set::default()
    };
    let mut at = word.at;
    for text in word.text.split(',') {
        let item = Word { text, at };
        read_item(item, field, &mut set)?;
        at += text.len() + 1;
    }
    if field.most == 7 && set.has(7) {
        set.bits = set.bits & !(1 << 7) | 1;
    }
    Ok(set)
}

fn read_item(item: Word<'_>, field: &Field, set: &mut Set) -> Result<(), Fault> {
    if field.most == 31 && item.text.eq_ignore_ascii_case("L") {
        set.last_day = true;
        return Ok(());
    }
    if field.most == 7 && read_week(item, field, set)? {
        return Ok(());
    }
    let (base, step) = match item.text.split_once('/') {
        Some((base, step)) => {
            let at = item.at + base.len() + 1;
            (base, Some(read_step(Word { text: step, at }, field)?))
        }
        None => (item.text, None),
    };
    let base = Word {
        text: base,
        at: item.at,
    };
    let (first, last) = read_range(base, field, step.is_some())?;
    let step = usize::from(step.unwrap_or(1));
    for value in (first..=last).step_by(step) {
        set.bits |= 1 << value;
    }
    Ok(())
}

/// `FRI#2` and `FRIL`; whether it is one of them.
fn read_week(item: Word<'_>, field: &Field, set: &mut Set) -> Result<bool, Fault> {
    if let Some((day, week)) = item.text.split_once('#') {
        let day = read_value(
            Word {
                text: day,
                at: item.at,
            },
            field,
        )? % 7;
        let at = item.at + item.text.len() - week.len();
        let slot = week
            .parse::<usize>()
            .ok()
            .and_then(|week| week.checked_sub(1));
        let slot = slot.and_then(|slot| set.nth.get_mut(slot));
        let Some(slot) = slot else {
            return Err(fault(
                Word { text: week, at },
                "the week of a month is 1 to 5".to_owned(),
            ));
        };
        *slot |= 1 << day;
        return Ok(true);
    }
    let Some(day) = item
        .text
        .strip_suffix(['L', 'l'])
        .filter(|day| !day.is_empty())
    else {
        return Ok(false);
    };
    let day = read_value(
        Word {
            text: day,
            at: item.at,
        },
        field,
    )? % 7;
    set.last_of_month |= 1 << day;
    Ok(true)
}

/// The first and last value of `*`, `a`, `a-b`, or `a` with a step behind it.
fn read_range(base: Word<'_>, field: &Field, has_step: bool) -> Result<(u8, u8), Fault> {
    if matches!(base.text, "*" | "?") {
        return Ok((field.first, field.last));
    }
    let Some((first, last)) = base.text.split_once('-') else {
        let value = read_value(base, field)?;
        return Ok((
            value,
            if has_step {
                field.last.max(value)
            } else {
                value
            },
        ));
    };
    let at = base.at + first.len() + 1;
    let first = read_value(
        Word {
            text: first,
            at: base.at,
        },
        field,
    )?;
    let last = read_value(Word { text: last, at }, field)?;
    // A week may end with its Sunday.
    let last = if field.most == 7 && last == 0 && first > 0 {
        7
    } else {
        last
    };
    if last < first {
        let problem = format!(
            "the range ends before it begins: write {first}-{},{}-{last}",
            field.last, field.first
        );
        return Err(fault(base, problem));
    }
    Ok((first, last))
}

fn read_step(step: Word<'_>, field: &Field) -> Result<u8, Fault> {
    let most = field.last - field.first;
    let read = digits(step.text).filter(|step| (1..=most).contains(step));
    read.ok_or_else(|| {
        let name = field.name;
        let problem = format!(
            "the step of a {name} is 1 to {most}; for other spans of time there is `@every 90m`"
        );
        fault(step, problem)
    })
}

fn read_value(value: Word<'_>, field: &Field) -> Result<u8, Fault> {
    let named = field
        .names
        .iter()
        .position(|name| name.eq_ignore_ascii_case(value.text));
    if let Some(position) = named.and_then(|position| u8::try_from(position).ok()) {
        return Ok(field.first + position);
    }
    let read = digits(value.text).filter(|value| (field.first..=field.most).contains(value));
    read.ok_or_else(|| {
        let Field {
            name, first, most, ..
        } = field;
        let names = match (field.names.first(), field.names.last()) {
            (Some(from), Some(to)) => format!(", or {from} to {to}"),
            _ => String::new(),
        };
        fault(value, format!("the {name} is {first} to {most}{names}"))
    })
}

/// One to three digits.
fn digits(text: &str) -> Option<u8> {
    let is_number = text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn fault(word: Word<'_>, problem: String) -> Fault {
    Fault {
        from: word.at,
        to: word.at + word.text.len(),
        problem,
    }
}
