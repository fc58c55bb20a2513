//! The text of the functions, and under which name a server has it.

use std::sync::LazyLock;

use redis::Script;

use crate::contract::Effect;

const BODY: &str = concat!(
    include_str!("lua/call.lua"),
    include_str!("lua/change.lua"),
    include_str!("lua/line.lua"),
    include_str!("lua/job.lua"),
    include_str!("lua/unique.lua"),
    include_str!("lua/enqueue.lua"),
    include_str!("lua/import.lua"),
    include_str!("lua/claim.lua"),
    include_str!("lua/settle.lua"),
    include_str!("lua/query.lua"),
    include_str!("lua/admin.lua"),
    include_str!("lua/document.lua"),
    include_str!("lua/upgrade.lua"),
    include_str!("lua/store.lua"),
);

/// The functions in both forms, named by a hash of their text: other versions of Longshore have
/// theirs beside them.
#[derive(Debug)]
pub(crate) struct Library {
    /// What `FUNCTION LOAD` takes.
    pub(crate) functions: String,
    /// What `SCRIPT LOAD` takes.
    pub(crate) script: String,
    /// The name of the script: its SHA-1.
    pub(crate) hash: String,
    /// The name of the library.
    pub(crate) name: String,
}

/// The library of this build.
pub(crate) static LIBRARY: LazyLock<Library> = LazyLock::new(Library::new);

impl Library {
    /// What the names of all libraries of Longshore begin with.
    pub(crate) const PREFIX: &str = "longshore_";

    fn new() -> Self {
        let of_body: String = Script::new(BODY).get_hash().chars().take(12).collect();
        let name = format!("{}{of_body}", Self::PREFIX);
        let register = |name: &str, flags: &str| {
            format!(
                "redis.register_function{{ function_name = '{name}', callback = run{flags} }}\n"
            )
        };
        let functions = format!(
            "#!lua name={name}\n{BODY}\n{}{}{}",
            register(&Self::function(&name, Effect::Adds), ""),
            register(
                &Self::function(&name, Effect::Changes),
                ", flags = { 'allow-oom' }"
            ),
            register(
                &Self::function(&name, Effect::Reads),
                ", flags = { 'no-writes' }"
            ),
        );
        // A script that has deleted something may go on when memory is short, whatever it writes.
        let script = format!(
            "{BODY}\nlocal adds = {{ enqueue = 1, import = 1, write_document = 1 }}\n\
             local reads = {{ get = 1, list = 1, stats = 1, next = 1, gone = 1, \
             read_document = 1, list_documents = 1 }}\n\
             if ARGV[1] == 'write_document' and ARGV[4] ~= '0' then adds = {{}} end\n\
             if not adds[ARGV[1]] and not reads[ARGV[1]] then redis.call('DEL', KEYS[1] .. '-') end\n\
             return run(KEYS, ARGV)\n"
        );
        let hash = Script::new(&script).get_hash().to_owned();
        Self {
            functions,
            script,
            hash,
            name,
        }
    }

    fn function(name: &str, effect: Effect) -> String {
        let suffix = match effect {
            Effect::Reads => "_read",
            Effect::Changes => "_change",
            Effect::Adds => "_add",
        };
        format!("{name}{suffix}")
    }

    /// The name of the function that runs calls of this effect.
    pub(crate) fn function_for(&self, effect: Effect) -> String {
        Self::function(&self.name, effect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;

    #[test]
    fn every_function_is_in_the_table_and_the_other_way_round() {
        let defined: Vec<&str> = BODY
            .lines()
            .filter_map(|line| line.strip_prefix("function functions.")?.split('(').next())
            .collect();
        let mut listed: Vec<&str> = contract::ALL.iter().map(|function| function.name).collect();
        listed.sort_unstable();
        let mut sorted = defined.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, listed);
    }

    #[test]
    fn the_script_knows_what_each_function_does() {
        let line = |word: &str| {
            let start = format!("local {word} = {{");
            let found = LIBRARY.script.lines().find(|line| line.starts_with(&start));
            found.unwrap().to_owned()
        };
        for function in contract::ALL {
            let is_in = |word| line(word).contains(&format!(" {} = 1", function.name));
            let expected = (
                function.effect == Effect::Adds,
                function.effect == Effect::Reads,
            );
            assert_eq!(
                (is_in("adds"), is_in("reads")),
                expected,
                "{}",
                function.name
            );
        }
    }
}
