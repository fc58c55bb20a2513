//! Names of sealed files.

use std::fmt;
use std::str::FromStr;

use longshore_core::Timestamp;
use longshore_spanlog::Class;

const SUFFIX: &str = ".parquet";

/// The name of a sealed file: `CLASS-FIRST-LAST-SPANS-SUM.parquet`. It stands for its content: files
/// of the same name hold the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealedName {
    pub(crate) class: Class,
    /// When its first span began, in whole milliseconds since 1970, rounded down.
    pub(crate) first_millis: u64,
    /// When its last span ended, rounded up.
    pub(crate) last_millis: u64,
    pub(crate) spans: u64,
    /// What stands for the log files it was made of.
    pub(crate) sum: u64,
}

impl SealedName {
    /// How long its spans are worth keeping.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// How many spans it holds.
    #[must_use]
    pub const fn spans(&self) -> u64 {
        self.spans
    }

    /// A moment after which none of its spans ended or began.
    #[must_use]
    pub fn last(&self) -> Timestamp {
        Timestamp::from_unix_millis(i64::try_from(self.last_millis).unwrap_or(i64::MAX))
    }

    /// A moment before which none of its spans began.
    #[must_use]
    pub fn first(&self) -> Timestamp {
        Timestamp::from_unix_millis(i64::try_from(self.first_millis).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for SealedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            class,
            first_millis: first,
            last_millis: last,
            spans,
            sum,
        } = self;
        let class = class.as_str();
        write!(
            f,
            "{class}-{first:015}-{last:015}-{spans}-{sum:016x}{SUFFIX}"
        )
    }
}

/// A text that is no name of a sealed file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of a file of sealed traces")]
pub struct InvalidSealedName(String);

impl FromStr for SealedName {
    type Err = InvalidSealedName;

    fn from_str(text: &str) -> Result<Self, InvalidSealedName> {
        let read = || {
            let mut parts = text.strip_suffix(SUFFIX)?.split('-');
            let class = parts.next()?;
            let class = Class::ALL.into_iter().find(|one| one.as_str() == class);
            Some(Self {
                class: class?,
                first_millis: parts.next()?.parse().ok()?,
                last_millis: parts.next()?.parse().ok()?,
                spans: parts.next()?.parse().ok()?,
                sum: u64::from_str_radix(parts.next()?, 16).ok()?,
            })
        };
        // One spelling each.
        let name = read().filter(|name| name.to_string() == text);
        name.ok_or_else(|| InvalidSealedName(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for class in Class::ALL {
            let name = SealedName {
                class,
                first_millis: 1_777_624_200_000,
                last_millis: 1_777_624_200_001,
                spans: 65_536,
                sum: 7,
            };
            let text = name.to_string();
            assert_eq!(text.parse::<SealedName>().ok(), Some(name), "{text}");
            assert!(format!("{text}.tmp").parse::<SealedName>().is_err());
        }
        for foreign in [
            "",
            "x.parquet",
            "base-1-2-3-4.parquet",
            "base-000000000000001-000000000000002-3.parquet",
        ] {
            assert!(foreign.parse::<SealedName>().is_err(), "{foreign}");
        }
    }
}
