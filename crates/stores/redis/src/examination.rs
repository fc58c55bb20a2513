//! A look at the server: whether a store is safe there, and the command that mends it if not.

use longshore_core::{Clock, Complaint, Severity, StoreError, SystemClock};
use redis::Value;

use crate::answer::{self, array, number, tuple};
use crate::beside;
use crate::call::Call;
use crate::connection::{Connection, LAYOUT};
use crate::library::{LIBRARY, Library};
use crate::options::Durability;
use crate::server::{Version, field};
use crate::{contract, micros};

/// By how many seconds the clocks of server and program may differ before it is worth saying.
const CLOCK_SECONDS: i64 = 2;
/// From which part of the memory that is allowed it is worth saying, in percent.
const NEARLY_FULL: u64 = 90;
/// How many of the jobs that are gone are named.
const GONE_NAMED: usize = 3;

/// What [`crate::RedisStore::examine`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Examination {
    /// The server: product and version.
    pub server: String,
    /// The version of the layout of the store's keys.
    pub layout: u32,
    /// Bytes of memory in use, by all that the server holds.
    pub memory_bytes: u64,
    /// Most bytes of memory it may use, if that is bounded.
    pub max_memory_bytes: Option<u64>,
    /// What is wrong. Empty if all is well.
    pub complaints: Vec<Complaint>,
}

impl Examination {
    fn add(&mut self, severity: Severity, message: impl Into<String>, remedy: impl Into<String>) {
        let complaint = Complaint::new(severity, message, remedy);
        self.complaints.push(complaint);
    }
}

pub(crate) async fn examine(connection: &Connection) -> Result<Examination, StoreError> {
    let info = answer::text(connection.look(&redis::cmd("INFO")).await?)?;
    let version = Version::of(&info);
    let mut found = Examination {
        server: format!("{} {}", version.product, version.number),
        layout: LAYOUT,
        memory_bytes: count(&info, "used_memory"),
        max_memory_bytes: Some(count(&info, "maxmemory")).filter(|most| *most > 0),
        complaints: Vec::new(),
    };
    memory(&info, &mut found);
    persistence(connection, &info, &mut found).await;
    replication(connection, &info, &mut found);
    clock(connection, &mut found).await?;
    // Asking a store that is not there would make it.
    if beside::is_made(connection).await? {
        gone(connection, &mut found).await?;
    }
    if version.has_functions() && connection.options.functions {
        libraries(connection, &mut found).await;
    }
    Ok(found)
}

fn count(info: &str, name: &str) -> u64 {
    let value = field(info, name).and_then(|value| value.parse().ok());
    value.unwrap_or(0)
}

fn memory(info: &str, found: &mut Examination) {
    let policy = field(info, "maxmemory_policy").unwrap_or("noeviction");
    if policy != "noeviction" {
        let severity = match found.max_memory_bytes {
            Some(_) => Severity::Problem,
            None => Severity::Warning,
        };
        found.add(
            severity,
            format!("maxmemory-policy is {policy}: when memory is full the server deletes jobs"),
            "redis-cli CONFIG SET maxmemory-policy noeviction",
        );
    }
    let Some(most) = found.max_memory_bytes else {
        found.add(
            Severity::Warning,
            "maxmemory is not set: when memory is full the system kills the server, where with a \
             bound it would refuse new jobs",
            "redis-cli CONFIG SET maxmemory 2gb",
        );
        return;
    };
    let percent = found.memory_bytes.saturating_mul(100) / most;
    if percent >= NEARLY_FULL {
        found.add(
            Severity::Problem,
            format!("memory is {percent} % full: soon no more jobs can be enqueued"),
            "longshore jobs prune, or redis-cli CONFIG SET maxmemory BYTES",
        );
    }
}

