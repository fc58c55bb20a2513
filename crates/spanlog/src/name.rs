//! Names of writers and of files.

use std::fmt;
use std::str::FromStr;

use longshore_core::Random;

use crate::frame::Class;

const LOG: &str = ".spans";
const BUNDLE: &str = ".bundle";
const LIVE: &str = ".live";
const LEASE: &str = ".lease";
const CURSOR: &str = ".cursor";
/// What the name of a file that is not complete yet ends in.
pub(crate) const TEMPORARY: &str = ".tmp";
/// The file whose lock claims and sweeps take in turn.
pub(crate) const FOLDER_LOCK: &str = "folder.lock";

/// One opening of the log by one process. The id of the process is there for people; the random
/// half makes it unique, also across restarts, containers and reused process ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriterId {
    process: u32,
    random: u64,
}

impl WriterId {
    /// A new id for this process.
    pub(crate) fn mint(random: &dyn Random) -> Self {
        Self {
            process: std::process::id(),
            random: random.next_u64(),
        }
    }

    /// The process that wrote, as it was numbered then.
    #[must_use]
    pub const fn process(self) -> u32 {
        self.process
    }

    /// The file whose lock the writer holds while it lives.
    pub(crate) fn live_file(self) -> String {
        format!("{self}{LIVE}")
    }

    /// The file whose lock the one who ships its spans holds.
    pub(crate) fn lease_file(self) -> String {
        format!("{self}{LEASE}")
    }

    /// The file that says how far its spans were shipped.
    pub(crate) fn cursor_file(self) -> String {
        format!("{self}{CURSOR}")
    }
}

impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.process, self.random)
    }
}

/// A text that is not the name it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of a span log file or writer")]
pub struct InvalidName(String);

impl FromStr for WriterId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = || InvalidName(text.to_owned());
        let (process, random) = text.split_once('-').ok_or_else(invalid)?;
        let id = Self {
            process: process.parse().map_err(|_ignored| invalid())?,
            random: u64::from_str_radix(random, 16).map_err(|_ignored| invalid())?,
        };
        // One spelling each, so that a name and what it means go both ways.
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(invalid())
        }
    }
}

/// The name of a file of the log: `MILLISECONDS-PROCESS-RANDOM-CLASS.spans`. Names sort by the time
/// the files were begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName {
    created_millis: u64,
    writer: WriterId,
    class: Class,
}

impl FileName {
    pub(crate) const fn new(created_millis: u64, writer: WriterId, class: Class) -> Self {
        Self {
            created_millis,
            writer,
            class,
        }
    }

    /// When the file was begun, in milliseconds since 1970; later for each file of a writer, also
    /// when the clock was set back.
    #[must_use]
    pub const fn created_millis(self) -> u64 {
        self.created_millis
    }

    /// Who writes it.
    #[must_use]
    pub const fn writer(self) -> WriterId {
        self.writer
    }

    /// What it holds.
    #[must_use]
    pub const fn class(self) -> Class {
        self.class
    }

    fn write(self, suffix: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (created, writer) = (self.created_millis, self.writer);
        write!(f, "{created:015}-{writer}-{}{suffix}", self.class.as_str())
    }

    /// The files of one writer and class, which are written one after the other.
    pub(crate) const fn lane(self) -> Lane {
        (self.writer, self.class)
    }
}

/// A writer and a class.
pub(crate) type Lane = (WriterId, Class);

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(LOG, f)
    }
}

impl FromStr for FileName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        parse_log(text).ok_or_else(|| InvalidName(text.to_owned()))
    }
}

fn parse_log(text: &str) -> Option<FileName> {
    let name = parse(text, LOG)?;
    (name.to_string() == text).then_some(name)
}

fn parse(text: &str, suffix: &str) -> Option<FileName> {
    let (created, rest) = text.strip_suffix(suffix)?.split_once('-')?;
    let (writer, class) = rest.rsplit_once('-')?;
    Some(FileName {
        created_millis: created.parse().ok()?,
        writer: writer.parse().ok()?,
        class: Class::from_name(class)?,
    })
}

