//! What each function takes, gives and costs: one table, of which docs/redis-functions.md is made.

/// A function on the server.
#[derive(Debug)]
pub(crate) struct Function {
    /// Its name: the first argument of every call.
    pub(crate) name: &'static str,
    /// What it takes after the name and the time.
    #[cfg(test)]
    pub(crate) takes: &'static str,
    /// What it gives, after the time.
    #[cfg(test)]
    pub(crate) gives: &'static str,
    /// What it costs.
    #[cfg(test)]
    pub(crate) costs: &'static str,
    /// What it does to the store.
    pub(crate) effect: Effect,
}

/// What a function does to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    Reads,
    /// It changes what is there; allowed when memory is short, since work that ends makes room.
    Changes,
    /// It adds to what is there; refused when memory is short.
    Adds,
}

macro_rules! functions {
    ($($constant:ident = $name:literal $effect:ident { $takes:literal, $gives:literal, $costs:literal })+) => {
        $(pub(crate) const $constant: Function = Function {
            name: $name,
            #[cfg(test)]
            takes: $takes,
            #[cfg(test)]
            gives: $gives,
            #[cfg(test)]
            costs: $costs,
            effect: Effect::$effect,
        };)+

        /// Every function.
        #[cfg(test)]
        pub(crate) const ALL: &[Function] = &[$($constant),+];
    };
}