async fn persistence(connection: &Connection, info: &str, found: &mut Examination) {
    if field(info, "aof_enabled") == Some("0") {
        found.add(
            Severity::Problem,
            "appendonly is off: when the server ends, what was acknowledged since its last snapshot is \
             gone",
            "redis-cli CONFIG SET appendonly yes",
        );
        return;
    }
    if field(info, "aof_last_write_status").is_some_and(|status| status != "ok") {
        found.add(
            Severity::Problem,
            "the server cannot write its append-only file; its log says why",
            "df -h",
        );
    }
    if connection.options.durability != Durability::Server {
        return;
    }
    let ask = redis::cmd("CONFIG")
        .arg("GET")
        .arg("appendfsync")
        .to_owned();
    // A user may lack the right to ask.
    let Ok(answer) = connection.look(&ask).await.and_then(strings) else {
        return;
    };
    if let Some(policy) = answer.get(1).filter(|policy| *policy != "always") {
        found.add(
            Severity::Warning,
            format!(
                "appendfsync is {policy}: when the power fails, what was acknowledged in the last \
                 second may be lost; `durability=aof` in the URL waits for it"
            ),
            "redis-cli CONFIG SET appendfsync always",
        );
    }
}

fn replication(connection: &Connection, info: &str, found: &mut Examination) {
    if field(info, "role") == Some("slave") {
        found.add(
            Severity::Problem,
            "this server is a replica and takes no writes: name its master, or the sentinels",
            "longshore doctor --store redis-sentinel://HOST:26379/MASTER",
        );
    }
    let waits = connection.options.durability == Durability::Replica;
    if waits && count(info, "connected_slaves") == 0 {
        found.add(
            Severity::Problem,
            "durability=replica waits for a replica, and none is connected: every write fails",
            "redis-cli -h REPLICA REPLICAOF HOST PORT",
        );
    }
}

async fn clock(connection: &Connection, found: &mut Examination) -> Result<(), StoreError> {
    let answer = strings(connection.look(&redis::cmd("TIME")).await?)?;
    let seconds = answer.first().and_then(|text| text.parse::<i64>().ok());
    let mine = micros::of(SystemClock::new().now()) / 1_000_000;
    let apart = seconds.map_or(0, |theirs| mine.saturating_sub(theirs));
    if apart.abs() > CLOCK_SECONDS {
        let way = if apart > 0 { "behind" } else { "ahead of" };
        found.add(
            Severity::Warning,
            format!(
                "the server's clock, by which jobs go, is {} s {way} this machine's",
                apart.abs()
            ),
            "timedatectl set-ntp true",
        );
    }
    Ok(())
}

/// Jobs that waited or ran and whose record was not there any more.
async fn gone(connection: &Connection, found: &mut Examination) -> Result<(), StoreError> {
    let mut call = Call::new(&contract::GONE);
    call.count(GONE_NAMED);
    let [count, last] = tuple(connection.call(&call).await?.1)?;
    let count: u64 = number(count)?;
    let names = strings(last)?.join(", ");
    if count > 0 {
        found.add(
            Severity::Problem,
            format!(
                "lost jobs: {count}, which waited or ran when their record was evicted or deleted; the \
                 last ones: {names}"
            ),
            format!("redis-cli DEL '{{{}}}:gone'", connection.options.prefix),
        );
    }
    Ok(())
}

/// Libraries of other versions, and whether the user may load this one's.
async fn libraries(connection: &Connection, found: &mut Examination) {
    let ask = redis::cmd("FUNCTION")
        .arg("LIST")
        .arg("LIBRARYNAME")
        .arg(format!("{}*", Library::PREFIX))
        .to_owned();
    let Ok(answer) = connection.look(&ask).await else {
        found.add(
            Severity::Warning,
            "the user may not look at functions, so that they run as a script, which a restart forgets",
            "redis-cli ACL SETUSER NAME +function +fcall",
        );
        return;
    };
    let answer = format!("{answer:?}");
    let mut others: Vec<&str> = answer
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.len() == LIBRARY.name.len() && word.starts_with(Library::PREFIX))
        .filter(|word| *word != LIBRARY.name)
        .collect();
    others.sort_unstable();
    others.dedup();
    if let Some(one) = others.first() {
        found.add(
            Severity::Warning,
            format!(
                "functions of {} other versions of Longshore are loaded; they do no harm, and may go \
                 once no program of those versions runs",
                others.len()
            ),
            format!("redis-cli FUNCTION DELETE {one}"),
        );
    }
}

fn strings(value: Value) -> Result<Vec<String>, StoreError> {
    array(value)?.into_iter().map(answer::text).collect()
}
