//! Names of sealed files.

use std::fmt;
use std::str::FromStr;

use longshore_core::Timestamp;
use longshore_spanlog::Class;

const SUFFIX: &str = ".parquet";

/// The name of a sealed file: `CLASS-FIRST-LAST-SPANS-SUM.parquet`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SealedName {
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
    /// A moment after which none of its spans ended or began.
    pub(crate) fn last(&self) -> Timestamp {
        Timestamp::from_unix_millis(i64::try_from(self.last_millis).unwrap_or(i64::MAX))
    }

    /// A moment before which none of its spans began.
    pub(crate) fn first(&self) -> Timestamp {
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
#[derive(Debug)]
pub(crate) struct Foreign;

impl FromStr for SealedName {
    type Err = Foreign;

    fn from_str(text: &str) -> Result<Self, Foreign> {
        let mut parts = text.strip_suffix(SUFFIX).ok_or(Foreign)?.split('-');
        let mut next = || parts.next().ok_or(Foreign);
        let number = |text: &str| text.parse().map_err(|_ignored| Foreign);
        let class = next()?;
        let class = Class::ALL.into_iter().find(|one| one.as_str() == class);
        let name = Self {
            class: class.ok_or(Foreign)?,
            first_millis: number(next()?)?,
            last_millis: number(next()?)?,
            spans: number(next()?)?,
            sum: u64::from_str_radix(next()?, 16).map_err(|_ignored| Foreign)?,
        };
        // One spelling each.
        match name.to_string() == text {
            true => Ok(name),
            false => Err(Foreign),
        }
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
