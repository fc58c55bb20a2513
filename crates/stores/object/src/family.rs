//! The table of keys: every object that a store has, who writes it under which condition, who
//! deletes it, and what a crash right after leaves. `docs/object-store.md` shows it.

use std::fmt::Write as _;

/// A kind of object: a row of the table of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// `i/`, without a generation: a batch.
    Batch,
    /// `i/`, with a generation: a pointer.
    Pointer,
    /// `l/`: a ledger.
    Ledger,
    /// `v/`: a void batch, put aside.
    Void,
    /// `u/`: a reservation.
    Reservation,
    /// `p/`: args.
    Args,
    /// `r/`: a result.
    Outcome,
    /// `d/`: a document.
    Document,
    /// `sweep`.
    Sweep,
    /// `queues`.
    Queues,
    /// `root`.
    Root,
    /// `probe/`: of a trial.
    Probe,
}

/// A request that changes an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// A PUT with `If-None-Match: *`: it lands only where nothing is.
    Create,
    /// A PUT with `If-Match`: it lands only on the version that was read.
    Replace,
    /// A DELETE, without a condition, since many servers ignore one.
    Delete,
}

/// What is true of the objects of a family.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Which objects.
    pub family: Family,
    /// Their keys below the store's prefix.
    pub key: &'static str,
    /// Who writes them, and under which condition.
    pub written: &'static str,
    /// The requests with which that is done.
    pub changes: &'static [Change],
    /// Who deletes them, and when.
    pub deleted: &'static str,
    /// What a crash right after a request leaves.
    pub crash: &'static str,
}

use Change::{Create, Delete, Replace};

/// Every object of a store. There are no others.
pub const FAMILIES: [Row; 12] = [
    Row {
        family: Family::Batch,
        key: "i/QUEUE/SHARD/PRIORITY/DUE-BATCH",
        written: "producer, or whoever completes a follow-up: create",
        changes: &[Create, Delete],
        deleted: "the closer, the parker, or whoever sees that the ledger, carrying the jobs, names another entry; the sweep, once it is put aside",
        crash: "a batch that waits: normal",
    },
    Row {
        family: Family::Pointer,
        key: "i/QUEUE/SHARD/PRIORITY/DUE-BATCH+GENERATION.TOKEN",
        written: "the parker, a manual retry, or whoever brings jobs of another store, before the ledger names it: create",
        changes: &[Create, Delete],
        deleted: "the closer or the next parker; whoever sees its generation at or below the ledger's without being the ledger's entry; the sweep",
        crash: "a pointer ahead of its ledger, which is skipped until the sweep raises the ledger's generation and deletes it",
    },
    Row {
        family: Family::Ledger,
        key: "l/SHARD/BATCH",
        written: "the first to claim or cancel a job of the batch: create; whoever brings jobs of another store, with them, or bars such a ledger: create; then anyone: replace",
        changes: &[Create, Replace, Delete],
        deleted: "the pruner; whoever finds one of generation 0 whose batch is gone, or one with jobs of another store that came too late",
        crash: "a lease that runs out, or a step that the next reader of the entry completes",
    },
    Row {
        family: Family::Void,
        key: "v/BATCH",
        written: "the sweep, before it deletes a batch that has been void for a day: create",
        changes: &[Create],
        deleted: "nobody: a job that its producer was not told of may be found there",
        crash: "the same batch twice, which counts neither time",
    },
    Row {
        family: Family::Reservation,
        key: "u/QUEUE/KEY, u/id/ID",
        written: "producer, with the whole job, before its batch: create; whoever brings jobs of another store, before their ledger: create; whoever takes it over, and the pruner, which says until when a job that goes still has its key: replace",
        changes: &[Create, Replace],
        deleted: "nobody, since a reservation that is gone cannot tell a late producer from a new one",
        crash: "a reservation without a job, which whoever meets it completes, or takes over once its stamp has expired; of a job of another store, which whoever brings it takes over once its ledger is barred",
    },
    Row {
        family: Family::Args,
        key: "p/BATCH/INDEX.TOKEN",
        written: "whoever writes the object that names it, before that, if they are over 64 KiB: create",
        changes: &[Create, Delete],
        deleted: "the pruner, before the ledger, and the sweep",
        crash: "args that nothing names: swept after a day, if neither batch nor ledger is there",
    },
    Row {
        family: Family::Outcome,
        key: "r/BATCH/INDEX.TOKEN",
        written: "the settler, if it is over 1 KiB, before the ledger that names it: create",
        changes: &[Create, Delete],
        deleted: "the pruner, before the ledger, and the sweep",
        crash: "a result that nothing names: swept as args are",
    },
    Row {
        family: Family::Document,
        key: "d/NAME",
        written: "whoever writes a document: create, then replace",
        changes: &[Create, Replace],
        deleted: "nobody: a deleted document is replaced by an empty one that counts as absent",
        crash: "nothing",
    },
    Row {
        family: Family::Sweep,
        key: "sweep",
        written: "who sweeps, every six hours: create, then replace",
        changes: &[Create, Replace],
        deleted: "nobody",
        crash: "a sweep that was not done, until the next one",
    },
    Row {
        family: Family::Queues,
        key: "queues",
        written: "whoever uses a queue, a priority or a shard for the first time, before its first batch, and whoever pauses or resumes: create, then replace",
        changes: &[Create, Replace],
        deleted: "nobody: a queue keeps its number for ever",
        crash: "a queue without jobs",
    },
    Row {
        family: Family::Root,
        key: "root",
        written: "the first start: create",
        changes: &[Create],
        deleted: "nobody",
        crash: "nothing",
    },
    Row {
        family: Family::Probe,
        key: "probe/TOKEN",
        written: "who tries whether the server heeds conditions, before the root is created, and `longshore doctor`: create, then replace",
        changes: &[Create, Replace, Delete],
        deleted: "who wrote it",
        crash: "an object of some bytes, which nobody reads",
    },
];