/// The name of a bundle: that of the oldest file in it, but for the writer, which stands for all
/// that is in it, and the ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BundleName(FileName);

impl BundleName {
    /// A bundle of files of a class of which this is the oldest; `sum` stands for all of them.
    pub(crate) fn new(oldest: FileName, sum: u64) -> Self {
        Self(FileName {
            writer: WriterId {
                random: sum,
                ..oldest.writer
            },
            ..oldest
        })
    }

    /// A name by which it stands among files.
    pub(crate) const fn as_file(self) -> FileName {
        self.0
    }
}

impl fmt::Display for BundleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(BUNDLE, f)
    }
}

fn parse_bundle(text: &str) -> Option<BundleName> {
    let name = BundleName(parse(text, BUNDLE)?);
    (name.to_string() == text).then_some(name)
}

/// What a writer may have besides its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aside {
    Live,
    Lease,
    Cursor,
}

/// What a file of the folder is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Log(FileName),
    Bundle(BundleName),
    /// The lock, lease or cursor of a writer.
    Aside(WriterId, Aside),
    /// A file that its writer had not completed.
    Temporary(WriterId),
    Foreign,
}

impl Entry {
    pub(crate) fn of(name: &str) -> Self {
        if let Some(complete) = name.strip_suffix(TEMPORARY) {
            return match Self::of(complete) {
                Self::Log(file) | Self::Bundle(BundleName(file)) => Self::Temporary(file.writer),
                Self::Aside(writer, _) => Self::Temporary(writer),
                Self::Temporary(_) | Self::Foreign => Self::Foreign,
            };
        }
        let asides = [
            (LIVE, Aside::Live),
            (LEASE, Aside::Lease),
            (CURSOR, Aside::Cursor),
        ];
        for (suffix, aside) in asides {
            if let Some(Ok(writer)) = name.strip_suffix(suffix).map(str::parse) {
                return Self::Aside(writer, aside);
            }
        }
        if let Some(bundle) = parse_bundle(name) {
            return Self::Bundle(bundle);
        }
        name.parse().map_or(Self::Foreign, Self::Log)
    }
}

#[cfg(test)]
mod tests {
    use longshore_testkit::SeededRandom;

    use super::*;

    #[test]
    fn names_go_both_ways_and_sort_by_time() {
        let writer = WriterId::mint(&SeededRandom::new(7));
        let early = FileName::new(999, writer, Class::Pinned);
        let late = FileName::new(1_767_225_600_000, writer, Class::Base);
        assert!(early < late && early.to_string() < late.to_string());
        for name in [early, late] {
            assert_eq!(name.to_string().parse(), Ok(name));
            assert_eq!(Entry::of(&name.to_string()), Entry::Log(name));
            let temporary = format!("{name}{TEMPORARY}");
            assert_eq!(Entry::of(&temporary), Entry::Temporary(writer));
            let bundle = BundleName::new(name, 7);
            assert_eq!(Entry::of(&bundle.to_string()), Entry::Bundle(bundle));
            assert_ne!(bundle.to_string(), name.to_string());
            let temporary = format!("{bundle}{TEMPORARY}");
            assert!(matches!(Entry::of(&temporary), Entry::Temporary(_)));
        }
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        for foreign in [
            "",
            ".tmp",
            ".spans",
            "folder.lock",
            "notes.spans",
            "1-2-0000000000000003-base.spans",
            "000000000000001-2-3-base.spans",
            "000000000000001-2-0000000000000003-BASE.spans",
            "+00000000000001-2-0000000000000003-base.spans",
            "2-0000000000000003.live.tmp.tmp",
        ] {
            assert_eq!(Entry::of(foreign), Entry::Foreign, "{foreign}");
        }
    }
}