functions! {
    OPEN = "open" Changes {
        "the layout's version that the caller knows",
        "the version that is there: the caller's own if there was none or an older one; and 1 if jobs \
         are still in the form of an older one",
        "O(1)"
    }
    UPGRADE = "upgrade" Changes {
        "most jobs",
        "1 if more jobs are in an older form",
        "O(jobs × log jobs), 9 commands for a job"
    }
    ENQUEUE = "enqueue" Adds {
        "how many jobs; of each *job*: id, queue, kind, tenant, priority, due time or nothing, most \
         attempts, decision to keep or nothing, unique key or nothing, its hash, its scope, what to do \
         if it is taken (0 reject, 1 keep, 2 replace, 3 with the priority), envelope, args",
        "of each job `created` and its id; `hit` or `replaced`, the id and the envelope of the job that \
         is there; or `taken` and the id of the job that has the key",
        "O(jobs × log waiting), 10 commands for a call with one queue and kind, however many jobs; 2 for \
         each job with a unique key"
    }
    IMPORT = "import" Adds {
        "how many jobs that another store had; of each id, queue, kind, tenant, priority, state, attempt, \
         claim, most attempts, when it was enqueued, could first run and can next run, when it was over \
         or nothing, decision to keep or nothing, unique key or nothing, its hash, its scope, the record \
         of the last attempt or nothing, how many records of earlier ones and these, 1 if there is a \
         checkpoint, and that, 1 if there is a result, and that, envelope, args",
        "of each job `stored`; `present` if its id is there; or `taken` and the id of the job that has its \
         key",
        "as `enqueue`, and 1 command for each job with more than one attempt"
    }
    CLAIM = "claim" Changes {
        "worker, length of the lease, most jobs, the first token, of each slot 1 if it is for lower \
         priorities, how many queues and their names, how many quotas and of each its group (`q`, `k`, \
         `t` or `e` for each tenant), name and number, 1 if tenants take turns and then 1 if there is a \
         last tenant, its name, and how many jobs each has at a turn",
        "the rows of the claimed jobs; those whose record is gone are passed over with a note for `gone`",
        "O(jobs × log waiting), 14 commands for a call with one queue and kind, however many jobs, and up \
         to 2 for each job that was claimed before; with quotas also O(lines that are closed); with \
         turns O(tenants that are served)"
    }
    HEARTBEAT = "heartbeat" Changes {
        "how many beats; of each id, token, length, progress or nothing, 1 if there is a checkpoint, \
         and that",
        "of each beat `held` or `stop` and the lease's new end, or `lost`",
        "O(beats × log leases), 4 commands for a call"
    }
    SETTLE = "settle" Changes {
        "how many settles; of each id, token, outcome (1 complete, 2 retry, 3 not yet, 4 snooze, 5 \
         cancel, 6 discard, 7 hand back), due time or nothing, error or nothing, decision to keep or \
         nothing, span or nothing, 1 if there is a result, and that, how many follow-ups, and of each \
         a *job*",
        "of each settle `settled` and the state, or `lost`",
        "O(settles × log jobs), 9 commands for a call with one queue, however many settles; 1 for each \
         attempt but the first; follow-ups as `enqueue`"
    }
    RESCUE = "rescue" Changes {
        "most leases, the error and the reason to keep the trace of a lost attempt",
        "the rows of the jobs taken back; leases of jobs whose record is gone end with a note for \
         `gone`",
        "O(jobs × log jobs), up to 4 commands for a job; for one whose record is gone O(queues)"
    }
    PROMOTE = "promote" Changes {
        "most jobs",
        "how many became available",
        "O(queues + jobs × log jobs)"
    }
    GET = "get" Reads { "id", "the row, or nothing", "O(1), at most 4 commands" }
    LIST = "list" Reads {
        "below which number, at most how many, queue or nothing, how many shelves and their names (`0` to \
         `6` for a state, `w` for available and running, `r` for running alone)",
        "how many jobs were found, the last one's number, and their rows without args, newest first",
        "O(jobs), at most 4 commands for a job, and 1 for each shelf; without a queue, of every queue; \
         for running alone O(leases)"
    }
    STATS = "stats" Reads {
        "nothing",
        "of each queue its name, 1 if it is paused, since when a job is due or nothing, and how many jobs \
         there are of each state",
        "O(queues)"
    }
    NEXT = "next" Reads {
        "how many queues, and their names",
        "when the first job is due, or nothing",
        "O(queues), 5 commands for a queue"
    }
    GONE = "gone" Reads {
        "of how many jobs the names",
        "how many jobs a claim or a rescue found gone, 1000 at most, and the ids of the last ones",
        "O(log jobs + names)"
    }
    STOP = "stop" Changes {
        "1 to cancel or 2 to discard, how many jobs, and their ids",
        "of each its state, or -1 if it is not there",
        "O(jobs × log jobs)"
    }
    RETRY = "retry" Changes {
        "how many jobs, and their ids",
        "of each `available`, `running`, `missing`, or `taken` and the id of the job that has its key",
        "O(jobs × log jobs)"
    }
    PAUSE = "pause" Changes { "queue", "1", "O(1)" }
    RESUME = "resume" Changes { "queue", "1", "O(1)" }
    PRUNE = "prune" Changes {
        "most jobs, before when or nothing, how many to keep or nothing, how many states, and their numbers",
        "how many were deleted",
        "O(jobs × log jobs), few commands for a call"
    }
    READ_DOCUMENT = "read_document" Reads { "name", "version and body, or nothing", "O(1)" }
    WRITE_DOCUMENT = "write_document" Adds {
        "name, the version that must be there, body; if that is not 0 it only changes what is there, \
         so that workers go on when memory is full",
        "`written` and the new version, or `conflict` and the version that is there",
        "O(log documents)"
    }
    DELETE_DOCUMENT = "delete_document" Changes {
        "name, the version that must be there",
        "`deleted`, or `conflict` and the version that is there",
        "O(log documents)"
    }
    LIST_DOCUMENTS = "list_documents" Reads {
        "the first name, the prefix, at most how many",
        "of each document its name and version",
        "O(documents)"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "\
# The functions of the Redis store

What each call of the store does, it does in one function on the server, written in Lua
(`crates/stores/redis/src/lua`). From version 7 of Redis on, and on Valkey, they are a library of
functions, else a script of the same text. A library is named by a hash of its text, so that
programs of several versions work side by side, each with its own. One that the server does not
have is loaded, and the call made again: after a restart, a failover or `SCRIPT FLUSH` nobody has
to do anything.

Every function has one key, the prefix of the store in braces (`{longshore}:`), which all keys of
the store begin with: on a cluster they lie in one slot. Its first two arguments are its name and
the time in microseconds, or nothing for the server's own, which is what all programs but tests
give. It gives back the time and what the table says. A *row* is a job: its id, its record,
envelope and args, its attempts but the last (which is in the record), its checkpoint and its
result. A call reads what it needs at once and writes what it changed at its end, so that a batch
costs few commands.

What a function *adds* is refused when the server's memory is full; what it *changes* is not, since
work that ends makes room.

| function | | takes | gives | costs |
| --- | --- | --- | --- | --- |
";

    fn page() -> String {
        let rows = ALL.iter().map(|function| {
            let effect = match function.effect {
                Effect::Reads => "reads",
                Effect::Changes => "changes",
                Effect::Adds => "adds",
            };
            let cells = [function.takes, function.gives, function.costs];
            let cells = cells.map(|cell| cell.replace('|', "\\|")).join(" | ");
            format!("| `{}` | {effect} | {cells} |\n", function.name)
        });
        format!("{HEAD}{}", rows.collect::<String>())
    }

    /// After a change that is meant, `LONGSHORE_WRITE_PAGES=1` writes the page anew.
    #[test]
    fn the_page_is_what_the_table_makes() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../docs/redis-functions.md"
        );
        if std::env::var_os("LONGSHORE_WRITE_PAGES").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        assert!(
            std::fs::read_to_string(path).unwrap() == page(),
            "docs/redis-functions.md is out of date; LONGSHORE_WRITE_PAGES=1 writes it"
        );
    }
}