impl Family {
    /// How the keys of this family begin.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Batch | Self::Pointer => "i/",
            Self::Ledger => "l/",
            Self::Void => "v/",
            Self::Reservation => "u/",
            Self::Args => "p/",
            Self::Outcome => "r/",
            Self::Document => "d/",
            Self::Sweep => "sweep",
            Self::Queues => "queues",
            Self::Root => "root",
            Self::Probe => "probe/",
        }
    }

    /// Whether the protocol ever changes an object of this family so. A request that it does not
    /// is a bug.
    #[must_use]
    pub fn allows(self, change: Change) -> bool {
        let row = FAMILIES.iter().find(|row| row.family == self);
        row.is_some_and(|row| row.changes.contains(&change))
    }
}

/// The table as Markdown.
#[must_use]
pub fn table_of_keys() -> String {
    let mut table = "| key | written by, condition | deleted by | a crash right after leaves |\n\
                     | --- | --- | --- | --- |\n"
        .to_owned();
    for row in FAMILIES {
        let keys: Vec<String> = row.key.split(", ").map(|key| format!("`{key}`")).collect();
        let (keys, written, deleted, crash) =
            (keys.join(", "), row.written, row.deleted, row.crash);
        // Writing to a string never fails.
        let _ = writeln!(table, "| {keys} | {written} | {deleted} | {crash} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "<!-- The table of keys: LONGSHORE_WRITE_PAGES=1 writes it. -->\n";

    #[test]
    fn the_page_has_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/object-store.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let end = rest.find("\n\n").unwrap();
        let expected = format!("{before}{BEGIN}{}{}", table_of_keys(), &rest[end + 1..]);
        if std::env::var_os("LONGSHORE_WRITE_PAGES").is_some() {
            std::fs::write(path, &expected).unwrap();
            return;
        }
        assert!(
            page == expected,
            "docs/object-store.md is out of date; LONGSHORE_WRITE_PAGES=1 writes it"
        );
    }

    #[test]
    fn every_row_is_its_familys() {
        for row in FAMILIES {
            assert!(row.key.starts_with(row.family.prefix()), "{}", row.key);
            assert!(row.family.allows(Change::Create), "{}", row.key);
            let deletes = !row.deleted.starts_with("nobody");
            assert_eq!(row.family.allows(Change::Delete), deletes, "{}", row.key);
            let replaces = row.written.contains("replace");
            assert_eq!(row.family.allows(Change::Replace), replaces, "{}", row.key);
        }
    }
}
